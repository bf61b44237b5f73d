//! Tests of the operator against its own binary, its types, the chart, and the files of the repository that say the same.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod agreement;
mod cases;
mod chart;
mod definition;
mod golden;
mod invariants;
mod layers;
mod manifest;
mod network;
mod pods;
mod schema;
mod types;
