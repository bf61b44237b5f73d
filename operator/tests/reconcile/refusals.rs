//! A write that the API server refuses, or that gets no answer.

use doacoes_operator::error::ErrorClass;
use kube::api::DeleteParams;
use serde_json::json;

use crate::harness::names::{API, DATABASE};
use crate::harness::{Result, ready, world};

#[tokio::test]
async fn a_refused_object_is_named_and_the_others_are_written() -> Result {
    let world = world("quota").await?;
    world.forbid("services").await?;
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
async fn a_write_that_fails_is_said_where_nothing_was_ready_and_is_no_news_elsewhere() -> Result {
    let world = world("failing").await?;
    world.create(json!({})).await?;
    world.faults.end_at(7, false);
    assert!(world.pass().await.is_err());
    // The operator has ended. The next one gets no answer to one request.
    world.faults.start_again();
    world.faults.lose_one_to("services");
    let error = world.pass().await.err().ok_or("a request fails")?;
    assert_eq!(error.class(), ErrorClass::Transient);
    let (state, message) = world.condition("Ready").await?;
    assert_eq!(state, "False/RequestFailed");
    assert!(message.contains("Service"), "{message}");
    world.settle().await?;
    assert_eq!(world.condition("Ready").await?.0, "False/Creating");

    let ready = ready("failing-later", json!({})).await?;
    ready.api("Service")?.delete(API, &DeleteParams::default()).await?;
    ready.faults.lose_one_to("services");
    assert!(ready.pass().await.is_err());
    let (state, message) = ready.condition("Ready").await?;
    assert_eq!(state, "False/Creating", "{message}");
    ready.settle().await?;
    assert!(ready.exists("Service", API).await?);
    assert_eq!(ready.condition("Ready").await?.0, "True/Available");
    // A lost answer is no news where nothing is missing.
    ready.merge("Service", API, json!({"metadata": {"labels": {"app.kubernetes.io/part-of": "theirs"}}})).await?;
    ready.faults.lose_one_to("services");
    assert!(ready.pass().await.is_err());
    assert_eq!(ready.condition("Ready").await?.0, "True/Available");
    Ok(())
}
