//! `POST /eu/reautenticacao`: entering the password again.

use axum::extract::State;
use axum::http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::http::extract::body::ApiJson;
use crate::http::extract::session::SignedIn;
use crate::http::problem::Problem;
use crate::http::sessions::{OpenedBody, WithCookie, opened};
use crate::limits::{Rule, Use};
use crate::service::sessions::{self, LogInError};
use crate::state::AppState;

/// The password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Reautenticacao)]
pub struct ReauthenticationBody {
    /// Password.
    #[schema(value_type = String, format = "password", example = "uma frase longa")]
    senha: SecretString,
}

/// Enter the password again
///
/// Confirming a payment, refunding one and changing members take a password that was entered within ten minutes. The session gets a new cookie.
#[utoipa::path(post, path = "/eu/reautenticacao", tag = "contas", operation_id = "reautenticar", request_body = ReauthenticationBody, security(("sessao" = [])),
    responses((status = 200, description = "A sessão tem um novo cookie", body = OpenedBody, headers(("set-cookie" = String)))))]
pub async fn reauthenticate(
    State(state): State<AppState>,
    who: SignedIn,
    ApiJson(body, _): ApiJson<ReauthenticationBody>,
) -> Result<WithCookie, Problem> {
    let uses = [Use::of(Rule::Password, who.person())];
    let work = sessions::reauthenticate(&state, &who.0, body.senha);
    let (_, renewal) = state.limits.count_failures(&uses, work, |error| matches!(error, LogInError::Refused)).await?;
    Ok(opened(&state, StatusCode::OK, &renewal?))
}
