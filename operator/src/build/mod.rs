//! What a platform consists of: pure functions from the resolved resource to the objects that it shall have.

pub mod secrets;
mod stub;

use std::collections::BTreeMap;

use kube::api::DynamicObject;
use kube::core::ApiResource;
pub use stub::children;

use crate::resolve::Platform;

/// A rendered object, what waits for what, and whose it is.
#[derive(Clone, Debug)]
pub struct Child {
    /// The object's kind.
    pub resource: ApiResource,
    /// The object, complete, but for `spec.replicas` where `scale` is set.
    pub object: DynamicObject,
    /// The part of the platform that it belongs to.
    pub part: Part,
    /// What must have happened before it is written.
    pub gate: Gate,
    /// How it is kept.
    pub upkeep: Upkeep,
    /// Number of pods, for a workload.
    pub scale: Option<Scale>,
}

/// A part of the platform, each with a condition.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Part {
    /// PostgreSQL.
    Postgres,
    /// `PgBouncer`.
    Pooler,
    /// Redis.
    Redis,
    /// The schema migration.
    Migrate,
    /// The API.
    Api,
    /// What donors reach.
    Edge,
}

/// What must have happened before an object is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Gate {
    /// Nothing.
    None,
    /// The migrate Job of this very image has completed. Until then what is there stays as it is.
    Schema,
}

/// How an object is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Upkeep {
    /// Server-side apply; what others change comes back.
    Apply,
    /// A Secret with generated data: created when it is absent, its data never changed.
    CreateOnce,
    /// A Job: created under its hash name when it is absent, never changed; older ones are removed.
    Job,
}

/// Who decides on the number of pods.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scale {
    /// The resource.
    Fixed(i32),
    /// A `HorizontalPodAutoscaler` that never asks for fewer than this.
    Autoscaled(i32),
}

/// What builders need beside the resource.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The resolved resource.
    pub platform: &'a Platform,
    /// Name of each Secret that pods use, and something that changes with its content.
    pub secret_versions: &'a BTreeMap<String, String>,
}
