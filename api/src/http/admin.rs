//! The admin listener: `/livez`, `/readyz`, `/metrics`. It is never exposed to visitors.

use std::borrow::Cow;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use crate::readiness::{PoolerState, Store};
use crate::state::{AppState, Core};

/// The admin router.
pub fn router(state: AppState) -> Router {
    Router::new().route("/livez", get(|| async { "ok\n" })).route("/readyz", get(readyz)).route("/metrics", get(metrics)).with_state(state)
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'static, str>>,
    /// Stores that do not answer now; what can be served without them is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    degraded: Vec<&'static str>,
}

async fn readyz(State(state): State<AppState>) -> Response {
    let reason = unready(&state);
    let degraded = state.readiness.stores.degraded().into_iter().map(Store::as_str).collect();
    let status = if reason.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready: reason.is_none(), reason, degraded })).into_response()
}

/// Nothing here waits: whoever probes has little patience, and a store that hangs is no reason to seem dead.
fn unready(core: &Core) -> Option<Cow<'static, str>> {
    if core.shutdown.has_begun() {
        return Some("shutting down".into());
    }
    match core.readiness.pooler.state() {
        PoolerState::Pending => return Some("the statement probe has not finished".into()),
        PoolerState::MixedUp => {
            return Some(
                "statements get mixed up between clients: the pooler is not PgBouncer 1.24 or newer with max_prepared_statements > 0"
                    .into(),
            );
        }
        PoolerState::Passed => {}
    }
    if !core.readiness.stores.has_reached_database() {
        return Some("the database has not answered yet".into());
    }
    core.readiness.self_test.unready().map(Cow::Owned)
}

async fn metrics(State(state): State<AppState>) -> Response {
    state.metrics.ready(unready(&state).is_none());
    match state.metrics.render(state.db.pool()) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => {
            tracing::error!(error = crate::telemetry::chain(&error), "metrics cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
