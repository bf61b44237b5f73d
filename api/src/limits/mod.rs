//! How often something may be done: the generic cell rate algorithm, in Redis for all processes together, and in this
//! process alone while Redis does not answer. How many may wait at once is in [`load_shed`].

mod gcra;
pub mod load_shed;
mod local;
mod reads;
mod remote;
mod rules;

pub use gcra::Verdict;
pub use local::Local;
pub use remote::{Judged, RemoteBuckets};
pub use rules::{Quota, Rule, Rules, RulesError};

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus::{IntCounter, Registry};

use crate::config::keys::{KeyRing, KeyedHash, random_hex};
use crate::domain::network::customer_network;
use crate::redis_client::RedisClient;
use crate::telemetry::metrics::{Family, label};
use reads::Reads;

/// One use of what a rule limits.
#[derive(Clone, Debug)]
pub struct Use {
    /// The rule.
    pub rule: Rule,
    /// Whose use it is, in plain text.
    subject: String,
}

impl Use {
    /// A use by `subject`.
    pub fn of(rule: Rule, subject: impl fmt::Display) -> Self {
        Self { rule, subject: subject.to_string() }
    }

    /// A use by whoever is behind `address`.
    pub fn from_address(rule: Rule, address: IpAddr) -> Self {
        Self::of(rule, customer_network(address))
    }
}

/// Whose use it is, as 128 bits of a keyed hash: nobody who reads Redis can try addresses and e-mails against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LimitSubject([u8; 16]);

impl LimitSubject {
    /// The hash of `subject`, another one for each rule.
    pub fn new(hash: &KeyedHash, rule: Rule, subject: &str) -> Self {
        let hash = hash.of(format!("{}\n{subject}", rule.as_str()).as_bytes());
        Self(hash.first_chunk().copied().unwrap_or_default())
    }
}

impl fmt::Display for LimitSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// What a use is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The rule.
    pub rule: Rule,
    /// Whose it is.
    pub subject: LimitSubject,
    /// How much it holds.
    pub quota: Quota,
}

impl Bucket {
    const fn key(&self) -> (Rule, LimitSubject) {
        (self.rule, self.subject)
    }
}

/// A use that was allowed, with what is left of the limit that is nearest.
#[derive(Debug, Default)]
pub struct Allowance {
    /// The state of the limit of which the smallest share is left; `None` if no rule applies.
    state: Option<QuotaState>,
    /// The buckets that the use was taken from, and the store that has them.
    taken: Option<(LimitStore, Vec<Bucket>)>,
}

/// How much of a limit is left, for the answer's headers.
#[derive(Clone, Debug)]
pub struct QuotaState {
    /// The rule that sets the limit.
    pub rule: Rule,
    /// The number of uses and the period that the rule allows.
    pub quota: Quota,
    /// The number of further uses that are allowed now.
    pub remaining: u32,
    /// Time until the whole quota is available again.
    pub reset: Duration,
}

impl Allowance {
    /// The state of the limit of which the smallest share is left; `None` if no rule applies.
    pub const fn state(&self) -> Option<&QuotaState> {
        self.state.as_ref()
    }
}

/// A limit was reached.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the limit {} is reached", .state.rule.as_str())]
pub struct Exceeded {
    /// Time until one more use is allowed.
    pub retry: Duration,
    state: QuotaState,
}

impl Exceeded {
    /// The rule whose limit was reached.
    pub const fn rule(&self) -> Rule {
        self.state.rule
    }

    /// The state of the limit that was reached.
    pub const fn state(&self) -> &QuotaState {
        &self.state
    }

    /// Lets it pass all the same; nothing was taken.
    pub fn waived(self) -> Allowance {
        Allowance { state: Some(self.state), taken: None }
    }
}

label! {
    /// The store in which uses are counted.
    pub enum LimitStore {
        /// Redis, in which all processes count together.
        Redis = "redis",
        /// The memory of this process, which counts alone while Redis does not answer.
        Local = "local",
    }
}

/// The metrics of the limits.
pub struct LimitMetrics {
    refused: Family<Rule, IntCounter>,
    checks: Family<LimitStore, IntCounter>,
}

impl LimitMetrics {
    /// Registers every metric in `registry`; fails if one of their names is registered already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            refused: Family::new(
                registry,
                "doacoes_rate_limited_total",
                "Uses that a limit refused; a repeated donation is answered all the same.",
                ["rule"],
            )?,
            checks: Family::new(
                registry,
                "doacoes_rate_limit_checks_total",
                "Uses held against their limits, by the store that did.",
                ["store"],
            )?,
        })
    }
}

