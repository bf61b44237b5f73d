//! `/livez`, `/readyz` and `/metrics` on a port of their own.

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::controller::WatchState;
use crate::metrics::Metrics;
use crate::telemetry::chain;

#[derive(Clone)]
struct Admin {
    watched: WatchState,
    metrics: Arc<Metrics>,
}

/// Serves probes and metrics until `stop` resolves.
pub async fn serve(
    listener: TcpListener,
    watched: WatchState,
    metrics: Arc<Metrics>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, routes(watched, metrics)).with_graceful_shutdown(stop).await
}

/// The routes of probes and metrics.
pub fn routes(watched: WatchState, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(text))
        .with_state(Admin { watched, metrics })
}

async fn readyz(State(admin): State<Admin>) -> (StatusCode, &'static str) {
    if admin.watched.is_established() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "watches are not established yet\n")
    }
}

async fn text(State(admin): State<Admin>) -> Response {
    match admin.metrics.text(admin.watched.ready()) {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => {
            tracing::error!(error = chain(&error), "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
