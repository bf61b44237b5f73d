//! What surrounds every handler, outermost first: `observe` (request id, log, metrics, problem bodies, security headers),
//! panics, CORS, and `admit`: too many reads and cross-site requests, the body's limits, the deadline.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tracing::Instrument as _;

use super::extract::body::{is_json, too_large};
use super::extract::client_ip::named_client;
use super::extract::device::DEVICE_HEADER;
use super::extract::donor::TOKEN_HEADER;
use super::metrics::HttpMetrics;
use super::problem::{Code, Problem};
use crate::redis_client::budget::budgeted;
use crate::state::AppState;
use crate::telemetry::chain;

/// Bodies have at most this many bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// A body over the limit is read and discarded up to this many bytes, so that its client gets the answer.
const MAX_DISCARDED_BYTES: usize = 1024 * 1024;
/// Longest pause between two frames of a body that is over the limit before its rest is left unread.
const DISCARD_PAUSE_TIMEOUT: Duration = Duration::from_millis(100);
/// Longest pause between two frames of a body before 408.
const BODY_PAUSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest time that a whole body may take before 408, however steadily it comes.
const BODY_TIMEOUT: Duration = Duration::from_secs(8);
/// A request whose body is there is answered within this time or with 503.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(1_800);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is for programs; every other address is a page for people.
const FOR_PROGRAMS: [&str; 4] = ["/api", "/docs", "/estatico", "/openapi.json"];

/// How pages for people answer; the part that makes them says so.
#[derive(Clone, Copy, Debug)]
pub struct Pages {
    /// The page that tells a problem, for the path that was asked and the id of the request.
    pub problem: fn(&Problem, &str, &str) -> Response,
    /// Gives any answer to a page's address the headers that it has not set by itself.
    pub headers: fn(&mut HeaderMap),
}

/// In an answer's extensions: the answer is a page that tells this problem already, and is only to be logged as such.
#[derive(Clone, Debug)]
pub struct ToldOnPage(pub Problem);

/// What the layers need to know beside the state.
#[derive(Clone)]
pub struct Surroundings<'a> {
    /// Origins of other sites that may call the API from a browser.
    pub allowed_origins: &'a [HeaderValue],
    /// The metrics of requests.
    pub metrics: Arc<HttpMetrics>,
    /// How pages answer.
    pub pages: Pages,
}

/// Puts the layers around `router`. All at once, and few of them: axum boxes the service at each call of `layer`, and each
/// `from_fn` copies all that it surrounds for every request.
pub fn around(router: Router<AppState>, state: AppState, surroundings: Surroundings<'_>) -> Router {
    let Surroundings { allowed_origins, metrics, pages } = surroundings;
    let cross_site = Arc::new(CrossSite { own: state.public_url.origin().to_owned(), others: allowed_origins.to_vec() });
    router
        .fallback(|| async { Problem::new(Code::NotFound, "Não há nada neste endereço; veja /docs.") })
        .method_not_allowed_fallback(|| async { Problem::new(Code::MethodNotAllowed, "Veja os métodos em /docs.") })
        .layer((
            from_fn_with_state((state.clone(), metrics, pages), observe),
            CatchPanicLayer::custom(panicked),
            cors(allowed_origins),
            from_fn_with_state((state.clone(), cross_site), admit),
        ))
        .with_state(state)
}

/// Lets a request through to its handler: first whether it may come at all, then its body, then the time for its answer.
async fn admit(State((state, rule)): State<(AppState, Arc<CrossSite>)>, request: Request, next: Next) -> Response {
    if let Err(problem) = turn_away(&state, &rule, &request) {
        return problem.into_response();
    }
    match whole_body(request).await {
        Ok(request) => within_deadline(next.run(request)).await,
        Err(problem) => problem.into_response(),
    }
}

/// Reads the body before anything looks at the request. One that is too large is read on for a while and thrown away: a client
/// that is still sending would lose the answer along with its connection.
async fn whole_body(request: Request) -> Result<Request, Problem> {
    let (parts, mut body) = request.into_parts();
    // Nothing is gained by listening to one that says it will never come to the end of our patience.
    let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_DISCARDED_BYTES) {
        return Err(too_large());
    }
    if parts.headers.get_all(header::CONTENT_ENCODING).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let problem = Problem::new(Code::UnsupportedMediaType, "Envie o corpo como é, sem Content-Encoding: nada é descompactado aqui.");
        return Err(problem);
    }
    // Most requests have none, and need no timers.
    if body.is_end_stream() {
        return Ok(Request::from_parts(parts, Body::empty()));
    }
    let end = tokio::time::Instant::now() + BODY_TIMEOUT;
    let mut bytes = Vec::new();
    let mut read = 0;
    loop {
        // Over the limit, only what is on its way already is waited for.
        let patience = if read > MAX_BODY_BYTES { DISCARD_PAUSE_TIMEOUT } else { BODY_PAUSE_TIMEOUT };
        let until = end.min(tokio::time::Instant::now() + patience);
        let frame = match tokio::time::timeout_at(until, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => break,
            Err(_) if read > MAX_BODY_BYTES => break,
            Err(_) => return Err(slow_body()),
            Ok(Some(Err(_))) => return Err(Problem::new(Code::Malformed, "O corpo não chegou inteiro.")),
        };
        let Some(data) = frame.data_ref() else { continue };
        read += data.len();
        if read <= MAX_BODY_BYTES {
            bytes.extend_from_slice(data);
        } else if read > MAX_DISCARDED_BYTES {
            break;
        }
    }
    if read > MAX_BODY_BYTES {
        return Err(too_large());
    }
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

