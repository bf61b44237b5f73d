//! The real application over real sockets, on a PostgreSQL and a Redis that the tests start themselves.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![expect(
    clippy::needless_pass_by_value,
    clippy::unused_self,
    reason = "a test is read more often than it is run: the call is what should be short"
)]
#![expect(unreachable_pub, reason = "one binary: pub says what other files of it use")]

mod accounts;
mod anonymity;
mod assets;
mod authorization;
mod bad_input;
mod cache;
mod contract;
mod crash;
mod credentials;
mod database;
mod drain;
mod edge;
mod forms;
mod harness;
mod hostile;
mod limit_stores;
mod limits;
mod lists;
mod mail;
mod metrics;
mod migrate;
mod outage;
mod overload;
mod owners;
mod pages;
mod pooler;
mod qr_code;
mod races;
mod seed;
mod self_test;
mod settlement;
mod startup;
mod statements;
mod streams;
mod suspension;
mod walk_through;
