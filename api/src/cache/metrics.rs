//! The metrics of the caches.

use prometheus::{IntCounter, IntGauge, Registry};

use super::subject::CacheClass;
use crate::telemetry::metrics::{self, Family, label};

label! {
    /// The place where an answer was looked up.
    pub enum CacheLayer {
        /// The cache in this process.
        Local = "local",
        /// The cache in Redis.
        Redis = "redis",
        /// The database, which is asked if no cache has the answer.
        Postgres = "postgres",
    }
}

label! {
    /// The result of a look-up.
    pub enum CacheOutcome {
        /// The place had an answer, even if it was that there is nothing for the public.
        Hit = "hit",
        /// The place had no answer.
        Miss = "miss",
        /// The place had an old answer, which was served because neither store could be asked.
        Stale = "stale",
        /// The place could not be asked.
        Failed = "failed",
    }
}

label! {
    /// The result of storing an answer in Redis.
    pub enum Fill {
        /// Redis has stored the answer.
        Stored = "stored",
        /// The answer was invalidated or replaced while it was loaded, so it was not stored.
        Outdated = "outdated",
        /// Redis did not answer.
        Failed = "failed",
    }
}

/// The metrics of the caches.
pub struct CacheMetrics {
    requests: Family<(CacheLayer, CacheClass, CacheOutcome), IntCounter>,
    fills: Family<(CacheClass, Fill), IntCounter>,
    connected: IntGauge,
}

impl CacheMetrics {
    /// Registers every metric in `registry`; fails if one of their names is registered already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            requests: Family::new(
                registry,
                "doacoes_cache_requests_total",
                "Lookups by layer (local, redis, postgres), entity and result; a hit of postgres is a load.",
                ["layer", "entity", "result"],
            )?,
            fills: Family::new(
                registry,
                "doacoes_cache_fills_total",
                "Answers given to Redis: stored, outdated by a change in the meantime, or failed.",
                ["entity", "result"],
            )?,
            connected: metrics::gauge(registry, "doacoes_cache_connected", "1 while invalidations by other processes are received.")?,
        })
    }

    /// Counts a look-up in `layer`.
    pub(super) fn request(&self, layer: CacheLayer, class: CacheClass, outcome: CacheOutcome) {
        self.requests.get((layer, class, outcome)).inc();
    }

    /// Counts an attempt to store an answer in Redis.
    pub(super) fn fill(&self, class: CacheClass, fill: Fill) {
        self.fills.get((class, fill)).inc();
    }

    /// Sets whether this process receives the invalidations of other processes.
    pub(super) fn connected(&self, connected: bool) {
        self.connected.set(i64::from(connected));
    }
}
