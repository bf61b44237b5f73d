//! The operator's metrics. Labels are closed sets: never the name of an object or the text of an error.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{Encoder as _, Histogram, HistogramOpts, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

use crate::error::ErrorClass;
use crate::verb::Verb;

/// The end of one pass over a platform, as the label `result` of the metrics.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReconcileResult {
    /// Everything is as the resource says.
    Settled,
    /// Something has to happen in the cluster first.
    Waiting,
    /// It failed and is tried again.
    Failed,
}

impl ReconcileResult {
    const ALL: [Self; 3] = [Self::Settled, Self::Waiting, Self::Failed];

    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
        }
    }
}

/// Every metric of the process, in a registry of its own.
pub struct Metrics {
    registry: Registry,
    reconciles: IntCounterVec,
    durations: Histogram,
    errors: IntCounterVec,
    writes: IntCounterVec,
    platforms: IntGaugeVec,
}

/// Upper bounds of the histogram's buckets, in seconds.
const DURATION_BUCKETS_SECONDS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

fn registered<M: Collector + Clone + 'static>(registry: &Registry, made: Result<M, prometheus::Error>) -> Result<M, prometheus::Error> {
    let metric = made?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

impl Metrics {
    /// Registers all families of metrics.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let counter = |name: &str, help: &str, labels: &[&str]| registered(&registry, IntCounterVec::new(Opts::new(name, help), labels));
        let metrics = Self {
            reconciles: counter("doacoes_operator_reconciles_total", "Reconciles, by how they ended.", &["result"])?,
            durations: registered(
                &registry,
                Histogram::with_opts(
                    HistogramOpts::new("doacoes_operator_reconcile_duration_seconds", "Time that one reconcile took.")
                        .buckets(DURATION_BUCKETS_SECONDS.to_vec()),
                ),
            )?,
            errors: counter("doacoes_operator_errors_total", "Failed reconciles, by class of error.", &["class"])?,
            writes: counter(
                "doacoes_operator_writes_total",
                "Requests that change something, by verb and kind. None while nothing changes.",
                &["verb", "kind"],
            )?,
            platforms: registered(
                &registry,
                IntGaugeVec::new(
                    Opts::new("doacoes_operator_platforms", "DonationPlatforms, by the status of their condition Ready."),
                    &["ready"],
                ),
            )?,
            registry,
        };
        // A series that is absent until the first error cannot be alerted on.
        for result in ReconcileResult::ALL {
            metrics.reconciles.with_label_values(&[result.as_str()]);
        }
        for class in ErrorClass::ALL {
            metrics.errors.with_label_values(&[class.as_str()]);
        }
        Ok(metrics)
    }

    /// Counts a reconcile that ended.
    pub fn count_reconcile(&self, result: ReconcileResult, took: Duration) {
        self.reconciles.with_label_values(&[result.as_str()]).inc();
        self.durations.observe(took.as_secs_f64());
    }

    /// Counts a reconcile that failed.
    pub fn count_error(&self, class: ErrorClass) {
        self.errors.with_label_values(&[class.as_str()]).inc();
    }

    /// Number of failed reconciles of this class so far.
    pub fn failures(&self, class: ErrorClass) -> u64 {
        self.errors.with_label_values(&[class.as_str()]).get()
    }

    /// Counts a request that changes something.
    pub fn count_write(&self, verb: Verb, kind: &str) {
        self.writes.with_label_values(&[verb.as_str(), kind]).inc();
    }

    /// Number of requests of this verb and kind so far.
    pub fn writes(&self, verb: Verb, kind: &str) -> u64 {
        self.writes.with_label_values(&[verb.as_str(), kind]).get()
    }

    /// The text that Prometheus reads. `ready` holds the number of platforms whose `Ready` is True, False and Unknown.
    pub fn text(&self, ready: [usize; 3]) -> Result<String, prometheus::Error> {
        for (status, count) in ["True", "False", "Unknown"].into_iter().zip(ready) {
            self.platforms.with_label_values(&[status]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let mut buffer = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer).into_owned())
    }
}
