//! PostgreSQL: one pod, one volume.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec};
use k8s_openapi::api::core::v1::{Container, PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::core::ObjectMeta;

use super::child::{Child, Part, Scale};
use super::labels;
use super::objects::{Balancing, config_map, metadata, selector, service, service_account};
use super::pod::{
    Pod, before_stop, command, config, container, memory_volume, mount, mount_read_only, port, probe_timing, scratch_volume, secret, texts,
    variable,
};
use super::secrets::GeneratedSecret;
use super::template::fill;
use crate::crd::DeletionPolicy;
use crate::quantity::whole;
use crate::resolve::Platform;

const PART: Part = Part::Postgres;
/// User of the official image.
const USER_ID: i64 = 999;
/// Port of the server.
pub(super) const PORT: i32 = 5432;

pub(super) fn children(platform: &Platform) -> Vec<Child> {
    let files = files(platform);
    vec![
        service_account(platform, PART),
        config_map(platform, PART, &files),
        // Connections last, and nothing is to be balanced.
        service(platform, PART, "postgres", PORT, Balancing::ByClient),
        Child::of(platform, PART, &stateful_set(platform, &files)).with_scale(Scale::Fixed(1)),
    ]
}

/// The memory that the pod may use, in MB.
fn megabytes(platform: &Platform) -> i64 {
    let limit = platform.postgres.tier.resources.limits.as_ref().and_then(|limits| limits.get("memory"));
    limit.and_then(|limit| whole(&limit.0)).unwrap_or(1 << 30).div_euclid(1 << 20)
}

fn files(platform: &Platform) -> BTreeMap<String, String> {
    let memory = megabytes(platform);
    let part = |of: i64| memory.div_euclid(of).max(1).to_string();
    let configuration = fill(
        include_str!("postgres/postgresql.conf"),
        &[
            ("MAX_CONNECTIONS", &platform.postgres.max_connections.to_string()),
            // The rest is for connections, for sorting, and for the kernel's copies of files.
            ("SHARED_BUFFERS", &part(8)),
            ("EFFECTIVE_CACHE_SIZE", &part(4)),
            ("MAINTENANCE_WORK_MEM", &part(16)),
        ],
    );
    BTreeMap::from([
        ("pg_hba.conf".to_owned(), include_str!("postgres/pg_hba.conf").to_owned()),
        ("postgresql.conf".to_owned(), configuration),
        ("start.sh".to_owned(), include_str!("postgres/start.sh").to_owned()),
    ])
}

fn stateful_set(platform: &Platform, files: &BTreeMap<String, String>) -> StatefulSet {
    let when_deleted = match platform.spec.deletion_policy {
        DeletionPolicy::Retain => "Retain",
        DeletionPolicy::Delete => "Delete",
    };
    let pod = Pod {
        part: PART,
        tier: &platform.postgres.tier,
        user: USER_ID,
        grace_seconds: Some(120),
        init_containers: Vec::new(),
        container: server(platform),
        volumes: vec![
            config(&labels::name(platform, PART)),
            secret("database", &GeneratedSecret::Database.name(platform), &["owner-password", "app-password"]),
            // Parallel queries share memory there, and the runtime's 64 MB are too few.
            memory_volume("shm", &format!("{}Mi", megabytes(platform).div_euclid(4).max(1))),
            memory_volume("run", "1Mi"),
            scratch_volume("tmp", "256Mi"),
        ],
        files: Some(files),
        spread: &[],
    };
    let mut template = pod.template(platform);
    if let Some(context) = template.spec.as_mut().and_then(|spec| spec.security_context.as_mut()) {
        // Else each start would walk over all files of the database.
        context.fs_group_change_policy = Some("OnRootMismatch".to_owned());
    }
    StatefulSet {
        metadata: metadata(platform, PART),
        spec: Some(StatefulSetSpec {
            // Else a pod that never becomes ready is not replaced by the one that would.
            pod_management_policy: Some("Parallel".to_owned()),
            persistent_volume_claim_retention_policy: Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
                when_deleted: Some(when_deleted.to_owned()),
                when_scaled: Some("Retain".to_owned()),
            }),
            revision_history_limit: Some(2),
            selector: selector(platform, PART),
            service_name: Some(labels::name(platform, PART)),
            template,
            volume_claim_templates: Some(vec![claim(platform)]),
            ..StatefulSetSpec::default()
        }),
        status: None,
    }
}

fn server(platform: &Platform) -> Container {
    let tier = &platform.postgres.tier;
    let ready = ["pg_isready", "--host=127.0.0.1", "--username=app", "--dbname=doacoes", "--timeout=2"];
    Container {
        command: Some(texts(&["/bin/sh", "/etc/doacoes/postgres/start.sh"])),
        env: Some(vec![variable("PGDATA", "/var/lib/postgresql/data/pgdata")]),
        ports: Some(vec![port("postgres", PORT)]),
        // As long as recovery takes; a server that recovers is not killed for it.
        startup_probe: Some(probe_timing(2, 3, 43_200).exec(&ready)),
        readiness_probe: Some(probe_timing(5, 3, 2).exec(&ready)),
        lifecycle: Some(before_stop(command(&["pg_ctl", "stop", "--wait", "--timeout=110", "--mode=fast"]))),
        volume_mounts: Some(vec![
            mount("data", "/var/lib/postgresql/data"),
            mount_read_only("config", "/etc/doacoes/postgres"),
            mount_read_only("database", "/run/secrets/doacoes/database"),
            mount("shm", "/dev/shm"),
            mount("run", "/run/postgresql"),
            mount("tmp", "/tmp"),
        ]),
        ..container("postgres", &tier.image, &tier.resources)
    }
}

/// Name of the claim for the volume of the platform called `platform`, as its `StatefulSet` makes it.
pub fn claim_name(platform: &str) -> String {
    format!("data-{platform}-{}-0", PART.component())
}

fn claim(platform: &Platform) -> PersistentVolumeClaim {
    let storage = &platform.postgres.storage;
    PersistentVolumeClaim {
        metadata: ObjectMeta { name: Some("data".to_owned()), labels: Some(labels::of_data(platform, PART)), ..ObjectMeta::default() },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(texts(&["ReadWriteOnce"])),
            resources: Some(VolumeResourceRequirements {
                limits: None,
                requests: Some(BTreeMap::from([("storage".to_owned(), Quantity(storage.size.clone()))])),
            }),
            storage_class_name: storage.storage_class_name.clone(),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}
