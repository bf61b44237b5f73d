//! `GET /eu`

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::PersonBody;
use crate::cache::{Found, LookupResult, Stored, Subject};
use crate::http::caching;
use crate::http::extract::session::Viewer;
use crate::http::problem::Problem;
use crate::state::AppState;
use crate::store::people;

/// My account
#[utoipa::path(get, path = "/eu", tag = "contas", operation_id = "lerConta", security(("sessao" = [])),
    responses((status = 200, description = "A conta", body = PersonBody, headers(("etag" = String))), (status = 304, description = "Não mudou")))]
pub async fn get(State(state): State<AppState>, Viewer(id): Viewer, headers: HeaderMap) -> Result<Response, Problem> {
    let subject = Subject::person(id);
    let mut lookup = state.cache.look_up(&subject).await;
    if let LookupResult::Hit(stored) = lookup.take() {
        return Ok(caching::respond(&headers, &Found::new(stored)));
    }
    let person = {
        let mut db = state.db.connection().await?;
        people::get(&mut db, id).await?.ok_or_else(Problem::not_found)?
    };
    let stored = Stored::new(Some(person.versao.to_string()), &PersonBody::from(person)).map_err(Problem::internal)?;
    state.cache.fill(subject, lookup, Some(stored.clone()));
    Ok(caching::respond(&headers, &Found::new(stored)))
}
