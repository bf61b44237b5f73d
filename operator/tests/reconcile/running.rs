//! The running operator: it notices changes soon, keeps several platforms, and stops when told.

use std::future::IntoFuture as _;
use std::net::SocketAddr;
use std::time::Duration;

use doacoes_operator::admin;
use doacoes_operator::crd::DonationPlatform;
use doacoes_operator::error::ErrorClass;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use kube::core::ApiResource;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::names::{API, DATABASE, POOLER, POOLER_SETTINGS};
use crate::harness::{REPAIR_TIMEOUT, Result, Running, eventually, ready, rests, server, within, world};

/// Time within which the operator notices that the cause of its failures is gone: the longest wait that the failures of
/// [`after_a_burst_of_events_the_cause_is_noticed_within_seconds`] begin is sixteen seconds.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn the_running_operator_repairs_within_seconds_and_stops_when_told() -> Result {
    let world = ready("running", json!({})).await?;
    let operator = Running::start(&world);
    operator.established().await?;
    let config = world.get("ConfigMap", POOLER).await?.data;
    world.merge("ConfigMap", POOLER, json!({"data": {POOLER_SETTINGS: "evil"}})).await?;
    within(REPAIR_TIMEOUT, "the ConfigMap comes back", async || Ok(world.get("ConfigMap", POOLER).await?.data == config)).await?;
    world.api("Service")?.delete(API, &DeleteParams::default()).await?;
    within(REPAIR_TIMEOUT, "the Service comes back", async || world.exists("Service", API).await).await?;
    // The label names a platform that does not exist.
    let label = "app.kubernetes.io/instance";
    world.merge("Service", API, json!({"metadata": {"labels": {label: "outra"}}})).await?;
    within(REPAIR_TIMEOUT, "the label comes back", async || {
        Ok(world.get("Service", API).await?.labels().get(label) == Some(&"esperanca".to_owned()))
    })
    .await?;
    world.change(json!({"api": {"replicas": 7}})).await?;
    within(REPAIR_TIMEOUT, "the number of pods follows", async || {
        Ok(world.get("Deployment", API).await?.data.pointer("/spec/replicas") == Some(&json!(7)))
    })
    .await?;
    assert_eq!(operator.watched.ready().iter().sum::<usize>(), 1);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
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
    world.forbid("services").await?;
    world.create(json!({})).await?;
    let operator = Running::start(&world);
    eventually("the quota is told", async || Ok(world.condition("ApiReady").await.is_ok_and(|(state, _)| state == "False/Refused")))
        .await?;
    // Each event starts a try, which fails.
    let failures = || world.metrics.failures(ErrorClass::Fault);
    for event in 0..10 {
        let before = failures();
        world.merge("ConfigMap", POOLER, json!({"metadata": {"annotations": {"event": event.to_string()}}})).await?;
        within(REPAIR_TIMEOUT, "the event starts a try", async || Ok(failures() > before)).await?;
    }
    // The last try ends, and no event is left that would start another.
    rests(|| world.faults.requests(), Duration::from_millis(1500)).await?;
    world.permit().await?;
    within(NOTICE_TIMEOUT, "the Service is made", async || world.exists("Service", API).await).await?;
    operator.stop().await
}

#[tokio::test]
async fn a_resource_that_cannot_be_read_does_not_stop_the_others() -> Result {
    let world = world("unreadable").await?;
    world.create(json!({})).await?;
    // An older definition lets in what cannot be read. Other tests see it for a moment.
    let mut older = server::definition()?;
    let profile = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/profile";
    if let Some(Value::Object(schema)) = older.pointer_mut(profile) {
        schema.remove("enum");
    }
    let resource = ApiResource::erase::<DonationPlatform>(&());
    let untyped: Api<DynamicObject> = Api::namespaced_with(world.admin.clone(), &world.namespace, &resource);
    let broken: DynamicObject = serde_json::from_value(json!({
        "apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": "broken"},
        "spec": {"profile": "Staging", "ingress": {"host": "doe.example.org"}},
    }))?;
    server::define(&world.admin, &older).await?;
    let stored = eventually("it is stored", async || Ok(untyped.create(&PostParams::default(), &broken).await.is_ok())).await;
    server::define(&world.admin, &server::definition()?).await?;
    stored?;
    assert!(world.platforms().get("broken").await.is_err(), "it cannot be read");
    let operator = Running::start(&world);
    eventually("the other one gets its objects", async || world.exists("StatefulSet", DATABASE).await).await?;
    assert!(!world.exists("StatefulSet", "broken-postgres").await?);
    operator.stop().await
}

async fn fetch(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: tests\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}
