//! The reconcile loop against a real API server: what it creates, what it leaves alone, and what it says.
//!
//! A test is in the file of its subject, which the file's first line names. `harness` holds what tests share, and no test.

#![expect(clippy::large_futures, reason = "a test's future is made once")]
#![expect(clippy::indexing_slicing, reason = "a test that cannot go on should stop where it is")]

mod admission;
mod certificate;
mod controllers;
mod crash;
mod drift;
mod golden;
mod harness;
mod leaves;
mod lifecycle;
mod migration;
mod ownership;
mod refusals;
mod revert;
mod rights;
mod running;
mod scaling;
mod secret_values;
mod secrets;
mod served_version;
mod status;
mod volumes;
