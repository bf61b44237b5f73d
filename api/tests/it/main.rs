//! The real application over real sockets, on a PostgreSQL and a Redis that the tests start themselves.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![expect(unreachable_pub, reason = "one binary: pub says what other files of it use")]

mod harness;
mod qr_code;
mod walk_through;
