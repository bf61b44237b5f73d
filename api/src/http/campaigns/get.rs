//! `GET /campanhas/{slug}`

use axum::Json;
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::{CampaignBody, CampaignTag};
use crate::cache::{LoadError, Resource, Stored, Subject};
use crate::domain::slug::Slug;
use crate::http::caching;
use crate::http::extract::conditional::{etag, not_modified_or};
use crate::http::extract::member::{AnyRole, Member, OfCampaign};
use crate::http::extract::path::SlugPath;
use crate::http::problem::Problem;
use crate::state::AppState;
use crate::store::campaigns::{self, Campaign};

/// A campaign
///
/// Drafts are there for members of the organizadora only.
#[utoipa::path(get, path = "/campanhas/{slug}", tag = "campanhas", operation_id = "lerCampanha", security((), ("sessao" = [])),
    params(("slug" = String, Path, description = "O endereço da campanha")),
    responses((status = 200, description = "A campanha", body = CampaignBody, headers(("etag" = String))), (status = 304, description = "Não mudou")))]
pub async fn get(State(state): State<AppState>, SlugPath(slug): SlugPath, request: Request) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    match caching::answer(&state, &parts.headers, PublicCampaign(slug.clone())).await {
        Err(problem) if problem.code.status() == StatusCode::NOT_FOUND => {}
        answer => return answer,
    }
    match Member::<OfCampaign, AnyRole>::from_request_parts(&mut parts, &state).await {
        Ok(_) => {}
        // That nobody could be asked is not that the draft is somebody else's.
        Err(problem) if problem.code.status().is_server_error() => return Err(problem),
        Err(_) => return Err(Problem::not_found()),
    }
    let mut db = state.db.connection().await?;
    let campaign = campaigns::get(&mut db, slug.as_str()).await?.ok_or_else(Problem::not_found)?;
    Ok(not_modified_or(&parts.headers, etag(CampaignTag::of(&campaign)), Json(CampaignBody::from(campaign))))
}

/// A campaign that everyone may see.
pub struct PublicCampaign(pub Slug);

impl Resource for PublicCampaign {
    type Source = AppState;

    fn subject(&self) -> Subject {
        Subject::campaign(self.0.as_str())
    }

    async fn load(&self, state: &AppState) -> Result<Option<Stored>, LoadError> {
        let mut db = state.db.connection().await?;
        let found = campaigns::get(&mut db, self.0.as_str()).await?.filter(Campaign::is_public);
        let stored = |campaign| Stored::new(Some(CampaignTag::of(&campaign).to_string()), &CampaignBody::from(campaign));
        Ok(found.map(stored).transpose()?)
    }
}
