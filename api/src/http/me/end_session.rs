//! `DELETE /eu/sessoes/{id}`

use axum::extract::State;
use axum::http::StatusCode;

use crate::domain::ids::SessionId;
use crate::http::extract::path::IdPath;
use crate::http::extract::session::SignedIn;
use crate::http::problem::Problem;
use crate::service::sessions;
use crate::state::AppState;

/// End one of my sessions
#[utoipa::path(delete, path = "/eu/sessoes/{id}", tag = "contas", operation_id = "encerrarSessao", security(("sessao" = [])),
    params(("id" = uuid::Uuid, Path, description = "A sessão")), responses((status = 204, description = "A sessão acabou")))]
pub async fn end(State(state): State<AppState>, who: SignedIn, IdPath(id): IdPath) -> Result<StatusCode, Problem> {
    let ended = sessions::end(&state, who.person(), SessionId(id)).await?;
    if ended { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found()) }
}
