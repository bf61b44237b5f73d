//! `POST /sessoes`: logging in.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{OpenedBody, WithCookie, opened};
use crate::domain::email::Email;
use crate::http::extract::body::ApiJson;
use crate::http::extract::client_ip::ClientIp;
use crate::http::problem::Problem;
use crate::limits::{Allowance, Rule, Use};
use crate::service::sessions::{self, LogInError};
use crate::state::AppState;

/// E-mail and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Credenciais)]
pub struct LogInBody {
    /// E-mail.
    #[schema(format = "email", example = "ana@exemplo.org.br")]
    email: String,
    /// Password.
    #[schema(value_type = String, format = "password", example = "uma frase longa")]
    senha: SecretString,
}

/// Log in
///
/// Opens a new session; the cookie of an earlier one is never taken over.
#[utoipa::path(post, path = "/sessoes", tag = "contas", operation_id = "entrar", request_body = LogInBody,
    responses(
        (status = 201, description = "Sessão aberta; o cookie vem em Set-Cookie", body = OpenedBody, headers(("set-cookie" = String))),
        (status = 401, description = "E-mail ou senha incorretos", body = crate::http::problem::ProblemBody, content_type = "application/problem+json")))]
pub async fn log_in(
    State(state): State<AppState>,
    ClientIp(ip): ClientIp,
    headers: HeaderMap,
    ApiJson(body, _): ApiJson<LogInBody>,
) -> Result<(Allowance, WithCookie), Problem> {
    // What is no address has no account either; it is refused alike and as slowly.
    let email = Email::parse(&body.email).ok();
    let agent = agent(&headers);
    let address = email.as_ref().map_or(body.email.as_str(), Email::as_str);
    let uses = [Use::of(Rule::LoginEmail, address), Use::from_address(Rule::LoginIp, ip)];
    let work = sessions::log_in(&state, email.as_ref(), body.senha, agent.as_deref(), ip);
    let (allowance, opening) = state.limits.count_failures(&uses, work, |error| matches!(error, LogInError::Refused)).await?;
    Ok((allowance, opened(&state, StatusCode::CREATED, &opening?)))
}

/// What the browser calls itself, for the owner's list of sessions.
fn agent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::USER_AGENT)?.to_str().ok()?;
    Some(text.chars().take(200).collect())
}
