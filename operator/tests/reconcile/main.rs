//! The reconcile loop against a real API server: what it creates, what it leaves alone, and what it says.

#![expect(clippy::large_futures, reason = "a test's future is made once")]
#![expect(clippy::indexing_slicing, reason = "a test that cannot go on should stop where it is")]

mod admission;
mod controllers;
mod crash;
mod drift;
mod faults;
mod golden;
mod migration;
mod revert;
mod rights;
mod running;
mod safety;
mod secret_values;
mod server;

use std::future::IntoFuture as _;
use std::time::{Duration, Instant};

use doacoes_operator::crd::DonationPlatform;
use doacoes_operator::error::ErrorClass;
use doacoes_operator::reconcile::Outcome;
use doacoes_operator::{admin, kinds, names};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PostParams};
use running::Running;
use serde_json::{Value, json};
use server::{Result, World, world};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const API: &str = "esperanca-api";
const DATABASE: &str = "esperanca-postgres";
const POOLER: &str = "esperanca-pooler";
const REDIS: &str = "esperanca-redis";
/// The file in the pooler's `ConfigMap`.
const SETTINGS: &str = "pgbouncer.ini";

async fn migrate(world: &World) -> Result<String> {
    let names = world.names("Job").await?;
    names.into_iter().next().ok_or_else(|| "there is no Job".into())
}

async fn finish(world: &World, job: &str, condition: &str, message: &str) -> Result {
    let live = world.get("Job", job).await?;
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("{job}-{}", condition.to_lowercase()),
            "labels": live.data.pointer("/spec/template/metadata/labels"),
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": job, "uid": live.uid(), "controller": true}],
        },
        "spec": {"containers": [{"name": "migrate", "image": "doacoes"}]},
    });
    let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    world.api("Pod")?.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
    let code = i32::from(condition != "Complete");
    let terminated = json!({"exitCode": code, "message": message, "startedAt": null, "finishedAt": null});
    let containers = json!([{
        "name": "migrate", "image": "doacoes", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": terminated},
    }]);
    let phase = if code == 0 { "Succeeded" } else { "Failed" };
    world.merge_status("Pod", &name, json!({"phase": phase, "containerStatuses": containers})).await?;
    let now = Timestamp::now().to_string();
    let last = json!({"type": condition, "status": "True", "lastTransitionTime": now, "lastProbeTime": now, "reason": "Tests", "message": "tests"});
    let before = if code == 0 { "SuccessCriteriaMet" } else { "FailureTarget" };
    let first = json!({"type": before, "status": "True", "lastTransitionTime": now, "lastProbeTime": now, "reason": "Tests"});
    let mut status = json!({"conditions": [first, last], "startTime": now});
    if code == 0 {
        status["completionTime"] = json!(now);
    }
    world.merge_status("Job", job, status).await
}

