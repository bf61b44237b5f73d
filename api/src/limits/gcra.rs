//! The generic cell rate algorithm (ITU-T I.371), in microseconds. A bucket is one number: its theoretical arrival time, at which
//! everything taken so far will have been earned again.
//!
//! The scripts of [`super::remote`] do the same sums; a test holds the two together.

use std::time::Duration;

use super::Quota;

/// How a bucket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How many more may be taken at once.
    pub remaining: u32,
    /// Until the whole quota is there again.
    pub reset: Duration,
    /// Until one more is there; zero where one was.
    pub retry: Duration,
}

/// The bucket after one was asked of it: its arrival time, the same as before where there was none left, and how it stands.
pub(super) fn take(quota: Quota, arrival: Option<u64>, now: u64) -> (u64, Verdict) {
    let before = within_burst(quota, arrival, now);
    let after = before + quota.interval_micros();
    let wait = after.saturating_sub(now + quota.burst_micros());
    let arrival = if wait == 0 { after } else { before };
    (arrival, verdict(quota, arrival, now, wait))
}

/// The bucket after one was given back to it. There is never more in it than its quota.
pub(super) fn give_back(quota: Quota, arrival: Option<u64>, now: u64) -> (u64, Verdict) {
    let arrival = within_burst(quota, arrival, now).saturating_sub(quota.interval_micros()).max(now);
    (arrival, verdict(quota, arrival, now, 0))
}

/// No further than a burst from now: what was taken under a larger quota, or by a clock that was ahead, locks nobody out for
/// longer than the period.
fn within_burst(quota: Quota, arrival: Option<u64>, now: u64) -> u64 {
    arrival.unwrap_or(now).clamp(now, now + quota.burst_micros())
}

fn verdict(quota: Quota, arrival: u64, now: u64, wait: u64) -> Verdict {
    let left = (now + quota.burst_micros()).saturating_sub(arrival) / quota.interval_micros();
    Verdict {
        remaining: u32::try_from(left).unwrap_or(u32::MAX),
        reset: Duration::from_micros(arrival - now),
        retry: Duration::from_micros(wait),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000;

    /// Asks at each time; how long each had to wait.
    fn asked(quota: Quota, times: &[u64]) -> Vec<Duration> {
        let mut arrival = None;
        let ask = |now: &u64| {
            let (after, verdict) = take(quota, arrival, *now);
            arrival = Some(after);
            verdict.retry
        };
        times.iter().map(ask).collect()
    }

    #[test]
    fn what_was_taken_under_a_larger_quota_locks_out_for_no_longer_than_the_period() {
        let now = 5 * SECOND;
        let quota = Quota { limit: 10, period_seconds: 60 };
        let (arrival, refused) = take(quota, Some(now + 900 * SECOND), now);
        assert_eq!((refused.remaining, refused.reset, refused.retry), (0, Duration::from_mins(1), Duration::from_secs(6)));
        // The next one waits for its turn, not for the old quota's.
        let (arrival, allowed) = take(quota, Some(arrival), now + 6 * SECOND);
        assert!(allowed.retry.is_zero());
        assert_eq!(take(quota, Some(arrival), now + 66 * SECOND).1.remaining, 9);
    }

    #[test]
    fn no_more_is_given_back_than_was_taken() {
        let quota = Quota { limit: 2, period_seconds: 60 };
        let (arrival, _) = take(quota, None, SECOND);
        let (arrival, verdict) = give_back(quota, Some(arrival), SECOND);
        assert_eq!((verdict.remaining, verdict.reset), (2, Duration::ZERO));
        assert_eq!(give_back(quota, Some(arrival), SECOND), (arrival, verdict));
    }

    prop_compose! {
        fn quotas()(limit in prop_oneof![1_u32..60, 1_u32..=1_000_000], period_seconds in prop_oneof![1_u32..1_000, 1_u32..=2_678_400]) -> Quota {
            Quota { limit, period_seconds }
        }
    }

    proptest! {
        // In any window no more pass than the burst and what is earned in it, and whoever keeps to that is never refused.
        #[test]
        fn exactly_what_conforms_passes(
            quota in quotas(),
            // Crowds, steps of about an interval, and long pauses.
            pauses in proptest::collection::vec(prop_oneof![Just(0.0), 0.0..2.0_f64, 0.0..100.0_f64], 1..200),
        ) {
            let interval = quota.interval_micros();
            let mut now = 7 * SECOND;
            let mut arrival = None;
            let mut passed: Vec<u64> = vec![];
            for pause in pauses {
                now += u64::try_from((Duration::from_micros(interval).mul_f64(pause)).as_micros()).unwrap();
                // The windows from each that passed until now, this one included.
                let conforms = passed.iter().rev().zip(2_u64..).all(|(from, count)| count <= u64::from(quota.limit) + (now - from) / interval);
                let (after, verdict) = take(quota, arrival, now);
                prop_assert_eq!(verdict.retry.is_zero(), conforms);
                if conforms {
                    passed.push(now);
                } else {
                    // The wait is exact: a microsecond sooner it is still too soon.
                    let wait = u64::try_from(verdict.retry.as_micros()).unwrap();
                    prop_assert!(take(quota, Some(after), now + wait).1.retry.is_zero());
                    prop_assert!(!take(quota, Some(after), now + wait - 1).1.retry.is_zero());
                }
                arrival = Some(after);
            }
        }

        #[test]
        fn whoever_waited_the_period_has_the_whole_quota(quota in quotas(), taken in 0_usize..200) {
            let mut times = vec![SECOND; taken];
            let rested = SECOND + quota.burst_micros();
            let whole = usize::try_from(quota.limit.min(500)).unwrap();
            times.extend(vec![rested; whole]);
            let waits = asked(quota, &times);
            prop_assert!(waits.get(taken..).unwrap().iter().all(Duration::is_zero));
        }
    }
}
