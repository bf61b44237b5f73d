//! `GET /organizadoras/{slug}`

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::OrganizadoraBody;
use crate::cache::{LoadError, Resource, Stored, Subject};
use crate::domain::slug::Slug;
use crate::http::caching;
use crate::http::extract::path::SlugPath;
use crate::http::problem::Problem;
use crate::state::AppState;
use crate::store::organizadoras;

/// An organizadora
#[utoipa::path(get, path = "/organizadoras/{slug}", tag = "organizadoras", operation_id = "lerOrganizadora",
    params(("slug" = String, Path, description = "O endereço da organizadora")),
    responses((status = 200, description = "A organizadora", body = OrganizadoraBody, headers(("etag" = String))), (status = 304, description = "Não mudou")))]
pub async fn get(State(state): State<AppState>, SlugPath(slug): SlugPath, headers: HeaderMap) -> Result<Response, Problem> {
    caching::answer(&state, &headers, PublicOrganizadora(slug)).await
}

/// An organizadora that is not suspended.
pub struct PublicOrganizadora(pub Slug);

impl Resource for PublicOrganizadora {
    type Source = AppState;

    fn subject(&self) -> Subject {
        Subject::organizadora(self.0.as_str())
    }

    async fn load(&self, state: &AppState) -> Result<Option<Stored>, LoadError> {
        let mut db = state.db.connection().await?;
        let found = organizadoras::get(&mut db, self.0.as_str()).await?;
        Ok(found.map(|found| Stored::new(Some(found.versao.to_string()), &OrganizadoraBody::from(found))).transpose()?)
    }
}