/// A platform whose migration has completed and whose pods run.
async fn ready(namespace: &str, spec: Value) -> Result<World> {
    let world = world(namespace).await?;
    world.create(spec).await?;
    world.settle().await?;
    world.run_all_pods().await?;
    world.settle().await?;
    let job = migrate(&world).await?;
    finish(&world, &job, "Complete", r#"{"schema": "20261101", "applied": 3}"#).await?;
    world.settle().await?;
    world.run_all_pods().await?;
    world.settle().await?;
    Ok(world)
}

#[tokio::test]
async fn a_platform_becomes_ready_step_by_step_and_then_nothing_is_written() -> Result {
    let world = world("steps").await?;
    world.create(json!({})).await?;
    assert!(matches!(world.settle().await?, Outcome::Waiting(_)));
    assert_eq!(world.condition("Ready").await?.0, "False/Creating");
    assert!(world.exists("StatefulSet", DATABASE).await? && world.exists("Service", API).await?);
    assert_eq!(world.names("Job").await?, Vec::<String>::new(), "the migration waits for the database");
    assert!(!world.exists("Deployment", API).await?, "the API waits for the migration");
    assert_eq!(world.condition("SchemaReady").await?.0, "False/WaitingForDatabase");

    world.run_pods("StatefulSet", DATABASE).await?;
    world.settle().await?;
    assert_eq!(world.condition("DatabaseReady").await?.0, "True/Available");
    assert_eq!(world.condition("SchemaReady").await?.0, "False/Migrating");
    let (state, message) = world.condition("Ready").await?;
    assert_eq!(state, "False/Creating");
    assert!(message.starts_with("Redis:"), "{message}");
    world.run_all_pods().await?;
    world.settle().await?;
    for type_ in ["RedisReady", "PoolerReady"] {
        assert_eq!(world.condition(type_).await?.0, "True/Available");
    }
    assert_eq!(world.condition("Ready").await?.0, "False/Migrating");
    assert!(!world.exists("Deployment", API).await?);

    finish(&world, &migrate(&world).await?, "Complete", r#"{"schema": "20261101", "applied": 3}"#).await?;
    world.settle().await?;
    assert_eq!(world.platform().await?.status.unwrap_or_default().schema_revision.as_deref(), Some("20261101"));
    let deployment = world.get("Deployment", API).await?;
    assert_eq!(deployment.data.pointer("/spec/replicas"), Some(&json!(4)));
    assert_eq!(world.condition("Ready").await?.0, "False/Creating");

    world.run_pods("Deployment", API).await?;
    world.settle().await?;
    let (state, message) = world.condition("Ready").await?;
    assert_eq!(state, "False/Creating");
    assert!(message.starts_with("edge:"), "{message}");
    world.run_all_pods().await?;
    assert_eq!(world.settle().await?, Outcome::Settled);
    assert_eq!(world.condition("Ready").await?.0, "True/Available");
    let status = world.platform().await?.status.unwrap_or_default();
    assert_eq!(status.version.as_deref(), Some(env!("CARGO_PKG_VERSION")));
    let api = status.api.ok_or("no status of the API")?;
    assert_eq!((api.replicas, api.ready_replicas), (4, 4));
    assert!(api.selector.contains("app.kubernetes.io/component=api"), "{}", api.selector);

    let events = async || -> Result<Vec<Event>> {
        Ok(Api::namespaced(world.admin.clone(), &world.namespace).list(&ListParams::default()).await?.items)
    };
    let before = events().await?.len();
    let (writes, version) = (world.writes(), world.platform().await?.resource_version());
    for _ in 0..5 {
        world.pass().await?;
    }
    assert_eq!(world.writes(), writes);
    assert_eq!(world.platform().await?.resource_version(), version);
    let events = events().await?;
    assert_eq!(events.len(), before);
    let reasons: Vec<&str> =
        events.iter().filter(|event| event.action.as_deref() == Some("Ready")).filter_map(|event| event.reason.as_deref()).collect();
    assert!(reasons.contains(&"Migrating") && reasons.contains(&"Available"), "{reasons:?}");
    Ok(())
}

#[tokio::test]
async fn what_others_change_comes_back_and_what_they_add_in_our_lists_goes() -> Result {
    let world = ready("drift", json!({})).await?;
    let before = world.get("Deployment", API).await?.data;
    let strategic = kube::api::Patch::Strategic(json!({
        "metadata": {"labels": {"team": "others"}, "annotations": {"others": "too"}},
        "spec": {"template": {"spec": {
            "containers": [
                {"name": "api", "image": "evil:1", "env": [{"name": "LD_PRELOAD", "value": "x"}]},
                {"name": "sidecar", "image": "evil:2"},
            ],
            "volumes": [{"name": "theirs", "emptyDir": {}}],
        }}},
    }));
    world.api("Deployment")?.patch(API, &kube::api::PatchParams::default(), &strategic).await?;
    let config = world.get("ConfigMap", POOLER).await?.data;
    world.merge("ConfigMap", POOLER, json!({"data": {SETTINGS: "evil", "extra": "x"}})).await?;
    world.merge("Service", API, json!({"spec": {"selector": {"extra": "x"}}})).await?;
    world.settle().await?;
    let after = world.get("Deployment", API).await?;
    assert_eq!(after.data.get("spec"), before.get("spec"));
    assert_eq!(after.labels().get("team").map(String::as_str), Some("others"));
    assert_eq!(after.annotations().get("others").map(String::as_str), Some("too"));
    assert_eq!(world.get("ConfigMap", POOLER).await?.data, config);
    let service = world.get("Service", API).await?;
    assert_eq!(service.data.pointer("/spec/selector/extra"), None);
    Ok(())
}

#[tokio::test]
async fn one_member_of_a_union_exchanged_for_another_comes_back() -> Result {
    let world = ready("union", json!({})).await?;
    let before = world.get("Deployment", REDIS).await?.data;
    let mut volumes = before.pointer("/spec/template/spec/volumes").cloned().ok_or("no volumes")?;
    for volume in volumes.as_array_mut().into_iter().flatten().filter(|volume| volume["name"] == "tmp") {
        *volume = json!({"name": "tmp", "hostPath": {"path": "/"}});
    }
    world.merge("Deployment", REDIS, json!({"spec": {"template": {"spec": {"volumes": volumes}}}})).await?;
    assert!(world.get("Deployment", REDIS).await?.data.to_string().contains("hostPath"));
    world.settle().await?;
    assert_eq!(world.get("Deployment", REDIS).await?.data.get("spec"), before.get("spec"));
    Ok(())
}

#[tokio::test]
async fn a_field_that_is_no_longer_rendered_goes() -> Result {
    let world = ready("dropped", json!({})).await?;
    let live = world.get("Service", POOLER).await?;
    // As an operator of an older release left it.
    let older = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": POOLER, "labels": live.metadata.labels, "ownerReferences": live.metadata.owner_references,
            "annotations": {"doacoes.dev/rendered": "older", "older": "yes"},
        },
        "spec": {
            "selector": live.data.pointer("/spec/selector"), "ports": [{"name": "pgbouncer", "port": 6432, "targetPort": "pgbouncer"}],
            "sessionAffinity": "ClientIP",
        },
    });
    let manager = kube::api::PatchParams::apply("doacoes-operator").force();
    world.api("Service")?.patch(POOLER, &manager, &kube::api::Patch::Apply(older)).await?;
    world.settle().await?;
    let after = world.get("Service", POOLER).await?;
    assert_eq!(after.annotations().get("older"), None);
    assert_eq!(after.data.pointer("/spec/sessionAffinity"), Some(&json!("None")));
    Ok(())
}

