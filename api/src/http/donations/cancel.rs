//! `POST /doacoes/{id}/cancelamento`

use axum::Json;
use axum::extract::State;

use super::DonationBody;
use crate::http::extract::body::NoBody;
use crate::http::extract::donor::Donor;
use crate::http::problem::Problem;
use crate::service::donations;
use crate::state::AppState;
use crate::store::charges;

/// Give up a donation that was not paid
///
/// A payment that arrives all the same still confirms it.
#[utoipa::path(post, path = "/doacoes/{id}/cancelamento", tag = "doacoes", operation_id = "cancelarDoacao", security(("sessao" = []), ("doacao" = [])),
    params(("id" = uuid::Uuid, Path, description = "A doação")),
    responses((status = 200, description = "A doação cancelada", body = DonationBody)))]
pub async fn cancel(State(state): State<AppState>, donor: Donor, _: NoBody) -> Result<Json<DonationBody>, Problem> {
    let cancelled = donations::cancel(&state, donor.donation.id, donor.actor).await?;
    let mut db = state.db.connection().await?;
    let charges = charges::of_donations(&mut db, &[cancelled.id]).await?;
    Ok(Json(DonationBody::new(&cancelled, &charges)))
}
