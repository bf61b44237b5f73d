//! `GET /campanhas/{slug}/totais`

use std::collections::HashMap;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;

use crate::cache::{LoadError, Resource, Stored, Subject};
use crate::domain::slug::Slug;
use crate::domain::totals::Totals;
use crate::http::caching;
use crate::http::extract::conditional::{known_versions, version};
use crate::http::extract::path::SlugPath;
use crate::http::problem::Problem;
use crate::state::AppState;
use crate::store::totals::{self, NamedTotals};
use crate::store::{FailureClass, StoreError};

/// The totals of a campaign
///
/// A reader that sends the `ETag` of its last answer in `If-None-Match` never sees `seq` go back, whichever process answers.
#[utoipa::path(get, path = "/campanhas/{slug}/totais", tag = "campanhas", operation_id = "lerTotais",
    params(("slug" = String, Path, description = "O endereço da campanha")),
    responses((status = 200, description = "Os totais", body = Totals, headers(("etag" = String))), (status = 304, description = "Não mudaram")))]
pub async fn get(State(state): State<AppState>, SlugPath(slug): SlugPath, headers: HeaderMap) -> Result<Response, Problem> {
    let resource = CampaignTotals(slug);
    let mut response = caching::answer(&state, &headers, resource.clone()).await?;
    // The reader has seen newer totals from another process than this one has.
    if known_versions(&headers).max() > seq_of(&response) && state.cache.catch_up(resource.0.as_str()).await {
        response = caching::answer(&state, &headers, resource).await?;
    }
    caching::ask_each_time(response.headers_mut());
    Ok(response)
}

/// The `seq` in an answer's tag.
fn seq_of(answer: &Response) -> Option<i64> {
    version(answer.headers().get(header::ETAG)?.to_str().ok()?)
}

/// The totals of a public campaign.
#[derive(Clone, Debug)]
pub struct CampaignTotals(pub Slug);

impl Resource for CampaignTotals {
    type Source = AppState;

    fn subject(&self) -> Subject {
        Subject::totals(self.0.as_str())
    }

    async fn load(&self, state: &AppState) -> Result<Option<Stored>, LoadError> {
        let mut db = state.db.connection().await?;
        let found = totals::get_public(&mut db, self.0.as_str()).await?;
        Ok(found.as_ref().map(Stored::totals).transpose()?)
    }
}

/// The present totals of several public campaigns, by slug: of Redis, and of the database where it has none. Where neither
/// can say, a campaign is left out.
pub async fn current(state: &AppState, slugs: &[&str]) -> Result<HashMap<String, Totals>, LoadError> {
    let in_redis = state.cache.totals_in_redis(slugs).await;
    let mut found: HashMap<String, Totals> = slugs
        .iter()
        .zip(in_redis)
        .filter_map(|(slug, stored)| Some(((*slug).to_owned(), serde_json::from_str(stored?.body.get()).ok()?)))
        .collect();
    let missing: Vec<&str> = slugs.iter().copied().filter(|slug| !found.contains_key(*slug)).collect();
    if !missing.is_empty() {
        match from_database(state, &missing).await {
            Ok(loaded) => found.extend(loaded.into_iter().map(|named| (named.slug, named.totals))),
            Err(error) if error.class() == FailureClass::Unavailable => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

async fn from_database(state: &AppState, slugs: &[&str]) -> Result<Vec<NamedTotals>, StoreError> {
    let mut db = state.db.connection().await?;
    totals::get_many(&mut db, slugs).await
}
