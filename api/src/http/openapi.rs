//! The contract: made from the handlers, served at `/openapi.json`, shown at `/docs`.

use std::sync::Arc;

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::schema::{AdditionalProperties, AnyOfBuilder};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, HttpMethod, KnownFormat, ObjectBuilder, OpenApi, Ref, RefOr, ResponseBuilder, Schema, SchemaFormat, Server, Type,
};
use utoipa::{Modify, OpenApi as _};

use super::extract::donor::TOKEN_HEADER;
use super::problem::{Code, ProblemBody};
use crate::state::AppState;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "doacoes",
        description = "Campanhas, doações e PIX. Valores são inteiros em centavos; horários são UTC, entre os anos 2000 e 2100; erros são `application/problem+json` com `type` estável. O formato `linha` é uma linha de texto e `texto` pode ter várias: sem caracteres de controle, de direção ou invisíveis; espaços nas pontas não contam.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    tags(
        (name = "contas", description = "Cadastro, sessões e o que é de quem entrou"),
        (name = "organizadoras", description = "Quem faz campanhas: membros e chave PIX"),
        (name = "campanhas", description = "Campanhas, totais, mural e doar"),
        (name = "doacoes", description = "Uma doação: cobranças, confirmação, devolução"),
        (name = "simulado", description = "O banco da máquina de quem desenvolve")
    ),
    components(schemas(ProblemBody)),
    modifiers(&SecuritySchemes)
)]
struct Base;

struct SecuritySchemes;

impl Modify for SecuritySchemes {
    fn modify(&self, openapi: &mut OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let session = ApiKeyValue::with_description("sessao", "Cookie de POST /api/v1/sessoes (`__Host-sessao` sob https).");
        let token = ApiKeyValue::with_description(TOKEN_HEADER, "Token da doação de convidada, do cabeçalho Doacao-Token da resposta 201.");
        components.add_security_scheme("sessao", SecurityScheme::ApiKey(ApiKey::Cookie(session)));
        components.add_security_scheme("doacao", SecurityScheme::ApiKey(ApiKey::Header(token)));
    }
}

/// The document without its paths.
pub fn base() -> OpenApi {
    Base::openapi()
}

/// The whole document, as served under `profile`.
pub fn document(profile: crate::config::Profile) -> OpenApi {
    let mut document = super::described(profile).into_openapi();
    finish(&mut document);
    document
}

/// Adds to the document what applies to all operations: the errors that follow from what an operation takes, and that optional
/// e-mail addresses and timestamps in request bodies may be empty.
pub fn finish(document: &mut OpenApi) {
    document.servers = Some(vec![Server::new("/")]);
    for schema in document.components.iter_mut().flat_map(|components| components.schemas.values_mut()) {
        allow_empty_texts(schema);
    }
    for item in document.paths.paths.values_mut() {
        let operations = [
            (HttpMethod::Get, &mut item.get),
            (HttpMethod::Post, &mut item.post),
            (HttpMethod::Put, &mut item.put),
            (HttpMethod::Patch, &mut item.patch),
            (HttpMethod::Delete, &mut item.delete),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                add_errors(&method, operation);
            }
        }
    }
}

/// Allows an empty text for each optional e-mail address and timestamp of a request body, since forms send one for a field that
/// nobody filled in. Optional texts without a format already allow it.
fn allow_empty_texts(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::Object(body)) = schema else { return };
    // Request bodies are recognised by their refusal of unknown fields.
    if !matches!(body.additional_properties.as_deref(), Some(AdditionalProperties::FreeForm(false))) {
        return;
    }
    for (name, property) in &mut body.properties {
        let RefOr::T(Schema::Object(text)) = property else { continue };
        let has_rule = match &text.format {
            Some(SchemaFormat::KnownFormat(format)) => *format == KnownFormat::DateTime,
            Some(SchemaFormat::Custom(format)) => format == "email",
            None => false,
        };
        if body.required.contains(name) || !has_rule {
            continue;
        }
        let either = AnyOfBuilder::new()
            .description(text.description.take())
            .item(text.clone())
            .item(ObjectBuilder::new().schema_type(Type::String).max_length(Some(0)))
            .build();
        *property = RefOr::T(Schema::AnyOf(either));
    }
}