fn slow_body() -> Problem {
    Problem::new(Code::SlowBody, "O corpo tem de chegar inteiro em 8 segundos, sem pausas de mais de 2. Envie de novo.")
}

async fn within_deadline(answer: impl Future<Output = Response>) -> Response {
    match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
        Ok(response) => response,
        Err(elapsed) => Problem::unavailable(elapsed).into_response(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over")]
fn panicked(payload: Box<dyn Any + Send>) -> Response {
    let text = payload.downcast_ref::<String>().cloned().or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    Problem::internal(Panic(text.unwrap_or_else(|| "without a message".to_owned()))).into_response()
}

#[derive(Debug, thiserror::Error)]
#[error("a handler panicked: {0}")]
struct Panic(String);

/// What the CORS layer sets whoever asks.
const CORS_HEADERS: [HeaderName; 5] = [
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    header::ACCESS_CONTROL_MAX_AGE,
];

fn cors(allowed: &[HeaderValue]) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(allowed.iter().cloned()))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::PUT, Method::DELETE])
        .allow_headers([
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            HeaderName::from_static("idempotency-key"),
            // EventSource needs no leave for it; what reads the stream with `fetch` does.
            HeaderName::from_static("last-event-id"),
            HeaderName::from_static(TOKEN_HEADER),
            HeaderName::from_static(DEVICE_HEADER),
            REQUEST_ID,
        ])
        .expose_headers([
            HeaderName::from_static("ratelimit"),
            HeaderName::from_static("ratelimit-policy"),
            header::ETAG,
            header::LOCATION,
            header::LINK,
            header::RETRY_AFTER,
            HeaderName::from_static(TOKEN_HEADER),
            REQUEST_ID,
        ])
        .max_age(Duration::from_mins(10))
}

/// Which pages may send unsafe requests.
#[derive(Debug)]
struct CrossSite {
    own: String,
    others: Vec<HeaderValue>,
}

impl CrossSite {
    /// The browser's own word comes first (Fetch Metadata), then the `Origin`. A client that sends neither is no current
    /// browser; with a cookie it must at least send what no HTML form can: JSON.
    fn allows(&self, headers: &HeaderMap) -> bool {
        let origin = headers.get(header::ORIGIN);
        if origin.is_some_and(|origin| self.others.contains(origin)) {
            return true;
        }
        match (headers.get("sec-fetch-site").map(HeaderValue::as_bytes), origin) {
            (Some(b"same-origin" | b"none"), _) => true,
            (Some(_), _) => false,
            (None, Some(origin)) => origin.as_bytes().eq_ignore_ascii_case(self.own.as_bytes()),
            (None, None) => !headers.contains_key(header::COOKIE) || is_json(headers),
        }
    }
}

/// Refuses reads of an address that reads too much, and what other sites send.
fn turn_away(state: &AppState, rule: &CrossSite, request: &Request) -> Result<(), Problem> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        let client = named_client(request, &state.trusted_proxies);
        client.map_or(Ok(()), |client| state.limits.read(client))?;
    }
    if request.method().is_safe() || rule.allows(request.headers()) {
        return Ok(());
    }
    Err(Problem::new(
        Code::CrossSite,
        "A página que enviou isto não é deste site nem está em ALLOWED_ORIGINS. Fora do navegador, com cookie, envie Content-Type: application/json.",
    ))
}

