//! Whether there is room for one more who waits for the database.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::http::problem::Problem;
use crate::state::AppState;
use crate::store::StoreError;

/// There was room when the request came. In front of everything else that a handler takes: once the queue is full, no body is worth
/// parsing and no limit worth asking for, and whoever is told to come back must cost less than those who are served. The place itself
/// is taken later, and may be gone by then.
pub struct Room;

impl FromRequestParts<AppState> for Room {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        if state.database_queue.is_closed() { Err(Problem::unavailable(StoreError::Crowded)) } else { Ok(Self) }
    }
}