/// The operations that take from a limit, beside every read.
const RATE_LIMITED_OPERATIONS: [&str; 10] = [
    "acompanharTotais",
    "criarPessoa",
    "doar",
    "entrar",
    "pedirSenha",
    "reautenticar",
    "redefinirSenha",
    "reivindicarDoacao",
    "trocarChavePix",
    "verificarEmail",
];

fn add_errors(method: &HttpMethod, operation: &mut Operation) {
    let parameters = operation.parameters.clone().unwrap_or_default();
    let has = |place: ParameterIn, name: &str| {
        parameters.iter().any(|parameter| match parameter {
            RefOr::T(parameter) => parameter.parameter_in == place && (name.is_empty() || parameter.name == name),
            RefOr::Ref(_) => false,
        })
    };
    let unsafe_method = !matches!(method, HttpMethod::Get);
    let mut errors = vec![Code::Malformed, Code::Internal, Code::Unavailable];
    if has(ParameterIn::Query, "") || unsafe_method {
        errors.push(Code::Invalid);
    }
    if unsafe_method {
        // A body is read, and its encoding looked at, also where none is wanted.
        errors.extend([Code::CrossSite, Code::TooLarge, Code::UnsupportedMediaType, Code::SlowBody, Code::InvalidTransition]);
    }
    if operation.security.is_some() {
        errors.extend([Code::Unauthenticated, Code::Forbidden]);
    }
    if has(ParameterIn::Path, "") || operation.security.is_some() {
        errors.push(Code::NotFound);
    }
    if !unsafe_method || operation.operation_id.as_deref().is_some_and(|id| RATE_LIMITED_OPERATIONS.contains(&id)) {
        errors.push(Code::RateLimited);
    }
    if has(ParameterIn::Header, "if-match") {
        errors.extend([Code::Stale, Code::PreconditionRequired]);
    }
    for code in errors {
        let status = code.status();
        let title = status.canonical_reason().unwrap_or_default();
        let content = ContentBuilder::new().schema(Some(RefOr::Ref(Ref::from_schema_name("Problema")))).build();
        let response = ResponseBuilder::new().description(title).content("application/problem+json", content).build();
        operation.responses.responses.entry(status.as_str().to_owned()).or_insert(RefOr::T(response));
    }
}

/// `/openapi.json` and `/docs`.
pub fn routes(document: OpenApi) -> Router<AppState> {
    let document = Arc::new(document);
    let config = page_config();
    Router::new()
        .route("/openapi.json", get(move || async move { Json(document).into_response() }))
        .route("/docs", get(|| async { Redirect::permanent("/docs/") }))
        .route(
            "/docs/",
            get({
                let config = Arc::clone(&config);
                move || async move { page("", config) }
            }),
        )
        .route("/docs/{*file}", get(move |Path(file): Path<String>| async move { page(&file, config) }))
}

/// The files that the docs page consists of, by their names below `/docs/`.
const PAGE_FILES: [&str; 8] = [
    "favicon-16x16.png",
    "favicon-32x32.png",
    "index.css",
    "index.html",
    "swagger-initializer.js",
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-ui.css",
];

fn page_config() -> Arc<utoipa_swagger_ui::Config<'static>> {
    Arc::new(utoipa_swagger_ui::Config::new(["/openapi.json"]).validator_url("none"))
}

/// Name and content of each file of the docs page, as it is served.
pub fn page_files() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let config = page_config();
    PAGE_FILES.into_iter().filter_map(move |name| {
        let file = utoipa_swagger_ui::serve(name, Arc::clone(&config)).ok().flatten()?;
        Some((name, file.bytes.into_owned()))
    })
}

/// A file of the docs page; all of them are in the binary.
fn page(file: &str, config: Arc<utoipa_swagger_ui::Config<'static>>) -> Response {
    match utoipa_swagger_ui::serve(file, config) {
        Ok(Some(file)) => {
            let mut response = file.bytes.into_response();
            let headers = response.headers_mut();
            if let Ok(kind) = HeaderValue::from_str(&file.content_type) {
                headers.insert(header::CONTENT_TYPE, kind);
            }
            // The page styles itself inline and draws its icons from data URLs; nothing comes from elsewhere.
            let policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";
            headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
            response
        }
        Ok(None) | Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}