/// The path of a page; `None` for what is for programs. A property of the address, and not of what a client says it takes: caches keep
/// one answer for one address.
fn page_path(path: &str) -> Option<String> {
    let below = |prefix: &&str| path.strip_prefix(*prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if FOR_PROGRAMS.iter().any(below) { None } else { Some(path.to_owned()) }
}

async fn observe(State((state, metrics, pages)): State<(AppState, Arc<HttpMetrics>, Pages)>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let page = page_path(request.uri().path());
    let _in_flight = metrics.in_flight();
    let method = request.method().clone();
    // Never the path as sent: it holds ids, and nobody bounds it.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let id = request_id(request.headers()).unwrap_or_else(|| state.clock.new_id().to_string());
    let span = tracing::info_span!("request", id, method = method.as_str(), route);
    let mut response = budgeted(state.redis.budget(), next.run(request)).instrument(span.clone()).await;
    let told = response.extensions_mut().remove::<ToldOnPage>().map(|ToldOnPage(problem)| problem);
    let untold = if told.is_some() { None } else { response.extensions_mut().remove::<Problem>().or_else(|| foreign_error(&response)) };
    if let Some(problem) = &untold {
        let kept = keep_headers(&response);
        response = match &page {
            Some(path) => {
                let mut response = (pages.problem)(problem, path, &id);
                problem.add_headers(response.headers_mut());
                response
            }
            None => problem.render(&id),
        };
        response.headers_mut().extend(kept);
    }
    let problem = told.or(untold);
    if page.is_some() {
        (pages.headers)(response.headers_mut());
    }
    finish_headers(response.headers_mut(), &id, state.public_url.is_secure());
    // After a body that never came there is no next request; and a process that stops should see no further ones.
    if state.shutdown.has_begun() || problem.as_ref().is_some_and(|problem| problem.code == Code::SlowBody) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let status = response.status();
    let took = started.elapsed();
    metrics.request((&method).into(), route, status, took);
    span.in_scope(|| log(&method, status, took, problem.as_ref()));
    response
}

/// Errors that a library answered by itself get the shape of all others.
fn foreign_error(response: &Response) -> Option<Problem> {
    let code = match response.status() {
        StatusCode::BAD_REQUEST => Code::Malformed,
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
        StatusCode::REQUEST_TIMEOUT => Code::SlowBody,
        StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
        status if status.is_server_error() => Code::Internal,
        status if status.is_client_error() => Code::Malformed,
        _ => return None,
    };
    Some(Problem::new(code, "A requisição não pôde ser atendida."))
}

/// What an error's answer keeps of the one it replaces.
fn keep_headers(response: &Response) -> HeaderMap {
    let cors = [header::ACCESS_CONTROL_ALLOW_ORIGIN, header::ACCESS_CONTROL_ALLOW_CREDENTIALS, header::ACCESS_CONTROL_EXPOSE_HEADERS];
    [header::ALLOW, header::VARY]
        .into_iter()
        .chain(cors)
        .filter_map(|name| response.headers().get(&name).map(|value| (name, value.clone())))
        .collect()
}

fn finish_headers(headers: &mut HeaderMap, id: &str, secure: bool) {
    // Pages of other origins are told nothing, not even what they would be allowed.
    if !headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        for name in CORS_HEADERS {
            headers.remove(name);
        }
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    let mut default = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    default(header::CACHE_CONTROL, "private, no-store");
    default(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    default(header::REFERRER_POLICY, "no-referrer");
    default(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    if secure {
        default(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains");
    }
}

/// A caller's id is kept if it is short and plain, so that one request can be followed through several systems.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let plain = (8..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    plain.then(|| id.to_owned())
}

fn log(method: &Method, status: StatusCode, took: Duration, problem: Option<&Problem>) {
    let status_code = status.as_u16();
    let elapsed_ms = took.as_millis();
    let code = problem.map_or("", |problem| problem.code.slug());
    let error = problem.and_then(|problem| problem.cause.as_deref()).map(|cause| chain(cause)).unwrap_or_default();
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(status = status_code, elapsed_ms, code, error, "request failed");
    } else if status.is_server_error() {
        tracing::warn!(status = status_code, elapsed_ms, code, error, "request turned away");
    } else if status.is_success() && method == Method::GET {
        // One line per read would be most of what the process does.
        tracing::debug!(status = status_code, elapsed_ms, "request answered");
    } else {
        tracing::info!(status = status_code, elapsed_ms, code, "request answered");
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn allows(headers: &[(&'static str, &str)]) -> bool {
        let rule = CrossSite { own: "https://doe.example".into(), others: vec![HeaderValue::from_static("https://loja.example")] };
        let headers = headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
        rule.allows(&headers)
    }

    #[test]
    fn only_own_and_named_pages_send_unsafe_requests() {
        assert!(allows(&[("sec-fetch-site", "same-origin"), ("cookie", "a=b")]));
        assert!(allows(&[("sec-fetch-site", "cross-site"), ("origin", "https://loja.example")]));
        assert!(!allows(&[("sec-fetch-site", "cross-site"), ("origin", "https://mau.example")]));
        assert!(!allows(&[("sec-fetch-site", "same-site")]));
        assert!(allows(&[("origin", "https://doe.example")]));
        assert!(!allows(&[("origin", "https://mau.example")]));
        assert!(!allows(&[("origin", "null"), ("content-type", "application/json")]));
        assert!(allows(&[]));
        assert!(allows(&[("cookie", "a=b"), ("content-type", "application/json; charset=utf-8")]));
        assert!(!allows(&[("cookie", "a=b"), ("content-type", "text/plain")]));
        assert!(!allows(&[("cookie", "a=b")]));
    }

    #[test]
    fn only_plain_request_ids_are_kept() {
        let id = |value: &str| request_id(&HeaderMap::from_iter([(REQUEST_ID, value.parse().unwrap())]));
        assert_eq!(id("abc-12345").as_deref(), Some("abc-12345"));
        for bad in ["short", "has space here", "<script>alert(1)</script>", &"x".repeat(65)] {
            assert_eq!(id(bad), None, "{bad}");
        }
    }
}