/// Every limit.
pub struct Limits {
    rules: Rules,
    remote: RemoteBuckets,
    local: Local,
    reads: Option<Reads>,
    hash: KeyedHash,
    metrics: LimitMetrics,
}

impl Limits {
    /// Limits by `rules`, shared through `redis`, of subjects hashed with a key made from `keys`.
    pub fn new(rules: Rules, redis: Arc<RedisClient>, keys: &KeyRing, metrics: LimitMetrics) -> Self {
        let reads = rules.quota(Rule::ReadIp).map(Reads::new);
        Self { rules, remote: RemoteBuckets::new(redis), local: Local::default(), reads, hash: keys.stable_hasher("limites"), metrics }
    }

    /// Takes all of `uses`, or none where one of them is one too many.
    pub async fn take(&self, uses: &[Use]) -> Result<Allowance, Exceeded> {
        let buckets = self.buckets(uses);
        if buckets.is_empty() {
            return Ok(Allowance::default());
        }
        let (store, verdicts) = match self.remote.take(&buckets).await {
            Ok(judged) => (LimitStore::Redis, judged.verdicts),
            // Each process for itself: four of them allow four times as much, and nobody is turned away for Redis's sake.
            Err(_) => (LimitStore::Local, self.local.take(&buckets)),
        };
        self.judged(store, buckets, &verdicts)
    }

    /// Takes `one` in this process alone, and whether it was there: for what only has to stay cheap for the process itself.
    pub fn take_here(&self, one: Use) -> bool {
        self.local.take(&self.buckets(&[one])).iter().all(|verdict| verdict.retry.is_zero())
    }

    /// Counts a read from `address`, in this process alone; the answer's headers tell nothing of it.
    pub fn read(&self, address: IpAddr) -> Result<(), Exceeded> {
        let Some(reads) = &self.reads else { return Ok(()) };
        match reads.take(address) {
            Some(Verdict { remaining, reset, retry }) if !retry.is_zero() => {
                self.metrics.refused.get(Rule::ReadIp).inc();
                Err(Exceeded { retry, state: QuotaState { rule: Rule::ReadIp, quota: reads.quota(), remaining, reset } })
            }
            _ => Ok(()),
        }
    }

    fn judged(&self, store: LimitStore, buckets: Vec<Bucket>, verdicts: &[Verdict]) -> Result<Allowance, Exceeded> {
        self.metrics.checks.get(store).inc();
        match judge(&buckets, verdicts) {
            Ok(state) => Ok(Allowance { state, taken: Some((store, buckets)) }),
            Err(exceeded) => {
                self.metrics.refused.get(exceeded.rule()).inc();
                Err(exceeded)
            }
        }
    }

    /// Does `work`, of which only what ends as a failure counts.
    pub async fn count_failures<T, E>(
        &self,
        uses: &[Use],
        work: impl Future<Output = Result<T, E>>,
        is_failure: impl FnOnce(&E) -> bool,
    ) -> Result<(Allowance, Result<T, E>), Exceeded> {
        self.count(uses, work, |result| result.as_ref().is_err_and(is_failure)).await
    }

    /// Does `work` and lets it count where what came of it `counts`. Taken beforehand, since many may begin at once.
    pub async fn count<T>(
        &self,
        uses: &[Use],
        work: impl Future<Output = T>,
        counts: impl FnOnce(&T) -> bool,
    ) -> Result<(Allowance, T), Exceeded> {
        let mut allowance = self.take(uses).await?;
        let result = work.await;
        if !counts(&result) {
            allowance = self.give_back(allowance).await;
        }
        Ok((allowance, result))
    }

    /// Gives back what was taken for `allowance`, where it was taken.
    async fn give_back(&self, allowance: Allowance) -> Allowance {
        let Allowance { state, taken } = allowance;
        let Some((store, buckets)) = taken else { return Allowance { state, taken } };
        let verdicts = match store {
            LimitStore::Local => self.local.give_back(&buckets),
            LimitStore::Redis => match self.remote.give_back(&buckets).await {
                Ok(judged) => judged.verdicts,
                // It went since; the limit is a little stricter for a while.
                Err(_) => return Allowance { state, taken: None },
            },
        };
        Allowance { state: nearest(&buckets, &verdicts), taken: None }
    }