#[tokio::test]
async fn a_pod_that_cannot_run_is_named() -> Result {
    let world = world("cause").await?;
    world.create(json!({})).await?;
    world.settle().await?;
    let live = world.get("StatefulSet", DATABASE).await?;
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("{DATABASE}-0"), "labels": live.data.pointer("/spec/template/metadata/labels")},
        "spec": {"containers": [{"name": "postgres", "image": "postgres:99"}]},
    });
    world.api("Pod")?.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
    let waiting = json!({"reason": "ImagePullBackOff", "message": "not found"});
    let containers = json!([{
        "name": "postgres", "image": "postgres:99", "imageID": "", "ready": false, "restartCount": 0, "state": {"waiting": waiting},
    }]);
    let status = json!({"phase": "Pending", "containerStatuses": containers});
    world.merge_status("Pod", &format!("{DATABASE}-0"), status).await?;
    world.settle().await?;
    for type_ in ["DatabaseReady", "Ready"] {
        let (state, message) = world.condition(type_).await?;
        assert_eq!(state, "False/ImagePullFailed");
        assert!(message.contains("cannot pull image postgres:99: not found"), "{message}");
    }
    Ok(())
}

#[tokio::test]
async fn an_object_that_lost_its_labels_is_still_ours_and_a_deleted_one_comes_back() -> Result {
    let world = ready("lost", json!({})).await?;
    world.merge("Service", API, json!({"metadata": {"labels": null}})).await?;
    world.api("ConfigMap")?.delete(POOLER, &DeleteParams::default()).await?;
    world.settle().await?;
    assert!(world.get("Service", API).await?.labels().contains_key("app.kubernetes.io/instance"));
    assert!(world.exists("ConfigMap", POOLER).await?);
    Ok(())
}

#[tokio::test]
async fn somebody_elses_object_is_named_and_never_touched() -> Result {
    let world = world("conflict").await?;
    let theirs: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": API, "labels": {"app.kubernetes.io/instance": "esperanca", "app.kubernetes.io/managed-by": "doacoes-operator"}},
        "spec": {"ports": [{"port": 1}]},
    }))?;
    let version = world.api("Service")?.create(&PostParams::default(), &theirs).await?.resource_version();
    world.create(json!({})).await?;
    for _ in 0..3 {
        let error = world.pass().await.err().ok_or("there is a conflict")?;
        assert_eq!(error.class(), ErrorClass::NameConflict);
    }
    assert_eq!(world.get("Service", API).await?.resource_version(), version);
    let (state, message) = world.condition("NameConflict").await?;
    assert_eq!(state, "True/NameConflict");
    assert!(message.contains("Service esperanca-api"), "{message}");
    assert!(world.exists("StatefulSet", DATABASE).await?, "the other objects do not wait");
    let writes = world.writes();
    assert!(world.pass().await.is_err());
    assert_eq!(world.writes(), writes);

    world.api("Service")?.delete(API, &DeleteParams::default()).await?;
    world.settle().await?;
    assert_eq!(world.condition("NameConflict").await?.0, "False/NoConflict");
    assert!(world.exists("Service", API).await?);
    Ok(())
}

#[tokio::test]
async fn while_it_is_paused_nothing_but_the_status_is_written() -> Result {
    let world = ready("paused", json!({})).await?;
    world.change(json!({"paused": true, "api": {"replicas": 6}})).await?;
    let config = world.get("ConfigMap", POOLER).await?.data;
    world.merge("ConfigMap", POOLER, json!({"data": {SETTINGS: "by hand"}})).await?;
    let before = world.metrics.writes(doacoes_operator::verb::Verb::Apply, "DonationPlatform/status");
    let all = world.writes();
    world.settle().await?;
    let status = world.metrics.writes(doacoes_operator::verb::Verb::Apply, "DonationPlatform/status") - before;
    assert_eq!(world.writes() - all, status);
    assert_eq!(world.condition("Paused").await?.0, "True/Paused");
    assert_eq!(world.get("ConfigMap", POOLER).await?.data.pointer("/data/pgbouncer.ini"), Some(&json!("by hand")));
    world.change(json!({"paused": false})).await?;
    world.settle().await?;
    assert_eq!(world.get("ConfigMap", POOLER).await?.data, config);
    assert_eq!(world.get("Deployment", API).await?.data.pointer("/spec/replicas"), Some(&json!(6)));
    Ok(())
}

#[tokio::test]
async fn an_autoscaler_gets_the_live_number_and_is_left_alone_until_it_is_removed() -> Result {
    let world = ready("scale", json!({"api": {"replicas": 5}})).await?;
    world.change(json!({"api": {"autoscaling": {"minReplicas": 2, "maxReplicas": 9}}})).await?;
    world.settle().await?;
    assert!(world.exists("HorizontalPodAutoscaler", API).await?);
    let replicas = async || -> Result<Option<Value>> { Ok(world.get("Deployment", API).await?.data.pointer("/spec/replicas").cloned()) };
    assert_eq!(replicas().await?, Some(json!(5)), "the live number stays");
    assert_eq!(world.condition("Autoscaled").await?.0, "True/AutoscalerDecides");
    // As the autoscaler does it.
    let scale = kube::api::Patch::Merge(json!({"spec": {"replicas": 8}}));
    world.api("Deployment")?.patch_scale(API, &kube::api::PatchParams::default(), &scale).await?;
    world.settle().await?;
    assert_eq!(replicas().await?, Some(json!(8)));
    world.merge("Deployment", API, json!({"spec": {"replicas": 0}})).await?;
    world.settle().await?;
    assert_eq!(replicas().await?, Some(json!(2)), "with no pods it would stay so");
    world.change(json!({"api": {"autoscaling": null}})).await?;
    world.settle().await?;
    assert!(!world.exists("HorizontalPodAutoscaler", API).await?, "pruned");
    assert_eq!(replicas().await?, Some(json!(5)));
    Ok(())
}

