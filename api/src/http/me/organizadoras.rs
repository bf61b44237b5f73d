//! `GET /eu/organizadoras`

use axum::extract::State;
use uuid::Uuid;

use crate::http::cursor::{Linked, List, Page, PageQuery, rows};
use crate::http::extract::body::ApiQuery;
use crate::http::extract::session::SignedIn;
use crate::http::organizadoras::OrganizadoraBody;
use crate::http::problem::Problem;
use crate::state::AppState;
use crate::store::organizadoras;

/// The organizadoras that I am a member of
#[utoipa::path(get, path = "/eu/organizadoras", tag = "contas", operation_id = "listarMinhasOrganizadoras", params(PageQuery), security(("sessao" = [])),
    responses((status = 200, description = "Uma página, da mais nova à mais velha", body = Page<OrganizadoraBody>)))]
pub async fn list(
    State(state): State<AppState>,
    who: SignedIn,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Linked<OrganizadoraBody>, Problem> {
    let list = List::new("/api/v1/eu/organizadoras", "", &who.person().to_string());
    let (before, limit) = list.start::<Uuid>(&state, &query)?;
    let mut db = state.db.connection().await?;
    let found = organizadoras::list_of(&mut db, who.person(), before, rows(limit)).await?;
    Ok(list.page(&state, found, limit, |row| row.id.0).map(OrganizadoraBody::from))
}
