//! The health checks of this process: each runs by itself and writes its result into [`readiness`](crate::process::readiness), which
//! `/readyz` reads.

pub mod pooler_check;
pub mod self_test;
pub mod stores;
