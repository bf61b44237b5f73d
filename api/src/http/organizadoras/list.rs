//! `GET /organizadoras`

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use uuid::Uuid;

use super::OrganizadoraBody;
use crate::cache::{LoadError, Resource, Stored, Subject};
use crate::http::caching;
use crate::http::cursor::{DEFAULT_PAGE_SIZE, List, Page, PageQuery, rows};
use crate::http::extract::body::ApiQuery;
use crate::http::problem::Problem;
use crate::state::AppState;
use crate::store::organizadoras;

/// Verified organizadoras
#[utoipa::path(get, path = "/organizadoras", tag = "organizadoras", operation_id = "listarOrganizadoras", params(PageQuery),
    responses((status = 200, description = "Uma página, da mais nova à mais velha", body = Page<OrganizadoraBody>)))]
pub async fn list(State(state): State<AppState>, request: HeaderMap, ApiQuery(query): ApiQuery<PageQuery>) -> Result<Response, Problem> {
    let (before, limit) = pages().start::<Uuid>(&state, &query)?;
    caching::page(&state, &request, OrganizadorasPage { before, limit }, before.is_none()).await
}

fn pages() -> List {
    List::new("/api/v1/organizadoras", "", "")
}

struct OrganizadorasPage {
    before: Option<Uuid>,
    limit: u8,
}

impl Resource for OrganizadorasPage {
    type Source = AppState;

    fn subject(&self) -> Subject {
        Subject::organizadoras(self.limit)
    }

    fn is_common(&self) -> bool {
        self.limit == DEFAULT_PAGE_SIZE
    }

    async fn load(&self, state: &AppState) -> Result<Option<Stored>, LoadError> {
        let found = {
            let mut db = state.db.connection().await?;
            organizadoras::list(&mut db, self.before, rows(self.limit)).await?
        };
        Ok(Some(pages().page(state, found, self.limit, |row| row.id.0).map(OrganizadoraBody::from).stored()?))
    }
}
