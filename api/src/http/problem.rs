//! Errors as `application/problem+json` (RFC 9457), with the members of the Banco Central's API Pix: `violacoes` names the
//! fields, `correlacao_id` the request.

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where problem types are named. The URI identifies; it need not resolve.
pub const TYPE_BASE: &str = "https://doacoes.dev/problemas/";

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = ($status:ident, $slug:literal, $title:literal)),+ $(,)?) => {
        /// Every problem that the API answers with. The slug is stable; clients may depend on it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name),+ }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The HTTP status.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status),+ }
            }

            /// The end of the `type` URI.
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug),+ }
            }

            /// The `title`.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title),+ }
            }
        }
    };
}

codes! {
    /// The request is not HTTP as it should be: a bad path, header or encoding.
    Malformed = (BAD_REQUEST, "requisicao-invalida", "A requisição não pôde ser lida"),
    /// The body is not JSON.
    BadJson = (BAD_REQUEST, "json-invalido", "O corpo não é JSON válido"),
    /// A list cursor that was not made for this list, or is too old.
    BadCursor = (BAD_REQUEST, "cursor-invalido", "O cursor não vale para esta lista"),
    /// `Idempotency-Key` is missing or no UUID.
    KeyRequired = (BAD_REQUEST, "chave-de-idempotencia-obrigatoria", "Falta o cabeçalho Idempotency-Key"),
    /// A one-time code that is unknown, used or expired.
    BadToken = (BAD_REQUEST, "codigo-invalido", "O código não vale"),
    /// Nobody is logged in.
    Unauthenticated = (UNAUTHORIZED, "nao-autenticada", "É preciso entrar"),
    /// Wrong e-mail or password.
    BadCredentials = (UNAUTHORIZED, "credenciais-invalidas", "E-mail ou senha incorretos"),
    /// The role does not allow it.
    Forbidden = (FORBIDDEN, "papel-insuficiente", "Seu papel não permite isto"),
    /// The organisation is suspended.
    Suspended = (FORBIDDEN, "organizadora-suspensa", "A organizadora está suspensa"),
    /// The password must be entered again.
    ReauthenticationRequired = (FORBIDDEN, "reautenticacao-necessaria", "Digite a senha de novo"),
    /// A request from another site.
    CrossSite = (FORBIDDEN, "origem-recusada", "A requisição veio de outro site"),
    /// There is nothing, or nothing that the requester may see.
    NotFound = (NOT_FOUND, "nao-encontrado", "Não encontrado"),
    /// The resource has other methods.
    MethodNotAllowed = (METHOD_NOT_ALLOWED, "metodo-nao-permitido", "O recurso não tem este método"),
    /// The state does not allow it.
    InvalidTransition = (CONFLICT, "transicao-invalida", "O estado atual não permite isto"),
    /// A request with the same idempotency key is in flight.
    KeyInFlight = (CONFLICT, "requisicao-em-andamento", "Uma requisição com esta chave está em andamento"),
    /// The slug is taken.
    SlugTaken = (CONFLICT, "slug-em-uso", "Este endereço já está em uso"),
    /// The CNPJ is taken.
    CnpjTaken = (CONFLICT, "cnpj-em-uso", "Este CNPJ já está cadastrado"),
    /// They are a member already.
    AlreadyMember = (CONFLICT, "membro-existente", "Esta pessoa já é membro"),
    /// The last `dona` stays.
    LastOwner = (CONFLICT, "ultima-dona", "A organizadora precisa de ao menos uma dona"),
    /// A recent owner may not yet do what would hurt the older ones.
    RecentOwner = (CONFLICT, "dona-recente", "Dona há pouco tempo"),
    /// The campaign takes no donations now.
    CampaignClosed = (CONFLICT, "campanha-fechada", "A campanha não recebe doações agora"),
    /// The organisation is not verified.
    NotVerified = (CONFLICT, "organizadora-nao-verificada", "A organizadora ainda não foi verificada"),
    /// The organisation has no PIX key.
    NoPixKey = (CONFLICT, "sem-chave-pix", "A organizadora não tem chave PIX em vigor"),
    /// The receipt is known already, or belongs to another donation.
    ReceiptTaken = (CONFLICT, "recebimento-ja-registrado", "Este recebimento já foi registrado"),
    /// Too many charges of one donation.
    TooManyCharges = (CONFLICT, "cobrancas-demais", "Esta doação já tem cobranças demais"),
    /// The refund window is over.
    RefundTooLate = (CONFLICT, "prazo-de-devolucao-encerrado", "O prazo de devolução acabou"),
    /// `If-Match` names an older version.
    Stale = (PRECONDITION_FAILED, "versao-desatualizada", "O recurso mudou desde que foi lido"),
    /// The body comes too slowly.
    SlowBody = (REQUEST_TIMEOUT, "corpo-lento", "O corpo não chegou a tempo"),
    /// The body is too large.
    TooLarge = (PAYLOAD_TOO_LARGE, "corpo-grande-demais", "O corpo passa do limite"),
    /// The body is not `application/json`.
    UnsupportedMediaType = (UNSUPPORTED_MEDIA_TYPE, "tipo-de-conteudo-recusado", "Envie application/json"),
    /// Fields are wrong; `violacoes` names them.
    Invalid = (UNPROCESSABLE_ENTITY, "dados-invalidos", "Há campos inválidos"),
    /// An idempotency key was used again with another body.
    KeyReused = (UNPROCESSABLE_ENTITY, "chave-de-idempotencia-reutilizada", "A chave foi usada com outro corpo"),
    /// `If-Match` is missing.
    PreconditionRequired = (PRECONDITION_REQUIRED, "precondicao-obrigatoria", "Falta o cabeçalho If-Match"),
    /// Too much in too little time.
    RateLimited = (TOO_MANY_REQUESTS, "limite-excedido", "Muitas tentativas em pouco tempo"),
    /// A fault of ours.
    Internal = (INTERNAL_SERVER_ERROR, "erro-interno", "Erro interno"),
    /// Busy, starting, or without its database for now.
    Unavailable = (SERVICE_UNAVAILABLE, "indisponivel", "Serviço indisponível por um momento"),
}