#[tokio::test]
async fn a_failed_migration_keeps_the_old_version_and_is_tried_again() -> Result {
    let world = ready("migration", json!({})).await?;
    let first = migrate(&world).await?;
    let image = async || -> Result<Option<Value>> {
        Ok(world.get("Deployment", API).await?.data.pointer("/spec/template/spec/containers/0/image").cloned())
    };
    let old = image().await?;
    world.change(json!({"image": {"tag": "0.9.9"}})).await?;
    world.settle().await?;
    let second = world.names("Job").await?.into_iter().find(|name| *name != first).ok_or("no new Job")?;
    finish(&world, &second, "Failed", "column exists").await?;
    world.settle().await?;
    let (state, message) = world.condition("SchemaReady").await?;
    assert_eq!(state, "False/MigrationFailed");
    assert!(message.contains("column exists"), "{message}");
    assert_eq!(world.condition("Ready").await?.0, "False/MigrationFailed");
    assert_eq!(image().await?, old, "the old version serves");
    assert!(world.exists("Job", &first).await?, "and its migration is known");

    let uid = world.get("Job", &second).await?.uid();
    world.pass_at(Timestamp::now() + SignedDuration::from_secs(5)).await?;
    assert_eq!(world.get("Job", &second).await?.uid(), uid, "not yet");
    world.pass_at(Timestamp::now() + SignedDuration::from_secs(30)).await?;
    world.pass().await?;
    let again = world.get("Job", &second).await?;
    assert_ne!(again.uid(), uid);
    assert_eq!(again.annotations().get("doacoes.dev/attempt").map(String::as_str), Some("2"));
    world.settle().await?;
    assert_eq!(world.condition("SchemaReady").await?.0, "False/MigrationFailed", "while it is tried again");

    world.change(json!({"image": {"tag": env!("CARGO_PKG_VERSION")}})).await?;
    assert_eq!(world.settle().await?, Outcome::Settled);
    assert_eq!(world.condition("Ready").await?.0, "True/Available");
    assert_eq!(world.names("Job").await?, vec![first], "the failed one is gone");
    Ok(())
}

