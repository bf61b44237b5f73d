//! `Last-Event-ID`: how far a client followed a stream that has ended or broken.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use utoipa::IntoParams;

use crate::state::AppState;

/// How the contract describes it.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct LastEventHeader {
    /// O último `id` recebido; o que não for um número é ignorado.
    #[param(nullable = false, rename = "last-event-id")]
    pub last_event_id: Option<String>,
}

/// The number of the last event; nothing where there was none, or none of this API's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastEventId(pub Option<i64>);

impl FromRequestParts<AppState> for LastEventId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Infallible> {
        let id = parts.headers.get("last-event-id").and_then(|value| value.to_str().ok()?.trim().parse().ok());
        Ok(Self(id))
    }
}
