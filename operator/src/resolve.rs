//! The resource with every default filled in.

use kube::ResourceExt as _;

use crate::crd::{DonationPlatform, DonationPlatformSpec};

/// One platform, complete.
#[derive(Clone, Debug)]
pub struct Platform {
    /// Name of the resource.
    pub name: String,
    /// Namespace of the resource.
    pub namespace: String,
    /// UID of the resource.
    pub uid: String,
    /// Its spec.
    pub spec: DonationPlatformSpec,
}

/// Fills in every default.
pub fn resolve(resource: &DonationPlatform) -> Platform {
    Platform {
        name: resource.name_any(),
        namespace: resource.namespace().unwrap_or_default(),
        uid: resource.uid().unwrap_or_default(),
        spec: resource.spec.clone(),
    }
}