/// A field that is wrong, and the rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Violation {
    /// The field's name, with dots and indexes for nested ones.
    pub campo: String,
    /// What the field takes.
    pub razao: String,
}

/// The body of an error.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Problema)]
pub struct ProblemBody {
    /// Stable URI of the kind of problem.
    #[serde(rename = "type")]
    #[schema(example = "https://doacoes.dev/problemas/dados-invalidos")]
    pub type_: String,
    /// The kind of problem, for people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened and what to do.
    pub detail: String,
    /// The request, for support.
    pub correlacao_id: String,
    /// The fields that are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub violacoes: Vec<Violation>,
}

/// An error on its way to the client. The cause is logged, never sent.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What kind.
    pub code: Code,
    /// What happened and what to do.
    pub detail: Cow<'static, str>,
    /// The fields that are wrong.
    pub violations: Vec<Violation>,
    /// Seconds after which trying again makes sense.
    pub retry_after: Option<u32>,
    /// Further headers, where there are any.
    pub headers: Option<Box<HeaderMap>>,
    /// What failed behind it.
    pub cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl Problem {
    /// A problem with a text for the client.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into(), violations: Vec::new(), retry_after: None, headers: None, cause: None }
    }

    /// The same problem with one more header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.get_or_insert_default().insert(name, value);
        self
    }

    /// What does not exist and what may not be seen look the same.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "Não existe, ou não é seu.")
    }

    /// One wrong field.
    pub fn invalid(campo: &str, razao: impl Into<String>) -> Self {
        Self::violations(vec![Violation { campo: campo.to_owned(), razao: razao.into() }])
    }

    /// Wrong fields.
    pub fn violations(violations: Vec<Violation>) -> Self {
        Self { violations, ..Self::new(Code::Invalid, "Corrija os campos de `violacoes` e envie de novo.") }
    }

    /// A fault of ours.
    pub fn internal(cause: impl Error + Send + Sync + 'static) -> Self {
        Self {
            cause: Some(Arc::new(cause)),
            ..Self::new(Code::Internal, "A falha é nossa e foi registrada. Informe o correlacao_id ao suporte.")
        }
    }

    /// Busy or without the database; the same request may work soon.
    pub fn unavailable(cause: impl Error + Send + Sync + 'static) -> Self {
        Self { cause: Some(Arc::new(cause)), ..Self::busy() }
    }

    /// Busy; the same request may work soon.
    pub fn busy() -> Self {
        Self {
            retry_after: Some(1),
            ..Self::new(Code::Unavailable, "Nada foi alterado ou o resultado é incerto; repita a requisição igual em instantes.")
        }
    }

    /// Whether an answer uses up what a limit counts: all but being asked to come back, for nothing was done, and whoever comes
    /// back as told must be let in.
    pub fn uses_up<T>(answer: &Result<T, Self>) -> bool {
        !matches!(answer, Err(problem) if problem.code == Code::Unavailable)
    }

    /// Asks for another try after `seconds`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The answer's body.
    pub fn body(&self, request_id: &str) -> ProblemBody {
        ProblemBody {
            type_: format!("{TYPE_BASE}{}", self.code.slug()),
            title: self.code.title().to_owned(),
            status: self.code.status().as_u16(),
            detail: self.detail.clone().into_owned(),
            correlacao_id: request_id.to_owned(),
            violacoes: self.violations.clone(),
        }
    }

    /// The whole answer.
    pub fn render(&self, request_id: &str) -> Response {
        // A struct of strings always serialises.
        let body = serde_json::to_vec(&self.body(request_id)).unwrap_or_default();
        let mut response = (self.code.status(), [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        self.add_headers(response.headers_mut());
        response
    }

    /// Seconds after which trying again makes sense, where the client is told any. Whoever is turned away is told when to come back,
    /// also where nobody thought of it.
    pub fn wait(&self) -> Option<u32> {
        self.retry_after.or((self.code == Code::Unavailable).then_some(1))
    }

    /// Gives an answer the headers that belong to the problem, whatever its body is.
    pub fn add_headers(&self, to: &mut HeaderMap) {
        if let Some(seconds) = self.wait() {
            to.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(headers) = &self.headers {
            to.extend((**headers).clone());
        }
        if self.code.status() == StatusCode::UNAUTHORIZED {
            to.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Cookie realm=\"doacoes\""));
        }
    }
}