    /// Tries whether Redis does what limits and caches ask of it, with a bucket of nobody's that is gone a second later.
    pub async fn self_test(&self) -> Result<(), redis::RedisError> {
        let (rule, id) = (Rule::DonationDevice, random_hex());
        let bucket = Bucket { rule, subject: LimitSubject::new(&self.hash, rule, &id), quota: Quota { limit: 1, period_seconds: 1 } };
        self.remote.self_test(&id, &[bucket]).await
    }

    fn buckets(&self, uses: &[Use]) -> Vec<Bucket> {
        let bucket = |one: &Use| {
            let quota = self.rules.quota(one.rule)?;
            Some(Bucket { rule: one.rule, subject: LimitSubject::new(&self.hash, one.rule, &one.subject), quota })
        };
        uses.iter().filter_map(bucket).collect()
    }
}

/// The state of the limit of which the smallest share is left; fails if a limit is reached.
fn judge(buckets: &[Bucket], verdicts: &[Verdict]) -> Result<Option<QuotaState>, Exceeded> {
    let refused = buckets.iter().zip(verdicts).filter(|(_, verdict)| !verdict.retry.is_zero()).max_by_key(|(_, verdict)| verdict.retry);
    match refused {
        Some((bucket, verdict)) => Err(Exceeded { retry: verdict.retry, state: QuotaState::new(bucket, verdict) }),
        None => Ok(nearest(buckets, verdicts)),
    }
}

fn nearest(buckets: &[Bucket], verdicts: &[Verdict]) -> Option<QuotaState> {
    let share = |bucket: &Bucket, verdict: &Verdict| u64::from(verdict.remaining) * 1_000_000 / u64::from(bucket.quota.limit);
    let nearest = buckets.iter().zip(verdicts).min_by_key(|(bucket, verdict)| share(bucket, verdict));
    nearest.map(|(bucket, verdict)| QuotaState::new(bucket, verdict))
}

impl QuotaState {
    const fn new(bucket: &Bucket, verdict: &Verdict) -> Self {
        Self { rule: bucket.rule, quota: bucket.quota, remaining: verdict.remaining, reset: verdict.reset }
    }
}

/// Rounded up: who waits that long is let through.
pub fn whole_seconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::config::keys::Keys;

    #[test]
    fn the_limit_that_is_nearest_is_told_and_the_longest_wait_counts() {
        let bucket = |rule, limit| Bucket { rule, subject: LimitSubject([0; 16]), quota: Quota { limit, period_seconds: 60 } };
        let buckets = [bucket(Rule::DonationDevice, 10), bucket(Rule::DonationIp, 600)];
        let verdict = |remaining, retry| Verdict { remaining, reset: Duration::from_millis(1_200), retry: Duration::from_millis(retry) };
        let state = judge(&buckets, &[verdict(9, 0), verdict(100, 0)]).unwrap().unwrap();
        assert_eq!((state.rule, state.remaining, state.reset), (Rule::DonationIp, 100, Duration::from_millis(1_200)));
        let exceeded = judge(&buckets, &[verdict(0, 6_000), verdict(0, 100)]).unwrap_err();
        assert_eq!((exceeded.rule(), whole_seconds(exceeded.retry)), (Rule::DonationDevice, 6));
    }

    #[test]
    fn subjects_are_told_apart_by_the_key_and_by_the_rule() {
        let folder = tempfile::tempdir().unwrap();
        let hasher = |name: &str| {
            Keys::create_missing(&folder.path().join(name)).unwrap();
            Keys::load(&folder.path().join(name)).unwrap().email.stable_hasher("limites")
        };
        let (ours, others) = (hasher("a"), hasher("b"));
        let subject = LimitSubject::new(&ours, Rule::LoginEmail, "ana@exemplo.org.br");
        assert_eq!(subject, LimitSubject::new(&hasher("a"), Rule::LoginEmail, "ana@exemplo.org.br"));
        assert_ne!(subject, LimitSubject::new(&others, Rule::LoginEmail, "ana@exemplo.org.br"));
        assert_ne!(subject, LimitSubject::new(&ours, Rule::ResetEmail, "ana@exemplo.org.br"));
        assert_ne!(subject, LimitSubject::new(&ours, Rule::LoginEmail, "bia@exemplo.org.br"));
        assert_eq!(subject.to_string().len(), 32);
    }
}
