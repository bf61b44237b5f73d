//! `GET /eu/sessoes`

use axum::extract::State;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::ids::SessionId;
use crate::http::cursor::{Linked, List, Page, PageQuery, rows};
use crate::http::extract::body::ApiQuery;
use crate::http::extract::session::SignedIn;
use crate::http::problem::Problem;
use crate::state::AppState;
use crate::store::sessions::{self, ListedSession};

/// A session.
#[derive(Serialize, ToSchema)]
#[schema(as = Sessao)]
pub struct SessionBody {
    id: SessionId,
    /// What the browser called itself.
    agente: Option<String>,
    /// Whether it is the one that asks.
    atual: bool,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    criada_em: OffsetDateTime,
    /// To five minutes.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    visto_em: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    expira_em: OffsetDateTime,
}

/// My sessions
#[utoipa::path(get, path = "/eu/sessoes", tag = "contas", operation_id = "listarSessoes", params(PageQuery), security(("sessao" = [])),
    responses((status = 200, description = "Uma página, da mais nova à mais velha", body = Page<SessionBody>)))]
pub async fn list(
    State(state): State<AppState>,
    who: SignedIn,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Linked<SessionBody>, Problem> {
    let now = state.clock.now();
    let list = List::new("/api/v1/eu/sessoes", "", &who.person().to_string());
    let (before, limit) = list.start::<Uuid>(&state, &query)?;
    let mut db = state.db.connection().await?;
    let found = sessions::list(&mut db, who.person(), before, rows(limit), now).await?;
    let current = who.0.id;
    let body = |row: ListedSession| SessionBody {
        id: row.id,
        agente: row.agente,
        atual: row.id == current,
        criada_em: row.criada_em,
        visto_em: row.visto_em,
        expira_em: row.expira_em,
    };
    Ok(list.page(&state, found, limit, |row| row.id.0).map(body))
}
