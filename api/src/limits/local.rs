//! The buckets of this process alone: of what is only counted here, and of everything while Redis does not answer.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::gcra::{self, Verdict};
use super::{Bucket, LimitSubject, Rule};

/// Buckets that are remembered at most, about 5 MiB. Of more, those that are used least are forgotten.
const MAX_BUCKETS: usize = 100_000;
/// Number of buckets from which on those that are full again are removed; with fewer it is not worth the time.
const MIN_BUCKETS_TO_SWEEP: usize = 1_000;

/// Buckets in memory. The lock is held for some comparisons; reads of the API never come here.
pub struct Local {
    epoch: Instant,
    table: Mutex<Buckets>,
}

impl Default for Local {
    fn default() -> Self {
        Self { epoch: Instant::now(), table: Mutex::default() }
    }
}

impl Local {
    pub(super) fn take(&self, buckets: &[Bucket]) -> Vec<Verdict> {
        self.take_at(buckets, self.now())
    }

    pub(super) fn give_back(&self, buckets: &[Bucket]) -> Vec<Verdict> {
        self.give_back_at(buckets, self.now())
    }

    /// Takes one from each bucket at `now`, in microseconds, or from none where one of them is empty.
    pub fn take_at(&self, buckets: &[Bucket], now: u64) -> Vec<Verdict> {
        self.table().take(buckets, now)
    }

    /// Gives one back to each bucket at `now`, in microseconds.
    pub fn give_back_at(&self, buckets: &[Bucket], now: u64) -> Vec<Verdict> {
        self.table().give_back(buckets, now)
    }

    fn table(&self) -> MutexGuard<'_, Buckets> {
        // Numbers are whole wherever a panic came between them.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

#[derive(Default)]
struct Buckets {
    levels: HashMap<(Rule, LimitSubject), Level>,
    /// When there are so many, full buckets are looked for.
    tidy_at: usize,
}

#[derive(Clone, Copy)]
struct Level {
    arrival: u64,
    /// How far `arrival` is from now when the bucket is empty.
    burst: u64,
}

impl Level {
    /// In millionths, how much of the quota is used.
    fn used(self, now: u64) -> u128 {
        u128::from(self.arrival.saturating_sub(now)) * 1_000_000 / u128::from(self.burst.max(1))
    }
}

impl Buckets {
    fn take(&mut self, buckets: &[Bucket], now: u64) -> Vec<Verdict> {
        let steps: Vec<(u64, Verdict)> = buckets.iter().map(|bucket| gcra::take(bucket.quota, self.arrival(bucket), now)).collect();
        // What is refused takes nothing anywhere and is not remembered either: over one limit, nobody fills the table for another.
        let allowed = steps.iter().all(|(_, verdict)| verdict.retry.is_zero());
        for (bucket, (arrival, _)) in buckets.iter().zip(&steps) {
            if allowed {
                self.set(bucket, *arrival, now);
            } else if let Some(level) = self.levels.get_mut(&bucket.key()) {
                // Put right for good, as the script does: what is too far ahead would stay so until it has come.
                level.arrival = level.arrival.min(now + bucket.quota.burst_micros());
            }
        }
        steps.into_iter().map(|(_, verdict)| verdict).collect()
    }

    fn give_back(&mut self, buckets: &[Bucket], now: u64) -> Vec<Verdict> {
        let give_back = |bucket: &Bucket| {
            let (arrival, verdict) = gcra::give_back(bucket.quota, self.arrival(bucket), now);
            self.set(bucket, arrival, now);
            verdict
        };
        buckets.iter().map(give_back).collect()
    }

    fn arrival(&self, bucket: &Bucket) -> Option<u64> {
        self.levels.get(&bucket.key()).map(|level| level.arrival)
    }

    fn set(&mut self, bucket: &Bucket, arrival: u64, now: u64) {
        if arrival <= now {
            self.levels.remove(&bucket.key());
            return;
        }
        if self.levels.len() >= self.tidy_at.max(MIN_BUCKETS_TO_SWEEP) {
            self.tidy(now);
        }
        self.levels.insert(bucket.key(), Level { arrival, burst: bucket.quota.burst_micros() });
    }

