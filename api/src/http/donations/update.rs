//! `PATCH /doacoes/{id}`

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use serde::Deserialize;
use utoipa::ToSchema;

use super::DonationBody;
use crate::domain::donation::Visibility;
use crate::domain::text::Message;
use crate::http::extract::body::{ApiJson, clearable_text, present};
use crate::http::extract::conditional::{IfMatch, etag};
use crate::http::extract::donor::Donor;
use crate::http::problem::{Problem, Violations};
use crate::service::donations;
use crate::state::AppState;
use crate::store::charges;
use crate::store::donations::DonorChanges;

/// What changes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AlteracaoDeDoacao)]
pub struct DonationChangesBody {
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    visibilidade: Option<Visibility>,
    /// Hides the amount in the feed.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    oculta_valor: Option<bool>,
    /// The message; `null` or an empty text takes it away.
    #[serde(default, deserialize_with = "clearable_text")]
    #[schema(value_type = Option<String>, format = "texto", max_length = 280, example = "Força a todos!")]
    mensagem: Option<Option<String>>,
}

/// Change who sees a donation, or its message
#[utoipa::path(patch, path = "/doacoes/{id}", tag = "doacoes", operation_id = "alterarDoacao", request_body = DonationChangesBody,
    security(("sessao" = []), ("doacao" = [])),
    params(("id" = uuid::Uuid, Path, description = "A doação"), ("if-match" = String, Header, description = "ETag da última leitura", pattern = "^\"[0-9]+\"$", example = "\"3\"")),
    responses((status = 200, description = "A doação alterada", body = DonationBody, headers(("etag" = String)))))]
pub async fn update(
    State(state): State<AppState>,
    donor: Donor,
    IfMatch(version): IfMatch,
    ApiJson(body, _): ApiJson<DonationChangesBody>,
) -> Result<([(HeaderName, HeaderValue); 1], Json<DonationBody>), Problem> {
    let mut wrong = Violations::default();
    let changes = DonorChanges {
        visibilidade: body.visibilidade,
        oculta_valor: body.oculta_valor,
        mensagem: body.mensagem.map(|text| wrong.check_optional("mensagem", text, |text| Message::parse(&text))),
    };
    wrong.finish()?;
    let changed = donations::update(&state, &donor.donation, version, &changes, donor.actor).await?;
    let mut db = state.db.connection().await?;
    let charges = charges::of_donations(&mut db, &[changed.id]).await?;
    Ok(([(header::ETAG, etag(changed.versao))], Json(DonationBody::new(&changed, &charges))))
}
