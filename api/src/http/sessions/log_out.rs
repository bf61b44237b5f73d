//! `DELETE /sessoes/atual`: logging out.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};

use crate::http::extract::session::{SignedIn, clear_cookie};
use crate::http::problem::{Code, Problem};
use crate::service::sessions;
use crate::state::AppState;

/// Log out
///
/// The session ends in the database before the answer is sent. A cookie whose session has ended already is taken back with the 401.
#[utoipa::path(delete, path = "/sessoes/atual", tag = "contas", operation_id = "sair", security(("sessao" = [])),
    responses((status = 204, description = "A sessão acabou")))]
pub async fn log_out(
    State(state): State<AppState>,
    who: Result<SignedIn, Problem>,
) -> Result<(StatusCode, [(HeaderName, HeaderValue); 1]), Problem> {
    let who = who.map_err(|problem| match problem.code {
        Code::Unauthenticated => problem.with_header(header::SET_COOKIE, clear_cookie(&state)),
        _ => problem,
    })?;
    sessions::end(&state, who.person(), who.0.id).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, clear_cookie(&state))]))
}
