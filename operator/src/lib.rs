//! Operator of the `DonationPlatform` resource.
//!
//! A platform team describes one donation site in a `DonationPlatform`; the operator creates and keeps everything that it needs.
//! Layers, and what each may import, are in docs/ARCHITECTURE.md.
//!
//! - [`crd`]: the resource, its defaults and the rules that the API server enforces.
//! - [`resolve`]: the resource with every default filled in.
//! - [`build`]: what it consists of, pure functions.
//! - [`quantity`], [`fingerprint`]: amounts of memory and processors; what stands for content.
//! - [`reconcile`]: one pass over one platform: observe, validate, build, apply, prune, report.
//! - [`controller`], [`backoff`]: watches, the queue, and the wait after a failure.
//! - [`client`], [`verb`], [`error`]: requests to the API server, and what can fail.
//! - [`render`], [`manifests`], [`rbac`], [`yaml`]: what is printed instead of applied.
//! - [`admin`], [`metrics`], [`telemetry`]: how the operator itself is watched.

pub mod admin;
pub mod backoff;
pub mod build;
pub mod client;
pub mod controller;
pub mod crd;
pub mod error;
pub mod fingerprint;
pub mod images;
pub mod kinds;
pub mod manifests;
pub mod metrics;
pub mod names;
pub mod quantity;
pub mod rbac;
pub mod reconcile;
pub mod render;
pub mod resolve;
pub mod telemetry;
pub mod verb;
pub mod yaml;
