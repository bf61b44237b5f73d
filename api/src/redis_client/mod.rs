//! Redis, which may vanish at any moment: nothing waits long for it, and nothing but speed is lost with it.
//!
//! Every command has a time limit, every request a budget, and after a few failures a breaker answers in Redis's place.

pub mod budget;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prometheus::{IntCounter, IntGauge, Registry};
use redis::aio::{ConnectionManager, ConnectionManagerConfig, PubSub};
use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::TcpKeepalive;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, IntoConnectionInfo as _, RedisResult, ScriptInvocation};
use secrecy::{ExposeSecret as _, SecretString};

use crate::redis_client::budget::{budget_left, spend};
use crate::telemetry::metrics::{self, Family, label};

/// Least time to connect. A larger budget of requests takes its place.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(100);
/// Time without an acknowledgement of TCP after which a connection is given up; the next command connects again.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(5);
/// Failures in a row that open the breaker.
const BREAKER_THRESHOLD: u32 = 5;
/// Time between two commands that an open breaker lets through, to learn whether Redis is back.
const BREAKER_PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// Time limit of a connection that no request waits for: of the self-test, and of listening.
const DEDICATED_CONNECTION_TIMEOUT: Duration = Duration::from_secs(1);
/// Time after the last failure in which Redis may not yet have done what it was told.
const STEADY_AFTER: Duration = Duration::from_secs(3);

/// Why Redis gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// It failed a few times in a row and is not asked for the moment.
    #[error("Redis is not asked, after repeated failures")]
    BreakerOpen,
    /// The request has waited for Redis long enough.
    #[error("Redis took longer than a request may wait for it")]
    Budget,
    /// It refused, or could not be reached.
    #[error(transparent)]
    Failed(#[from] redis::RedisError),
}

label! {
    /// How a command to Redis ended.
    pub enum RedisOutcome {
        /// Redis answered.
        Ok = "ok",
        /// Redis refused the command, could not be reached, or did not answer in time.
        Failed = "failed",
        /// The command was not sent, because the breaker was open or the request's budget was spent.
        Refused = "refused",
    }
}

/// The metrics of the client of Redis.
pub struct RedisMetrics {
    commands: Family<RedisOutcome, IntCounter>,
    breaker_open: IntGauge,
}

impl RedisMetrics {
    /// Registers every metric in `registry`; fails if one of their names is registered already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            commands: Family::new(
                registry,
                "doacoes_redis_commands_total",
                "Commands to Redis: ok, failed or refused by breaker or budget.",
                ["result"],
            )?,
            breaker_open: metrics::gauge(registry, "doacoes_redis_breaker_open", "1 while Redis is not asked, after failures in a row.")?,
        })
    }
}

/// One multiplexed connection, made when first needed and again after it broke.
pub struct RedisClient {
    client: Client,
    connection: ConnectionManager,
    prefix: String,
    /// See [`Config::redis_budget`](crate::config::Config::redis_budget).
    budget: Duration,
    breaker: Breaker,
    metrics: RedisMetrics,
}

