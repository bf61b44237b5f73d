//! How often something may be done: the generic cell rate algorithm, in Redis for all processes together, and in this
//! process alone while Redis does not answer.

mod local;
mod remote;
mod rules;

pub use rules::{Quota, Rule, Rules, RulesError};

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponseParts, ResponseParts};

use crate::keys::{hex, sha256};
use crate::metrics::Metrics;
use crate::redis_client::RedisClient;
use local::Local;
use remote::Remote;

/// One use of what a rule limits.
#[derive(Clone, Debug)]
pub struct Use {
    /// The rule.
    pub rule: Rule,
    /// Whose use it is, hashed: addresses and e-mails are nobody's business in Redis.
    subject: String,
}

impl Use {
    /// A use by `subject`.
    pub fn of(rule: Rule, subject: impl std::fmt::Display) -> Self {
        let hash = hex(&sha256(subject.to_string().as_bytes()));
        Self { rule, subject: hash.get(..32).unwrap_or_default().to_owned() }
    }

    /// A use by whoever is behind `address`.
    pub fn from_address(rule: Rule, address: IpAddr) -> Self {
        Self::of(rule, network(address))
    }
}

/// Whom an address stands for: of IPv6, providers give each customer 64 bits.
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

/// What is left of the limit that is nearest; nothing to tell where nothing is limited.
#[derive(Clone, Debug, Default)]
pub struct Allowance(Option<Standing>);

#[derive(Clone, Debug)]
struct Standing {
    rule: Rule,
    quota: Quota,
    remaining: u32,
    /// Until the whole quota is there again.
    reset: Duration,
}

/// A limit was reached.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the limit {} is reached", .rule.as_str())]
pub struct Exceeded {
    /// Which.
    pub rule: Rule,
    /// When one more is allowed.
    pub retry: Duration,
    allowance: Allowance,
}

impl Exceeded {
    /// The headers that tell of the limit.
    pub fn headers(&self) -> HeaderMap {
        self.allowance.headers()
    }
}

/// Every limit.
pub struct Limits {
    rules: Rules,
    remote: Remote,
    local: Local,
    metrics: Arc<Metrics>,
}

impl Limits {
    /// Limits by `rules`, shared through `redis`.
    pub fn new(rules: Rules, redis: Arc<RedisClient>, metrics: Arc<Metrics>) -> Self {
        Self { local: Local::new(&rules), remote: Remote::new(redis), rules, metrics }
    }

    /// Takes all of `uses`, or none where one of them is one too many.
    pub async fn take(&self, uses: &[Use]) -> Result<Allowance, Exceeded> {
        let limited = self.limited(uses);
        if limited.is_empty() {
            return Ok(Allowance::default());
        }
        let result = match self.remote.take(&limited).await {
            Ok(verdicts) => judge(&limited, &verdicts),
            // Each process for itself: four of them allow four times as much, and nobody is turned away for Redis's sake.
            Err(_) => self.local.take(&limited),
        };
        if let Err(exceeded) = &result {
            self.metrics.rate_limited(exceeded.rule);
        }
        result
    }

    /// Does `work`, of which only what ends as a failure counts. Taken beforehand, since many guesses may be made at once.
    pub async fn count_failures<T, E>(
        &self,
        uses: &[Use],
        work: impl Future<Output = Result<T, E>>,
        is_failure: impl FnOnce(&E) -> bool,
    ) -> Result<(Allowance, Result<T, E>), Exceeded> {
        let allowance = self.take(uses).await?;
        let result = work.await;
        if !result.as_ref().err().is_some_and(is_failure) {
            self.give_back(uses).await;
        }
        Ok((allowance, result))
    }

    async fn give_back(&self, uses: &[Use]) {
        let limited = self.limited(uses);
        if !limited.is_empty() {
            // Where Redis does not answer, the limit is a little stricter for a while.
            let _ = self.remote.give_back(&limited).await;
        }
    }

    fn limited<'a>(&self, uses: &'a [Use]) -> Vec<(&'a Use, Quota)> {
        uses.iter().filter_map(|one| Some((one, self.rules.quota(one.rule)?))).collect()
    }
}

/// What Redis says of one use: how many are left, when all are there again, and when one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Verdict {
    remaining: u32,
    reset: Duration,
    /// Zero where it is allowed.
    retry: Duration,
}

fn judge(uses: &[(&Use, Quota)], verdicts: &[Verdict]) -> Result<Allowance, Exceeded> {
    let standing = |(one, quota): &(&Use, Quota), verdict: &Verdict| Standing {
        rule: one.rule,
        quota: *quota,
        remaining: verdict.remaining,
        reset: verdict.reset,
    };
    let pairs = || uses.iter().zip(verdicts);
    if let Some((one, verdict)) = pairs().filter(|(_, verdict)| !verdict.retry.is_zero()).max_by_key(|(_, verdict)| verdict.retry) {
        return Err(Exceeded { rule: one.0.rule, retry: verdict.retry, allowance: Allowance(Some(standing(one, verdict))) });
    }
    let share = |quota: Quota, remaining: u32| u64::from(remaining) * 1_000_000 / u64::from(quota.limit);
    let tightest = pairs().min_by_key(|((_, quota), verdict)| share(*quota, verdict.remaining));
    Ok(Allowance(tightest.map(|(one, verdict)| standing(one, verdict))))
}

impl Allowance {
    /// `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-10.
    fn headers(&self) -> HeaderMap {
        let Some(Standing { rule, quota, remaining, reset }) = &self.0 else { return HeaderMap::new() };
        let name = rule.as_str();
        let policy = format!("\"{name}\";q={};w={}", quota.limit, quota.period_seconds);
        let left = format!("\"{name}\";r={remaining};t={}", whole_seconds(*reset));
        let pairs = [("ratelimit-policy", policy), ("ratelimit", left)];
        pairs.into_iter().filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?))).collect()
    }
}

impl IntoResponseParts for Allowance {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        parts.headers_mut().extend(self.headers());
        Ok(parts)
    }
}

/// Rounded up: who waits that long is let through.
pub fn whole_seconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_that_is_nearest_is_told_and_the_longest_wait_counts() {
        let quota = |limit| Quota { limit, period_seconds: 60 };
        let (device, ip) = (Use::of(Rule::DonationDevice, "d"), Use::of(Rule::DonationIp, "i"));
        let uses = [(&device, quota(10)), (&ip, quota(600))];
        let verdict = |remaining, retry| Verdict { remaining, reset: Duration::from_millis(1_200), retry: Duration::from_millis(retry) };
        let headers = judge(&uses, &[verdict(9, 0), verdict(100, 0)]).map(|allowance| allowance.headers()).unwrap_or_default();
        assert_eq!(headers.get("ratelimit").map(HeaderValue::as_bytes), Some(b"\"donation_ip\";r=100;t=2".as_slice()));
        assert_eq!(headers.get("ratelimit-policy").map(HeaderValue::as_bytes), Some(b"\"donation_ip\";q=600;w=60".as_slice()));
        let exceeded = judge(&uses, &[verdict(0, 6_000), verdict(0, 100)]).err();
        assert_eq!(exceeded.map(|exceeded| (exceeded.rule, whole_seconds(exceeded.retry))), Some((Rule::DonationDevice, 6)));
    }

    #[test]
    fn a_customer_with_many_ipv6_addresses_is_one() {
        let of = |text: &str| text.parse().map(network).map(|address| address.to_string()).unwrap_or_default();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_ne!(of("2001:db8:1:3::1"), of("2001:db8:1:2::1"));
        assert_eq!(of("203.0.113.9"), "203.0.113.9");
    }
}
