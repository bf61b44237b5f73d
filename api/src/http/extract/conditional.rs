//! `ETag`, `If-Match` and `If-None-Match` over the version of a row, or of the rows that an answer is made of.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::cache::GZIP_MARK;
use crate::http::problem::{Code, Problem};
use crate::state::AppState;

/// The version that a change was made from, or whatever else is in the resource's tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IfMatch<T = i32>(pub T);

impl<T: FromStr + Display> FromRequestParts<AppState> for IfMatch<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else {
            return Err(Problem::new(Code::PreconditionRequired, "Envie em If-Match o ETag da última leitura, como `If-Match: \"3\"`."));
        };
        value
            .to_str()
            .ok()
            .and_then(version)
            .map(Self)
            .ok_or_else(|| Problem::new(Code::Stale, "If-Match não é um ETag deste recurso; leia de novo."))
    }
}

/// The strong entity tag of a version.
pub fn etag(version: impl Display) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// `response` with its tag, or 304 where the client has it already.
pub fn not_modified_or(headers: &HeaderMap, tag: HeaderValue, response: impl IntoResponse) -> Response {
    let mut response = if is_known(headers, &tag) { StatusCode::NOT_MODIFIED.into_response() } else { response.into_response() };
    response.headers_mut().insert(header::ETAG, tag);
    response
}

/// Whether `If-None-Match` has `tag` (RFC 9110 §13.1.2, weak comparison).
pub fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    known_tags(headers).any(|candidate| candidate == "*" || candidate.as_bytes() == tag.as_bytes())
}

/// The versions that the tags in `If-None-Match` name; tags that this API cannot have made are ignored.
pub fn known_versions<T: FromStr + Display>(headers: &HeaderMap) -> impl Iterator<Item = T> {
    known_tags(headers).filter_map(version)
}

/// The version that a strong tag names, with or without the mark of a compressed answer; `None` for a tag that [`etag`] never
/// makes, such as `"+3"`.
pub fn version<T: FromStr + Display>(tag: &str) -> Option<T> {
    let text = tag.strip_prefix('"')?.strip_suffix('"')?;
    let text = text.strip_suffix(GZIP_MARK).unwrap_or(text);
    text.parse::<T>().ok().filter(|version| version.to_string() == text)
}

/// The tags in `If-None-Match`, without the `W/` of weak ones.
fn known_tags(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .map(|candidate| candidate.strip_prefix("W/").unwrap_or(candidate))
}
