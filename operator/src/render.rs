//! What a resource would create, without a cluster.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use serde_json::Value;

use crate::build::{self, Inputs};
use crate::crd::DonationPlatform;
use crate::resolve::resolve;

/// A file that cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no YAML or JSON of one `DonationPlatform`.
    #[error("the file is not one DonationPlatform")]
    Unreadable(#[from] Box<serde_saphyr::Error>),
    /// Its kind is another.
    #[error("the file holds a {found}, not a DonationPlatform")]
    Kind {
        /// What it holds.
        found: String,
    },
    /// An object cannot be written.
    #[error("an object cannot be written")]
    Object(#[from] serde_json::Error),
}

/// UID of a resource that was never in a cluster.
const UID: &str = "00000000-0000-0000-0000-000000000000";

/// The objects that `text`, YAML or JSON of one resource, would create, in the order of creation. Generated data is replaced by
/// placeholders, and numbers of pods are where the operator writes them.
pub fn render(text: &str) -> Result<Vec<Value>, Error> {
    let value: Value = serde_saphyr::from_str(text).map_err(Box::new)?;
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or("thing without a kind");
    if kind != "DonationPlatform" {
        return Err(Error::Kind { found: kind.to_owned() });
    }
    let mut resource: DonationPlatform = serde_json::from_value(value)?;
    resource.metadata.uid.get_or_insert_with(|| UID.to_owned());
    let namespace = resource.namespace().unwrap_or_else(|| "default".to_owned());
    resource.metadata.namespace = Some(namespace);
    let platform = resolve(&resource);
    let children = build::children(&Inputs { platform: &platform, secret_versions: &BTreeMap::new() });
    children
        .into_iter()
        .map(|child| {
            let mut object = serde_json::to_value(&child.object)?;
            let replicas = child.scale.map(|scale| match scale {
                build::Scale::Fixed(replicas) | build::Scale::Autoscaled(replicas) => replicas,
            });
            if let (Some(replicas), Some(Value::Object(spec))) = (replicas, object.get_mut("spec")) {
                spec.insert("replicas".to_owned(), replicas.into());
            }
            Ok(object)
        })
        .collect()
}
