//! `GET /campanhas/{slug}/eventos`

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse as _, Response};
use utoipa::ToSchema;

use super::totals::CampaignTotals;
use crate::http::extract::client_ip::ClientIp;
use crate::http::extract::last_event::{LastEventHeader, LastEventId};
use crate::http::extract::path::SlugPath;
use crate::http::problem::Problem;
use crate::limits::{Rule, Use};
use crate::state::AppState;

/// An event of the stream, by its fields.
#[derive(ToSchema)]
#[schema(as = EventoDeTotais)]
#[expect(dead_code, reason = "it is written as text; this is its description")]
pub struct TotalsEvent {
    /// Always `totais`.
    #[schema(pattern = "^totais$")]
    event: String,
    /// The `seq` of the totals, for `Last-Event-ID`.
    #[schema(pattern = "^[0-9]+$")]
    id: String,
    /// A `Totais`, the same bytes as those of `/totais`.
    #[schema(content_media_type = "application/json")]
    data: String,
}

/// What nginx would otherwise hold back until there is more.
const UNBUFFERED: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// Follow the totals of a campaign
///
/// Server-Sent Events, `event: totais` with the JSON of `/totais` as `data` and its `seq` as `id`: the present totals at once,
/// or what is newer than `Last-Event-ID`, then every change. Changes within a second come as one; even so, a single step of the
/// total can show the amount of a single donation. A stream ends after some ten minutes, when the process stops, and when the
/// campaign is not public any more; `retry` says when to open another, which `EventSource` does by itself. Who is turned away
/// with 429 or 503 reads `/totais` now and then instead.
#[utoipa::path(get, path = "/campanhas/{slug}/eventos", tag = "campanhas", operation_id = "acompanharTotais",
    params(("slug" = String, Path, description = "O endereço da campanha"),
           LastEventHeader),
    responses((status = 200, description = "Os totais, e cada mudança", body = TotalsEvent, content_type = "text/event-stream")))]
pub async fn follow(
    State(state): State<AppState>,
    SlugPath(slug): SlugPath,
    ClientIp(ip): ClientIp,
    LastEventId(last_seen): LastEventId,
) -> Result<Response, Problem> {
    let permit = state.streams.enter(ip)?;
    let allowance = state.limits.take(&[Use::from_address(Rule::StreamIp, ip)]).await?;
    let subscriber = state.streams.subscribe(&state, permit, CampaignTotals(slug), last_seen).await?.ok_or_else(Problem::not_found)?;
    Ok((allowance, [(header::CONTENT_TYPE, "text/event-stream"), UNBUFFERED], Body::from_stream(subscriber.into_stream())).into_response())
}
