//! The headers that tell a client how a limit stands.

use std::convert::Infallible;

use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponseParts, ResponseParts};

use crate::limits::{Allowance, Standing, whole_seconds};

/// `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-10.
pub fn headers(standing: &Standing) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let Standing { rule, quota, remaining, reset } = standing;
    let name = rule.as_str();
    let policy = format!("\"{name}\";q={};w={}", quota.limit, quota.period_seconds);
    let left = format!("\"{name}\";r={remaining};t={}", whole_seconds(*reset));
    let pairs = [("ratelimit-policy", policy), ("ratelimit", left)];
    pairs.into_iter().filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?)))
}

impl IntoResponseParts for Allowance {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        parts.headers_mut().extend(self.standing().into_iter().flat_map(headers));
        Ok(parts)
    }
}
