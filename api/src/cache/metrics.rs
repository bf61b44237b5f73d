//! What is counted about the caches.

use prometheus::{IntCounter, IntGauge, Registry};

use super::subject::CacheClass;
use crate::metrics::{self, Family, label};

label! {
    /// Where an answer was looked for.
    pub enum CacheLayer {
        /// This process.
        Local = "local",
        /// Redis.
        Redis = "redis",
        /// The database.
        Postgres = "postgres",
    }
}

label! {
    /// What was found.
    pub enum CacheOutcome {
        /// The answer.
        Hit = "hit",
        /// Nothing.
        Miss = "miss",
        /// An old answer, served because neither store could be asked.
        Stale = "stale",
        /// The layer did not answer.
        Failed = "failed",
    }
}

label! {
    /// What became of an answer given to Redis.
    pub enum Fill {
        /// It is there.
        Stored = "stored",
        /// What it was made of has changed meanwhile.
        Outdated = "outdated",
        /// Redis did not answer.
        Failed = "failed",
    }
}

/// The families of the caches.
pub struct CacheMetrics {
    requests: Family<(CacheLayer, CacheClass, CacheOutcome), IntCounter>,
    fills: Family<(CacheClass, Fill), IntCounter>,
    connected: IntGauge,
}

impl CacheMetrics {
    /// Registers all.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            requests: Family::new(
                registry,
                "doacoes_cache_requests_total",
                "Look-ups by layer (local, redis, postgres), entity and result; a hit of postgres is a load.",
                ["layer", "entity", "result"],
            )?,
            fills: Family::new(
                registry,
                "doacoes_cache_fills_total",
                "Answers given to Redis: stored, outdated by a change in the meantime, or failed.",
                ["entity", "result"],
            )?,
            connected: metrics::gauge(registry, "doacoes_cache_connected", "1 while drops by other processes are heard.")?,
        })
    }

    /// A layer of the cache was asked.
    pub(super) fn request(&self, layer: CacheLayer, class: CacheClass, outcome: CacheOutcome) {
        self.requests.get((layer, class, outcome)).inc();
    }

    /// An answer was given to Redis.
    pub(super) fn fill(&self, class: CacheClass, fill: Fill) {
        self.fills.get((class, fill)).inc();
    }

    /// Whether drops by other processes are heard.
    pub(super) fn connected(&self, connected: bool) {
        self.connected.set(i64::from(connected));
    }
}