#[tokio::test]
async fn a_migration_that_somebody_suspends_is_made_anew() -> Result {
    let world = world("suspended").await?;
    world.create(json!({})).await?;
    world.settle().await?;
    world.run_all_pods().await?;
    world.settle().await?;
    let job = migrate(&world).await?;
    let uid = world.get("Job", &job).await?.uid();
    world.merge("Job", &job, json!({"spec": {"suspend": true}})).await?;
    world.settle().await?;
    let (state, message) = world.condition("SchemaReady").await?;
    assert_eq!(state, "False/MigrationFailed");
    assert!(message.contains("suspended"), "{message}");
    assert_eq!(world.get("Job", &job).await?.uid(), uid, "not at once");
    world.pass_at(Timestamp::now() + SignedDuration::from_secs(30)).await?;
    world.pass().await?;
    let again = world.get("Job", &job).await?;
    assert_ne!(again.uid(), uid);
    assert_ne!(again.data.pointer("/spec/suspend"), Some(&json!(true)));
    assert_eq!(again.annotations().get("doacoes.dev/attempt").map(String::as_str), Some("2"));
    finish(&world, &job, "Complete", r#"{"schema": "20261101", "applied": 3}"#).await?;
    world.settle().await?;
    // One that has ended has nothing to be suspended.
    let uid = again.uid();
    world.merge("Job", &job, json!({"spec": {"suspend": true}})).await?;
    world.settle().await?;
    assert_eq!(world.get("Job", &job).await?.uid(), uid);
    assert_eq!(world.condition("SchemaReady").await?.0, "True/Migrated");
    Ok(())
}

#[tokio::test]
async fn a_config_map_that_somebody_freezes_is_made_anew() -> Result {
    let world = ready("frozen", json!({})).await?;
    for change in [json!({"immutable": true}), json!({"data": {SETTINGS: "evil"}, "immutable": true})] {
        let before = world.get("ConfigMap", POOLER).await?;
        world.merge("ConfigMap", POOLER, change).await?;
        world.settle().await?;
        let after = world.get("ConfigMap", POOLER).await?;
        assert_eq!(after.data, before.data);
        assert_ne!(after.uid(), before.uid());
    }
    Ok(())
}

#[tokio::test]
async fn a_condition_of_somebody_else_stays_and_is_no_reason_to_write() -> Result {
    let world = ready("theirs", json!({})).await?;
    let theirs = json!({
        "type": "BackedUpByOthers", "status": "True", "reason": "Nightly", "message": "at two o'clock", "lastTransitionTime": Timestamp::now().to_string(),
    });
    let status = json!({"apiVersion": "doacoes.dev/v1alpha1", "kind": "DonationPlatform", "status": {"conditions": [theirs]}});
    let manager = kube::api::PatchParams::apply("others");
    world.platforms().patch_status("esperanca", &manager, &kube::api::Patch::Apply(status)).await?;
    let writes = world.writes();
    for _ in 0..3 {
        world.pass().await?;
    }
    assert_eq!(world.writes(), writes);
    world.change(json!({"paused": true})).await?;
    world.settle().await?;
    assert_eq!(world.condition("Paused").await?.0, "True/Paused");
    assert_eq!(world.condition("BackedUpByOthers").await?.0, "True/Nightly");
    Ok(())
}

#[tokio::test]
async fn a_certificate_is_signed_renewed_in_time_and_made_anew_for_another_host() -> Result {
    const SECRET: &str = "esperanca-edge-tls";
    let world = ready("certificate", json!({"profile": "Development"})).await?;
    let content = async || -> Result<Option<Value>> { Ok(world.get("Secret", SECRET).await?.data.get("data").cloned()) };
    let edge = async || -> Result<Option<Value>> {
        Ok(world.get("Deployment", "esperanca-edge").await?.data.pointer("/spec/template/metadata/annotations").cloned())
    };
    let (first, pods) = (content().await?, edge().await?);
    assert_eq!(world.get("Secret", SECRET).await?.data.get("type"), Some(&json!("kubernetes.io/tls")));
    assert!(world.platform().await?.status.unwrap_or_default().endpoint.is_some_and(|url| url == "https://doe.example.org"));
    let in_days = |days: i64| Timestamp::now() + SignedDuration::from_hours(24 * days);
    world.pass_at(in_days(50)).await?;
    assert_eq!(content().await?, first, "not yet");
    world.pass_at(in_days(65)).await?;
    let renewed = content().await?;
    assert_ne!(renewed, first);
    assert_ne!(edge().await?, pods, "nginx reads it at its start");

    world.pass().await?;
    assert_eq!(content().await?, renewed);
    world.change(json!({"ingress": {"host": "outra.example.org"}})).await?;
    world.settle().await?;
    let other = content().await?;
    assert_ne!(other, renewed);
    world.merge("Secret", SECRET, json!({"data": {"tls.key": "ZXZpbA=="}})).await?;
    world.settle().await?;
    let repaired = content().await?.ok_or("no data")?;
    assert_ne!(repaired["tls.key"], json!("ZXZpbA=="));
    let labels = world.get("Secret", SECRET).await?.metadata.labels;
    let changed = json!({"app.kubernetes.io/instance": null, "app.kubernetes.io/component": "other", "team": "a"});
    world.merge("Secret", SECRET, json!({"metadata": {"labels": changed}})).await?;
    world.settle().await?;
    let mut back = world.get("Secret", SECRET).await?.metadata.labels.unwrap_or_default();
    assert_eq!(back.remove("team").as_deref(), Some("a"), "somebody else's stays");
    assert_eq!((Some(back), content().await?), (labels, Some(repaired)), "without a new key");
    Ok(())
}

#[tokio::test]
async fn secrets_that_the_resource_names_are_missed_by_name() -> Result {
    let spec = json!({
        "ingress": {"host": "doe.example.org", "tls": {"secretName": "doe-tls"}},
        "mail": {"from": "doe@example.org", "secretName": "doe-mail"},
    });
    let world = ready("named", spec).await?;
    let (state, message) = world.condition("ApiReady").await?;
    assert_eq!(state, "False/MailSecretMissing");
    assert!(message.contains("doe-mail") && message.contains("mail.secretName"), "{message}");
    let (state, message) = world.condition("EdgeReady").await?;
    assert_eq!(state, "False/TlsSecretMissing");
    assert!(message.contains("doe-tls"), "{message}");
    assert_eq!(world.condition("Ready").await?.0, "False/MailSecretMissing");
    for workload in ["esperanca-api", "esperanca-edge"] {
        assert!(world.api("Deployment")?.get_opt(workload).await?.is_none(), "no pod of {workload} could mount it");
    }
    for (name, type_, data) in [
        ("doe-tls", "kubernetes.io/tls", json!({"tls.crt": "Yw==", "tls.key": "aw=="})),
        ("doe-mail", "Opaque", json!({"url": "c210cHM6Ly9tYWlsLmV4YW1wbGUub3Jn"})),
    ] {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": type_, "data": data});
        world.api("Secret")?.create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    }
    world.settle().await?;
    world.run_all_pods().await?;
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "True/Available");

    let edge = async || -> Result<Value> { Ok(world.get("Deployment", "esperanca-edge").await?.data["spec"].clone()) };
    let serving = edge().await?;
    world.api("Secret")?.delete("doe-tls", &DeleteParams::default()).await?;
    world.settle().await?;
    assert_eq!(world.condition("EdgeReady").await?.0, "False/TlsSecretMissing");
    assert_eq!(edge().await?, serving, "what serves is left alone");
    Ok(())
}

/// The database's claim, as its controller makes it, or with another size.
async fn claim(world: &World, size: Option<&str>) -> Result {
    let template = world.get("StatefulSet", DATABASE).await?;
    let labels = template.data.pointer("/spec/volumeClaimTemplates/0/metadata/labels").cloned();
    let mut spec = template.data.pointer("/spec/volumeClaimTemplates/0/spec").cloned().ok_or("no template of a claim")?;
    if let Some(size) = size {
        spec["resources"]["requests"]["storage"] = json!(size);
    }
    let object = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": format!("data-{DATABASE}-0"), "labels": labels}, "spec": spec,
    });
    world.api("PersistentVolumeClaim")?.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(())
}

