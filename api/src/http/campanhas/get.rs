//! `GET /campanhas/{slug}`

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::{CampaignBody, CampaignTag};
use crate::http::caching;
use crate::http::extract::conditional::{etag, not_modified_or};
use crate::http::extract::member::{AnyRole, Member, OfCampanha};
use crate::http::extract::path::SlugPath;
use crate::http::problem::Problem;
use crate::state::AppState;
use crate::store::campanhas;

/// A campaign
///
/// Drafts are there for members of the organizadora only.
#[utoipa::path(get, path = "/campanhas/{slug}", tag = "campanhas", operation_id = "lerCampanha", security((), ("sessao" = [])),
    params(("slug" = String, Path, description = "O endereço da campanha")),
    responses((status = 200, description = "A campanha", body = CampaignBody, headers(("etag" = String))), (status = 304, description = "Não mudou")))]
pub async fn get(
    State(state): State<AppState>,
    SlugPath(slug): SlugPath,
    headers: HeaderMap,
    member: Result<Member<OfCampanha, AnyRole>, Problem>,
) -> Result<Response, Problem> {
    let campaign = {
        let mut db = state.connection().await?;
        campanhas::get(&mut db, slug.as_str()).await?.ok_or_else(Problem::not_found)?
    };
    let public = campaign.situacao.is_public();
    match member {
        _ if public => {}
        Ok(_) => {}
        // That nobody could be asked is not that the draft is somebody else's.
        Err(problem) if problem.code.status().is_server_error() => return Err(problem),
        Err(_) => return Err(Problem::not_found()),
    }
    let mut response = not_modified_or(&headers, etag(CampaignTag::of(&campaign)), Json(CampaignBody::from(campaign)));
    if public {
        caching::public(&headers, response.headers_mut());
    }
    Ok(response)
}
