//! A platform becomes ready step by step, is paused, changes its deletion policy, and is made again after it was deleted.

use doacoes_operator::reconcile::Outcome;
use doacoes_operator::verb::Verb;
use doacoes_operator::{kinds, names};
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ListParams};
use serde_json::{Value, json};

use crate::harness::names::{API, DATABASE, KEYS, MIGRATED, POOLER, POOLER_SETTINGS};
use crate::harness::{Result, World, ready, world};

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

    world.finish_job(&world.migration_job().await?, "Complete", MIGRATED).await?;
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
async fn while_it_is_paused_nothing_but_the_status_is_written() -> Result {
    let world = ready("paused", json!({})).await?;
    world.change(json!({"paused": true, "api": {"replicas": 6}})).await?;
    let config = world.get("ConfigMap", POOLER).await?.data;
    world.merge("ConfigMap", POOLER, json!({"data": {POOLER_SETTINGS: "by hand"}})).await?;
    let before = world.metrics.writes(Verb::Apply, "DonationPlatform/status");
    let all = world.writes();
    world.settle().await?;
    let status = world.metrics.writes(Verb::Apply, "DonationPlatform/status") - before;
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
async fn a_paused_platform_is_not_ready_while_changes_wait() -> Result {
    let world = ready("pause", json!({})).await?;
    world.change(json!({"paused": true})).await?;
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "True/Available");
    world.change(json!({"redis": {"managed": {"maxMemory": "2Gi"}}})).await?;
    world.settle().await?;
    let (state, message) = world.condition("Ready").await?;
    assert_eq!(state, "False/Paused");
    assert!(message.contains("ConfigMap esperanca-redis"), "{message}");
    world.change(json!({"redis": null, "networkPolicy": {"enabled": false}})).await?;
    world.settle().await?;
    let (state, message) = world.condition("Ready").await?;
    assert_eq!(state, "False/Paused");
    assert!(message.contains("NetworkPolicy"), "{message}");
    // Missing keys are worse than the pause, so the status names them first.
    world.api("Secret")?.delete(KEYS, &DeleteParams::default()).await?;
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "False/KeysMissing");
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
    world.claim_volume(None).await?;
    let objects =
        [("Secret", KEYS.to_owned()), ("Secret", "esperanca-database".to_owned()), ("PersistentVolumeClaim", format!("data-{DATABASE}-0"))];
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
    let keys = world.get("Secret", KEYS).await?;
    assert!(keys.owner_references().is_empty(), "retained, and used again");
    Ok(())
}
