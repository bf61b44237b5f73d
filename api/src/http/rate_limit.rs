//! The headers that tell a client how much of a limit is left.

use std::convert::Infallible;

use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponseParts, ResponseParts};

use crate::limits::{Allowance, QuotaState, whole_seconds};

/// `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-10.
pub(super) fn headers(state: &QuotaState) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let QuotaState { rule, quota, remaining, reset } = state;
    let name = rule.as_str();
    let policy = format!("\"{name}\";q={};w={}", quota.limit, quota.period_seconds);
    let left = format!("\"{name}\";r={remaining};t={}", whole_seconds(*reset));
    let pairs = [("ratelimit-policy", policy), ("ratelimit", left)];
    pairs.into_iter().filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?)))
}

impl IntoResponseParts for Allowance {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        parts.headers_mut().extend(self.state().into_iter().flat_map(headers));
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{Quota, Rule};
    use std::time::Duration;

    #[test]
    fn a_client_is_told_the_quota_what_is_left_and_the_whole_seconds_to_wait() {
        let quota = Quota { limit: 600, period_seconds: 60 };
        let state = QuotaState { rule: Rule::DonationIp, quota, remaining: 100, reset: Duration::from_millis(1_200) };
        let told: Vec<_> = headers(&state).map(|(name, value)| (name, value.to_str().map(str::to_owned).unwrap_or_default())).collect();
        let expected = [("ratelimit-policy", "\"donation_ip\";q=600;w=60"), ("ratelimit", "\"donation_ip\";r=100;t=2")];
        assert_eq!(told, expected.map(|(name, value)| (HeaderName::from_static(name), value.to_owned())));
    }
}
