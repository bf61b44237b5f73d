//! Limits of this process alone, for the time that Redis does not answer.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, RateLimiter};

use super::{Allowance, Exceeded, Quota, Rule, Rules, Use};

/// After so many uses, subjects that have their whole quota again are forgotten.
const TIDY_EVERY: u32 = 4_096;

pub(super) struct Local {
    limiters: HashMap<Rule, DefaultKeyedRateLimiter<String>>,
    clock: DefaultClock,
    uses: AtomicU32,
}

impl Local {
    pub(super) fn new(rules: &Rules) -> Self {
        let limiter = |rule: &Rule| {
            let quota = rules.quota(*rule)?;
            let burst = NonZeroU32::new(quota.limit)?;
            Some((*rule, RateLimiter::keyed(governor::Quota::with_period(quota.interval())?.allow_burst(burst))))
        };
        Self { limiters: Rule::ALL.iter().filter_map(limiter).collect(), clock: DefaultClock::default(), uses: AtomicU32::new(0) }
    }

    /// One by one: what is taken before a use that is one too many stays taken.
    pub(super) fn take(&self, uses: &[(&Use, Quota)]) -> Result<Allowance, Exceeded> {
        for (one, _) in uses {
            let Some(limiter) = self.limiters.get(&one.rule) else { continue };
            if let Err(until) = limiter.check_key(&one.subject) {
                let retry = until.wait_time_from(self.clock.now());
                return Err(Exceeded { rule: one.rule, retry, allowance: Allowance::default() });
            }
        }
        if self.uses.fetch_add(1, Ordering::Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
            for limiter in self.limiters.values() {
                limiter.retain_recent();
                limiter.shrink_to_fit();
            }
        }
        Ok(Allowance::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subject_has_its_quota() {
        let rules = Rules::default();
        let local = Local::new(&rules);
        let take = |subject: &str| {
            let one = Use::of(Rule::SignUpEmail, subject);
            local.take(&[(&one, Quota { limit: 5, period_seconds: 3_600 })]).err().map(|exceeded| exceeded.rule)
        };
        for _ in 0..5 {
            assert_eq!(take("a"), None);
        }
        assert_eq!(take("a"), Some(Rule::SignUpEmail));
        assert_eq!(take("b"), None);
    }
}
