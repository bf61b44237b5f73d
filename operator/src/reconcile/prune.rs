//! Removes what is ours and no longer rendered, such as the autoscaler of a platform that has none any more.

use std::collections::BTreeSet;

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use kube::core::ApiResource;

use super::migrate;
use super::observe::Observed;
use super::ownership::{Identity, Owner};
use crate::build::Child;
use crate::cluster::Cluster;
use crate::crd::MigrationStatus;
use crate::error::Error;
use crate::resolve::Platform;

/// Removes every object of ours that is not among `children`. Claims and Secrets are never removed.
pub async fn prune(
    cluster: &Cluster,
    observed: &mut Observed,
    platform: &Platform,
    children: &[Child],
    migration: &migrate::State,
    record: Option<&MigrationStatus>,
) -> Result<(), Error> {
    for (resource, object) in surplus(observed, platform, children, migration, record) {
        tracing::info!(object = object.name_any(), kind = resource.kind, "is no longer wanted");
        cluster.delete(&resource, &object).await?;
        observed.forget(&resource, &object);
    }
    Ok(())
}

/// The objects of ours that are not among `children` and may go.
pub fn surplus(
    observed: &Observed,
    platform: &Platform,
    children: &[Child],
    migration: &migrate::State,
    record: Option<&MigrationStatus>,
) -> Vec<(ApiResource, DynamicObject)> {
    let identity = Identity { name: &platform.name, uid: &platform.uid };
    let mut rendered: BTreeSet<(String, String)> =
        children.iter().map(|child| (child.resource.kind.clone(), child.object.name_any())).collect();
    // The Job that did what this one would do, where its pod was to run elsewhere.
    let done = migrate::job(children).and_then(|job| record.filter(|record| migrate::is_recorded(record, job, observed)).zip(Some(job)));
    rendered.extend(done.map(|(record, job)| (job.resource.kind.clone(), record.job.clone())));
    observed
        .objects()
        .filter(|live| !rendered.contains(&(live.resource.kind.clone(), live.object.name_any())))
        .filter(|live| identity.owner(&live.object.metadata) == Owner::Ours)
        // Until the new version may run, the one before needs what it has: its settings, and its migration, so that going back to
        // it needs no new one.
        .filter(|live| *migration == migrate::State::Complete || (live.resource.kind == "Job" && !migrate::is_complete(&live.object)))
        .map(|live| (live.resource.clone(), live.object.clone()))
        .collect()
}
