//! The number of the API's pods, which the resource or an autoscaler decides.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::harness::names::API;
use crate::harness::{Result, ready};

#[tokio::test]
async fn an_autoscaler_gets_the_live_number_and_is_left_alone_until_it_is_removed() -> Result {
    let world = ready("scale", json!({"api": {"replicas": 5}})).await?;
    world.change(json!({"api": {"autoscaling": {"minReplicas": 2, "maxReplicas": 9}}})).await?;
    world.settle().await?;
    assert!(world.exists("HorizontalPodAutoscaler", API).await?);
    let replicas = async || -> Result<Option<Value>> { Ok(world.get("Deployment", API).await?.data.pointer("/spec/replicas").cloned()) };
    assert_eq!(replicas().await?, Some(json!(5)), "the live number stays");
    assert_eq!(world.condition("Autoscaled").await?.0, "True/AutoscalerDecides");
    // The autoscaler writes the number through the same subresource.
    let scale = Patch::Merge(json!({"spec": {"replicas": 8}}));
    world.api("Deployment")?.patch_scale(API, &PatchParams::default(), &scale).await?;
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
