//! The admin listener: `/livez`, `/readyz`, `/metrics`. It is never exposed to visitors.

use std::borrow::Cow;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus::{IntGauge, Registry};
use serde::Serialize;

use crate::process::readiness::{PoolerState, Store};
use crate::state::{AppState, Core};
use crate::telemetry::metrics::{gauge, render};

/// The state of the handlers of the admin listener.
#[derive(Clone)]
struct Admin {
    core: AppState,
    registry: Registry,
    ready: IntGauge,
}

/// The router of the admin listener, whose `/metrics` shows `registry`. Fails if `doacoes_ready` is registered already.
pub fn router(core: AppState, registry: Registry) -> Result<Router, prometheus::Error> {
    let ready = gauge(&registry, "doacoes_ready", "1 while the readiness probe answers 200.")?;
    let router = Router::new().route("/livez", get(|| async { "ok\n" })).route("/readyz", get(readyz)).route("/metrics", get(metrics));
    Ok(router.with_state(Admin { core, registry, ready }))
}

#[derive(Serialize)]
struct ReadinessBody {
    ready: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'static, str>>,
    /// Stores that do not answer now; what can be served without them is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    degraded: Vec<&'static str>,
}

async fn readyz(State(Admin { core, .. }): State<Admin>) -> Response {
    let reason = unready(&core);
    let degraded = core.readiness.stores.degraded().into_iter().map(Store::as_str).collect();
    let status = if reason.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(ReadinessBody { ready: reason.is_none(), reason, degraded })).into_response()
}

/// Nothing here waits: whoever probes has little patience, and a store that hangs is no reason to seem dead.
fn unready(core: &Core) -> Option<Cow<'static, str>> {
    if core.shutdown.has_begun() {
        return Some("shutting down".into());
    }
    match core.readiness.pooler.state() {
        PoolerState::Pending => return Some("the pooler check has not finished".into()),
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

async fn metrics(State(Admin { core, registry, ready }): State<Admin>) -> Response {
    ready.set(i64::from(unready(&core).is_none()));
    core.db.measure();
    match render(&registry) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => {
            tracing::error!(error = crate::telemetry::chain(&error), "metrics cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
