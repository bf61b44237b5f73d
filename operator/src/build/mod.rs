//! The objects that a platform consists of: pure functions of the resolved resource.
//!
//! One file per part. Scripts and configuration files stand beside them as they are in the pods, with `@NAME@` where a value
//! belongs (`template.rs`).

mod api;
mod certificate;
mod child;
mod edge;
mod ingress;
mod labels;
mod migrate;
mod network_policy;
mod objects;
mod pod;
mod pooler;
pub mod postgres;
mod redis;
pub mod secrets;
mod template;

pub use self::child::{ApplyPolicy, Child, Part, Scale, WaitsFor, owner};
use crate::resolve::Platform;

/// Every object of the platform, in the order of writing. The pods' hash of their Secrets is still missing;
/// [`Child::set_secret_versions`] adds it.
pub fn children(platform: &Platform) -> Vec<Child> {
    let mut children = secrets::children(platform);
    // Before the pods, so that none of them is ever without.
    children.extend(network_policy::children(platform));
    children.extend(postgres::children(platform));
    children.extend(pooler::children(platform));
    children.extend(redis::children(platform));
    children.extend(migrate::children(platform));
    children.extend(api::children(platform));
    children.extend(certificate::children(platform));
    children.extend(edge::children(platform));
    children.extend(ingress::children(platform));
    children
}
