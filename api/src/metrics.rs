//! What is counted. Labels are closed sets: never an id, a path as sent, or an error's text. docs/metrics.md tells operators about
//! each; a test compares.

mod labels;

pub use labels::{
    BackgroundResult, CacheLayer, CacheOutcome, ConnectionState, Delivery, Fill, LimitStore, Listener, MailState, Method, Queue,
    RedisOutcome, Store, WaitQueue,
};

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Encoder as _, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use sqlx::PgPool;

use crate::background::Task;
use crate::cache::Class;
use crate::domain::doacao::DonationStatus;
use crate::limits::Rule;

/// Every metric of the process, in a registry of its own.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGauge,
    connections: IntGaugeVec,
    donations: IntCounterVec,
    background: IntCounterVec,
    background_success: GaugeVec,
    findings: IntGaugeVec,
    lag: GaugeVec,
    outbox: IntGaugeVec,
    mail: IntCounterVec,
    pool: IntGaugeVec,
    pool_limit: IntGauge,
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
    streams_open: IntGauge,
    stream_events: IntCounter,
    campaigns_followed: IntGauge,
}

/// Upper bounds, in seconds.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0];

struct Registrar<'a>(&'a Registry);

impl Registrar<'_> {
    fn registered<M: Collector + Clone + 'static>(&self, made: Result<M, prometheus::Error>) -> Result<M, prometheus::Error> {
        let metric = made?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

