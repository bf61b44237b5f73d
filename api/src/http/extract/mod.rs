//! What handlers take from a request. Authority is an extractor: a handler without an actor is public by reading it.

pub mod body;
pub mod client_ip;
pub mod conditional;
pub mod cookies;
pub mod device;
pub mod donor;
pub mod idempotency;
pub mod last_event;
pub mod load_shed;
pub mod member;
pub mod path;
pub mod session;
