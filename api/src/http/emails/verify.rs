//! `POST /emails/verificacoes`: proving an address completes the sign-up.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::pasted;
use crate::http::extract::body::ApiJson;
use crate::http::extract::client_ip::ClientIp;
use crate::http::me::PersonBody;
use crate::http::problem::Problem;
use crate::limits::{Rule, Use};
use crate::service::accounts::{self, AccountError};
use crate::state::AppState;

/// The code from the mail and the password of the sign-up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = VerificacaoDeEmail)]
pub struct EmailVerificationBody {
    /// The code; valid for 24 hours, once. Capitals, spaces and line ends in it do not matter.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    codigo: String,
    /// The password that was chosen at the sign-up: it tells a stranger's code from one's own.
    #[schema(value_type = String, format = "password", example = "uma frase longa")]
    senha: SecretString,
}

/// Prove an e-mail address
///
/// Makes the account. Nobody is logged in by it.
#[utoipa::path(post, path = "/emails/verificacoes", tag = "contas", operation_id = "verificarEmail", request_body = EmailVerificationBody,
    responses(
        (status = 201, description = "A conta existe", body = PersonBody),
        (status = 401, description = "A senha não é a do cadastro", body = crate::http::problem::ProblemBody, content_type = "application/problem+json")))]
pub async fn verify(
    State(state): State<AppState>,
    ClientIp(ip): ClientIp,
    ApiJson(body, _): ApiJson<EmailVerificationBody>,
) -> Result<(StatusCode, Json<PersonBody>), Problem> {
    let uses = [Use::from_address(Rule::CodeIp, ip)];
    let codigo = pasted::code(&body.codigo);
    let work = accounts::verify_email(&state, &codigo, body.senha, ip);
    let is_guess = |error: &AccountError| matches!(error, AccountError::BadToken | AccountError::WrongPassword);
    let (_, verified) = state.limits.count_failures(&uses, work, is_guess).await?;
    Ok((StatusCode::CREATED, Json(verified?.into())))
}
