//! `GET /organizadoras/{slug}/membros`

use axum::extract::{OriginalUri, State};
use uuid::Uuid;

use super::MemberBody;
use crate::http::cursor::{Linked, List, Page, PageQuery, rows};
use crate::http::extract::body::ApiQuery;
use crate::http::extract::member::{AnyRole, Member, OfOrganizadora};
use crate::http::problem::Problem;
use crate::state::AppState;
use crate::store::members;

/// The members of an organizadora
#[utoipa::path(get, path = "/organizadoras/{slug}/membros", tag = "organizadoras", operation_id = "listarMembros",
    params(("slug" = String, Path, description = "O endereço da organizadora"), PageQuery), security(("sessao" = [])),
    responses((status = 200, description = "Uma página", body = Page<MemberBody>)))]
pub async fn list(
    State(state): State<AppState>,
    member: Member<OfOrganizadora, AnyRole>,
    ApiQuery(query): ApiQuery<PageQuery>,
    uri: OriginalUri,
) -> Result<Linked<MemberBody>, Problem> {
    let list = List::new(uri.path(), "", &member.person.to_string());
    let (after, limit) = list.start::<Uuid>(&state, &query)?;
    let mut db = state.db.connection().await?;
    let found = members::list(&mut db, member.organizadora, after, rows(limit)).await?;
    Ok(list.page(&state, found, limit, |row| row.pessoa_id.0).map(MemberBody::from))
}
