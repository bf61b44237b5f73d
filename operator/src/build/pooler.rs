//! `PgBouncer`.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Container;

use super::child::{Child, Part, Scale};
use super::labels;
use super::objects::{Balancing, config_map, deployment_of, disruption_budget, rolling, service, service_account};
use super::pod::{
    HOSTNAME_TOPOLOGY, Pod, before_stop, command, config, container, memory_volume, mount, mount_read_only, port, probe_timing, secret,
    texts,
};
use super::secrets::GeneratedSecret;
use super::template::fill;
use crate::resolve::Platform;

const PART: Part = Part::Pooler;
/// User of the image.
const USER_ID: i64 = 70;
/// Port of the pooler.
pub(super) const PORT: i32 = 6432;

pub(super) fn children(platform: &Platform) -> Vec<Child> {
    let replicas = platform.spec.pooler.replicas;
    let files = files(platform);
    let deployment = Child::of(platform, PART, &deployment(platform, &files)).with_scale(Scale::Fixed(replicas));
    let mut children = vec![
        service_account(platform, PART),
        config_map(platform, PART, &files),
        service(platform, PART, "pgbouncer", PORT, Balancing::ByService),
    ];
    children.extend(disruption_budget(platform, PART, replicas, 1));
    children.push(deployment);
    children
}

fn files(platform: &Platform) -> BTreeMap<String, String> {
    let configuration = fill(
        include_str!("pooler/pgbouncer.ini"),
        &[
            ("POSTGRES", &labels::name(platform, Part::Postgres)),
            ("MAX_CLIENT_CONNECTIONS", &platform.spec.pooler.max_client_connections.to_string()),
            ("SHARE", &platform.pooler_share().to_string()),
        ],
    );
    let start = fill(include_str!("pooler/start.sh"), &[("DESCRIPTORS", &descriptors(platform).to_string())]);
    BTreeMap::from([("pgbouncer.ini".to_owned(), configuration), ("start.sh".to_owned(), start)])
}

fn deployment(platform: &Platform, files: &BTreeMap<String, String>) -> Deployment {
    let pod = Pod {
        part: PART,
        tier: &platform.pooler,
        user: USER_ID,
        grace_seconds: Some(45),
        init_containers: Vec::new(),
        container: pgbouncer(platform),
        volumes: vec![
            config(&labels::name(platform, PART)),
            secret("database", &GeneratedSecret::Database.name(platform), &["app-password"]),
            memory_volume("run", "1Mi"),
        ],
        files: Some(files),
        spread: &[HOSTNAME_TOPOLOGY],
    };
    // No further one beside them: it would open server connections past the budget.
    deployment_of(platform, PART, rolling(0, 1), pod.template(platform))
}

/// One file descriptor for each client and server connection, and some of its own.
fn descriptors(platform: &Platform) -> i32 {
    platform.spec.pooler.max_client_connections.saturating_add(platform.pooler_share()).saturating_add(256).max(4096)
}

fn pgbouncer(platform: &Platform) -> Container {
    Container {
        command: Some(texts(&["/bin/sh", "/etc/doacoes/pooler/start.sh"])),
        ports: Some(vec![port("pgbouncer", PORT)]),
        startup_probe: Some(probe_timing(1, 1, 60).tcp("pgbouncer")),
        readiness_probe: Some(probe_timing(5, 1, 2).tcp("pgbouncer")),
        liveness_probe: Some(probe_timing(10, 5, 3).tcp("pgbouncer")),
        // New connections go elsewhere by then; SIGINT lets transactions end.
        lifecycle: Some(before_stop(command(&["/bin/sh", "-c", "sleep 5; kill -INT 1; sleep 30"]))),
        volume_mounts: Some(vec![
            mount_read_only("config", "/etc/doacoes/pooler"),
            mount_read_only("database", "/run/secrets/doacoes/database"),
            mount("run", "/run/doacoes"),
        ]),
        ..container("pgbouncer", &platform.pooler.image, &platform.pooler.resources)
    }
}
