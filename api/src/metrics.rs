//! What is counted. Labels are closed sets: never an id, a path as sent, or an error's text.

use std::time::Duration;

use prometheus::{
    Encoder as _, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use sqlx::PgPool;

use crate::cache::Class;
use crate::domain::doacao::DonationStatus;
use crate::limits::Rule;

/// Every metric of the process, in a registry of its own.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    donations: IntCounterVec,
    background: IntCounterVec,
    background_success: GaugeVec,
    findings: IntGaugeVec,
    lag: GaugeVec,
    outbox: IntGaugeVec,
    pool: IntGaugeVec,
    redis: IntCounterVec,
    redis_breaker: IntGauge,
    cache: IntCounterVec,
    cache_fills: IntCounterVec,
    cache_connected: IntGauge,
    rate_limited: IntCounterVec,
    limits_judged: IntCounterVec,
    ready: IntGauge,
    shed: IntCounterVec,
    waiting: IntGaugeVec,
    acquire: Histogram,
    degraded: IntGaugeVec,
}

impl Metrics {
    /// Registers everything.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let int_gauge = |name: &str, help: &str, labels: &[&str]| {
            let gauge = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let gauge = GaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let buckets = vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0];
        let durations = HistogramVec::new(
            HistogramOpts::new("doacoes_http_request_duration_seconds", "Time from request head to response head.")
                .buckets(buckets.clone()),
            &["method", "route"],
        )?;
        let acquire = Histogram::with_opts(
            HistogramOpts::new("doacoes_database_acquire_seconds", "What requests waited for a connection to the database.")
                .buckets(buckets),
        )?;
        let ready = IntGauge::new("doacoes_ready", "1 while the readiness probe answers 200.")?;
        let redis_breaker = IntGauge::new("doacoes_redis_breaker_open", "1 while Redis is not asked, after failures in a row.")?;
        let cache_connected = IntGauge::new("doacoes_cache_connected", "1 while drops by other processes are heard.")?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(acquire.clone()))?;
        registry.register(Box::new(ready.clone()))?;
        registry.register(Box::new(redis_breaker.clone()))?;
        registry.register(Box::new(cache_connected.clone()))?;
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        let metrics = Self {
            requests: counter("doacoes_http_requests_total", "Answered requests.", &["method", "route", "status"])?,
            durations,
            donations: counter("doacoes_donations_total", "Donations that reached a state in this process.", &["situacao"])?,
            background: counter(
                "doacoes_background_runs_total",
                "Runs of background tasks: done, idle (another replica has the lock) or failed.",
                &["task", "result"],
            )?,
            background_success: gauge(
                "doacoes_background_last_success_timestamp_seconds",
                "When a background task last ended well, Unix time.",
                &["task"],
            )?,
            findings: int_gauge(
                "doacoes_consistency_findings",
                "Rows that break a rule of the books in the last full pass; anything but 0 needs a person.",
                &["check"],
            )?,
            lag: gauge("doacoes_queue_lag_seconds", "Age of the oldest entry that waits: totals deltas or outbox messages.", &["queue"])?,
            outbox: int_gauge("doacoes_outbox_messages", "Messages in the outbox.", &["state"])?,
            pool: int_gauge("doacoes_database_connections", "Connections of this process to the database.", &["state"])?,
            redis: counter("doacoes_redis_commands_total", "Commands to Redis: ok, failed or refused by breaker or budget.", &["result"])?,
            redis_breaker,
            cache: counter(
                "doacoes_cache_requests_total",
                "Look-ups by layer (local, redis, postgres), entity and result; a hit of postgres is a load.",
                &["layer", "entity", "result"],
            )?,
            cache_fills: counter(
                "doacoes_cache_fills_total",
                "Answers given to Redis: stored, outdated by a change in the meantime, or failed.",
                &["entity", "result"],
            )?,
            cache_connected,
            rate_limited: counter(
                "doacoes_rate_limited_total",
                "Uses that a limit refused; a repeated donation is answered all the same.",
                &["rule"],
            )?,
            limits_judged: counter(
                "doacoes_rate_limit_checks_total",
                "Uses held against their limits, by the store that did.",
                &["store"],
            )?,
            ready,
            shed: counter("doacoes_shed_total", "Requests turned away because a queue was full.", &["queue"])?,
            waiting: int_gauge("doacoes_queue_waiting", "Requests that wait in a bounded queue.", &["queue"])?,
            acquire,
            degraded: int_gauge("doacoes_degraded", "1 while a store does not answer.", &["store"])?,
            registry,
        };
        for status in DonationStatus::ALL {
            metrics.donations.with_label_values(&[status.as_str()]);
        }
        for store in LimitStore::ALL {
            metrics.limits_judged.with_label_values(&[store.as_str()]);
        }
        Ok(metrics)
    }

    /// A request was answered.
    pub fn request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let mut digits = [0_u8; 3];
        for (digit, unit) in digits.iter_mut().zip([100, 10, 1]) {
            *digit = b'0' + u8::try_from(status / unit % 10).unwrap_or(0);
        }
        let status = std::str::from_utf8(&digits).unwrap_or("000");
        self.requests.with_label_values(&[method, route, status]).inc();
        self.durations.with_label_values(&[method, route]).observe(took.as_secs_f64());
    }

    /// Donations reached a state.
    pub fn donations(&self, status: DonationStatus, count: usize) {
        self.donations.with_label_values(&[status.as_str()]).inc_by(u64::try_from(count).unwrap_or(0));
    }

    /// A background task ran.
    pub fn background(&self, task: &str, result: BackgroundResult, unix_seconds: i64) {
        self.background.with_label_values(&[task, result.as_str()]).inc();
        if result == BackgroundResult::Done {
            let seconds = i32::try_from(unix_seconds).map_or(0.0, f64::from);
            self.background_success.with_label_values(&[task]).set(seconds);
        }
    }

    /// What a full pass of a check found.
    pub fn findings(&self, check: &str, rows: usize) {
        self.findings.with_label_values(&[check]).set(i64::try_from(rows).unwrap_or(i64::MAX));
    }

    /// How old the oldest entry of a queue is.
    pub fn lag(&self, queue: Queue, seconds: f64) {
        self.lag.with_label_values(&[queue.as_str()]).set(seconds);
    }

    /// How many messages wait, and how many were given up.
    pub fn outbox(&self, pending: i64, parked: i64) {
        self.outbox.with_label_values(&["pending"]).set(pending);
        self.outbox.with_label_values(&["parked"]).set(parked);
    }

    /// A command to Redis ended.
    pub fn redis(&self, result: RedisOutcome) {
        self.redis.with_label_values(&[result.as_str()]).inc();
    }

    /// Whether the breaker in front of Redis is open.
    pub fn redis_breaker(&self, open: bool) {
        self.redis_breaker.set(i64::from(open));
    }

    /// A layer of the cache was asked.
    pub fn cache(&self, layer: CacheLayer, class: Class, outcome: CacheOutcome) {
        self.cache.with_label_values(&[layer.as_str(), class.label(), outcome.as_str()]).inc();
    }

    /// An answer was given to Redis.
    pub fn cache_fill(&self, class: Class, fill: Fill) {
        self.cache_fills.with_label_values(&[class.label(), fill.as_str()]).inc();
    }

    /// A limit turned a request away.
    pub fn rate_limited(&self, rule: Rule) {
        self.rate_limited.with_label_values(&[rule.as_str()]).inc();
    }

    /// A store held uses against their limits.
    pub fn limit_judged(&self, store: LimitStore) {
        self.limits_judged.with_label_values(&[store.as_str()]).inc();
    }

    /// Whether drops by other processes are heard.
    pub fn cache_connected(&self, connected: bool) {
        self.cache_connected.set(i64::from(connected));
    }

    /// Whether the readiness probe answers 200.
    pub fn ready(&self, ready: bool) {
        self.ready.set(i64::from(ready));
    }

    /// The number of those that wait in `queue`.
    pub fn waiting(&self, queue: WaitQueue) -> IntGauge {
        self.waiting.with_label_values(&[queue.as_str()])
    }

    /// The number of those that found `queue` full.
    pub fn shed(&self, queue: WaitQueue) -> IntCounter {
        self.shed.with_label_values(&[queue.as_str()])
    }

    /// A request waited for a connection.
    pub fn database_acquire(&self, took: Duration) {
        self.acquire.observe(took.as_secs_f64());
    }

    /// Whether a store does not answer.
    pub fn degraded(&self, store: Store, degraded: bool) {
        self.degraded.with_label_values(&[store.as_str()]).set(i64::from(degraded));
    }

    /// The text that Prometheus reads.
    pub fn render(&self, db: &PgPool) -> Result<Vec<u8>, prometheus::Error> {
        let idle = i64::try_from(db.num_idle()).unwrap_or(0);
        self.pool.with_label_values(&["idle"]).set(idle);
        self.pool.with_label_values(&["in_use"]).set(i64::from(db.size()) - idle);
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// How a run of a background task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackgroundResult {
    /// It did its work.
    Done,
    /// Another replica has the lock.
    Idle,
    /// It failed and comes again.
    Failed,
}