impl RedisClient {
    /// A client of `url` whose keys and channels all begin with `prefix`, of which no command takes longer than `budget`. Nothing is
    /// connected yet.
    pub fn new(url: &SecretString, prefix: &str, budget: Duration, metrics: RedisMetrics) -> Result<Self, redis::RedisError> {
        // Without the first, Nagle's algorithm holds back whatever follows an unanswered command.
        let keepalive = TcpKeepalive::new().with_time(SILENCE_TIMEOUT).with_interval(Duration::from_secs(1)).with_retries(3);
        let tcp = TcpSettings::default().set_nodelay(true).set_user_timeout(SILENCE_TIMEOUT).set_keepalive(keepalive);
        let client = Client::open(url.expose_secret().into_connection_info()?.set_tcp_settings(tcp))?;
        // The defaults retry for seconds while a request waits.
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(budget.max(CONNECT_TIMEOUT)))
            .set_response_timeout(Some(budget));
        let connection = ConnectionManager::new_lazy_with_config(client.clone(), config)?;
        Ok(Self { client, connection, prefix: prefix.to_owned(), budget, breaker: Breaker::default(), metrics })
    }

    /// Whether no command has failed for some seconds. What waited in Redis's sockets while it was frozen is done then.
    pub fn is_steady(&self) -> bool {
        let failed = self.breaker.last_failure.load(Ordering::Relaxed);
        let since = Duration::from_millis(self.breaker.now().saturating_sub(failed));
        failed == 0 || since > STEADY_AFTER
    }

    /// The full name of a key or channel.
    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// What one request may wait in all.
    pub const fn budget(&self) -> Duration {
        self.budget
    }

    /// What every key begins with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Runs a script, unless the breaker is open or the request's budget is spent.
    pub async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, RedisError> {
        if !self.breaker.allows() {
            self.metrics.commands.get(RedisOutcome::Refused).inc();
            return Err(RedisError::BreakerOpen);
        }
        let left = budget_left().unwrap_or(self.budget);
        if left.is_zero() {
            self.metrics.commands.get(RedisOutcome::Refused).inc();
            return Err(RedisError::Budget);
        }
        self.send(script, left).await
    }

    /// Sends a script in any case: for deletions, which a frozen Redis finds in its socket when it goes on. Nobody waits for
    /// it while the breaker is open, nor longer than the request may.
    pub async fn insist<T>(self: &Arc<Self>, script: ScriptInvocation<'static>) -> Result<T, RedisError>
    where
        T: FromRedisValue + Send + 'static,
    {
        let left = if self.breaker.is_open() { Duration::ZERO } else { budget_left().unwrap_or(self.budget) };
        let client = Arc::clone(self);
        let sending = tokio::spawn(async move { client.send(&script, client.budget).await });
        let started = Instant::now();
        let sent = tokio::time::timeout(left, sending).await;
        spend(started.elapsed());
        sent.ok().and_then(Result::ok).unwrap_or(Err(RedisError::Budget))
    }

    async fn send<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>, limit: Duration) -> Result<T, RedisError> {
        let started = Instant::now();
        let mut connection = self.connection.clone();
        let result: Result<RedisResult<T>, _> = tokio::time::timeout(limit, script.invoke_async(&mut connection)).await;
        spend(started.elapsed());
        match result {
            Ok(Ok(value)) => {
                self.breaker.succeeded();
                self.metrics.commands.get(RedisOutcome::Ok).inc();
                self.metrics.breaker_open.set(i64::from(false));
                Ok(value)
            }
            Ok(Err(error)) => {
                self.failed();
                Err(error.into())
            }
            Err(_) => {
                self.failed();
                Err(RedisError::Budget)
            }
        }
    }

    fn failed(&self) {
        self.breaker.failed();
        self.metrics.commands.get(RedisOutcome::Failed).inc();
        self.metrics.breaker_open.set(i64::from(self.breaker.is_open()));
    }

    /// Whether Redis answers. Neither metrics nor the breaker count it, since they are about requests.
    pub async fn ping(&self) -> bool {
        let mut connection = self.connection.clone();
        redis::cmd("PING").query_async::<()>(&mut connection).await.is_ok()
    }

    /// Does once each kind of thing that requests do, with a connection of its own and more time than a request has. Neither
    /// metrics nor the breaker count it.
    pub async fn self_test(&self, id: &str, script: &ScriptInvocation<'_>) -> Result<(), redis::RedisError> {
        let key = self.key(&format!("ensaio:{id}"));
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(DEDICATED_CONNECTION_TIMEOUT))
            .set_response_timeout(Some(DEDICATED_CONNECTION_TIMEOUT));
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        redis::cmd("SET").arg(&key).arg(id).arg("PX").arg(10_000).query_async::<()>(&mut connection).await?;
        let kept: Option<String> = redis::cmd("GET").arg(&key).query_async(&mut connection).await?;
        if kept.as_deref() != Some(id) {
            return Err(std::io::Error::other("Redis did not keep a value for a moment").into());
        }
        redis::cmd("DEL").arg(&key).query_async::<()>(&mut connection).await?;
        script.invoke_async::<redis::Value>(&mut connection).await?;
        redis::cmd("PUBLISH").arg(self.key("ensaio")).arg(id).query_async::<()>(&mut connection).await
    }

    /// A connection of its own that listens to `channel`.
    pub async fn subscribe(&self, channel: &str) -> Result<PubSub, redis::RedisError> {
        let connect = async {
            let mut listener = self.client.get_async_pubsub().await?;
            listener.subscribe(self.key(channel)).await?;
            Ok(listener)
        };
        // A frozen server accepts connections and then says nothing.
        tokio::time::timeout(DEDICATED_CONNECTION_TIMEOUT, connect)
            .await
            .unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
    }
}

/// Opens after a few failures in a row; then lets one command through in a while, and closes with its success.
struct Breaker {
    epoch: Instant,
    failures: AtomicU32,
    /// Milliseconds after `epoch`.
    next_probe: AtomicU64,
    /// When a command last failed, in milliseconds after `epoch`; 0 where none has.
    last_failure: AtomicU64,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { epoch: Instant::now(), failures: AtomicU32::new(0), next_probe: AtomicU64::new(0), last_failure: AtomicU64::new(0) }
    }
}

impl Breaker {
    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn is_open(&self) -> bool {
        self.failures.load(Ordering::Relaxed) >= BREAKER_THRESHOLD
    }

    fn allows(&self) -> bool {
        if !self.is_open() {
            return true;
        }
        let due = self.next_probe.load(Ordering::Relaxed);
        let now = self.now();
        // Whoever moves the time of the next probe is this one.
        now >= due && self.next_probe.compare_exchange(due, after(now), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn succeeded(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    fn failed(&self) {
        self.last_failure.store(self.now().max(1), Ordering::Relaxed);
        let before = self.failures.fetch_add(1, Ordering::Relaxed);
        if before < BREAKER_THRESHOLD {
            self.next_probe.store(after(self.now()), Ordering::Relaxed);
        } else {
            // No overflow in an outage of any length.
            self.failures.store(BREAKER_THRESHOLD, Ordering::Relaxed);
        }
    }
}

fn after(now: u64) -> u64 {
    now + u64::try_from(BREAKER_PROBE_INTERVAL.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_breaker_opens_after_failures_in_a_row_and_closes_with_a_success() {
        let breaker = Breaker::default();
        for _ in 1..BREAKER_THRESHOLD {
            breaker.failed();
            assert!(breaker.allows());
        }
        breaker.succeeded();
        for _ in 0..BREAKER_THRESHOLD {
            assert!(breaker.allows());
            breaker.failed();
        }
        assert!(!breaker.allows(), "open");
        breaker.next_probe.store(0, Ordering::Relaxed);
        assert!(breaker.allows(), "one probe");
        assert!(!breaker.allows(), "only one");
        breaker.succeeded();
        assert!(breaker.allows());
    }
}
