//! Whether the data goes with the resource: an owner reference on its Secrets and claims that comes and goes with
//! `deletionPolicy`. It is applied by a field manager of its own, so taking it away is applying nothing.

use kube::core::{ApiResource, ObjectMeta};
use serde_json::json;

use super::observe::Observed;
use super::ownership::{Identity, Owner};
use crate::build::owner;
use crate::build::secrets::Generated;
use crate::cluster::{Cluster, patch_of};
use crate::crd::DeletionPolicy;
use crate::error::Error;
use crate::kinds;
use crate::names::RETENTION_MANAGER;
use crate::resolve::Platform;

/// Gives the data the owner that the policy asks for.
pub async fn apply(cluster: &Cluster, observed: &mut Observed, platform: &Platform) -> Result<(), Error> {
    let identity = Identity { name: &platform.name, uid: &platform.uid };
    for secret in Generated::ALL {
        let name = secret.name(platform);
        let Some(state) = observed.secrets.get_mut(&name) else { continue };
        if let Some(metadata) = correct(cluster, platform, identity, &kinds::secret(), &state.metadata).await? {
            state.metadata = metadata;
        }
    }
    for claim in &mut observed.claims {
        if let Some(metadata) = correct(cluster, platform, identity, &kinds::claim(), &claim.metadata).await? {
            claim.metadata = metadata;
        }
    }
    Ok(())
}

async fn correct(
    cluster: &Cluster,
    platform: &Platform,
    identity: Identity<'_>,
    resource: &ApiResource,
    metadata: &ObjectMeta,
) -> Result<Option<ObjectMeta>, Error> {
    if identity.owner_of_data(metadata) != Owner::Ours {
        return Ok(None);
    }
    let owned = metadata.owner_references.iter().flatten().any(|owner| owner.uid == platform.uid);
    let shall_be = platform.spec.deletion_policy == DeletionPolicy::Delete;
    if owned == shall_be {
        return Ok(None);
    }
    // Not the controller: a claim has its `StatefulSet` for that.
    let owners = shall_be.then(|| vec![owner(platform, false)]);
    let patch = patch_of(resource, metadata, ObjectMeta { owner_references: owners, ..ObjectMeta::default() }, json!({}));
    cluster.apply(resource, &patch, RETENTION_MANAGER, true).await.map(|object| Some(object.metadata))
}
