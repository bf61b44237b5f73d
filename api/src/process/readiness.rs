//! Whether this process can serve: set by the tasks that watch it, read by `/readyz`.
//!
//! A store that goes away does not make the process unready. Every replica would be unready at once, and then nothing would be
//! served of what works without the store.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use prometheus::{IntGauge, Registry};

use crate::telemetry::metrics::{Family, label};

label! {
    /// A store that may go away while the process serves.
    pub enum Store {
        /// The database. Without it only cached answers are served.
        Postgres = "postgres",
        /// Redis. Without it everything works, only slower.
        Redis = "redis",
    }
}

/// A store counts as away after it has missed this many times in a row: a busy moment is no outage.
const MISSES_BEFORE_AWAY: u8 = 2;

/// Everything that `/readyz` looks at.
pub struct Readiness {
    /// Which stores answer.
    pub stores: StoreHealth,
    /// Whether the pooler keeps statements of different clients apart.
    pub pooler: PoolerCheck,
    /// Whether a donation works here.
    pub self_test: SelfTest,
}

impl Readiness {
    /// The state at the start, when nothing has been checked. Registers `doacoes_degraded`; fails if it is registered already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self { stores: StoreHealth::new(registry)?, pooler: PoolerCheck::default(), self_test: SelfTest::default() })
    }
}

/// Which stores answer, and which have ever answered.
pub struct StoreHealth {
    degraded: Family<Store, IntGauge>,
    postgres: Answers,
    redis: Answers,
    /// Whether the last self-test of Redis failed.
    redis_refuses: AtomicBool,
}

#[derive(Debug, Default)]
struct Answers {
    /// Whether it ever answered.
    reached: AtomicBool,
    /// Health checks without an answer since its last answer, up to 255.
    missed: AtomicU8,
}

impl StoreHealth {
    /// The state before any store was asked. Registers `doacoes_degraded`; fails if it is registered already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let degraded = Family::new(registry, "doacoes_degraded", "1 while a store does not answer or failed its self-test.", ["store"])?;
        Ok(Self { degraded, postgres: Answers::default(), redis: Answers::default(), redis_refuses: AtomicBool::default() })
    }

    /// Whether the database has answered since the process started.
    pub fn has_reached_database(&self) -> bool {
        self.postgres.reached.load(Ordering::Relaxed)
    }

    /// Notes whether the last self-test of Redis failed, for instance because it answers a ping but refuses commands.
    pub fn note_refusal(&self, refuses: bool) {
        self.redis_refuses.store(refuses, Ordering::Relaxed);
    }

    /// The stores that are away, and Redis if its last self-test failed.
    pub fn degraded(&self) -> Vec<Store> {
        Store::ALL.iter().copied().filter(|store| self.is_away(*store) || self.refuses(*store)).collect()
    }

    fn refuses(&self, store: Store) -> bool {
        store == Store::Redis && self.redis_refuses.load(Ordering::Relaxed)
    }

    /// Whether `store` has missed two health checks in a row. A database that never answered does not count as away, since this
    /// process has never served with it.
    pub fn is_away(&self, store: Store) -> bool {
        let was_there = store == Store::Redis || self.has_reached_database();
        was_there && self.of(store).missed.load(Ordering::Relaxed) >= MISSES_BEFORE_AWAY
    }

    /// Notes the result of a health check of `store`, and logs when it goes away or comes back.
    pub fn note(&self, store: Store, answers: bool) {
        let of = self.of(store);
        let before = self.is_away(store);
        let missed = if answers { 0 } else { of.missed.load(Ordering::Relaxed).saturating_add(1) };
        of.missed.store(missed, Ordering::Relaxed);
        of.reached.fetch_or(answers, Ordering::Relaxed);
        self.degraded.get(store).set(i64::from(missed >= MISSES_BEFORE_AWAY || self.refuses(store)));
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

/// The state of the check that the pooler keeps statements of different clients apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolerState {
    /// The check has not finished.
    Pending,
    /// The check finished, and no statement was mixed up.
    Passed,
    /// A statement failed, or returned the rows of another.
    MixedUp,
}

/// The state of the check of the pooler, shared by tasks.
#[derive(Debug, Default)]
pub struct PoolerCheck(AtomicU8);

impl PoolerCheck {
    /// The present state.
    pub fn state(&self) -> PoolerState {
        match self.0.load(Ordering::Acquire) {
            0 => PoolerState::Pending,
            1 => PoolerState::Passed,
            _ => PoolerState::MixedUp,
        }
    }

    /// Replaces the state of the check.
    pub fn set(&self, state: PoolerState) {
        let number = match state {
            PoolerState::Pending => 0,
            PoolerState::Passed => 1,
            PoolerState::MixedUp => 2,
        };
        self.0.store(number, Ordering::Release);
    }
}

/// The state of the self-test, shared by tasks.
#[derive(Debug, Default)]
pub struct SelfTest(Mutex<SelfTestState>);

/// The state of the self-test, which makes a donation and rolls it back.
#[derive(Clone, Debug, Default)]
pub enum SelfTestState {
    /// No run has finished.
    #[default]
    Pending,
    /// The last run failed, for this reason, so donations would fail.
    Failed(String),
    /// A run has worked, so donations can be made.
    Passed,
}

impl SelfTest {
    /// Why the process is not ready as far as the self-test knows; `None` once it has passed.
    pub fn unready(&self) -> Option<String> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            SelfTestState::Pending => Some("the self-test of a donation has not finished".to_owned()),
            SelfTestState::Failed(reason) => Some(reason.clone()),
            SelfTestState::Passed => None,
        }
    }

    /// Replaces the state of the self-test.
    pub fn set(&self, state: SelfTestState) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_store_that_was_never_there_is_missing_and_one_that_went_is_degraded() {
        let health = StoreHealth::new(&Registry::new()).unwrap();
        let twice = |store, answers| (0..2).for_each(|_| health.note(store, answers));
        twice(Store::Postgres, false);
        health.note(Store::Redis, false);
        assert_eq!(health.degraded(), [], "one miss is a busy moment");
        health.note(Store::Redis, true);
        twice(Store::Redis, false);
        assert!(!health.has_reached_database());
        assert_eq!(health.degraded(), [Store::Redis]);
        health.note(Store::Postgres, true);
        assert!(health.has_reached_database());
        twice(Store::Postgres, false);
        assert!(health.has_reached_database());
        assert_eq!(health.degraded(), [Store::Postgres, Store::Redis]);
        health.note(Store::Redis, true);
        assert_eq!(health.degraded(), [Store::Postgres]);
        health.note(Store::Postgres, true);
        health.note_refusal(true);
        assert_eq!(health.degraded(), [Store::Redis], "an answer to a ping is not all");
        health.note_refusal(false);
        assert_eq!(health.degraded(), []);
    }
}
