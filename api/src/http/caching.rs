//! What may be kept between us and the reader, and ready-made answers from the cache. Everything is private unless a handler
//! calls [`public`] or [`answer`].

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::extract::conditional::is_known;
use super::extract::donor::TOKEN_HEADER;
use super::problem::Problem;
use crate::cache::{Answer, Found, LoadError, Resource};
use crate::state::AppState;

/// `Cache-Control` of an answer that is the same for everyone: caches may use it for a second, and for another while they renew it.
const CACHE_CONTROL_SHARED: HeaderValue = HeaderValue::from_static("public, max-age=1, stale-while-revalidate=1");
/// `Cache-Control` of an answer on which two caches must not disagree: caches may keep it, but must ask before each use whether it
/// holds.
const CACHE_CONTROL_REVALIDATED: HeaderValue = HeaderValue::from_static("public, no-cache");

/// Lets shared caches keep an answer for a second, where nothing in the request says who asked.
pub fn public(request: &HeaderMap, answer: &mut HeaderMap) {
    let personal = [header::COOKIE.as_str(), header::AUTHORIZATION.as_str(), TOKEN_HEADER];
    if !personal.iter().any(|name| request.contains_key(*name)) {
        public_for_all(answer);
    }
}

/// Lets shared caches keep an answer for a second, whoever asked: for a page that has nothing of a person on it, also for those who are
/// logged in.
pub fn public_for_all(answer: &mut HeaderMap) {
    answer.insert(header::CACHE_CONTROL, CACHE_CONTROL_SHARED);
}

/// Makes shared caches ask before each use of a [`public`] answer. Otherwise a reader who is served by several of them could see an
/// older answer after a newer one.
pub fn ask_each_time(answer: &mut HeaderMap) {
    if let Some(value) = answer.get_mut(header::CACHE_CONTROL) {
        *value = CACHE_CONTROL_REVALIDATED;
    }
}

/// The public answer for `resource`, from the nearest place that has it.
pub async fn answer<R: Resource<Source = AppState>>(state: &AppState, request: &HeaderMap, resource: R) -> Result<Response, Problem> {
    let mut response = show(request, &state.cache.get(state, resource).await?)?;
    public(request, response.headers_mut());
    Ok(response)
}

/// What the cache gave, private unless [`public`] says otherwise.
///
/// An answer that is old because neither store can be asked says so in `Cache-Status` (RFC 9211).
pub fn show(request: &HeaderMap, answer: &Answer) -> Result<Response, Problem> {
    let found = answer.entry.found.as_ref().ok_or_else(Problem::not_found)?;
    let mut response = respond(request, found);
    if answer.stale {
        response.headers_mut().insert("cache-status", HeaderValue::from_static("doacoes; hit; fwd=stale; detail=stores-away"));
    }
    Ok(response)
}

/// A page of a public list: the first one from the cache, for everyone begins there; further ones from the database.
pub async fn page<R: Resource<Source = AppState>>(
    state: &AppState,
    request: &HeaderMap,
    page: R,
    is_first: bool,
) -> Result<Response, Problem> {
    if is_first {
        return answer(state, request, page).await;
    }
    let found = page.load(state).await.map_err(Arc::new)?.map(Found::new).ok_or_else(Problem::not_found)?;
    let mut response = respond(request, &found);
    public(request, response.headers_mut());
    Ok(response)
}

/// A ready-made answer, or 304 where the client has it already; private unless [`public`] says otherwise.
pub fn respond(request: &HeaderMap, found: &Found) -> Response {
    let gzip = found.gzip.as_ref().filter(|_| takes_gzip(request));
    let etag = if gzip.is_some() { found.gzip_etag.as_ref() } else { found.etag.as_ref() };
    let mut response = match etag {
        Some(tag) if is_known(request, tag) => StatusCode::NOT_MODIFIED.into_response(),
        _ => {
            let mut response = Response::new(Body::from(gzip.unwrap_or(&found.body).clone()));
            response.headers_mut().insert(header::CONTENT_TYPE, found.media.content_type());
            if gzip.is_some() {
                response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
            response
        }
    };
    let headers = response.headers_mut();
    // Also on an answer that is too short to be compressed: its next version may be longer, and without the header a cache would
    // give the version it has to readers who take only the other.
    headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    for (name, value) in [(header::ETAG, etag), (header::LINK, found.link.as_ref())] {
        if let Some(value) = value {
            headers.insert(name, value.clone());
        }
    }
    response
}

/// Whether `Accept-Encoding` names gzip, or everything, with a weight above 0 (RFC 9110 §12.5.3).
fn takes_gzip(request: &HeaderMap) -> bool {
    let mut any = false;
    for part in request.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')) {
        let mut pieces = part.split(';').map(str::trim);
        let coding = pieces.next().unwrap_or_default();
        let weight = pieces.find_map(|piece| piece.strip_prefix("q=")).map_or(Some(1.0), |text| text.parse::<f32>().ok());
        let wanted = weight.is_some_and(|weight| weight > 0.0);
        if coding.eq_ignore_ascii_case("gzip") {
            return wanted;
        }
        any |= coding == "*" && wanted;
    }
    any
}

impl From<Arc<LoadError>> for Problem {
    fn from(error: Arc<LoadError>) -> Self {
        if error.is_passing() { Self::unavailable(error) } else { Self::internal(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        let takes = |value: &'static str| takes_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]));
        for yes in ["gzip", "GZIP", "br, gzip", "gzip;q=0.5", "deflate, *", "identity;q=0, gzip; q=1"] {
            assert!(takes(yes), "{yes}");
        }
        for no in ["", "br", "gzip;q=0", "gzip;q=0.0, *", "*;q=0", "gzip;q=x", "xgzip"] {
            assert!(!takes(no), "{no}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
