//! Operator of the `DonationPlatform` resource.
//!
//! A platform team describes one donation site in a `DonationPlatform`; the operator is to create and keep everything that it
//! needs. This release holds the resource's types and prints their `CustomResourceDefinition`. It has no reconcile loop: a
//! `DonationPlatform` that the API server accepts is stored and checked, and nothing is created for it.
//!
//! - [`crd`]: the resource, its defaults and the rules that the API server enforces.
//! - [`images`]: the images that run when a resource names no others.
//! - [`resolve`]: a resource with every decision taken, which all that follows reads.
//! - [`quantity`]: amounts such as `10Gi`.
//! - [`yaml`]: how manifests are written.

pub mod crd;
pub mod images;
pub mod quantity;
pub mod resolve;
pub mod yaml;