impl Metrics {
    /// Registers everything.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let add = Registrar(&registry);
        let counter = |name: &str, help: &str, labels: &[&str]| add.registered(IntCounterVec::new(Opts::new(name, help), labels));
        let int_gauge = |name: &str, help: &str, labels: &[&str]| add.registered(IntGaugeVec::new(Opts::new(name, help), labels));
        let gauge = |name: &str, help: &str, labels: &[&str]| add.registered(GaugeVec::new(Opts::new(name, help), labels));
        let one = |name: &str, help: &str| add.registered(IntGauge::new(name, help));
        let times = |name: &str, help: &str| HistogramOpts::new(name, help).buckets(BUCKETS.to_vec());
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        int_gauge("doacoes_build_info", "1; the label is the release that runs.", &["version"])?
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        let metrics = Self {
            requests: counter("doacoes_http_requests_total", "Answered requests.", &["method", "route", "status"])?,
            durations: add.registered(HistogramVec::new(
                times("doacoes_http_request_duration_seconds", "Time from request head to response head."),
                &["method", "route"],
            ))?,
            in_flight: one("doacoes_http_requests_in_flight", "Requests whose answer has not begun.")?,
            connections: int_gauge("doacoes_http_connections", "Open connections of clients.", &["listener"])?,
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
            lag: gauge(
                "doacoes_queue_lag_seconds",
                "Age of the oldest entry that waits: a delta of totals, an e-mail or a drop.",
                &["queue"],
            )?,
            outbox: int_gauge("doacoes_outbox_messages", "E-mails in the outbox: pending, or parked after the last try.", &["state"])?,
            mail: counter("doacoes_mail_deliveries_total", "Attempts to deliver an e-mail: sent, failed or parked.", &["result"])?,
            pool: int_gauge("doacoes_database_connections", "Connections for requests to the database.", &["state"])?,
            pool_limit: one("doacoes_database_connections_max", "The most connections for requests to the database.")?,
            redis: counter("doacoes_redis_commands_total", "Commands to Redis: ok, failed or refused by breaker or budget.", &["result"])?,
            redis_breaker: one("doacoes_redis_breaker_open", "1 while Redis is not asked, after failures in a row.")?,
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
            cache_connected: one("doacoes_cache_connected", "1 while drops by other processes are heard.")?,
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
            ready: one("doacoes_ready", "1 while the readiness probe answers 200.")?,
            shed: counter("doacoes_shed_total", "Requests turned away because a queue was full.", &["queue"])?,
            waiting: int_gauge("doacoes_queue_waiting", "Requests that wait in a bounded queue.", &["queue"])?,
            acquire: add.registered(Histogram::with_opts(times(
                "doacoes_database_acquire_seconds",
                "What requests waited for a connection to the database.",
            )))?,
            degraded: int_gauge("doacoes_degraded", "1 while a store does not answer.", &["store"])?,
            streams_open: one("doacoes_streams_open", "Clients that follow the totals of a campaign.")?,
            stream_events: add.registered(IntCounter::new("doacoes_stream_events_total", "Totals sent to clients that follow them."))?,
            campaigns_followed: one("doacoes_campaigns_followed", "Campaigns whose totals somebody follows, a task each.")?,
            registry,
        };
        metrics.begin_at_zero();
        Ok(metrics)
    }

    /// A series that appears with its first event has no rate at that moment, and the event is not seen.
    fn begin_at_zero(&self) {
        for status in DonationStatus::ALL {
            self.donations.with_label_values(&[status.as_str()]);
        }
        for task in Task::ALL {
            for result in BackgroundResult::ALL {
                self.background.with_label_values(&[task.as_str(), result.as_str()]);
            }
        }
        for result in Delivery::ALL {
            self.mail.with_label_values(&[result.as_str()]);
        }
        for result in RedisOutcome::ALL {
            self.redis.with_label_values(&[result.as_str()]);
        }
        for class in Class::ALL {
            for (layer, result) in CacheLayer::ALL.iter().flat_map(|layer| CacheOutcome::ALL.iter().map(move |result| (layer, result))) {
                self.cache.with_label_values(&[layer.as_str(), class.as_str(), result.as_str()]);
            }
            for result in Fill::ALL {
                self.cache_fills.with_label_values(&[class.as_str(), result.as_str()]);
            }
        }
        for rule in Rule::ALL {
            self.rate_limited.with_label_values(&[rule.as_str()]);
        }
        for store in LimitStore::ALL {
            self.limits_judged.with_label_values(&[store.as_str()]);
        }
        for queue in WaitQueue::ALL {
            self.shed.with_label_values(&[queue.as_str()]);
            self.waiting.with_label_values(&[queue.as_str()]);
        }
    }

    /// A request was answered. `route` is a template of the router's, never a path as sent.
    pub fn request(&self, method: Method, route: &str, status: u16, took: Duration) {
        let mut digits = [0_u8; 3];
        for (digit, unit) in digits.iter_mut().zip([100, 10, 1]) {
            *digit = b'0' + u8::try_from(status / unit % 10).unwrap_or(0);
        }
        let status = std::str::from_utf8(&digits).unwrap_or("000");
        self.requests.with_label_values(&[method.as_str(), route, status]).inc();
        self.durations.with_label_values(&[method.as_str(), route]).observe(took.as_secs_f64());
    }

    /// A request is being answered until the value is dropped.
    #[must_use]
    pub fn in_flight(&self) -> Present {
        Present::of(self.in_flight.clone())
    }

    /// The number of connections of clients to a port.
    pub fn connections(&self, listener: Listener) -> IntGauge {
        self.connections.with_label_values(&[listener.as_str()])
    }

    /// Donations reached a state.
    pub fn donations(&self, status: DonationStatus, count: usize) {
        self.donations.with_label_values(&[status.as_str()]).inc_by(u64::try_from(count).unwrap_or(0));
    }

    /// A background task ran.
    pub fn background(&self, task: Task, result: BackgroundResult, unix_seconds: i64) {
        self.background.with_label_values(&[task.as_str(), result.as_str()]).inc();
        if result == BackgroundResult::Done {
            let seconds = u32::try_from(unix_seconds).map_or(0.0, f64::from);
            self.background_success.with_label_values(&[task.as_str()]).set(seconds);
        }
    }

    /// What a full pass of a check found; one of [`CHECKS`](crate::store::consistency::CHECKS).
    pub fn findings(&self, check: &'static str, rows: usize) {
        self.findings.with_label_values(&[check]).set(i64::try_from(rows).unwrap_or(i64::MAX));
    }

    /// How old the oldest entry of a queue is.
    pub fn lag(&self, queue: Queue, seconds: f64) {
        self.lag.with_label_values(&[queue.as_str()]).set(seconds);
    }

    /// How many e-mails are in a state.
    pub fn outbox(&self, state: MailState, messages: i64) {
        self.outbox.with_label_values(&[state.as_str()]).set(messages);
    }

    /// Attempts to deliver an e-mail ended.
    pub fn mail(&self, result: Delivery, count: u64) {
        self.mail.with_label_values(&[result.as_str()]).inc_by(count);
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
        self.cache.with_label_values(&[layer.as_str(), class.as_str(), outcome.as_str()]).inc();
    }

    /// An answer was given to Redis.
    pub fn cache_fill(&self, class: Class, fill: Fill) {
        self.cache_fills.with_label_values(&[class.as_str(), fill.as_str()]).inc();
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

    /// The number of clients that follow totals.
    pub fn streams_open(&self) -> IntGauge {
        self.streams_open.clone()
    }

    /// The number of totals that were sent to them.
    pub fn stream_events(&self) -> IntCounter {
        self.stream_events.clone()
    }

    /// The number of campaigns that have such clients.
    pub fn campaigns_followed(&self) -> IntGauge {
        self.campaigns_followed.clone()
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
        self.pool.with_label_values(&[ConnectionState::Idle.as_str()]).set(idle);
        self.pool.with_label_values(&[ConnectionState::InUse.as_str()]).set(i64::from(db.size()) - idle);
        self.pool_limit.set(db.options().get_max_connections().into());
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// One more of what a gauge counts, until it is dropped.
pub struct Present(IntGauge);

impl Present {
    /// Counts one.
    #[must_use]
    pub fn of(gauge: IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.dec();
    }
}
