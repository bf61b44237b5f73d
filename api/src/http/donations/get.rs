//! `GET /doacoes/{id}`

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::DonationBody;
use crate::http::extract::conditional::{etag, not_modified_or};
use crate::http::extract::donor::Donor;
use crate::http::problem::Problem;
use crate::state::{AppState, Core};
use crate::store::charges;

/// A donation, for its donor
#[utoipa::path(get, path = "/doacoes/{id}", tag = "doacoes", operation_id = "lerDoacao", security(("sessao" = []), ("doacao" = [])),
    params(("id" = uuid::Uuid, Path, description = "A doação")),
    responses((status = 200, description = "A doação", body = DonationBody, headers(("etag" = String))), (status = 304, description = "Não mudou")))]
pub async fn get(State(state): State<AppState>, donor: Donor, headers: HeaderMap) -> Result<Response, Problem> {
    let body = view(&state, &donor).await?;
    Ok(not_modified_or(&headers, etag(donor.donation.versao), Json(body)))
}

/// The donation with its newest charge, as its donor sees it.
pub async fn view(core: &Core, donor: &Donor) -> Result<DonationBody, Problem> {
    let mut db = core.db.connection().await?;
    let charges = charges::of_donations(&mut db, &[donor.donation.id]).await?;
    Ok(DonationBody::new(&donor.donation, &charges))
}
