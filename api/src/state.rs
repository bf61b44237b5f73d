//! What every request works with.

use std::sync::Arc;
use std::time::Instant;

use ipnet::IpNet;
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres, Transaction};
use time::Duration;

use crate::admission::Gate;
use crate::cache::Cache;
use crate::clock::Clock;
use crate::config::{Config, Profile, PublicUrl};
use crate::gateway::Gateways;
use crate::health::Health;
use crate::keys::Keys;
use crate::limits::{Limits, Rules};
use crate::metrics::{Metrics, WaitQueue};
use crate::password::Passwords;
use crate::probe::Probe;
use crate::redis_client::RedisClient;
use crate::rehearsal::Rehearsal;
use crate::service::resets::Resets;
use crate::shutdown::Shutdown;
use crate::store::{self, StoreError};
use crate::streams::Streams;

/// The shared state; cheap to clone.
pub type AppState = Arc<Core>;

/// The version of the privacy notice that donors and people agree to.
pub const PRIVACY_NOTICE: &str = "2026-11";

/// So many requests wait per connection of the pool. Where a transaction takes 40 ms the last of them has its turn within a second,
/// which is as long as any waits; those who are turned away come back, and cost the processor what it could have done for the others.
const WAITING_PER_CONNECTION: u32 = 20;

/// Everything that lives as long as the process.
pub struct Core {
    /// Connections as role `app`.
    pub db: PgPool,
    /// Who may wait for one of them.
    pub database_queue: Gate,
    /// Connections for background work, which busy requests must not starve.
    pub background_db: PgPool,
    /// A connection to ask whether the database answers, for which neither requests nor background work keep it waiting.
    pub probe_db: PgPool,
    /// Redis, for what is only there to be fast.
    pub redis: Arc<RedisClient>,
    /// What many people read.
    pub cache: Cache,
    /// Who follows the totals of campaigns.
    pub streams: Streams,
    /// How often what may be done.
    pub limits: Limits,
    /// The time.
    pub clock: Clock,
    /// Keys that protect data.
    pub keys: Keys,
    /// Password hashing.
    pub passwords: Passwords,
    /// Requests for a new password.
    pub resets: Resets,
    /// Payment providers.
    pub gateways: Gateways,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Stopping.
    pub shutdown: Shutdown,
    /// Which stores answer.
    pub health: Health,
    /// Whether the pooler keeps statements apart.
    pub probe: Probe,
    /// Whether a donation works here.
    pub rehearsal: Rehearsal,
    /// Which defaults apply.
    pub profile: Profile,
    /// Where visitors reach the API.
    pub public_url: PublicUrl,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// Connections to where data is.
pub struct Stores {
    /// See [`Core::db`].
    pub db: PgPool,
    /// See [`Core::background_db`].
    pub background_db: PgPool,
    /// See [`Core::probe_db`].
    pub probe_db: PgPool,
    /// See [`Core::redis`].
    pub redis: Arc<RedisClient>,
}

impl Core {
    /// Puts the parts together.
    pub fn new(
        config: &Config,
        stores: Stores,
        rules: Rules,
        clock: Clock,
        keys: Keys,
        passwords: Passwords,
        metrics: Arc<Metrics>,
    ) -> Self {
        let places = config.database.database_pool_size.saturating_mul(WAITING_PER_CONNECTION);
        Self {
            db: stores.db,
            database_queue: Gate::new(usize::try_from(places).unwrap_or(usize::MAX), WaitQueue::Database, &metrics),
            background_db: stores.background_db,
            probe_db: stores.probe_db,
            cache: Cache::new(Arc::clone(&stores.redis), Arc::clone(&metrics)),
            streams: Streams::new(&metrics),
            limits: Limits::new(rules, Arc::clone(&stores.redis), &keys.email, Arc::clone(&metrics)),
            redis: stores.redis,
            clock,
            keys,
            passwords,
            resets: Resets::new(&metrics),
            gateways: Gateways::new(&config.payments),
            metrics,
            shutdown: Shutdown::default(),
            health: Health::default(),
            probe: Probe::default(),
            rehearsal: Rehearsal::default(),
            profile: config.profile,
            public_url: config.public_url.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
        }
    }

    /// A connection for statements that need no transaction.
    pub async fn connection(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        self.in_turn(self.db.acquire()).await
    }

    /// A transaction; it rolls back unless it is committed.
    pub async fn begin(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        self.in_turn(store::begin(&self.db)).await
    }

    async fn in_turn<T>(&self, acquire: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
        let _place = self.database_queue.enter().ok_or(StoreError::Crowded)?;
        let asked = Instant::now();
        // On the heap, since the future is large and each operation would hold a copy for every place where it asks.
        let acquired = Box::pin(acquire).await;
        self.metrics.database_acquire(asked.elapsed());
        Ok(acquired?)
    }

    /// A connection of background work.
    pub async fn background_connection(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        Ok(self.background_db.acquire().await?)
    }

    /// A transaction of background work.
    pub async fn begin_in_background(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        Ok(store::begin(&self.background_db).await?)
    }

    /// How long a new PIX key waits before it is used. An intruder's change is seen before money goes astray.
    pub fn pix_key_cool_down(&self) -> Duration {
        match self.profile {
            Profile::Development => Duration::ZERO,
            Profile::Production => Duration::hours(24),
        }
    }
}

/// Commits what went well and rolls back what did not, before the answer goes out. A transaction that is merely dropped is rolled
/// back a moment later, and until then holds its locks against the client's next request.
pub async fn conclude<T, E: From<StoreError>>(tx: Transaction<'static, Postgres>, result: Result<T, E>) -> Result<T, E> {
    match result {
        Ok(value) => {
            commit(tx).await?;
            Ok(value)
        }
        Err(error) => {
            // Without a connection there is nothing left to roll back.
            let _ = tx.rollback().await;
            Err(error)
        }
    }
}

/// Commits, with the store's error.
pub async fn commit(tx: Transaction<'static, Postgres>) -> Result<(), StoreError> {
    Ok(tx.commit().await?)
}
