//! What the status says of a platform, and that it promises nothing that is not so.

use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::json;

use crate::harness::names::{API, DATABASE, EDGE};
use crate::harness::{Result, ready, world};

#[tokio::test]
async fn a_pod_that_cannot_run_is_named() -> Result {
    let world = world("cause").await?;
    world.create(json!({})).await?;
    world.settle().await?;
    let live = world.get("StatefulSet", DATABASE).await?;
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("{DATABASE}-0"), "labels": live.data.pointer("/spec/template/metadata/labels")},
        "spec": {"containers": [{"name": "postgres", "image": "postgres:99"}]},
    });
    world.add("Pod", pod).await?;
    let waiting = json!({"reason": "ImagePullBackOff", "message": "not found"});
    let containers = json!([{
        "name": "postgres", "image": "postgres:99", "imageID": "", "ready": false, "restartCount": 0, "state": {"waiting": waiting},
    }]);
    let status = json!({"phase": "Pending", "containerStatuses": containers});
    world.merge_status("Pod", &format!("{DATABASE}-0"), status).await?;
    world.settle().await?;
    for type_ in ["DatabaseReady", "Ready"] {
        let (state, message) = world.condition(type_).await?;
        assert_eq!(state, "False/ImagePullFailed");
        assert!(message.contains("cannot pull image postgres:99: not found"), "{message}");
    }
    Ok(())
}

#[tokio::test]
async fn a_condition_of_somebody_else_stays_and_is_no_reason_to_write() -> Result {
    let world = ready("theirs", json!({})).await?;
    let theirs = json!({
        "type": "BackedUpByOthers", "status": "True", "reason": "Nightly", "message": "at two o'clock", "lastTransitionTime": Timestamp::now().to_string(),
    });
    let status = json!({"apiVersion": "doacoes.dev/v1alpha1", "kind": "DonationPlatform", "status": {"conditions": [theirs]}});
    let manager = PatchParams::apply("others");
    world.platforms().patch_status("esperanca", &manager, &Patch::Apply(status)).await?;
    let writes = world.writes();
    for _ in 0..3 {
        world.pass().await?;
    }
    assert_eq!(world.writes(), writes);
    world.change(json!({"paused": true})).await?;
    world.settle().await?;
    assert_eq!(world.condition("Paused").await?.0, "True/Paused");
    assert_eq!(world.condition("BackedUpByOthers").await?.0, "True/Nightly");
    Ok(())
}

#[tokio::test]
async fn a_site_without_an_address_and_an_autoscaler_without_metrics_are_told() -> Result {
    let world = ready("told", json!({"api": {"autoscaling": {}}})).await?;
    let conditions = json!([{
        "type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric", "message": "no metrics API",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]);
    let status = json!({"conditions": conditions, "currentReplicas": 4, "desiredReplicas": 4, "currentMetrics": []});
    world.merge_status("HorizontalPodAutoscaler", API, status).await?;
    world.merge_status("Service", EDGE, json!({"loadBalancer": {"ingress": null}})).await?;
    world.settle().await?;
    let (state, message) = world.condition("Autoscaled").await?;
    assert_eq!(state, "False/MetricsMissing");
    assert!(message.contains("no metrics API"), "{message}");
    let (state, message) = world.condition("EdgeReady").await?;
    assert_eq!(state, "True/WaitingForAddress");
    assert!(message.contains("NodePort"), "{message}");
    // The site answers where no address is needed, and clusters without load balancers never give one.
    assert_eq!(world.condition("Ready").await?.0, "True/WaitingForAddress");
    Ok(())
}

#[tokio::test]
async fn that_nothing_is_backed_up_is_said_with_a_warning_where_donors_are_real() -> Result {
    for (profile, reason, warnings) in [("Production", "NoBackups", 1), ("Development", "NotBackedUp", 0)] {
        let world = world(&format!("backups-{}", profile.to_lowercase())).await?;
        world.create(json!({"profile": profile})).await?;
        world.settle().await?;
        assert_eq!(world.condition("BackupConfigured").await?.0, format!("False/{reason}"));
        let events: Api<Event> = Api::namespaced(world.admin.clone(), &world.namespace);
        let said = events.list(&ListParams::default()).await?;
        let said = said.iter().filter(|event| event.reason.as_deref() == Some(reason) && event.type_.as_deref() == Some("Warning"));
        assert_eq!(said.count(), warnings, "{profile}");
    }
    Ok(())
}
