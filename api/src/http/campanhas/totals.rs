//! `GET /campanhas/{slug}/totais`

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use crate::cache::{LoadError, Resource, Stored, Subject};
use crate::domain::slug::Slug;
use crate::http::caching;
use crate::http::extract::path::SlugPath;
use crate::http::problem::Problem;
use crate::state::AppState;
use crate::store::totals::{self, Totals};

/// The totals of a campaign
#[utoipa::path(get, path = "/campanhas/{slug}/totais", tag = "campanhas", operation_id = "lerTotais",
    params(("slug" = String, Path, description = "O endereço da campanha")),
    responses((status = 200, description = "Os totais", body = Totals, headers(("etag" = String))), (status = 304, description = "Não mudaram")))]
pub async fn get(State(state): State<AppState>, SlugPath(slug): SlugPath, headers: HeaderMap) -> Result<Response, Problem> {
    caching::answer(&state, &headers, CampaignTotals(slug)).await
}

/// The totals of a public campaign.
pub struct CampaignTotals(pub Slug);

impl Resource for CampaignTotals {
    fn subject(&self) -> Subject {
        Subject::totals(self.0.as_str())
    }

    async fn load(&self, state: &AppState) -> Result<Option<Stored>, LoadError> {
        let mut db = state.connection().await?;
        let found = totals::get_public(&mut db, self.0.as_str()).await?;
        Ok(found.map(|totals| totals.stored()).transpose()?)
    }
}
