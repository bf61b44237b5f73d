//! Which stores answer. Asked once a second by a task of its own, so that a probe is answered at once also while a store hangs.
//!
//! An outage does not make the process unready: it would be unready in every replica at once, and what is served without the
//! store would be gone as well.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use crate::metrics::{Metrics, Store};
use crate::state::Core;

const EVERY: Duration = Duration::from_secs(1);
/// What does not answer within this time has missed; Redis has the time of any command only.
const PATIENCE: Duration = Duration::from_secs(1);
/// After so many in a row it counts as away: a busy moment is no outage.
const MISSES: u8 = 2;

/// What each store last did.
#[derive(Debug, Default)]
pub struct Health {
    postgres: Answers,
    redis: Answers,
    /// Whether Redis answers but does not do what is asked of it.
    redis_refuses: AtomicBool,
}

#[derive(Debug, Default)]
struct Answers {
    /// Whether it ever answered.
    reached: AtomicBool,
    /// How often it did not since, as far as that matters.
    missed: AtomicU8,
}

impl Health {
    /// Whether the database has answered since the process started.
    pub fn has_reached_database(&self) -> bool {
        self.postgres.reached.load(Ordering::Relaxed)
    }

    /// Whether Redis answers but does not do what is asked of it; see [`rehearsal`](crate::rehearsal).
    pub fn note_refusal(&self, refuses: bool) {
        self.redis_refuses.store(refuses, Ordering::Relaxed);
    }

    /// The stores that do not answer now, or not as they should.
    pub fn degraded(&self) -> Vec<Store> {
        Store::ALL.iter().copied().filter(|store| self.is_away(*store) || self.refuses(*store)).collect()
    }

    fn refuses(&self, store: Store) -> bool {
        store == Store::Redis && self.redis_refuses.load(Ordering::Relaxed)
    }

    fn is_away(&self, store: Store) -> bool {
        // Nothing was ever served with a database that was never reached.
        let was_there = store == Store::Redis || self.has_reached_database();
        was_there && self.of(store).missed.load(Ordering::Relaxed) >= MISSES
    }

    fn note(&self, store: Store, answers: bool, metrics: &Metrics) {
        let of = self.of(store);
        let before = self.is_away(store);
        let missed = if answers { 0 } else { of.missed.load(Ordering::Relaxed).saturating_add(1) };
        of.missed.store(missed, Ordering::Relaxed);
        of.reached.fetch_or(answers, Ordering::Relaxed);
        metrics.degraded(store, missed >= MISSES || self.refuses(store));
        match (before, self.is_away(store)) {
            (false, true) => tracing::warn!(store = store.as_str(), "a store does not answer"),
            (true, false) => tracing::info!(store = store.as_str(), "a store answers again"),
            _ => {}
        }
    }

    const fn of(&self, store: Store) -> &Answers {
        match store {
            Store::Postgres => &self.postgres,
            Store::Redis => &self.redis,
        }
    }
}

/// Asks the stores until a stop is asked for.
pub async fn watch(core: &Core) {
    while !core.shutdown.has_begun() {
        let postgres = async { tokio::time::timeout(PATIENCE, core.db.answers()).await.unwrap_or(false) };
        let redis = async { tokio::time::timeout(PATIENCE, core.redis.ping()).await.unwrap_or(false) };
        let (postgres, redis) = tokio::join!(postgres, redis);
        core.health.note(Store::Postgres, postgres, &core.metrics);
        core.cache.note_database(!core.health.is_away(Store::Postgres));
        core.health.note(Store::Redis, redis, &core.metrics);
        core.shutdown.pause(EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_store_that_was_never_there_is_missing_and_one_that_went_is_degraded() {
        let (health, metrics) = (Health::default(), Metrics::new().unwrap());
        let twice = |store, answers| (0..2).for_each(|_| health.note(store, answers, &metrics));
        twice(Store::Postgres, false);
        health.note(Store::Redis, false, &metrics);
        assert_eq!(health.degraded(), [], "one miss is a busy moment");
        health.note(Store::Redis, true, &metrics);
        twice(Store::Redis, false);
        assert!(!health.has_reached_database());
        assert_eq!(health.degraded(), [Store::Redis]);
        health.note(Store::Postgres, true, &metrics);
        assert!(health.has_reached_database());
        twice(Store::Postgres, false);
        assert!(health.has_reached_database());
        assert_eq!(health.degraded(), [Store::Postgres, Store::Redis]);
        health.note(Store::Redis, true, &metrics);
        assert_eq!(health.degraded(), [Store::Postgres]);
        health.note(Store::Postgres, true, &metrics);
        health.note_refusal(true);
        assert_eq!(health.degraded(), [Store::Redis], "an answer to a ping is not all");
        health.note_refusal(false);
        assert_eq!(health.degraded(), []);
    }
}
