//! `GET /doacoes/{id}/pagamentos/{pid}/qr.svg`

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, header};

use crate::domain::ids::ChargeId;
use crate::domain::qr;
use crate::http::extract::donor::Donor;
use crate::http::extract::path::uuid;
use crate::http::problem::Problem;
use crate::state::AppState;
use crate::store::charges;

/// The path's parameter `pid`.
pub struct ChargePath(ChargeId);

impl FromRequestParts<AppState> for ChargePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        uuid(parts, state, "pid").await.map(|id| Self(ChargeId(id)))
    }
}

/// The QR code of a charge
#[utoipa::path(get, path = "/doacoes/{id}/pagamentos/{pid}/qr.svg", tag = "doacoes", operation_id = "lerQrCode", security(("sessao" = []), ("doacao" = [])),
    params(("id" = uuid::Uuid, Path, description = "A doação"), ("pid" = uuid::Uuid, Path, description = "A cobrança")),
    responses((status = 200, description = "O QR Code", body = String, content_type = "image/svg+xml")))]
pub async fn get(
    State(state): State<AppState>,
    donor: Donor,
    ChargePath(id): ChargePath,
) -> Result<([(HeaderName, &'static str); 1], String), Problem> {
    let mut db = state.db.connection().await?;
    let charges = charges::of_donations(&mut db, &[donor.donation.id]).await?;
    let charge = charges.into_iter().find(|charge| charge.id == id).ok_or_else(Problem::not_found)?;
    let image = qr::svg(&charge.br_code).map_err(Problem::internal)?;
    Ok(([(header::CONTENT_TYPE, "image/svg+xml")], image))
}
