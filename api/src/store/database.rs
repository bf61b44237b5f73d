//! The pools of connections to PostgreSQL, and the queue of requests for one of them.

use std::time::Instant;

use prometheus::{Histogram, IntGauge, Registry};
use secrecy::SecretString;
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres, Transaction};

use super::{StoreError, consistency};
use crate::limits::load_shed::{LoadShed, QueueMetrics, WaitQueue};
use crate::telemetry::metrics::{self, Family, label};

/// Requests that may wait per connection of the pool. If a transaction takes 40 ms, the last of 20 gets its connection after 0.8 s,
/// within the second that a request may wait. Further ones are refused and come back, which costs less than letting them wait.
const WAITING_PER_CONNECTION: u32 = 20;
/// Connections for background work: one for the task that has its turn, one for what another task does meanwhile.
const BACKGROUND_CONNECTIONS: u32 = 2;

label! {
    /// The state of a pooled connection to the database.
    pub enum ConnectionState {
        /// No request uses it.
        Idle = "idle",
        /// A request uses it.
        InUse = "in_use",
    }
}

/// The metrics of the connections for requests.
pub struct DatabaseMetrics {
    connections: Family<ConnectionState, IntGauge>,
    most: IntGauge,
    acquire: Histogram,
}

impl DatabaseMetrics {
    /// Registers every metric in `registry`; fails if one of their names is registered already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            connections: Family::new(registry, "doacoes_database_connections", "Connections for requests to the database.", ["state"])?,
            most: metrics::gauge(registry, "doacoes_database_connections_max", "The most connections for requests to the database.")?,
            acquire: metrics::times(
                registry,
                "doacoes_database_acquire_seconds",
                "What requests waited for a connection to the database.",
            )?,
        })
    }
}

/// The database, as role `app`. Requests, background work and the health check have a pool each, so that none starves another.
pub struct Database {
    /// The connections that requests share, `DATABASE_POOL_SIZE` at most.
    pool: PgPool,
    /// The requests that wait for a connection of `pool`.
    queue: LoadShed,
    /// Connections for background work.
    background: PgPool,
    /// One connection for the health check.
    health: PgPool,
    metrics: DatabaseMetrics,
}

impl Database {
    /// Makes pools on `url`, which connect when they are first used; the one for requests has at most `size` connections. Fails if
    /// `url` is not a valid address.
    pub fn new(url: &SecretString, size: u32, metrics: DatabaseMetrics, queues: &QueueMetrics) -> Result<Self, StoreError> {
        let waiting = usize::try_from(size.saturating_mul(WAITING_PER_CONNECTION)).unwrap_or(usize::MAX);
        Ok(Self {
            pool: super::pool(url, size)?,
            queue: LoadShed::new(waiting, WaitQueue::Database, queues),
            background: super::pool(url, BACKGROUND_CONNECTIONS)?,
            health: super::pool(url, 1)?,
            metrics,
        })
    }

    /// A connection for a request's statements that need no transaction. Fails with [`StoreError::Crowded`] if the queue is full,
    /// and if none is free within a second.
    pub async fn connection(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        self.in_turn(self.pool.acquire()).await
    }

    /// A transaction of a request, which rolls back unless it is committed. Fails like [`Database::connection`].
    pub async fn begin(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        self.in_turn(super::begin(&self.pool)).await
    }

    async fn in_turn<T>(&self, acquire: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
        let _permit = self.queue.enter().ok_or(StoreError::Crowded)?;
        let asked = Instant::now();
        // On the heap, since the future is large and each operation would hold a copy for every place where it asks.
        let acquired = Box::pin(acquire).await;
        self.metrics.acquire.observe(asked.elapsed().as_secs_f64());
        Ok(acquired?)
    }

    /// A connection for background work; fails if none is free within a second.
    pub async fn background_connection(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        Ok(self.background.acquire().await?)
    }

    /// A transaction of background work; fails like [`Database::background_connection`].
    pub async fn begin_in_background(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        Ok(super::begin(&self.background).await?)
    }

    /// The pool for requests, for work that belongs to no request and waits outside of the queue.
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The queue of the requests that wait for a connection.
    pub const fn queue(&self) -> &LoadShed {
        &self.queue
    }

    /// Whether the database answers within a second. Uses a pool of its own, which pings an idle connection before it hands it out.
    pub async fn answers(&self) -> bool {
        self.health.acquire().await.is_ok()
    }

    /// Collects statistics if some table with rows has none. Without them the checks of the books get plans that take too long.
    pub async fn collect_missing_statistics(&self) -> Result<(), StoreError> {
        collect_missing_statistics(&self.pool).await
    }

    /// Sets the gauges of connections to the present numbers.
    pub fn measure(&self) {
        let idle = i64::try_from(self.pool.num_idle()).unwrap_or(0);
        self.metrics.connections.get(ConnectionState::Idle).set(idle);
        self.metrics.connections.get(ConnectionState::InUse).set(i64::from(self.pool.size()) - idle);
        self.metrics.most.set(self.pool.options().get_max_connections().into());
    }

    /// Closes all pools and waits until every connection is returned and closed.
    pub async fn close(&self) {
        tokio::join!(self.pool.close(), self.background.close(), self.health.close());
    }
}

/// Does what [`Database::collect_missing_statistics`] describes, in a transaction of its own: other sessions plan with the
/// statistics only once they are committed.
pub async fn collect_missing_statistics(pool: &PgPool) -> Result<(), StoreError> {
    let mut tx = pool.begin().await?;
    consistency::collect_statistics_if_missing(&mut tx).await?;
    commit(tx).await
}

/// Commits. After an error nothing is stored, unless the connection broke: then the transaction may have been stored.
pub async fn commit(tx: Transaction<'static, Postgres>) -> Result<(), StoreError> {
    Ok(tx.commit().await?)
}
