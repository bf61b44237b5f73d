//! `DELETE /sessoes/atual`: logging out.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};

use crate::http::extract::session::{SignedIn, clear_cookie};
use crate::http::problem::Problem;
use crate::service::sessions;
use crate::state::AppState;

/// Log out
///
/// The session ends in the database before the answer is sent.
#[utoipa::path(delete, path = "/sessoes/atual", tag = "contas", operation_id = "sair", security(("sessao" = [])),
    responses((status = 204, description = "A sessão acabou")))]
pub async fn log_out(State(state): State<AppState>, who: SignedIn) -> Result<(StatusCode, [(HeaderName, HeaderValue); 1]), Problem> {
    sessions::end(&state, who.pessoa(), who.0.id).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, clear_cookie(&state))]))
}
