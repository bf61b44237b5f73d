//! `POST /organizadoras`

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Deserialize;
use utoipa::ToSchema;

use super::OrganizadoraBody;
use super::pix_key::PixKeyInput;
use crate::domain::cnpj::Cnpj;
use crate::domain::slug::Slug;
use crate::domain::text::Name;
use crate::http::extract::body::{ApiJson, present_object, present_text};
use crate::http::extract::conditional::etag;
use crate::http::extract::session::SignedIn;
use crate::http::problem::{Problem, Violations};
use crate::service::organizadoras::{self, NewOrganizadora};
use crate::state::AppState;

/// A new organisation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NovaOrganizadora)]
pub struct NewOrganizadoraBody {
    /// Name.
    #[schema(format = "linha", min_length = 1, max_length = 120, example = "Casa do Caminho")]
    nome: String,
    /// CNPJ, also alphanumeric, with or without punctuation.
    #[schema(example = "11.222.333/0001-81")]
    cnpj: String,
    /// Name in URLs; made from the name where it is not given.
    #[serde(default, deserialize_with = "present_text")]
    #[schema(nullable = false, max_length = 80, pattern = "^([a-z0-9]+(-[a-z0-9]+)*)?$", example = "casa-do-caminho")]
    slug: Option<String>,
    /// PIX key that donations go to; can be set later.
    #[serde(default, deserialize_with = "present_object")]
    #[schema(nullable = false)]
    chave_pix: Option<PixKeyInput>,
}

/// Make an organizadora
///
/// Whoever makes it becomes its `dona`.
#[utoipa::path(post, path = "/organizadoras", tag = "organizadoras", operation_id = "criarOrganizadora", request_body = NewOrganizadoraBody, security(("sessao" = [])),
    responses((status = 201, description = "A organizadora", body = OrganizadoraBody, headers(("location" = String), ("etag" = String)))))]
pub async fn create(
    State(state): State<AppState>,
    who: SignedIn,
    ApiJson(body, _): ApiJson<NewOrganizadoraBody>,
) -> Result<(StatusCode, [(HeaderName, HeaderValue); 2], Json<OrganizadoraBody>), Problem> {
    let new = body.parse()?;
    let made = organizadoras::create(&state, who.person(), &new).await?;
    let location = HeaderValue::from_str(&format!("/api/v1/organizadoras/{}", made.slug)).map_err(Problem::internal)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location), (header::ETAG, etag(made.versao))], Json(made.into())))
}

impl NewOrganizadoraBody {
    fn parse(self) -> Result<NewOrganizadora, Problem> {
        let mut wrong = Violations::default();
        let nome = wrong.check("nome", Name::parse(&self.nome));
        let cnpj = wrong.check("cnpj", Cnpj::parse(&self.cnpj));
        let slug = wrong.check_optional("slug", self.slug, |slug| Slug::parse(slug.trim()));
        let pix_key = self.chave_pix.and_then(|key| key.parse(&mut wrong, "chave_pix."));
        wrong.finish()?;
        let (Some(nome), Some(cnpj)) = (nome, cnpj) else { return Err(wrong.problem()) };
        Ok(NewOrganizadora { nome, slug, cnpj, pix_key })
    }
}
