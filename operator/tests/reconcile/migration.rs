//! When the schema is migrated, and when a migration that completed does not run again although its Job went away.

use doacoes_operator::reconcile::Outcome;
use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::harness::names::{API, DATABASE, EDGE, MIGRATED};
use crate::harness::{Result, World, ready, world};

/// A ready platform whose database has a volume, and the name of its migration's Job.
async fn migrated(namespace: &str) -> Result<(World, String)> {
    let world = world(namespace).await?;
    world.create(json!({})).await?;
    world.settle().await?;
    world.claim_volume(None).await?;
    world.run_all_pods().await?;
    world.settle().await?;
    let job = world.migration_job().await?;
    world.finish_job(&job, "Complete", MIGRATED).await?;
    world.settle().await?;
    world.run_all_pods().await?;
    assert_eq!(world.settle().await?, Outcome::Settled);
    assert_eq!(world.condition("Ready").await?.0, "True/Available");
    Ok((world, job))
}

/// Removes an object, and with a Job its pods, as garbage collection does.
async fn remove(world: &World, kind: &str, name: &str) -> Result {
    world.api(kind)?.delete(name, &DeleteParams::background()).await?;
    if kind == "Job" {
        for pod in world.names("Pod").await?.into_iter().filter(|pod| pod.starts_with(name)) {
            world.api("Pod")?.delete(&pod, &DeleteParams::default().grace_period(0)).await?;
        }
    }
    assert!(!world.exists(kind, name).await?, "{kind} {name} stays");
    Ok(())
}

/// Puts another volume in the place of the database's.
async fn replace_volume(world: &World) -> Result {
    let name = format!("data-{DATABASE}-0");
    world.api("PersistentVolumeClaim")?.delete(&name, &DeleteParams::default()).await?;
    // No controller takes the finalizer away here.
    let _ = world.merge("PersistentVolumeClaim", &name, json!({"metadata": {"finalizers": null}})).await;
    world.claim_volume(None).await
}

async fn template(world: &World, name: &str) -> Result<Option<Value>> {
    Ok(world.get("Deployment", name).await?.data.pointer("/spec/template").cloned())
}

#[tokio::test]
async fn a_migration_that_completed_does_not_run_again_when_its_job_goes_away() -> Result {
    let (world, job) = migrated("job-gone").await?;
    let (writes, message) = (world.writes(), world.condition("SchemaReady").await?);
    // A Job whose time to live is over waits for its pods before it goes.
    world.merge("Job", &job, json!({"metadata": {"finalizers": ["example.org/held"]}})).await?;
    world.api("Job")?.delete(&job, &DeleteParams::background()).await?;
    assert_eq!(world.settle().await?, Outcome::Settled);
    world.merge("Job", &job, json!({"metadata": {"finalizers": null}})).await?;
    assert!(!world.exists("Job", &job).await?);
    for _ in 0..3 {
        assert_eq!(world.settle().await?, Outcome::Settled);
    }
    assert_eq!(world.names("Job").await?, Vec::<String>::new());
    assert_eq!((world.writes(), world.condition("SchemaReady").await?), (writes, message), "nothing is written");

    world.forbid("count/jobs.batch").await?;
    let before = template(&world, API).await?;
    remove(&world, "Deployment", API).await?;
    remove(&world, "Deployment", EDGE).await?;
    world.settle().await?;
    assert_eq!(template(&world, API).await?, before, "it is made again");
    world.run_all_pods().await?;
    assert_eq!(world.settle().await?, Outcome::Settled);
    assert_eq!(world.condition("Ready").await?.0, "True/Available");
    // Another place for the pods asks for no other migration.
    world.change(json!({"api": {"nodeSelector": {"pool": "b"}}})).await?;
    world.settle().await?;
    assert_ne!(template(&world, API).await?, before);
    assert_eq!(world.names("Job").await?, Vec::<String>::new());
    assert_eq!(world.platform().await?.status.unwrap_or_default().schema_revision.as_deref(), Some("20261101"));
    Ok(())
}

