//! `POST /pessoas`: signing up.

use axum::extract::State;
use axum::http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::email::{Email, Password};
use crate::domain::text::Name;
use crate::http::extract::body::ApiJson;
use crate::http::extract::client_ip::ClientIp;
use crate::http::notice;
use crate::http::problem::{Problem, Violations};
use crate::limits::{Allowance, Rule, Use};
use crate::service::accounts;
use crate::state::AppState;

/// A sign-up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NovaPessoa)]
pub struct SignUpBody {
    /// Name.
    #[schema(format = "linha", min_length = 1, max_length = 120, example = "Ana Souza")]
    nome: String,
    /// E-mail; a code is sent to it.
    #[schema(format = "email", max_length = 254, example = "ana@exemplo.org.br")]
    email: String,
    /// Password.
    #[schema(value_type = String, format = "password", min_length = 8, max_length = 150, pattern = "^[^\\u0000-\\u001F\\u007F-\\u009F]*$", example = "uma frase longa")]
    senha: SecretString,
    /// Version of the privacy notice that was shown.
    #[schema(example = "2026-11")]
    aviso_privacidade: String,
    /// Consent to the notice.
    #[schema(example = true)]
    consentimento: bool,
}

/// Sign up
///
/// The answer is the same whether the e-mail has an account or not; a code goes to the address.
#[utoipa::path(post, path = "/pessoas", tag = "contas", operation_id = "criarPessoa", request_body = SignUpBody,
    responses((status = 202, description = "Um código foi enviado ao e-mail")))]
pub async fn create(
    State(state): State<AppState>,
    ClientIp(ip): ClientIp,
    ApiJson(body, _): ApiJson<SignUpBody>,
) -> Result<(Allowance, StatusCode), Problem> {
    let mut wrong = Violations::default();
    let nome = wrong.check("nome", Name::parse(&body.nome));
    let email = wrong.check("email", Email::parse(&body.email));
    let senha = wrong.check("senha", Password::parse(body.senha));
    notice::check(&mut wrong, &body.aviso_privacidade, body.consentimento);
    wrong.finish()?;
    let (Some(nome), Some(email), Some(senha)) = (nome, email, senha) else { return Err(wrong.problem()) };
    let uses = [Use::of(Rule::SignUpEmail, email.as_str()), Use::from_address(Rule::SignUpIp, ip)];
    let core = state.clone();
    let work = async move {
        let sign_up = async { accounts::sign_up(&core, nome, email, senha).await.map_err(Problem::from) };
        core.limits.count(&uses, sign_up, Problem::uses_up).await
    };
    // Carried through without its client, so that what it cost is given back exactly where no message was sent.
    let (allowance, taken) = state.shutdown.complete(work).await??;
    taken?;
    Ok((allowance, StatusCode::ACCEPTED))
}
