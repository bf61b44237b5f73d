//! Reads of each address, in this process alone: most are answered from memory in microseconds, so counting them takes no lock, no
//! allocation and no Redis.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::Quota;
use super::gcra::{self, Verdict};
use crate::domain::network::customer_network;

/// Buckets, 512 KiB of them whoever comes. Addresses whose hashes meet share one: at some thousands of reads a second in each
/// bucket, nobody can keep so many empty that strangers are likely to meet one.
const BUCKET_COUNT: usize = 65_536;

pub(super) struct Reads {
    quota: Quota,
    epoch: Instant,
    /// With a key of its own, so that nobody can choose whom to share a bucket with.
    hash: RandomState,
    arrivals: Box<[AtomicU64]>,
}

impl Reads {
    pub(super) fn new(quota: Quota) -> Self {
        let arrivals = std::iter::repeat_with(AtomicU64::default).take(BUCKET_COUNT).collect();
        Self { quota, epoch: Instant::now(), hash: RandomState::new(), arrivals }
    }

    pub(super) const fn quota(&self) -> Quota {
        self.quota
    }

    pub(super) fn take(&self, address: IpAddr) -> Option<Verdict> {
        self.take_at(address, u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn take_at(&self, address: IpAddr, now: u64) -> Option<Verdict> {
        let buckets = u64::try_from(self.arrivals.len()).ok()?;
        let index = usize::try_from(self.hash.hash_one(customer_network(address)).checked_rem(buckets)?).ok()?;
        let bucket = self.arrivals.get(index)?;
        let mut before = bucket.load(Ordering::Relaxed);
        loop {
            let (after, verdict) = gcra::take(self.quota, Some(before), now);
            match bucket.compare_exchange_weak(before, after, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(verdict),
                Err(other) => before = other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn address(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn each_address_has_its_quota_also_when_all_read_at_once() {
        let reads = Reads::new(Quota { limit: 1_000, period_seconds: 10 });
        let passed: usize = std::thread::scope(|scope| {
            let read = || (0..1_000).filter(|_| reads.take_at(address(1), SECOND).is_some_and(|verdict| verdict.retry.is_zero())).count();
            let readers: Vec<_> = (0..4).map(|_| scope.spawn(read)).collect();
            readers.into_iter().map(|reader| reader.join().unwrap_or(0)).sum()
        });
        assert_eq!(passed, 1_000);
        // Of as many strangers as there are in a town, those who share the bucket are as good as none.
        let refused = (2..10_002).filter(|number| reads.take_at(address(*number), SECOND).is_none_or(|verdict| !verdict.retry.is_zero()));
        assert!(refused.count() < 10);
        assert!(reads.take_at(address(1), 11 * SECOND).is_some_and(|verdict| verdict.remaining == 999));
    }
}
