//! A migration that completed stays completed when its Job goes away, and the version that served last is kept whatever becomes of
//! the next one's Job.

use doacoes_operator::error::ErrorClass;
use doacoes_operator::reconcile::Outcome;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::server::{Result, World, world};
use crate::{API, DATABASE, claim, finish, migrate, none_of, ready};

const EDGE: &str = "esperanca-edge";
const NO_JOBS: &str = "count/jobs.batch";

/// A ready platform whose database has a volume, and the name of its migration's Job.
async fn migrated(namespace: &str) -> Result<(World, String)> {
    let world = world(namespace).await?;
    world.create(json!({})).await?;
    world.settle().await?;
    claim(&world, None).await?;
    world.run_all_pods().await?;
    world.settle().await?;
    let job = migrate(&world).await?;
    finish(&world, &job, "Complete", r#"{"schema": "20261101", "applied": 3}"#).await?;
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

/// The same with the finalizer that nobody takes away here.
async fn replace_volume(world: &World) -> Result {
    let name = format!("data-{DATABASE}-0");
    world.api("PersistentVolumeClaim")?.delete(&name, &DeleteParams::default()).await?;
    let _ = world.merge("PersistentVolumeClaim", &name, json!({"metadata": {"finalizers": null}})).await;
    claim(world, None).await
}

async fn template(world: &World, name: &str) -> Result<Option<Value>> {
    Ok(world.get("Deployment", name).await?.data.pointer("/spec/template").cloned())
}

#[tokio::test]
async fn a_migration_that_completed_does_not_run_again_when_its_job_goes_away() -> Result {
    let (world, job) = migrated("job-gone").await?;
    let (writes, message) = (world.writes(), world.condition("SchemaReady").await?);
    // As the controller does for a time to live: the Job waits for its pods, then it goes.
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

    none_of(&world, NO_JOBS).await?;
    let before = template(&world, API).await?;
    remove(&world, "Deployment", API).await?;
    remove(&world, "Deployment", EDGE).await?;
    world.settle().await?;
    assert_eq!(template(&world, API).await?, before, "it is made again");
    world.run_all_pods().await?;
    assert_eq!(world.settle().await?, Outcome::Settled);
    assert_eq!(world.condition("Ready").await?.0, "True/Available");
    // Where the pods run is no other migration.
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
    claim(&world, None).await?;
    world.run_all_pods().await?;
    world.settle().await?;
    let job = migrate(&world).await?;
    finish(&world, &job, "Complete", r#"{"schema": "20261101", "applied": 3}"#).await?;
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
    for (namespace, cause) in
        [("again-volume", "volume"), ("again-admin", "task"), ("again-status", "record"), ("again-revision", "revision")]
    {
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
        let again = migrate(&world).await?;
        assert_eq!(again == job, cause != "task", "{cause}");
        assert_eq!(world.condition("Ready").await?.0, "False/Migrating", "{cause}");
        assert_eq!(world.get("Deployment", API).await?.resource_version(), before, "{cause}: what serves is left alone");
        finish(&world, &again, "Complete", r#"{"schema": "20261102", "applied": 0}"#).await?;
        assert_eq!(world.settle().await?, Outcome::Settled, "{cause}");
        remove(&world, "Job", &again).await?;
        assert_eq!(world.settle().await?, Outcome::Settled, "{cause}");
        assert_eq!(world.names("Job").await?, Vec::<String>::new(), "{cause}");
    }
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
    finish(&world, &migrate(&world).await?, "Complete", r#"{"schema": "20261101", "applied": 3}"#).await?;
    world.settle().await?;
    assert!(world.exists("Deployment", API).await?);
    Ok(())
}

#[tokio::test]
async fn the_version_that_served_last_is_repaired_and_made_again_whatever_becomes_of_the_next_job() -> Result {
    let world = ready("served", json!({"api": {"rateLimits": [{"rule": "*"}]}})).await?;
    let (api, edge) = (template(&world, API).await?, template(&world, EDGE).await?);
    let limits = world.get("ConfigMap", API).await?.data.get("data").cloned();
    let restored = async |when: &str| -> Result {
        assert_eq!(template(&world, API).await?, api, "{when}");
        assert_eq!(template(&world, EDGE).await?, edge, "{when}");
        assert_eq!(world.get("ConfigMap", API).await?.data.get("data").cloned(), limits, "{when}");
        Ok(())
    };
    let lose = async || -> Result {
        for (kind, name) in [("Deployment", API), ("Deployment", EDGE), ("ConfigMap", API)] {
            world.api(kind)?.delete(name, &DeleteParams::background()).await?;
        }
        Ok(())
    };
    none_of(&world, NO_JOBS).await?;
    world
        .change(json!({"image": {"tag": "0.9.9"}, "api": {"rateLimits": null, "replicas": 6}, "ingress": {"rateLimit": {"burst": 7}}}))
        .await?;
    lose().await?;
    assert_eq!(world.pass().await.err().ok_or("no Job can be made")?.class(), ErrorClass::Fault);
    restored("its Job cannot be made").await?;
    assert_eq!(world.get("Deployment", API).await?.data.pointer("/spec/replicas"), Some(&json!(6)), "as many pods as the resource says");
    let (state, message) = world.condition("SchemaReady").await?;
    assert_eq!(state, "False/Refused");
    assert!(message.contains("quota"), "{message}");
    let drift = json!({"spec": {"template": {"spec": {"containers": [{"name": "api", "image": "evil:1"}]}}}});
    world.api("Deployment")?.patch(API, &PatchParams::default(), &Patch::Strategic(drift)).await?;
    assert!(world.pass().await.is_err());
    restored("a field was changed").await?;

    // A webhook that answers nothing is another failure of the same request.
    world.faults.lose_one_to("jobs");
    lose().await?;
    assert!(world.pass().await.is_err());
    restored("the request for its Job is lost").await?;

    let quotas = kube::core::ApiResource::erase::<k8s_openapi::api::core::v1::ResourceQuota>(&());
    let quotas: kube::Api<kube::api::DynamicObject> = kube::Api::namespaced_with(world.admin.clone(), &world.namespace, &quotas);
    quotas.delete("none", &DeleteParams::default()).await?;
    crate::eventually("the Job is made", async || {
        let _ = world.pass().await;
        Ok(world.names("Job").await?.len() == 2)
    })
    .await?;
    for (condition, message) in [("Failed", "column exists"), ("Complete", r#"{"schema": "20261102", "applied": 1}"#)] {
        lose().await?;
        world.settle().await?;
        restored("its Job runs or has failed").await?;
        let mut jobs = Vec::new();
        for name in world.names("Job").await? {
            jobs.push(world.get("Job", &name).await?);
        }
        let next = jobs.into_iter().find(|job| job.data.pointer("/status/conditions").is_none()).ok_or("no Job runs")?;
        finish(&world, &next.name_any(), condition, message).await?;
        if condition == "Failed" {
            world.settle().await?;
            assert_eq!(world.condition("SchemaReady").await?.0, "False/MigrationFailed");
            lose().await?;
            world.settle().await?;
            restored("its Job has failed").await?;
            world.pass_at(jiff::Timestamp::now() + jiff::SignedDuration::from_secs(30)).await?;
            world.pass().await?;
        }
    }
    world.settle().await?;
    assert_ne!(template(&world, API).await?, api);
    assert!(!world.exists("ConfigMap", API).await?);
    Ok(())
}
