//! What every request works with.

use std::sync::Arc;

use ipnet::IpNet;
use time::Duration;

use crate::cache::Cache;
use crate::clock::Clock;
use crate::config::{Config, Profile, PublicUrl};
use crate::gateway::Gateways;
use crate::keys::Keys;
use crate::limits::{Limits, Rules};
use crate::load_shed::SerialQueue;
use crate::metrics::{Metrics, WaitQueue};
use crate::password::Passwords;
use crate::readiness::Readiness;
use crate::redis_client::RedisClient;
use crate::shutdown::Shutdown;
use crate::store::Database;
use crate::streams::Streams;

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
    /// What many people read.
    pub cache: Arc<Cache>,
    /// Who follows the totals of campaigns.
    pub streams: Arc<Streams>,
    /// How often what may be done.
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
    /// Counters.
    pub metrics: Arc<Metrics>,
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
    /// See [`Core::metrics`].
    pub metrics: Arc<Metrics>,
}

impl Core {
    /// Puts the parts together.
    pub fn new(config: &Config, parts: Parts) -> Self {
        let Parts { db, redis, rules, clock, keys, passwords, metrics } = parts;
        let (cache, shutdown) = (Arc::new(Cache::new(Arc::clone(&redis), Arc::clone(&metrics))), Shutdown::default());
        Self {
            db,
            streams: Arc::new(Streams::new(Arc::clone(&cache), shutdown.clone(), &metrics)),
            cache,
            limits: Limits::new(rules, Arc::clone(&redis), &keys.email, Arc::clone(&metrics)),
            redis,
            clock,
            keys,
            passwords,
            resets: SerialQueue::new(RESETS_WAITING, WaitQueue::Resets, &metrics),
            gateways: Gateways::new(&config.payments),
            metrics,
            shutdown,
            readiness: Readiness::default(),
            profile: config.profile,
            public_url: config.public_url.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
        }
    }

    /// How long a new PIX key waits before it is used. An intruder's change is seen before money goes astray.
    pub fn pix_key_cool_down(&self) -> Duration {
        match self.profile {
            Profile::Development => Duration::ZERO,
            Profile::Production => Duration::hours(24),
        }
    }
}
