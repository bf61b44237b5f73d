//! `POST /senhas/redefinicoes`: setting a new password.

use axum::extract::State;
use axum::http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::email::Password;
use crate::domain::pasted;
use crate::http::extract::body::ApiJson;
use crate::http::extract::client_ip::ClientIp;
use crate::http::problem::{Problem, Violations};
use crate::limits::{Rule, Use};
use crate::service::accounts::{self, AccountError};
use crate::state::AppState;

/// The code and the new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NovaSenha)]
pub struct PasswordResetBody {
    /// The code from the mail; valid for 30 minutes, once. Capitals, spaces and line ends in it do not matter.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    codigo: String,
    /// The new password.
    #[schema(value_type = String, format = "password", min_length = 8, max_length = 150, pattern = "^[^\\u0000-\\u001F\\u007F-\\u009F]*$", example = "outra frase longa")]
    senha: SecretString,
}

/// Set a new password
///
/// Ends every session of the person and opens none.
#[utoipa::path(post, path = "/senhas/redefinicoes", tag = "contas", operation_id = "redefinirSenha", request_body = PasswordResetBody,
    responses((status = 204, description = "A senha mudou")))]
pub async fn reset(
    State(state): State<AppState>,
    ClientIp(ip): ClientIp,
    ApiJson(body, _): ApiJson<PasswordResetBody>,
) -> Result<StatusCode, Problem> {
    let mut wrong = Violations::default();
    let Some(password) = wrong.check("senha", Password::parse(body.senha)) else { return Err(wrong.problem()) };
    let uses = [Use::from_address(Rule::CodeIp, ip)];
    let codigo = pasted::code(&body.codigo);
    let work = accounts::reset(&state, &codigo, password, ip);
    let (_, changed) = state.limits.count_failures(&uses, work, |error| matches!(error, AccountError::BadToken)).await?;
    changed?;
    Ok(StatusCode::NO_CONTENT)
}