#[tokio::test]
async fn a_job_that_is_removed_as_soon_as_it_completed_counts() -> Result {
    let world = world("job-short").await?;
    world.create(json!({})).await?;
    world.settle().await?;
    world.claim_volume(None).await?;
    world.run_all_pods().await?;
    world.settle().await?;
    let job = world.migration_job().await?;
    world.finish_job(&job, "Complete", MIGRATED).await?;
    world.merge("Job", &job, json!({"metadata": {"finalizers": ["example.org/held"]}})).await?;
    world.api("Job")?.delete(&job, &DeleteParams::background()).await?;
    world.settle().await?;
    assert!(world.exists("Deployment", API).await?);
    world.merge("Job", &job, json!({"metadata": {"finalizers": null}})).await?;
    world.run_all_pods().await?;
    assert_eq!(world.settle().await?, Outcome::Settled);
    assert_eq!(world.names("Job").await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn without_its_job_another_volume_another_task_or_a_lost_record_is_migrated_again() -> Result {
    let causes = [("again-volume", "volume"), ("again-admin", "task"), ("again-status", "record"), ("again-revision", "revision")];
    try_join_all(causes.map(|(namespace, cause)| is_migrated_again(namespace, cause))).await?;
    Ok(())
}

async fn is_migrated_again(namespace: &str, cause: &str) -> Result {
    let (world, job) = migrated(namespace).await?;
    remove(&world, "Job", &job).await?;
    world.settle().await?;
    let status = async |fields: Value| -> Result {
        let patch = Patch::Merge(json!({"status": fields}));
        world.platforms().patch_status("esperanca", &PatchParams::default(), &patch).await?;
        Ok(())
    };
    match cause {
        "volume" => replace_volume(&world).await?,
        "task" => world.change(json!({"firstAdmin": {"email": "admin@example.org"}})).await?,
        "record" => status(json!({"migration": null, "servedSpec": null})).await?,
        _ => status(json!({"schemaRevision": null})).await?,
    }
    let before = world.get("Deployment", API).await?.resource_version();
    world.settle().await?;
    let again = world.migration_job().await?;
    assert_eq!(again == job, cause != "task", "{cause}");
    assert_eq!(world.condition("Ready").await?.0, "False/Migrating", "{cause}");
    assert_eq!(world.get("Deployment", API).await?.resource_version(), before, "{cause}: what serves is left alone");
    world.finish_job(&again, "Complete", r#"{"schema": "20261102", "applied": 0}"#).await?;
    assert_eq!(world.settle().await?, Outcome::Settled, "{cause}");
    remove(&world, "Job", &again).await?;
    assert_eq!(world.settle().await?, Outcome::Settled, "{cause}");
    assert_eq!(world.names("Job").await?, Vec::<String>::new(), "{cause}");
    Ok(())
}

#[tokio::test]
async fn another_volume_is_migrated_too() -> Result {
    let (world, job) = migrated("volume").await?;
    let uid = world.get("Job", &job).await?.uid();
    replace_volume(&world).await?;
    world.settle().await?;
    assert_ne!(world.get("Job", &job).await?.uid(), uid, "the empty database is migrated");
    assert_eq!(world.condition("Ready").await?.0, "False/Migrating");
    Ok(())
}

#[tokio::test]
async fn on_another_volume_nothing_is_made_again_before_it_is_migrated() -> Result {
    let (world, job) = migrated("empty-volume").await?;
    remove(&world, "Job", &job).await?;
    replace_volume(&world).await?;
    remove(&world, "Deployment", API).await?;
    world.settle().await?;
    assert!(!world.exists("Deployment", API).await?, "the database is empty");
    world.finish_job(&world.migration_job().await?, "Complete", MIGRATED).await?;
    world.settle().await?;
    assert!(world.exists("Deployment", API).await?);
    Ok(())
}

#[tokio::test]
async fn a_migration_that_somebody_suspends_is_made_anew() -> Result {
    let world = world("suspended").await?;
    world.create(json!({})).await?;
    world.settle().await?;
    world.run_all_pods().await?;
    world.settle().await?;
    let job = world.migration_job().await?;
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
    world.finish_job(&job, "Complete", MIGRATED).await?;
    world.settle().await?;
    // A Job that has ended has nothing that could be suspended.
    let uid = again.uid();
    world.merge("Job", &job, json!({"spec": {"suspend": true}})).await?;
    world.settle().await?;
    assert_eq!(world.get("Job", &job).await?.uid(), uid);
    assert_eq!(world.condition("SchemaReady").await?.0, "True/Migrated");
    Ok(())
}

#[tokio::test]
async fn a_migration_whose_pods_are_refused_says_why() -> Result {
    let world = ready("no-pods", json!({})).await?;
    world.change(json!({"image": {"tag": "0.9.9"}})).await?;
    world.settle().await?;
    let (state, _) = world.condition("SchemaReady").await?;
    assert_eq!(state, "False/Migrating");
    let jobs = world.list("Job").await?;
    let running = jobs.iter().find(|job| job.data.pointer("/status/conditions").is_none()).ok_or("no Job is running")?;
    // The Job controller reports a refused pod so.
    let event = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "refused", "namespace": world.namespace}, "type": "Warning",
        "reason": "FailedCreate", "message": "pods is forbidden: exceeded quota: none", "lastTimestamp": "2026-11-01T00:00:00Z",
        "involvedObject": {
            "apiVersion": "batch/v1", "kind": "Job", "name": running.name_any(), "namespace": world.namespace, "uid": running.uid(),
        },
    });
    let events: Api<Event> = Api::namespaced(world.admin.clone(), &world.namespace);
    events.create(&PostParams::default(), &serde_json::from_value(event)?).await?;
    world.settle().await?;
    let (state, message) = world.condition("SchemaReady").await?;
    assert_eq!(state, "False/PodsRefused");
    assert!(message.contains("exceeded quota"), "{message}");
    Ok(())
}
