//! What every request works with.

use std::sync::Arc;

use ipnet::IpNet;
use prometheus::{IntCounter, Registry};
use time::Duration;

use crate::cache::{Cache, CacheMetrics};
use crate::config::keys::Keys;
use crate::config::{Config, Profile, PublicUrl};
use crate::domain::donation::DonationStatus;
use crate::gateway::Gateways;
use crate::limits::load_shed::{QueueMetrics, SerialQueue, WaitQueue};
use crate::limits::{LimitMetrics, Limits, Rules};
use crate::password::Passwords;
use crate::process::clock::Clock;
use crate::process::readiness::Readiness;
use crate::process::shutdown::Shutdown;
use crate::redis_client::RedisClient;
use crate::store::Database;
use crate::streams::{StreamMetrics, Streams};
use crate::telemetry::metrics::Family;

/// The shared state; cheap to clone.
pub type AppState = Arc<Core>;

/// The version of the privacy notice that donors and people agree to.
pub const PRIVACY_NOTICE: &str = "2026-11";

/// Requests for a new password that may wait to be carried out. Each takes some milliseconds, so many wait only while the database
/// is away.
const MAX_WAITING_RESETS: usize = 64;

/// Everything that lives as long as the process.
pub struct Core {
    /// The pools of connections to PostgreSQL.
    pub db: Database,
    /// The client of Redis. Redis only makes things faster: the process works without it.
    pub redis: Arc<RedisClient>,
    /// The caches of what many people read.
    pub cache: Arc<Cache>,
    /// The streams of campaigns' totals.
    pub streams: Arc<Streams>,
    /// The rate limits.
    pub limits: Limits,
    /// The source of the time and of new ids.
    pub clock: Clock,
    /// The keys that seal and hash data.
    pub keys: Keys,
    /// The hashing of passwords, behind a bounded queue.
    pub passwords: Passwords,
    /// The queue of accepted requests for a new password.
    pub resets: SerialQueue,
    /// The payment providers that are in use.
    pub gateways: Gateways,
    /// The metrics of the services.
    pub metrics: Metrics,
    /// Tells tasks that the process is to stop, and waits for them.
    pub shutdown: Shutdown,
    /// What `/readyz` looks at.
    pub readiness: Readiness,
    /// Development or production, which decides defaults.
    pub profile: Profile,
    /// Where visitors reach the API.
    pub public_url: PublicUrl,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// The metrics of the services.
pub struct Metrics {
    donations: Family<DonationStatus, IntCounter>,
}

impl Metrics {
    /// Registers every metric in `registry`; fails if one of their names is registered already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let help = "Donations that reached a state in this process.";
        Ok(Self { donations: Family::new(registry, "doacoes_donations_total", help, ["situacao"])? })
    }

    /// Counts `count` more donations that reached the state `status`.
    pub fn donations(&self, status: DonationStatus, count: usize) {
        self.donations.get(status).inc_by(u64::try_from(count).unwrap_or(0));
    }
}

/// What [`Core::new`] makes the state of, beside the configuration.
pub struct Parts {
    /// The pools of connections to PostgreSQL.
    pub db: Database,
    /// The client of Redis, which caches and limits use as well.
    pub redis: Arc<RedisClient>,
    /// The quotas that [`Core::limits`] enforces.
    pub rules: Rules,
    /// The source of the time and of new ids; tests give one that stands still.
    pub clock: Clock,
    /// The keys that seal and hash data, as read from their files.
    pub keys: Keys,
    /// The hashing of passwords, with its queue.
    pub passwords: Passwords,
}

impl Core {
    /// Makes the state and registers its metrics in `registry`; fails if one of their names is registered already. Starts no task.
    pub fn new(config: &Config, parts: Parts, registry: &Registry, queues: &QueueMetrics) -> Result<Self, prometheus::Error> {
        let Parts { db, redis, rules, clock, keys, passwords } = parts;
        let (cache, shutdown) = (Arc::new(Cache::new(Arc::clone(&redis), CacheMetrics::new(registry)?)), Shutdown::default());
        Ok(Self {
            db,
            streams: Arc::new(Streams::new(Arc::clone(&cache), shutdown.clone(), StreamMetrics::new(registry)?, queues)),
            cache,
            limits: Limits::new(rules, Arc::clone(&redis), &keys.email, LimitMetrics::new(registry)?),
            redis,
            clock,
            keys,
            passwords,
            resets: SerialQueue::new(MAX_WAITING_RESETS, WaitQueue::Resets, queues),
            gateways: Gateways::new(&config.payments),
            metrics: Metrics::new(registry)?,
            shutdown,
            readiness: Readiness::new(registry)?,
            profile: config.profile,
            public_url: config.public_url.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
        })
    }

    /// Time until a changed PIX key is used: 24 hours, none in development. It lets owners see an intruder's change before money
    /// goes astray.
    pub fn pix_key_cool_down(&self) -> Duration {
        match self.profile {
            Profile::Development => Duration::ZERO,
            Profile::Production => Duration::hours(24),
        }
    }
}
