//! Objects that are not the platform's own are named and never touched, unless somebody labels them as its own.

use doacoes_operator::error::ErrorClass;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

use crate::harness::names::{API, DATABASE, KEYS};
use crate::harness::{Result, Running, World, eventually, ready, world};

/// Labels data as the platform's own, as the status tells people to.
async fn label(world: &World, kind: &str, name: &str) -> Result {
    let labels = json!({"app.kubernetes.io/managed-by": "doacoes-operator", "app.kubernetes.io/instance": "esperanca"});
    world.merge(kind, name, json!({"metadata": {"labels": labels}})).await
}

#[tokio::test]
async fn somebody_elses_object_is_named_and_never_touched() -> Result {
    let world = world("conflict").await?;
    let theirs = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": API, "labels": {"app.kubernetes.io/instance": "esperanca", "app.kubernetes.io/managed-by": "doacoes-operator"}},
        "spec": {"ports": [{"port": 1}]},
    });
    let version = world.add("Service", theirs).await?.resource_version();
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
async fn a_claim_of_others_is_not_taken_for_the_databases() -> Result {
    let world = world("claimed").await?;
    let name = format!("data-{DATABASE}-0");
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    });
    world.add("PersistentVolumeClaim", claim).await?;
    world.create(json!({})).await?;
    world.settle().await?;
    let (state, message) = world.condition("Ready").await?;
    assert_eq!(state, "False/NameConflict");
    assert!(message.contains(&name) && message.contains("label the claim"), "{message}");
    assert!(!world.exists("StatefulSet", DATABASE).await? && !world.exists("Secret", KEYS).await?);
    // With the labels it is the platform's own, whose keys are missing.
    label(&world, "PersistentVolumeClaim", &name).await?;
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "False/KeysMissing");
    // No controller takes the finalizer away here.
    world.merge("PersistentVolumeClaim", &name, json!({"metadata": {"finalizers": null}})).await?;
    world.api("PersistentVolumeClaim")?.delete(&name, &DeleteParams::default()).await?;
    world.settle().await?;
    assert!(world.exists("StatefulSet", DATABASE).await? && world.exists("Secret", KEYS).await?);
    Ok(())
}

#[tokio::test]
async fn without_its_secrets_no_database_is_made() -> Result {
    let world = world("secrets").await?;
    let keys = json!({"cursor.key": "YQ==", "token.key": "YQ==", "email.key": "YQ==", "body.key": "YQ=="});
    world.add_secret(KEYS, "Opaque", keys).await?;
    world.create(json!({})).await?;
    for _ in 0..2 {
        assert_eq!(world.pass().await.err().ok_or("the Secret is somebody else's")?.class(), ErrorClass::NameConflict);
    }
    assert!(!world.exists("StatefulSet", DATABASE).await?);
    let (state, message) = world.condition("Ready").await?;
    assert_eq!(state, "False/NameConflict");
    assert!(message.contains("label it app.kubernetes.io/managed-by=doacoes-operator"), "{message}");
    // Once that Secret is gone, the platform makes its own.
    world.api("Secret")?.delete(KEYS, &DeleteParams::default()).await?;
    world.settle().await?;
    assert!(world.exists("Secret", KEYS).await? && world.exists("StatefulSet", DATABASE).await?);
    Ok(())
}

#[tokio::test]
async fn keys_from_a_backup_are_taken_when_they_have_the_labels() -> Result {
    let world = ready("backup", json!({})).await?;
    let data = world.get("Secret", KEYS).await?.data["data"].clone();
    world.api("Secret")?.delete(KEYS, &DeleteParams::default()).await?;
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "False/KeysMissing");
    world.add_secret(KEYS, "Opaque", data).await?;
    assert!(world.pass().await.is_err());
    assert_eq!(world.condition("Ready").await?.0, "False/NameConflict");
    label(&world, "Secret", KEYS).await?;
    world.settle().await?;
    world.run_all_pods().await?;
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "True/Available");
    Ok(())
}

#[tokio::test]
async fn somebodys_secret_in_the_place_of_the_first_administrators_stops_the_migration_and_nothing_else() -> Result {
    let world = ready("foreign-admin", json!({})).await?;
    world.add_secret("esperanca-admin", "Opaque", json!({"password": "YQ=="})).await?;
    let jobs = world.names("Job").await?;
    world.change(json!({"firstAdmin": {"email": "admin@example.org"}})).await?;
    assert!(world.pass().await.is_err(), "it is tried again later");
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
async fn platforms_side_by_side_keep_to_their_own_objects() -> Result {
    let world = ready("side", json!({})).await?;
    let mut other = world.platform().await?;
    other.metadata = kube::core::ObjectMeta { name: Some("outra".into()), ..kube::core::ObjectMeta::default() };
    other.status = None;
    world.platforms().create(&PostParams::default(), &other).await?;
    let elsewhere = crate::harness::world("elsewhere").await?;
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
