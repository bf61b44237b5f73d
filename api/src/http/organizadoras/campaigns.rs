//! `GET /organizadoras/{slug}/campanhas`

use axum::extract::State;
use uuid::Uuid;

use crate::http::campaigns::list::CampaignItem;
use crate::http::cursor::{Linked, List, Page, PageQuery, rows};
use crate::http::extract::body::ApiQuery;
use crate::http::extract::member::{AnyRole, Member, OfOrganizadora};
use crate::http::problem::Problem;
use crate::state::AppState;
use crate::store::campaigns;

/// The campaigns of an organizadora, drafts included
#[utoipa::path(get, path = "/organizadoras/{slug}/campanhas", tag = "organizadoras", operation_id = "listarCampanhasDaOrganizadora",
    params(("slug" = String, Path, description = "O endereço da organizadora"), PageQuery), security(("sessao" = [])),
    responses((status = 200, description = "Uma página, da mais nova à mais velha", body = Page<CampaignItem>)))]
pub async fn list(
    State(state): State<AppState>,
    member: Member<OfOrganizadora, AnyRole>,
    ApiQuery(query): ApiQuery<PageQuery>,
    uri: axum::extract::OriginalUri,
) -> Result<Linked<CampaignItem>, Problem> {
    let list = List::new(uri.path(), "", &member.person.to_string());
    let (before, limit) = list.start::<Uuid>(&state, &query)?;
    let mut db = state.db.connection().await?;
    let found = campaigns::list_of(&mut db, member.organizadora, before, rows(limit)).await?;
    Ok(list.page(&state, found, limit, |row| row.id.0).map(CampaignItem::from))
}
