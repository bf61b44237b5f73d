//! Redis: one pod, and nothing of it is kept.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentStrategy};
use k8s_openapi::api::core::v1::Container;

use super::child::{Child, Part, Scale};
use super::labels;
use super::objects::{Balancing, config_map, deployment_of, service, service_account};
use super::pod::{Pod, config, container, memory_volume, mount, mount_read_only, port, probe_timing, scratch_volume, secret, texts};
use super::secrets::GeneratedSecret;
use super::template::fill;
use crate::resolve::Platform;

const PART: Part = Part::Redis;
/// User of the official image.
const USER_ID: i64 = 999;
/// Port of the server.
pub(super) const PORT: i32 = 6379;

pub(super) fn children(platform: &Platform) -> Vec<Child> {
    let configuration = fill(include_str!("redis/redis.conf"), &[("MAX_MEMORY", &platform.redis.max_memory.to_string())]);
    let start = include_str!("redis/start.sh").to_owned();
    let files = BTreeMap::from([("redis.conf".to_owned(), configuration), ("start.sh".to_owned(), start)]);
    vec![
        service_account(platform, PART),
        config_map(platform, PART, &files),
        service(platform, PART, "redis", PORT, Balancing::ByService),
        Child::of(platform, PART, &deployment(platform, &files)).with_scale(Scale::Fixed(1)),
    ]
}

fn deployment(platform: &Platform, files: &BTreeMap<String, String>) -> Deployment {
    let pod = Pod {
        part: PART,
        tier: &platform.redis.tier,
        user: USER_ID,
        grace_seconds: Some(15),
        init_containers: Vec::new(),
        container: server(platform),
        volumes: vec![
            config(&labels::name(platform, PART)),
            secret("redis", &GeneratedSecret::Redis.name(platform), &["password"]),
            memory_volume("run", "1Mi"),
            scratch_volume("tmp", "16Mi"),
        ],
        files: Some(files),
        spread: &[],
    };
    // Two at once would each hold half of the sessions and limits.
    let strategy = DeploymentStrategy { rolling_update: None, type_: Some("Recreate".to_owned()) };
    deployment_of(platform, PART, strategy, pod.template(platform))
}

fn server(platform: &Platform) -> Container {
    let tier = &platform.redis.tier;
    // The default user may do nothing but this.
    let ping = ["redis-cli", "-e", "-t", "2", "ping"];
    Container {
        command: Some(texts(&["/bin/sh", "/etc/doacoes/redis/start.sh"])),
        ports: Some(vec![port("redis", PORT)]),
        startup_probe: Some(probe_timing(1, 3, 60).exec(&ping)),
        readiness_probe: Some(probe_timing(5, 3, 2).exec(&ping)),
        liveness_probe: Some(probe_timing(10, 3, 6).exec(&ping)),
        volume_mounts: Some(vec![
            mount_read_only("config", "/etc/doacoes/redis"),
            mount_read_only("redis", "/run/secrets/doacoes/redis"),
            mount("run", "/run/doacoes"),
            mount("tmp", "/tmp"),
        ]),
        ..container("redis", &tier.image, &tier.resources)
    }
}
