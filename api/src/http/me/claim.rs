//! `POST /eu/doacoes/reivindicacoes`: claiming a guest's donation.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::ids::DonationId;
use crate::domain::pasted;
use crate::http::donations::DonationBody;
use crate::http::extract::body::{ApiJson, pasted_id, present_text};
use crate::http::extract::client_ip::ClientIp;
use crate::http::extract::session::SignedIn;
use crate::http::problem::Problem;
use crate::limits::{Rule, Use};
use crate::service::claims::{self, ClaimError};
use crate::state::AppState;
use crate::store::charges;

/// Which donation, and the proof.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Reivindicacao)]
pub struct ClaimBody {
    /// The donation.
    #[serde(deserialize_with = "pasted_id")]
    doacao_id: DonationId,
    /// Its `Doacao-Token`. Without it the donation's e-mail must be the account's proven one.
    #[serde(default, deserialize_with = "present_text")]
    #[schema(nullable = false)]
    token: Option<String>,
}

/// Claim a guest's donation
#[utoipa::path(post, path = "/eu/doacoes/reivindicacoes", tag = "contas", operation_id = "reivindicarDoacao", request_body = ClaimBody, security(("sessao" = [])),
    responses((status = 200, description = "A doação agora é da conta", body = DonationBody)))]
pub async fn claim(
    State(state): State<AppState>,
    who: SignedIn,
    ClientIp(ip): ClientIp,
    ApiJson(body, _): ApiJson<ClaimBody>,
) -> Result<Json<DonationBody>, Problem> {
    let uses = [Use::from_address(Rule::CodeIp, ip)];
    let token = body.token.as_deref().map(pasted::id);
    let work = claims::claim(&state, who.person(), body.doacao_id, token.as_deref());
    let (_, claimed) = state.limits.count_failures(&uses, work, |error| matches!(error, ClaimError::NotFound)).await?;
    let claimed = claimed?;
    let mut db = state.db.connection().await?;
    let payments = charges::of_donations(&mut db, &[claimed.id]).await?;
    Ok(Json(DonationBody::new(&claimed, &payments)))
}