#[tokio::test]
async fn a_volume_that_was_there_before_with_another_size_is_told() -> Result {
    for (namespace, size, told) in [("same-size", "10240Mi", false), ("other-size", "5Gi", true)] {
        let world = ready(namespace, json!({})).await?;
        claim(&world, Some(size)).await?;
        world.settle().await?;
        let (state, message) = world.condition("DatabaseReady").await?;
        assert_eq!(state, "True/Available");
        assert_eq!(message.contains("was made with 5Gi and not with the 10Gi of storage.size"), told, "{message}");
    }
    Ok(())
}

async fn templates(world: &World) -> Result<[Option<Value>; 2]> {
    let template = async |kind: &str, name: &str| -> Result<Option<Value>> {
        Ok(world.get(kind, name).await?.data.pointer("/spec/template").cloned())
    };
    Ok([template("Deployment", API).await?, template("StatefulSet", DATABASE).await?])
}

#[tokio::test]
async fn data_gets_and_loses_its_owner_with_the_deletion_policy() -> Result {
    let world = ready("retention", json!({})).await?;
    claim(&world, None).await?;
    let objects = [
        ("Secret", "esperanca-keys".to_owned()),
        ("Secret", "esperanca-database".to_owned()),
        ("PersistentVolumeClaim", format!("data-{DATABASE}-0")),
    ];
    let uid = world.platform().await?.uid();
    let before = templates(&world).await?;
    for (policy, owned) in [("Retain", false), ("Delete", true), ("Retain", false), ("Delete", true)] {
        world.change(json!({"deletionPolicy": policy})).await?;
        world.settle().await?;
        for (kind, name) in &objects {
            let live = world.get(kind, name).await?;
            assert_eq!(live.owner_references().iter().any(|owner| Some(&owner.uid) == uid.as_ref()), owned, "{policy} {kind} {name}");
        }
    }
    assert_eq!(templates(&world).await?, before, "nothing of this restarts a pod");
    Ok(())
}

#[tokio::test]
async fn keys_are_never_generated_anew_and_passwords_are() -> Result {
    let world = ready("keys", json!({})).await?;
    let secrets = world.api("Secret")?;
    let keys = secrets.get("esperanca-keys").await?;
    secrets.delete("esperanca-database", &DeleteParams::default()).await?;
    world.settle().await?;
    assert!(world.exists("Secret", "esperanca-database").await?);

    secrets.delete("esperanca-keys", &DeleteParams::default()).await?;
    let writes = world.writes();
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "False/KeysMissing");
    assert!(!world.exists("Secret", "esperanca-keys").await?);
    assert_eq!(world.writes(), writes + 1, "the status alone");

    let mut back = keys.clone();
    back.metadata.resource_version = None;
    back.metadata.uid = None;
    back.metadata.managed_fields = None;
    secrets.create(&PostParams::default(), &back).await?;
    world.settle().await?;
    assert_ne!(world.condition("Ready").await?.0, "False/KeysMissing");
    world.merge("Secret", "esperanca-keys", json!({"data": {"email.key": null}})).await?;
    world.settle().await?;
    let (state, message) = world.condition("Ready").await?;
    assert_eq!(state, "False/KeysMissing");
    assert!(message.contains("email.key"), "{message}");
    Ok(())
}

#[tokio::test]
async fn the_first_administrators_password_is_generated_and_the_migration_told_of_it_once() -> Result {
    let world = ready("first-admin", json!({"deletionPolicy": "Delete"})).await?;
    assert!(!world.exists("Secret", "esperanca-admin").await?);
    let (without, api) = (migrate(&world).await?, world.get("Deployment", API).await?);

    world.change(json!({"firstAdmin": {"email": "admin@example.org"}})).await?;
    world.settle().await?;
    let secret = world.get("Secret", "esperanca-admin").await?;
    assert!(secret.data.pointer("/data/password").and_then(Value::as_str).is_some_and(|password| password.len() > 40));
    assert_eq!(secret.owner_references().first().map(|owner| owner.name.as_str()), Some("esperanca"));
    let with = world.names("Job").await?.into_iter().find(|name| *name != without).ok_or("no other Job")?;
    let job = world.get("Job", &with).await?;
    let argument = |wanted: &str| {
        let arguments = job.data.pointer("/spec/template/spec/containers/0/args").and_then(Value::as_array);
        arguments.into_iter().flatten().any(|argument| argument == wanted)
    };
    assert!(argument("--first-admin=admin@example.org") && argument("/run/secrets/doacoes/admin/password"));
    finish(&world, &with, "Complete", r#"{"schema": "20261101", "applied": 0}"#).await?;
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "True/Available");
    assert_eq!(world.get("Deployment", API).await?.resource_version(), api.resource_version(), "no pod is replaced for it");
    assert_eq!(world.get("Secret", "esperanca-admin").await?.resource_version(), secret.resource_version());

    // It is only for a migration to come: nothing else waits for it.
    world.merge("Secret", "esperanca-admin", json!({"data": {"password": null}})).await?;
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "True/Available");

    world.change(json!({"firstAdmin": null, "deletionPolicy": "Retain"})).await?;
    world.settle().await?;
    let left = world.get("Secret", "esperanca-admin").await?;
    assert!(left.owner_references().is_empty(), "retained like the others");
    let again = world.names("Job").await?;
    assert!(again.contains(&without), "{again:?}");
    Ok(())
}

