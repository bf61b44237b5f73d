//! What every request works with.

use std::sync::Arc;

use ipnet::IpNet;
use prometheus::{IntCounter, Registry};
use time::Duration;

use crate::cache::{Cache, CacheMetrics};
use crate::clock::Clock;
use crate::config::{Config, Profile, PublicUrl};
use crate::domain::doacao::DonationStatus;
use crate::gateway::Gateways;
use crate::keys::Keys;
use crate::limits::{LimitMetrics, Limits, Rules};
use crate::load_shed::{QueueMetrics, SerialQueue, WaitQueue};
use crate::metrics::Family;
use crate::password::Passwords;
use crate::readiness::Readiness;
use crate::redis_client::RedisClient;
use crate::shutdown::Shutdown;
use crate::store::Database;
use crate::streams::{StreamMetrics, Streams};

/// The shared state; cheap to clone.
pub type AppState = Arc<Core>;

/// The version of the privacy notice that donors and people agree to.
pub const PRIVACY_NOTICE: &str = "2026-11";

/// Requests for a new password that are accepted and not yet done. Each takes some milliseconds, so there are many only while the database
/// is away.
const RESETS_WAITING: usize = 64;

/// Everything that lives as long as the process.
pub struct Core {
    /// The database.
    pub db: Database,
    /// Redis, for what is only there to be fast.
    pub redis: Arc<RedisClient>,
    /// Copies of what many people read.
    pub cache: Arc<Cache>,
    /// The streams of campaigns' totals.
    pub streams: Arc<Streams>,
    /// Limits on how often something may be done.
    pub limits: Limits,
    /// The time.
    pub clock: Clock,
    /// Keys that protect data.
    pub keys: Keys,
    /// Password hashing.
    pub passwords: Passwords,
    /// Requests for a new password.
    pub resets: SerialQueue,
    /// Payment providers.
    pub gateways: Gateways,
    /// What services count.
    pub metrics: Metrics,
    /// Stopping.
    pub shutdown: Shutdown,
    /// Whether the process can serve.
    pub readiness: Readiness,
    /// Which defaults apply.
    pub profile: Profile,
    /// Where visitors reach the API.
    pub public_url: PublicUrl,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// What services count.
pub struct Metrics {
    donations: Family<DonationStatus, IntCounter>,
}

impl Metrics {
    /// Registers all.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let help = "Donations that reached a state in this process.";
        Ok(Self { donations: Family::new(registry, "doacoes_donations_total", help, ["situacao"])? })
    }

    /// Counts `count` donations that reached a state.
    pub fn donations(&self, status: DonationStatus, count: usize) {
        self.donations.get(status).inc_by(u64::try_from(count).unwrap_or(0));
    }
}

/// What the state is made of, beside the configuration.
pub struct Parts {
    /// See [`Core::db`].
    pub db: Database,
    /// See [`Core::redis`].
    pub redis: Arc<RedisClient>,
    /// The rules of [`Core::limits`].
    pub rules: Rules,
    /// See [`Core::clock`].
    pub clock: Clock,
    /// See [`Core::keys`].
    pub keys: Keys,
    /// See [`Core::passwords`].
    pub passwords: Passwords,
}

impl Core {
    /// Puts the parts together.
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
            resets: SerialQueue::new(RESETS_WAITING, WaitQueue::Resets, queues),
            gateways: Gateways::new(&config.payments),
            metrics: Metrics::new(registry)?,
            shutdown,
            readiness: Readiness::new(registry)?,
            profile: config.profile,
            public_url: config.public_url.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
        })
    }

    /// How long a new PIX key waits before it is used. An intruder's change is seen before money goes astray.
    pub fn pix_key_cool_down(&self) -> Duration {
        match self.profile {
            Profile::Development => Duration::ZERO,
            Profile::Production => Duration::hours(24),
        }
    }
}
