//! The headers of every answer to a page's address.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// Nothing but our own files, no inline script or style, no plug-in, no frame, and scripts may not write HTML.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'; require-trusted-types-for 'script'";

/// What a page's address says where the answer does not say it by itself.
///
/// `Referrer-Policy` is not `no-referrer` as elsewhere: with that a browser sends `Origin: null` with every form, and old ones send
/// nothing else from which it could be seen that the form is ours. What may not be kept is not to be found by search engines either.
pub(crate) fn apply(headers: &mut HeaderMap) {
    let is_public = headers.get(header::CACHE_CONTROL).is_some_and(|value| value.as_bytes().starts_with(b"public"));
    let mut default = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    default(header::CONTENT_SECURITY_POLICY, POLICY);
    default(header::REFERRER_POLICY, "same-origin");
    default(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    default(HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()");
    if !is_public {
        default(HeaderName::from_static("x-robots-tag"), "noindex");
    }
}
