//! Secrets that the operator generates, and those that the resource names.

use kube::ResourceExt as _;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::harness::names::{API, EDGE, KEYS};
use crate::harness::{Result, ready};

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
    for workload in [API, EDGE] {
        assert!(world.api("Deployment")?.get_opt(workload).await?.is_none(), "no pod of {workload} could mount it");
    }
    for (name, type_, data) in [
        ("doe-tls", "kubernetes.io/tls", json!({"tls.crt": "Yw==", "tls.key": "aw=="})),
        ("doe-mail", "Opaque", json!({"url": "c210cHM6Ly9tYWlsLmV4YW1wbGUub3Jn"})),
    ] {
        world.add_secret(name, type_, data).await?;
    }
    world.settle().await?;
    world.run_all_pods().await?;
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "True/Available");

    let edge = async || -> Result<Value> { Ok(world.get("Deployment", EDGE).await?.data["spec"].clone()) };
    let serving = edge().await?;
    world.api("Secret")?.delete("doe-tls", &DeleteParams::default()).await?;
    world.settle().await?;
    assert_eq!(world.condition("EdgeReady").await?.0, "False/TlsSecretMissing");
    assert_eq!(edge().await?, serving, "what serves is left alone");
    Ok(())
}

#[tokio::test]
async fn keys_are_never_generated_anew_and_passwords_are() -> Result {
    let world = ready("keys", json!({})).await?;
    let secrets = world.api("Secret")?;
    let keys = secrets.get(KEYS).await?;
    secrets.delete("esperanca-database", &DeleteParams::default()).await?;
    world.settle().await?;
    assert!(world.exists("Secret", "esperanca-database").await?);

    secrets.delete(KEYS, &DeleteParams::default()).await?;
    let writes = world.writes();
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "False/KeysMissing");
    assert!(!world.exists("Secret", KEYS).await?);
    assert_eq!(world.writes(), writes + 1, "the status alone");

    let mut back = keys.clone();
    back.metadata.resource_version = None;
    back.metadata.uid = None;
    back.metadata.managed_fields = None;
    secrets.create(&PostParams::default(), &back).await?;
    world.settle().await?;
    assert_ne!(world.condition("Ready").await?.0, "False/KeysMissing");
    world.merge("Secret", KEYS, json!({"data": {"email.key": null}})).await?;
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
    let (without, api) = (world.migration_job().await?, world.get("Deployment", API).await?);

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
    world.finish_job(&with, "Complete", r#"{"schema": "20261101", "applied": 0}"#).await?;
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "True/Available");
    assert_eq!(world.get("Deployment", API).await?.resource_version(), api.resource_version(), "no pod is replaced for it");
    assert_eq!(world.get("Secret", "esperanca-admin").await?.resource_version(), secret.resource_version());

    // Only a migration to come needs the password, and nothing else waits for it.
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
