//! Refuses a request before any work is done for it if the queue for the database is full.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::http::problem::Problem;
use crate::state::AppState;
use crate::store::StoreError;

/// Proof that the queue for the database had room when the request came. Handlers extract it first, so that a request that is
/// refused costs less than one that is served: its body is not parsed and no limit is asked. The permit itself is taken later, and
/// may be gone by then.
pub struct QueueHasRoom;

impl FromRequestParts<AppState> for QueueHasRoom {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        if state.db.queue().is_full() { Err(Problem::unavailable(StoreError::Crowded)) } else { Ok(Self) }
    }
}
