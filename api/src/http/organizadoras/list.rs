//! `GET /organizadoras`

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use uuid::Uuid;

use super::OrganizadoraBody;
use crate::http::caching;
use crate::http::cursor::{List, Page, PageQuery, rows};
use crate::http::extract::body::ApiQuery;
use crate::http::problem::Problem;
use crate::state::AppState;
use crate::store::organizadoras;

/// Verified organizadoras
#[utoipa::path(get, path = "/organizadoras", tag = "organizadoras", operation_id = "listarOrganizadoras", params(PageQuery),
    responses((status = 200, description = "Uma página, da mais nova à mais velha", body = Page<OrganizadoraBody>)))]
pub async fn list(
    State(state): State<AppState>,
    request: HeaderMap,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<(HeaderMap, Json<Page<OrganizadoraBody>>), Problem> {
    let now = state.clock.now();
    let list = List::new("/api/v1/organizadoras", "", "");
    let (before, limit) = list.start::<Uuid>(&state.keys.cursor, &query, now)?;
    let mut db = state.connection().await?;
    let found = organizadoras::list(&mut db, before, rows(limit)).await?;
    let (mut headers, page) = list.page(&state.keys.cursor, found, limit, now, |row| row.id.0, OrganizadoraBody::from);
    caching::public(&request, &mut headers);
    Ok((headers, Json(page)))
}
