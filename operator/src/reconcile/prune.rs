//! Removes what is ours and no longer rendered, such as the autoscaler of a platform that has none any more.

use std::collections::BTreeSet;

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use kube::core::ApiResource;

use super::migration;
use super::ownership::Ownership;
use super::pass::Pass;
use crate::error::Error;

/// Removes every object of ours that is not rendered. Claims and Secrets are never removed.
pub async fn prune(pass: &mut Pass<'_>) -> Result<(), Error> {
    for (resource, object) in surplus(pass) {
        tracing::info!(object = object.name_any(), kind = resource.kind, "is no longer rendered");
        pass.client.delete(&resource, &object).await?;
        pass.observed.forget(&resource, &object);
    }
    Ok(())
}

/// The objects of ours that are not rendered and may go.
pub fn surplus(pass: &Pass<'_>) -> Vec<(ApiResource, DynamicObject)> {
    let identity = pass.identity();
    let mut rendered: BTreeSet<(&str, String)> =
        pass.children.iter().map(|child| (child.resource.kind.as_str(), child.object.name_any())).collect();
    // Keep the recorded Job as well: it ran the same migration as the rendered one, only with another placement of its pod.
    let job = migration::job(&pass.children);
    let done = job.zip(pass.recorded()).filter(|(job, record)| migration::is_recorded(record, job, &pass.observed));
    rendered.extend(done.map(|(job, record)| (job.resource.kind.as_str(), record.job.clone())));
    pass.observed
        .objects()
        .filter(|live| !rendered.contains(&(live.resource.kind.as_str(), live.object.name_any())))
        .filter(|live| identity.ownership(&live.object.metadata) == Ownership::Ours)
        // Until the new version may run, the one before needs what it has: its settings, and its migration, so that going back to
        // it needs no new one.
        .filter(|live| pass.is_migrated() || (live.resource.kind == "Job" && !migration::is_complete(&live.object)))
        .map(|live| (live.resource.clone(), live.object.clone()))
        .collect()
}
