//! The role holds what the operator asks for, and nothing else.

use std::collections::BTreeSet;

use doacoes_operator::rbac;
use doacoes_operator::reconcile::Outcome;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::harness::faults::Right;
use crate::harness::names::{API, DATABASE, EDGE, POOLER};
use crate::harness::{Result, Running, World, ready};

/// What the role grants.
fn granted() -> BTreeSet<Right> {
    let mut granted = BTreeSet::new();
    for rule in rbac::rules() {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                granted.extend(rule.verbs.iter().map(|verb| Right {
                    verb: verb.clone(),
                    group: group.clone(),
                    resource: resource.clone(),
                }));
            }
        }
    }
    // Nobody asks for it: the API server demands it of who sets an owner reference that blocks deletion.
    let finalizers = granted.iter().find(|right| right.resource == "donationplatforms/finalizers").cloned();
    assert!(finalizers.is_some_and(|right| granted.remove(&right)));
    granted
}

/// Adds to what the operator rendered, so that it has to take something away.
async fn add_to_everything(world: &World) -> Result {
    let sidecar = json!([{"name": "sidecar", "image": "evil:1"}]);
    let pods = Patch::Strategic(json!({"spec": {"template": {"spec": {"containers": sidecar}}}}));
    let extra = json!({"extra": "x"});
    for (kind, name) in [("Deployment", API), ("StatefulSet", DATABASE)] {
        world.api(kind)?.patch(name, &PatchParams::default(), &pods).await?;
    }
    world.merge("ConfigMap", POOLER, json!({"data": extra})).await?;
    let port = Patch::Strategic(json!({"spec": {"ports": [{"name": "extra", "port": 1}]}}));
    world.api("Service")?.patch(POOLER, &PatchParams::default(), &port).await?;
    // Both fields together are invalid, so no patch can bring the first one back.
    world.merge("PodDisruptionBudget", POOLER, json!({"spec": {"maxUnavailable": null, "minAvailable": 1}})).await?;
    world.settle().await?;
    Ok(())
}

/// Deletes one object of each kind; each comes back.
async fn delete_one_of_each(world: &World, kinds: &[&str]) -> Result {
    for kind in kinds {
        let name = world.list(kind).await?.first().map(ResourceExt::name_any).ok_or_else(|| format!("there is no {kind}"))?;
        world.api(kind)?.delete(&name, &DeleteParams::background()).await?;
        world.settle().await?;
        world.get(kind, &name).await?;
    }
    Ok(())
}

#[tokio::test]
async fn every_right_of_the_role_is_used_and_no_other_is_asked_for() -> Result {
    let world = ready("rights", json!({"api": {"autoscaling": {}}, "deletionPolicy": "Delete"})).await?;
    let operator = Running::start(&world);
    operator.established().await?;
    operator.stop().await?;

    add_to_everything(&world).await?;
    delete_one_of_each(
        &world,
        &[
            "ConfigMap",
            "Deployment",
            "HorizontalPodAutoscaler",
            "NetworkPolicy",
            "PodDisruptionBudget",
            "Service",
            "ServiceAccount",
            "StatefulSet",
        ],
    )
    .await?;
    world.run_all_pods().await?;
    world.claim_volume(None).await?;
    world.settle().await?;
    world.change(json!({"deletionPolicy": "Retain"})).await?;
    world.settle().await?;

    // The operator removes what is no longer rendered, kind by kind.
    world
        .change(json!({
            "networkPolicy": {"enabled": false}, "api": {"autoscaling": null, "replicas": 1}, "pooler": {"replicas": 1, "serverPoolSize": 25},
            "ingress": {"controller": "Generic"},
        }))
        .await?;
    world.settle().await?;
    delete_one_of_each(&world, &["Ingress"]).await?;
    world.merge("Ingress", EDGE, json!({"spec": {"ingressClassName": "theirs"}})).await?;
    world.settle().await?;
    world.change(json!({"ingress": {"controller": "Managed"}})).await?;
    world.settle().await?;
    assert!(!world.exists("Ingress", EDGE).await?);

    // A migration that fails is removed and made again.
    world.run_all_pods().await?;
    let before = world.migration_job().await?;
    world.change(json!({"image": {"tag": "0.9.9"}})).await?;
    world.settle().await?;
    let job = world.names("Job").await?.into_iter().find(|name| *name != before).ok_or("no new Job")?;
    world.finish_job(&job, "Failed", "no").await?;
    world.settle().await?;
    assert!(!matches!(world.pass_at(Timestamp::now() + SignedDuration::from_secs(60)).await?, Outcome::Settled));
    // A pod that is refused is explained by an Event.
    world.api("StatefulSet")?.delete(DATABASE, &DeleteParams::background()).await?;
    world.settle().await?;

    let (granted, asked) = (granted(), world.faults.rights());
    let text = |rights: BTreeSet<&Right>| rights.into_iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(text(asked.difference(&granted).collect()), Vec::<String>::new(), "asked for without a right");
    assert_eq!(text(granted.difference(&asked).collect()), Vec::<String>::new(), "granted and never used");
    Ok(())
}

/// Resource and verb of a request, as the API server's authorizer sees it.
#[test]
fn requests_are_understood() {
    let understood = |method: &str, uri: &str| Right::of(method, uri).map(|right| right.to_string());
    for (method, uri, expected) in [
        ("GET", "/api/v1/namespaces/n/services?labelSelector=a", "list services"),
        ("GET", "/api/v1/namespaces/n/services?watch=true", "watch services"),
        ("GET", "/api/v1/pods?&watch=true&allowWatchBookmarks=true", "watch pods"),
        ("GET", "/apis/apps/v1/namespaces/n/deployments/x?", "get deployments.apps"),
        (
            "PATCH",
            "/apis/doacoes.dev/v1alpha1/namespaces/n/donationplatforms/x/status?force=true",
            "patch donationplatforms/status.doacoes.dev",
        ),
        ("PUT", "/api/v1/namespaces/n/configmaps/x", "update configmaps"),
        ("POST", "/apis/events.k8s.io/v1/namespaces/n/events", "create events.events.k8s.io"),
        ("DELETE", "/apis/batch/v1/namespaces/n/jobs/x", "delete jobs.batch"),
    ] {
        assert_eq!(understood(method, uri).as_deref(), Some(expected), "{method} {uri}");
    }
}
