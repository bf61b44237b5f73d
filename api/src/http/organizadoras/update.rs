//! `PATCH /organizadoras/{slug}`

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use serde::Deserialize;
use utoipa::ToSchema;

use super::OrganizadoraBody;
use crate::domain::text::Name;
use crate::http::extract::body::{ApiJson, present};
use crate::http::extract::conditional::{IfMatch, etag};
use crate::http::extract::member::{Member, OfOrganizadora, Owner};
use crate::http::problem::{Problem, Violations};
use crate::service::organizadoras;
use crate::state::AppState;

/// What changes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AlteracaoDeOrganizadora)]
pub struct OrganizadoraChangesBody {
    /// New name.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, format = "linha", min_length = 1, max_length = 120, example = "Casa do Caminho Novo")]
    nome: Option<String>,
}

/// Change an organizadora
#[utoipa::path(patch, path = "/organizadoras/{slug}", tag = "organizadoras", operation_id = "alterarOrganizadora", request_body = OrganizadoraChangesBody,
    security(("sessao" = [])),
    params(("slug" = String, Path, description = "O endereço da organizadora"), ("if-match" = String, Header, description = "ETag da última leitura", pattern = "^\"[0-9]+\"$", example = "\"3\"")),
    responses((status = 200, description = "A organizadora alterada", body = OrganizadoraBody, headers(("etag" = String)))))]
pub async fn update(
    State(state): State<AppState>,
    member: Member<OfOrganizadora, Owner>,
    IfMatch(version): IfMatch,
    ApiJson(body, _): ApiJson<OrganizadoraChangesBody>,
) -> Result<([(HeaderName, HeaderValue); 1], Json<OrganizadoraBody>), Problem> {
    let mut wrong = Violations::default();
    let nome = wrong.check_optional("nome", body.nome, |nome| Name::parse(&nome));
    wrong.finish()?;
    let changed = organizadoras::update(&state, member.organizadora, version, nome.as_ref(), member.person).await?;
    Ok(([(header::ETAG, etag(changed.versao))], Json(changed.into())))
}
