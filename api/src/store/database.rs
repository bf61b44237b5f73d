//! The pools of connections to PostgreSQL, and who may wait for one of them.

use std::time::Instant;

use prometheus::{Histogram, IntGauge, Registry};
use secrecy::SecretString;
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres, Transaction};

use super::{StoreError, consistency};
use crate::load_shed::{LoadShed, QueueMetrics, WaitQueue};
use crate::metrics::{self, Family, label};

/// Requests that may wait for each connection of the pool. Where a transaction takes 40 ms the last of them has its turn within a
/// second, which is as long as any waits; the rest are turned away and come back, which costs the processor less than to keep them.
const WAITING_PER_CONNECTION: u32 = 20;
/// Connections of background work: one for the task that has its turn, one for what another task does meanwhile.
const BACKGROUND_CONNECTIONS: u32 = 2;

label! {
    /// What a connection to the database does.
    pub enum ConnectionState {
        /// It waits for work.
        Idle = "idle",
        /// It is a request's.
        InUse = "in_use",
    }
}

/// What is counted about connections of requests.
pub struct DatabaseMetrics {
    connections: Family<ConnectionState, IntGauge>,
    most: IntGauge,
    acquire: Histogram,
}

impl DatabaseMetrics {
    /// Registers all.
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

/// The database, as role `app`. Requests, background work and the health check each have a pool, so that none starves another.
pub struct Database {
    /// Connections of requests.
    pool: PgPool,
    /// The requests that wait for one of them.
    queue: LoadShed,
    /// Connections of background work.
    background: PgPool,
    /// One connection to ask whether the database answers.
    probe: PgPool,
    metrics: DatabaseMetrics,
}

impl Database {
    /// Pools on `url`, which connect when first needed; that of requests has `size` connections.
    pub fn new(url: &SecretString, size: u32, metrics: DatabaseMetrics, queues: &QueueMetrics) -> Result<Self, StoreError> {
        let waiting = usize::try_from(size.saturating_mul(WAITING_PER_CONNECTION)).unwrap_or(usize::MAX);
        Ok(Self {
            pool: super::pool(url, size)?,
            queue: LoadShed::new(waiting, WaitQueue::Database, queues),
            background: super::pool(url, BACKGROUND_CONNECTIONS)?,
            probe: super::pool(url, 1)?,
            metrics,
        })
    }

    /// A connection for a request's statements that need no transaction.
    pub async fn connection(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        self.in_turn(self.pool.acquire()).await
    }

    /// A transaction of a request; it rolls back unless it is committed.
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

    /// A connection of background work.
    pub async fn background_connection(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        Ok(self.background.acquire().await?)
    }

    /// A transaction of background work.
    pub async fn begin_in_background(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        Ok(super::begin(&self.background).await?)
    }

    /// The pool of requests, for work that is no request's and may wait outside of the queue.
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The queue of the requests that wait for a connection.
    pub const fn queue(&self) -> &LoadShed {
        &self.queue
    }

    /// Whether the database answers. Uses a pool of its own, which hands out no connection that the server has not just answered on.
    pub async fn answers(&self) -> bool {
        self.probe.acquire().await.is_ok()
    }

    /// Collects statistics where a database with rows has none; the checks of the books need them to be planned well.
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

    /// Closes every connection, once its work is done.
    pub async fn close(&self) {
        tokio::join!(self.pool.close(), self.background.close(), self.probe.close());
    }
}

/// See [`Database::collect_missing_statistics`]. In a transaction of its own: others plan with statistics only once they are committed.
pub async fn collect_missing_statistics(pool: &PgPool) -> Result<(), StoreError> {
    let mut tx = pool.begin().await?;
    consistency::collect_statistics_if_missing(&mut tx).await?;
    commit(tx).await
}

/// Commits, with the store's error.
pub async fn commit(tx: Transaction<'static, Postgres>) -> Result<(), StoreError> {
    Ok(tx.commit().await?)
}
