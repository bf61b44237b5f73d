//! `GET /organizadoras/{slug}`

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::OrganizadoraBody;
use crate::http::caching;
use crate::http::extract::conditional::{etag, not_modified_or};
use crate::http::extract::path::SlugPath;
use crate::http::problem::Problem;
use crate::state::AppState;
use crate::store::organizadoras;

/// An organizadora
#[utoipa::path(get, path = "/organizadoras/{slug}", tag = "organizadoras", operation_id = "lerOrganizadora",
    params(("slug" = String, Path, description = "O endereço da organizadora")),
    responses((status = 200, description = "A organizadora", body = OrganizadoraBody, headers(("etag" = String))), (status = 304, description = "Não mudou")))]
pub async fn get(State(state): State<AppState>, SlugPath(slug): SlugPath, headers: HeaderMap) -> Result<Response, Problem> {
    let mut db = state.connection().await?;
    let found = organizadoras::get(&mut db, slug.as_str()).await?.ok_or_else(Problem::not_found)?;
    let mut response = not_modified_or(&headers, etag(found.versao), Json(OrganizadoraBody::from(found)));
    caching::public(&headers, response.headers_mut());
    Ok(response)
}
