//! The version that served last is kept until the next one may run, whatever becomes of the next one's migration.

use doacoes_operator::error::ErrorClass;
use doacoes_operator::reconcile::Outcome;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::harness::names::{API, EDGE};
use crate::harness::{Result, World, eventually, ready};

async fn template(world: &World, name: &str) -> Result<Option<Value>> {
    Ok(world.get("Deployment", name).await?.data.pointer("/spec/template").cloned())
}

#[tokio::test]
async fn a_failed_migration_keeps_the_old_version_and_is_tried_again() -> Result {
    let world = ready("migration", json!({})).await?;
    let first = world.migration_job().await?;
    let image = async || -> Result<Option<Value>> {
        Ok(world.get("Deployment", API).await?.data.pointer("/spec/template/spec/containers/0/image").cloned())
    };
    let old = image().await?;
    world.change(json!({"image": {"tag": "0.9.9"}})).await?;
    world.settle().await?;
    let second = world.names("Job").await?.into_iter().find(|name| *name != first).ok_or("no new Job")?;
    world.finish_job(&second, "Failed", "column exists").await?;
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
async fn a_refused_migration_is_named_and_what_serves_is_kept_as_it_is() -> Result {
    let world = ready("no-jobs", json!({})).await?;
    world.forbid("count/jobs.batch").await?;
    world.change(json!({"image": {"tag": "0.9.9"}})).await?;
    let service = world.get("Service", API).await?.data["spec"].clone();
    world.merge("Service", API, json!({"spec": {"selector": {"evil": "yes"}}})).await?;
    let error = world.pass().await.err().ok_or("the quota refuses the Job")?;
    assert_eq!(error.class(), ErrorClass::Fault);
    let (state, message) = world.condition("SchemaReady").await?;
    assert_eq!(state, "False/Refused");
    assert!(message.contains("quota"), "{message}");
    assert_eq!(world.get("Service", API).await?.data["spec"], service);
    Ok(())
}

#[tokio::test]
async fn what_serves_keeps_its_settings_and_can_be_scaled_until_the_next_version_may_run() -> Result {
    let world = ready("gate", json!({"api": {"rateLimits": [{"rule": "*"}]}})).await?;
    let edge = async || -> Result<Option<Value>> { Ok(world.get("ConfigMap", EDGE).await?.data.get("data").cloned()) };
    let before = edge().await?;
    let change = json!({
        "image": {"tag": "0.9.9"}, "api": {"rateLimits": null, "replicas": 6},
        "ingress": {"rateLimit": {"burst": 7}},
    });
    world.change(change).await?;
    world.settle().await?;
    assert!(world.exists("ConfigMap", API).await?, "pods of the version before mount it");
    assert_eq!(edge().await?, before);
    assert_eq!(world.get("Deployment", API).await?.data.pointer("/spec/replicas"), Some(&json!(6)));
    let first = world.get("Deployment", API).await?.data.pointer("/spec/template/spec/containers/0/image").cloned();
    assert_eq!(first, Some(json!(format!("localhost/doacoes/api:{}", env!("CARGO_PKG_VERSION")))));
    for job in world.list("Job").await? {
        if job.data.pointer("/status/conditions").is_none() {
            world.finish_job(&job.name_any(), "Complete", r#"{"schema": "2", "applied": 1}"#).await?;
        }
    }
    world.settle().await?;
    assert!(!world.exists("ConfigMap", API).await?);
    assert_ne!(edge().await?, before);
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
    world.forbid("count/jobs.batch").await?;
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

    // A webhook that does not answer makes the same request fail in another way.
    world.faults.lose_one_to("jobs");
    lose().await?;
    assert!(world.pass().await.is_err());
    restored("the request for its Job is lost").await?;

    world.permit().await?;
    eventually("the Job is made", async || {
        let _ = world.pass().await;
        Ok(world.names("Job").await?.len() == 2)
    })
    .await?;
    for (condition, message) in [("Failed", "column exists"), ("Complete", r#"{"schema": "20261102", "applied": 1}"#)] {
        lose().await?;
        world.settle().await?;
        restored("its Job runs or has failed").await?;
        let mut jobs = world.list("Job").await?.into_iter();
        let next = jobs.find(|job| job.data.pointer("/status/conditions").is_none()).ok_or("no Job runs")?;
        world.finish_job(&next.name_any(), condition, message).await?;
        if condition == "Failed" {
            world.settle().await?;
            assert_eq!(world.condition("SchemaReady").await?.0, "False/MigrationFailed");
            lose().await?;
            world.settle().await?;
            restored("its Job has failed").await?;
            world.pass_at(Timestamp::now() + SignedDuration::from_secs(30)).await?;
            world.pass().await?;
        }
    }
    world.settle().await?;
    assert_ne!(template(&world, API).await?, api);
    assert!(!world.exists("ConfigMap", API).await?);
    Ok(())
}
