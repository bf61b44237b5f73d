#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![expect(unreachable_pub, reason = "one binary: pub says what other files of it use")]
#![allow(dead_code, missing_docs, unused_imports)]

#[path = "it/anonymity.rs"]
mod anonymity;
#[path = "it/authorization.rs"]
mod authorization;
#[path = "it/contract.rs"]
mod contract;
#[path = "it/harness/mod.rs"]
mod harness;