    /// Looks at each bucket, so only when there are twice as many as the last time, or the most that there may be.
    fn tidy(&mut self, now: u64) {
        self.levels.retain(|_, level| level.arrival > now);
        if self.levels.len() >= MAX_BUCKETS {
            let mut used: Vec<u128> = self.levels.values().map(|level| level.used(now)).collect();
            let (_, middle, _) = used.select_nth_unstable(MAX_BUCKETS / 2);
            let middle = *middle;
            // Whoever is near a limit stays, so a flood of strangers buys nobody another guess.
            self.levels.retain(|_, level| level.used(now) > middle);
        }
        self.levels.shrink_to(2 * MIN_BUCKETS_TO_SWEEP);
        self.tidy_at = (2 * self.levels.len()).min(MAX_BUCKETS);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::limits::Quota;

    const SECOND: u64 = 1_000_000;

    fn bucket(rule: Rule, subject: u32, limit: u32, period_seconds: u32) -> Bucket {
        let mut hash = [0; 16];
        hash.first_chunk_mut().map(|start: &mut [u8; 4]| *start = subject.to_be_bytes()).unwrap();
        Bucket { rule, subject: LimitSubject(hash), quota: Quota { limit, period_seconds } }
    }

    fn is_taken(local: &Local, buckets: &[Bucket], now: u64) -> bool {
        local.take_at(buckets, now).iter().all(|verdict| verdict.retry.is_zero())
    }

    fn remembered(local: &Local) -> usize {
        local.table().levels.len()
    }

    #[test]
    fn each_subject_has_its_quota() {
        let local = Local::default();
        let one = [bucket(Rule::SignUpEmail, 1, 5, 3_600)];
        for _ in 0..5 {
            assert!(is_taken(&local, &one, SECOND));
        }
        assert!(!is_taken(&local, &one, SECOND));
        assert!(is_taken(&local, &[bucket(Rule::SignUpEmail, 2, 5, 3_600)], SECOND));
        assert!(is_taken(&local, &[bucket(Rule::ResetEmail, 1, 5, 3_600)], SECOND));
        assert!(is_taken(&local, &one, 721 * SECOND));
    }

    #[test]
    fn a_use_is_taken_from_all_or_from_none() {
        let local = Local::default();
        let (device, address) = (bucket(Rule::DonationDevice, 1, 2, 60), bucket(Rule::DonationIp, 9, 5, 60));
        let taken = (0..20).filter(|_| is_taken(&local, &[device, address], SECOND)).count();
        assert_eq!(taken, 2);
        assert_eq!((0..20).filter(|_| is_taken(&local, &[address], SECOND)).count(), 3);
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let local = Local::default();
        let both = [bucket(Rule::LoginEmail, 1, 1, 900), bucket(Rule::LoginIp, 9, 1, 900)];
        for _ in 0..10 {
            assert!(is_taken(&local, &both, SECOND));
            assert!(!is_taken(&local, &both, SECOND));
            assert!(local.give_back_at(&both, SECOND).iter().all(|verdict| verdict.remaining == 1));
        }
        assert_eq!(remembered(&local), 0);
    }

    #[test]
    fn whoever_is_over_one_limit_fills_the_memory_for_no_other() {
        let local = Local::default();
        let address = bucket(Rule::LoginIp, 9, 100, 900);
        for subject in 0..10_000 {
            is_taken(&local, &[bucket(Rule::LoginEmail, subject, 10, 900), address], SECOND);
        }
        assert_eq!(remembered(&local), 101);
    }

    #[test]
    fn full_buckets_are_forgotten_and_empty_ones_are_not() {
        let local = Local::default();
        let guesser = bucket(Rule::LoginEmail, u32::MAX, 2, 900_000);
        assert!(is_taken(&local, &[guesser], SECOND));
        assert!(is_taken(&local, &[guesser], SECOND));
        for subject in 0..50_000_u32 {
            // One each millisecond, earned again in ten seconds: ten thousand at a time matter.
            let now = SECOND + u64::from(subject) * 1_000;
            assert!(is_taken(&local, &[bucket(Rule::DonationDevice, subject, 1, 10)], now));
            assert!(remembered(&local) <= 20_002, "{}", remembered(&local));
        }
        assert!(!is_taken(&local, &[guesser], 60 * SECOND));
    }

    #[test]
    fn in_a_flood_memory_is_bounded_and_whoever_is_near_a_limit_is_remembered() {
        let local = Local::default();
        let guesser = bucket(Rule::LoginEmail, u32::MAX, 10, 900);
        for _ in 0..10 {
            assert!(is_taken(&local, &[guesser], SECOND));
        }
        for subject in 0..400_000 {
            // Their arrival times are later than the guesser's, their use is a hundredth.
            assert!(is_taken(&local, &[bucket(Rule::SignUpIp, subject, 100, 2_000_000)], SECOND));
            assert!(!is_taken(&local, &[guesser], SECOND));
            assert!(remembered(&local) <= MAX_BUCKETS);
        }
        let table = local.table();
        assert!(table.levels.capacity() <= 131_072 && size_of::<((Rule, LimitSubject), Level)>() <= 40, "5 MiB");
        drop(table);
        // All forgotten once they are full again.
        for subject in 0..200_000 {
            is_taken(&local, &[bucket(Rule::DonationIp, subject, 600, 60)], 3_000_000 * SECOND + u64::from(subject) * 10_000);
        }
        assert!(remembered(&local) <= MIN_BUCKETS_TO_SWEEP);
    }
}
