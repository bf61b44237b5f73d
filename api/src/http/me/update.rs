//! `PATCH /eu`

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use serde::Deserialize;
use utoipa::ToSchema;

use super::PersonBody;
use crate::domain::text::Name;
use crate::http::extract::body::{ApiJson, present};
use crate::http::extract::conditional::{IfMatch, etag};
use crate::http::extract::session::SignedIn;
use crate::http::problem::{Problem, Violations};
use crate::service::accounts;
use crate::state::AppState;

/// What changes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AlteracaoDePessoa)]
pub struct PersonChangesBody {
    /// New name.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, format = "linha", min_length = 1, max_length = 120, example = "Ana Souza Lima")]
    nome: Option<String>,
}

/// Change my account
#[utoipa::path(patch, path = "/eu", tag = "contas", operation_id = "alterarConta", request_body = PersonChangesBody, security(("sessao" = [])),
    params(("if-match" = String, Header, description = "ETag da última leitura", pattern = "^\"[0-9]+\"$", example = "\"3\"")),
    responses((status = 200, description = "A conta alterada", body = PersonBody, headers(("etag" = String)))))]
pub async fn update(
    State(state): State<AppState>,
    who: SignedIn,
    IfMatch(version): IfMatch,
    ApiJson(body, _): ApiJson<PersonChangesBody>,
) -> Result<([(HeaderName, HeaderValue); 1], Json<PersonBody>), Problem> {
    let mut wrong = Violations::default();
    let nome = wrong.check_optional("nome", body.nome, |nome| Name::parse(&nome));
    wrong.finish()?;
    let person = accounts::update_profile(&state, who.person(), version, nome.as_ref()).await?;
    Ok(([(header::ETAG, etag(person.versao))], Json(person.into())))
}
