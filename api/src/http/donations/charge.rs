//! `POST /doacoes/{id}/pagamentos`: a further charge.

use axum::extract::State;
use axum::response::Response;

use super::{ChargeBody, created};
use crate::http::extract::body::NoBody;
use crate::http::extract::donor::Donor;
use crate::http::extract::idempotency::IdempotencyKey;
use crate::http::problem::Problem;
use crate::service::donations;
use crate::state::AppState;

/// Make a further charge for a donation that was not paid
///
/// The earlier charges can still be paid; the time to pay starts again.
#[utoipa::path(post, path = "/doacoes/{id}/pagamentos", tag = "doacoes", operation_id = "novaCobranca", security(("sessao" = []), ("doacao" = [])),
    params(("id" = uuid::Uuid, Path, description = "A doação"), ("idempotency-key" = uuid::Uuid, Header, description = "UUID novo por cobrança")),
    responses((status = 201, description = "A cobrança", body = ChargeBody, headers(("location" = String)))))]
pub async fn charge(State(state): State<AppState>, donor: Donor, key: IdempotencyKey, _: NoBody) -> Result<Response, Problem> {
    let id = donor.donation.id;
    let attempt = key.attempt(&id.to_string(), b"{}");
    let work = donations::second_charge(state.clone(), donor.donation, donor.actor, attempt);
    let payment = state.shutdown.complete(work).await??.into_result();
    created(id, ChargeBody::from(&payment), None)
}
