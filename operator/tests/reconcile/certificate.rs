//! The certificate that the operator signs for a platform in development.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::harness::names::EDGE;
use crate::harness::{Result, ready};

#[tokio::test]
async fn a_certificate_is_signed_renewed_in_time_and_made_anew_for_another_host() -> Result {
    const SECRET: &str = "esperanca-edge-tls";
    let world = ready("certificate", json!({"profile": "Development"})).await?;
    let content = async || -> Result<Option<Value>> { Ok(world.get("Secret", SECRET).await?.data.get("data").cloned()) };
    let edge = async || -> Result<Option<Value>> {
        Ok(world.get("Deployment", EDGE).await?.data.pointer("/spec/template/metadata/annotations").cloned())
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
async fn another_key_beside_a_signed_certificate_changes_nothing() -> Result {
    let world = ready("beside", json!({"profile": "Development"})).await?;
    let certificate = world.get("Secret", "esperanca-edge-tls").await?.data.pointer("/data/tls.crt").cloned();
    world.merge("Secret", "esperanca-edge-tls", json!({"data": {"ca.crt": "Yw=="}})).await?;
    world.settle().await?;
    assert_eq!(world.get("Secret", "esperanca-edge-tls").await?.data.pointer("/data/tls.crt").cloned(), certificate);
    Ok(())
}