#[tokio::test]
async fn somebodys_secret_in_the_place_of_the_first_administrators_stops_the_migration_and_nothing_else() -> Result {
    let world = ready("foreign-admin", json!({})).await?;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "esperanca-admin"}, "stringData": {"password": "a"}});
    world.api("Secret")?.create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    let jobs = world.names("Job").await?;
    world.change(json!({"firstAdmin": {"email": "admin@example.org"}})).await?;
    // Refused, and tried again later.
    assert!(world.pass().await.is_err());
    let (state, message) = world.condition("SchemaReady").await?;
    assert_eq!(state, "False/NameConflict");
    assert!(message.contains("esperanca-admin"), "{message}");
    assert_eq!(world.names("Job").await?, jobs, "nobody logs in with that password");
    world.merge("Service", API, json!({"metadata": {"labels": {"app.kubernetes.io/part-of": "others"}}})).await?;
    assert!(world.pass().await.is_err());
    assert_eq!(world.get("Service", API).await?.labels()["app.kubernetes.io/part-of"], "doacoes");
    world.api("Secret")?.delete("esperanca-admin", &DeleteParams::default()).await?;
    world.settle().await?;
    assert_eq!(world.names("Job").await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn what_a_deleted_platform_left_to_the_garbage_collector_is_waited_for() -> Result {
    let world = ready("again", json!({})).await?;
    // No controller runs here, so its children stay.
    world.platforms().delete("esperanca", &DeleteParams::default()).await?;
    let version = world.get("Service", API).await?.resource_version();
    world.create(json!({})).await?;
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "False/WaitingForRemoval");
    assert_eq!(world.get("Service", API).await?.resource_version(), version);
    for resource in kinds::rendered() {
        for object in world.api(&resource.kind)?.list(&ListParams::default().labels(&names::managed())).await? {
            world.api(&resource.kind)?.delete(&object.name_any(), &DeleteParams::background()).await?;
        }
    }
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "False/Creating");
    let keys = world.get("Secret", "esperanca-keys").await?;
    assert!(keys.owner_references().is_empty(), "retained, and used again");
    Ok(())
}

/// A quota of nothing on one kind of object; its controller is not here, so its status is written too.
async fn none_of(world: &World, what: &str) -> Result {
    let hard = json!({what: "0"});
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": hard}});
    let resource = kube::core::ApiResource::erase::<k8s_openapi::api::core::v1::ResourceQuota>(&());
    let quotas: Api<DynamicObject> = Api::namespaced_with(world.admin.clone(), &world.namespace, &resource);
    quotas.create(&PostParams::default(), &serde_json::from_value(quota)?).await?;
    let status = kube::api::Patch::Merge(json!({"status": {"hard": hard, "used": hard}}));
    quotas.patch_status("none", &kube::api::PatchParams::default(), &status).await?;
    Ok(())
}

#[tokio::test]
async fn a_refused_object_is_named_and_the_others_are_written() -> Result {
    let world = world("quota").await?;
    none_of(&world, "services").await?;
    world.create(json!({})).await?;
    let error = world.pass().await.err().ok_or("the quota refuses the Service")?;
    assert_eq!(error.class(), ErrorClass::Fault);
    let (state, message) = world.condition("ApiReady").await?;
    assert_eq!(state, "False/Refused");
    assert!(message.contains("quota"), "{message}");
    assert!(world.exists("StatefulSet", DATABASE).await?);
    Ok(())
}