/// Only a marker: the outermost layer writes the body, since it knows the request's id.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Collects everything that is wrong with a request, so that it is told at once.
#[derive(Debug, Default)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// The value, or a note that `campo` is wrong.
    pub fn check<T, E: std::fmt::Display>(&mut self, campo: &str, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(campo, error.to_string());
                None
            }
        }
    }

    /// Like [`Violations::check`], for a field that may be absent.
    pub fn check_optional<T, U, E: std::fmt::Display>(
        &mut self,
        campo: &str,
        value: Option<T>,
        parse: impl FnOnce(T) -> Result<U, E>,
    ) -> Option<U> {
        value.and_then(|value| self.check(campo, parse(value)))
    }

    /// A note that `campo` is wrong.
    pub fn add(&mut self, campo: &str, razao: impl Into<String>) {
        self.0.push(Violation { campo: campo.to_owned(), razao: razao.into() });
    }

    /// Fails if anything was noted.
    pub fn finish(&mut self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(self.problem()) }
    }

    /// The problem of everything noted.
    pub fn problem(&mut self) -> Problem {
        Problem::violations(std::mem::take(&mut self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn slugs_are_unique_and_plain() {
        let slugs: HashSet<_> = Code::ALL.iter().map(|code| code.slug()).collect();
        assert_eq!(slugs.len(), Code::ALL.len());
        for slug in slugs {
            assert!(slug.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{slug}");
        }
    }

    #[test]
    fn a_body_never_tells_the_cause() {
        let problem = Problem::internal(std::io::Error::other("postgres://app:secret@db"));
        let body = serde_json::to_string(&problem.body("id-1")).unwrap_or_default();
        assert!(!body.contains("secret"), "{body}");
        assert!(body.contains("\"correlacao_id\":\"id-1\""), "{body}");
    }
}
