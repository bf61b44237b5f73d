//! Decides whether the data is removed together with the resource. Its Secrets and claims have an owner reference only if
//! `deletionPolicy` is `Delete`. A field manager of its own applies the reference, so that applying nothing removes it.

use kube::core::{ApiResource, ObjectMeta};
use serde_json::json;

use super::ownership::{Identity, Ownership};
use super::pass::Pass;
use crate::build::owner;
use crate::build::secrets::GeneratedSecret;
use crate::client::{ApiClient, patch_of};
use crate::crd::DeletionPolicy;
use crate::error::Error;
use crate::kinds;
use crate::names::RETENTION_MANAGER;
use crate::resolve::Platform;

/// Gives the data the owner that the policy asks for.
pub async fn apply(pass: &mut Pass<'_>) -> Result<(), Error> {
    let Pass { client, platform, observed, .. } = pass;
    for secret in GeneratedSecret::ALL {
        let name = secret.name(platform);
        let Some(state) = observed.secrets.get_mut(&name) else { continue };
        if let Some(metadata) = correct(client, platform, &kinds::secret(), &state.metadata).await? {
            state.metadata = metadata;
        }
    }
    for claim in &mut observed.claims {
        if let Some(metadata) = correct(client, platform, &kinds::claim(), &claim.metadata).await? {
            claim.metadata = metadata;
        }
    }
    Ok(())
}

async fn correct(
    client: &ApiClient,
    platform: &Platform,
    resource: &ApiResource,
    metadata: &ObjectMeta,
) -> Result<Option<ObjectMeta>, Error> {
    let identity = Identity { name: &platform.name, uid: &platform.uid };
    if identity.ownership_of_data(metadata) != Ownership::Ours {
        return Ok(None);
    }
    let owned = metadata.owner_references.iter().flatten().any(|owner| owner.uid == platform.uid);
    let is_wanted = platform.spec.deletion_policy == DeletionPolicy::Delete;
    if owned == is_wanted {
        return Ok(None);
    }
    // Not the controller: a claim has its `StatefulSet` for that.
    let owners = is_wanted.then(|| vec![owner(platform, false)]);
    let patch = patch_of(resource, metadata, ObjectMeta { owner_references: owners, ..ObjectMeta::default() }, json!({}));
    client.apply(resource, &patch, RETENTION_MANAGER, true).await.map(|object| Some(object.metadata))
}