#[tokio::test]
async fn the_running_operator_repairs_within_seconds_and_stops_when_told() -> Result {
    let world = ready("running", json!({})).await?;
    let operator = Running::start(&world);
    operator.established().await?;
    let config = world.get("ConfigMap", POOLER).await?.data;
    world.merge("ConfigMap", POOLER, json!({"data": {SETTINGS: "evil"}})).await?;
    within(REPAIR, "the ConfigMap comes back", async || Ok(world.get("ConfigMap", POOLER).await?.data == config)).await?;
    world.api("Service")?.delete(API, &DeleteParams::default()).await?;
    within(REPAIR, "the Service comes back", async || world.exists("Service", API).await).await?;
    // The platform that the label names now is none.
    let label = "app.kubernetes.io/instance";
    world.merge("Service", API, json!({"metadata": {"labels": {label: "outra"}}})).await?;
    within(REPAIR, "the label comes back", async || {
        Ok(world.get("Service", API).await?.labels().get(label) == Some(&"esperanca".to_owned()))
    })
    .await?;
    world.change(json!({"api": {"replicas": 7}})).await?;
    within(REPAIR, "the number of pods follows", async || {
        Ok(world.get("Deployment", API).await?.data.pointer("/spec/replicas") == Some(&json!(7)))
    })
    .await?;
    assert_eq!(operator.watched.ready().iter().sum::<usize>(), 1);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let admin = tokio::spawn(axum::serve(listener, admin::routes(operator.watched.clone(), world.metrics.clone())).into_future());
    let text = fetch(address, "/metrics").await?;
    for line in [
        "doacoes_operator_reconciles_total{result=\"settled\"}",
        "doacoes_operator_errors_total{class=\"transient\"} ",
        "doacoes_operator_writes_total{kind=\"ConfigMap\",verb=\"apply\"} ",
        "doacoes_operator_reconcile_duration_seconds_count",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(fetch(address, "/readyz").await?.starts_with("HTTP/1.1 200") && fetch(address, "/livez").await?.starts_with("HTTP/1.1 200"));
    admin.abort();
    operator.stop().await
}

#[tokio::test]
async fn after_a_burst_of_events_the_cause_is_noticed_within_seconds() -> Result {
    let world = world("burst").await?;
    none_of(&world, "services").await?;
    world.create(json!({})).await?;
    let operator = Running::start(&world);
    eventually("the quota is told", async || Ok(world.condition("ApiReady").await.is_ok_and(|(state, _)| state == "False/Refused")))
        .await?;
    // Each event starts a try, which fails.
    let failures = async || -> Result<u64> { Ok(world.metrics.failures(ErrorClass::Fault)) };
    for event in 0..10 {
        let before = failures().await?;
        world.merge("ConfigMap", POOLER, json!({"metadata": {"annotations": {"event": event.to_string()}}})).await?;
        within(REPAIR, "the event starts a try", async || Ok(failures().await? > before)).await?;
    }
    // The last try has ended, and none begins because of an event.
    let (mut requests, mut since) = (world.faults.requests(), Instant::now());
    while since.elapsed() < Duration::from_millis(1500) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if world.faults.requests() != requests {
            (requests, since) = (world.faults.requests(), Instant::now());
        }
    }
    let resource = kube::core::ApiResource::erase::<k8s_openapi::api::core::v1::ResourceQuota>(&());
    let quotas: Api<DynamicObject> = Api::namespaced_with(world.admin.clone(), &world.namespace, &resource);
    quotas.delete("none", &DeleteParams::default()).await?;
    within(Duration::from_secs(20), "the Service is made", async || world.exists("Service", API).await).await?;
    operator.stop().await
}

#[tokio::test]
async fn platforms_side_by_side_keep_to_their_own_objects() -> Result {
    let world = ready("side", json!({})).await?;
    let mut other = world.platform().await?;
    other.metadata = kube::core::ObjectMeta { name: Some("outra".into()), ..kube::core::ObjectMeta::default() };
    other.status = None;
    world.platforms().create(&PostParams::default(), &other).await?;
    let elsewhere = server::world("elsewhere").await?;
    elsewhere.create(json!({})).await?;
    let before = world.get("Service", API).await?.resource_version();
    let operator = Running::start_for(&[&world, &elsewhere]);
    eventually("both get theirs", async || {
        Ok(world.exists("StatefulSet", "outra-postgres").await?
            && world.exists("Service", "outra-api").await?
            && elsewhere.exists("StatefulSet", DATABASE).await?)
    })
    .await?;
    assert_eq!(world.get("Service", API).await?.resource_version(), before);
    let uid = world.platforms().get("outra").await?.uid();
    let service = world.get("Service", "outra-api").await?;
    assert_eq!(service.owner_references().first().map(|owner| owner.uid.clone()), uid);
    operator.stop().await
}

#[tokio::test]
async fn a_resource_that_cannot_be_read_does_not_stop_the_others() -> Result {
    let world = world("unreadable").await?;
    world.create(json!({})).await?;
    // An older definition let it in. Other tests put theirs back at any moment.
    let mut older = server::definition()?;
    let profile = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/profile";
    if let Some(Value::Object(schema)) = older.pointer_mut(profile) {
        schema.remove("enum");
    }
    let resource = kube::core::ApiResource::erase::<DonationPlatform>(&());
    let untyped: Api<DynamicObject> = Api::namespaced_with(world.admin.clone(), &world.namespace, &resource);
    let broken: DynamicObject = serde_json::from_value(json!({
        "apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": "broken"},
        "spec": {"profile": "Staging", "ingress": {"host": "doe.example.org"}},
    }))?;
    eventually("it is stored", async || {
        server::define(&world.admin, &older).await?;
        Ok(untyped.create(&PostParams::default(), &broken).await.is_ok())
    })
    .await?;
    server::define(&world.admin, &server::definition()?).await?;
    assert!(world.platforms().get("broken").await.is_err(), "it cannot be read");
    let operator = Running::start(&world);
    eventually("the other one gets its objects", async || world.exists("StatefulSet", DATABASE).await).await?;
    assert!(!world.exists("StatefulSet", "broken-postgres").await?);
    operator.stop().await
}

async fn fetch(address: std::net::SocketAddr, path: &str) -> Result<String> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: tests\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

/// What is changed by others is to be as it was within this time.
const REPAIR: Duration = Duration::from_secs(10);
/// Far more than any step takes; other tests, and two API servers with all that belongs to them, take their part of the machine.
const STEP_TIMEOUT: Duration = Duration::from_mins(2);

async fn eventually(what: &str, condition: impl AsyncFn() -> Result<bool>) -> Result {
    within(STEP_TIMEOUT, what, condition).await
}

/// Asks again and again until `condition` holds. Fails when it does not within `limit`.
async fn within(limit: Duration, what: &str, condition: impl AsyncFn() -> Result<bool>) -> Result {
    let start = Instant::now();
    while !condition().await? {
        if start.elapsed() > limit {
            return Err(format!("not within {} s: {what}", limit.as_secs()).into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
