//! Removes what is ours and no longer rendered, such as the autoscaler of a platform that has none any more.

use std::collections::BTreeSet;

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use kube::core::ApiResource;
use serde_json::Value;

use super::error::Error;
use super::migrate;
use super::observe::Observed;
use super::ownership::{Identity, Owner};
use crate::build::Child;
use crate::cluster::Cluster;
use crate::resolve::Platform;

/// Removes every object of ours that is not among `children`. Claims and Secrets are never removed.
pub async fn prune(
    cluster: &Cluster,
    observed: &mut Observed,
    platform: &Platform,
    children: &[Child],
    migration: &migrate::State,
) -> Result<(), Error> {
    let identity = Identity { name: &platform.name, uid: &platform.uid };
    let rendered: BTreeSet<(String, String)> =
        children.iter().map(|child| (child.resource.kind.clone(), child.object.name_any())).collect();
    let surplus: Vec<(ApiResource, DynamicObject)> = observed
        .objects()
        .filter(|live| !rendered.contains(&(live.resource.kind.clone(), live.object.name_any())))
        .filter(|live| identity.owner(&live.object.metadata) == Owner::Ours)
        // The migration of the version that serves: going back to it then needs no new one.
        .filter(|live| live.resource.kind != "Job" || !succeeded(&live.object) || *migration == migrate::State::Complete)
        .map(|live| (live.resource.clone(), live.object.clone()))
        .collect();
    for (resource, object) in surplus {
        tracing::info!(object = object.name_any(), kind = resource.kind, "is no longer wanted");
        cluster.delete(&resource, &object).await?;
        observed.forget(&resource, &object);
    }
    Ok(())
}

fn succeeded(job: &DynamicObject) -> bool {
    job.data.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten().any(|condition| {
        condition.get("type").and_then(Value::as_str) == Some("Complete") && condition.get("status").and_then(Value::as_str) == Some("True")
    })
}
