//! Turns a request away before any work is done for it, where the queue for the database is full.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::http::problem::Problem;
use crate::state::AppState;
use crate::store::StoreError;

/// The queue for the database had room when the request came. Handlers take this before everything else: once the queue is full, no body
/// is worth parsing and no limit worth asking for, and a request that is turned away must cost less than one that is served. The permit
/// itself is taken later, and may be gone by then.
pub struct QueueHasRoom;

impl FromRequestParts<AppState> for QueueHasRoom {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        if state.db.queue().is_full() { Err(Problem::unavailable(StoreError::Crowded)) } else { Ok(Self) }
    }
}