impl BackgroundResult {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Idle => "idle",
            Self::Failed => "failed",
        }
    }
}

/// What can lag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// `totais_delta`.
    Totals,
    /// `caixa_saida`.
    Outbox,
}

impl Queue {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Totals => "totals",
            Self::Outbox => "outbox",
        }
    }
}

/// Where requests wait their turn, a bounded number of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitQueue {
    /// For a connection to the database.
    Database,
    /// For a password to be hashed.
    Passwords,
    /// Streams of a campaign's total, which are all served at once.
    Streams,
}

impl WaitQueue {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Passwords => "passwords",
            Self::Streams => "streams",
        }
    }
}

/// A store whose loss the process survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// The database.
    Postgres,
    /// What is only there to be fast.
    Redis,
}

impl Store {
    /// Every store.
    pub const ALL: [Self; 2] = [Self::Postgres, Self::Redis];

    /// Its name in probes and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
        }
    }
}

/// Where it is counted how often something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitStore {
    /// In Redis, for all processes together.
    Redis,
    /// In this process.
    Local,
}

impl LimitStore {
    const ALL: [Self; 2] = [Self::Redis, Self::Local];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Local => "local",
        }
    }
}

/// How a command to Redis ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisOutcome {
    /// It was answered.
    Ok,
    /// It was not, in time or at all.
    Failed,
    /// It was not sent: the breaker was open, or the request had waited enough.
    Refused,
}

impl RedisOutcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

/// Where an answer was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheLayer {
    /// This process.
    Local,
    /// Redis.
    Redis,
    /// The database.
    Postgres,
}

impl CacheLayer {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
        }
    }
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheOutcome {
    /// The answer.
    Hit,
    /// Nothing.
    Miss,
    /// An old answer, served because neither store could be asked.
    Stale,
    /// The layer did not answer.
    Failed,
}

impl CacheOutcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Stale => "stale",
            Self::Failed => "failed",
        }
    }
}

/// What became of an answer given to Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// It is there.
    Stored,
    /// What it was made of has changed meanwhile.
    Outdated,
    /// Redis did not answer.
    Failed,
}

impl Fill {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Outdated => "outdated",
            Self::Failed => "failed",
        }
    }
}
