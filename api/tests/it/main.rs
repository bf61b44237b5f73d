//! The real application over real sockets, on a PostgreSQL and a Redis that the tests start themselves.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![expect(unreachable_pub, reason = "one binary: pub says what other files of it use")]

mod crash;
mod database;
mod harness;
mod pooler;
mod qr_code;
mod races;
mod settlement;
mod startup;
mod walk_through;
