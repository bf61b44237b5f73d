//! `POST /senhas/pedidos`: asking for a new password.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::email::Email;
use crate::http::extract::body::ApiJson;
use crate::http::extract::client_ip::ClientIp;
use crate::http::problem::{Problem, Violations};
use crate::limits::{Allowance, Rule, Use};
use crate::service::resets;
use crate::state::AppState;

/// Whose password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PedidoDeSenha)]
pub struct ResetRequestBody {
    /// E-mail of the account.
    #[schema(format = "email", max_length = 254, example = "ana@exemplo.org.br")]
    email: String,
}

/// Ask for a new password
///
/// The answer is the same whether the e-mail has an account or not.
#[utoipa::path(post, path = "/senhas/pedidos", tag = "contas", operation_id = "pedirSenha", request_body = ResetRequestBody,
    responses((status = 202, description = "Se houver conta, um código foi enviado")))]
pub async fn ask_reset(
    State(state): State<AppState>,
    ClientIp(ip): ClientIp,
    ApiJson(body, _): ApiJson<ResetRequestBody>,
) -> Result<(Allowance, StatusCode), Problem> {
    let mut wrong = Violations::default();
    let Some(email) = wrong.check("email", Email::parse(&body.email)) else { return Err(wrong.problem()) };
    let uses = [Use::of(Rule::ResetEmail, email.as_str()), Use::from_address(Rule::ResetIp, ip)];
    let accept = async { resets::accept(&state, email).map_err(Problem::from) };
    let (allowance, accepted) = state.limits.count(&uses, accept, Problem::uses_up).await?;
    accepted?;
    Ok((allowance, StatusCode::ACCEPTED))
}
