//! What may be kept between us and the reader. Everything is private unless a handler calls [`public`].

use axum::http::{HeaderMap, HeaderValue, header};

use super::extract::donor::TOKEN_HEADER;

/// Lets shared caches keep an answer for a second, where nothing in the request says who asked.
pub fn public(request: &HeaderMap, answer: &mut HeaderMap) {
    let personal = [header::COOKIE.as_str(), header::AUTHORIZATION.as_str(), TOKEN_HEADER];
    if !personal.iter().any(|name| request.contains_key(*name)) {
        answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=1, stale-while-revalidate=1"));
    }
}
