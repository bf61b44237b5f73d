//! The metrics of background work.

use prometheus::{Gauge, IntCounter, IntGauge, IntGaugeVec, Opts, Registry};

use super::task::Task;
use crate::telemetry::metrics::{Family, label, registered};

label! {
    /// How a run of a background task ended.
    pub enum BackgroundResult {
        /// The task did its work.
        Done = "done",
        /// Another replica has the task's lock, so nothing was done.
        Idle = "idle",
        /// The task failed; it is tried again after its interval.
        Failed = "failed",
    }
}

label! {
    /// A queue whose oldest entry has an age.
    pub enum Queue {
        /// Deltas that are not yet in the totals (`totais_delta`).
        Totals = "totals",
        /// E-mails in the outbox (`caixa_saida`).
        Mail = "mail",
        /// Invalidations in the outbox (`caixa_saida`) that Redis has not acknowledged.
        Invalidation = "invalidation",
    }
}

label! {
    /// The state of an e-mail in the outbox.
    pub enum MailState {
        /// The e-mail is still tried.
        Pending = "pending",
        /// The last try failed; the e-mail waits for a person to look at it.
        Parked = "parked",
    }
}

label! {
    /// How an attempt to deliver an e-mail ended.
    pub enum Delivery {
        /// The mail server took the e-mail.
        Sent = "sent",
        /// The attempt failed and will be repeated.
        Failed = "failed",
        /// The last attempt failed, and the e-mail is given up.
        Parked = "parked",
        /// The code in the e-mail had expired, so it was deleted without an attempt.
        Late = "late",
    }
}

/// The metrics of background work. The replica that has a turn sets lag, outbox and findings, so these appear with its first turn.
pub struct BackgroundMetrics {
    runs: Family<(Task, BackgroundResult), IntCounter>,
    last_success: Family<Task, Gauge>,
    findings: IntGaugeVec,
    lag: Family<Queue, Gauge>,
    outbox: Family<MailState, IntGauge>,
    mail: Family<Delivery, IntCounter>,
}

impl BackgroundMetrics {
    /// Registers every metric in `registry`; fails if one of their names is registered already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let findings = "Rows that break a rule of the books in the last full pass; anything but 0 needs a person.";
        Ok(Self {
            runs: Family::new(
                registry,
                "doacoes_background_runs_total",
                "Runs of background tasks: done, idle (another replica has the lock) or failed.",
                ["task", "result"],
            )?,
            last_success: Family::sparse(
                registry,
                "doacoes_background_last_success_timestamp_seconds",
                "When a background task last ended well, Unix time.",
                ["task"],
            )?,
            findings: registered(registry, IntGaugeVec::new(Opts::new("doacoes_consistency_findings", findings), &["check"])?)?,
            lag: Family::sparse(
                registry,
                "doacoes_queue_lag_seconds",
                "Age of the oldest entry that waits: a delta of totals, an e-mail or an invalidation.",
                ["queue"],
            )?,
            outbox: Family::sparse(
                registry,
                "doacoes_outbox_messages",
                "E-mails in the outbox: pending, or parked after the last try.",
                ["state"],
            )?,
            mail: Family::new(
                registry,
                "doacoes_mail_deliveries_total",
                "Attempts to deliver an e-mail: sent, failed, parked, or late: given up because its code is no longer good.",
                ["result"],
            )?,
        })
    }

    /// Counts a run of `task`. If it did its work, `unix_seconds` becomes the time of the last success.
    pub(super) fn run(&self, task: Task, result: BackgroundResult, unix_seconds: i64) {
        self.runs.get((task, result)).inc();
        if result == BackgroundResult::Done {
            self.last_success.get(task).set(u32::try_from(unix_seconds).map_or(0.0, f64::from));
        }
    }

    /// Sets the number of rows that a full pass of `check` found; `check` is one of [`CHECKS`](crate::store::consistency::CHECKS).
    pub(super) fn findings(&self, check: &'static str, rows: usize) {
        self.findings.with_label_values(&[check]).set(i64::try_from(rows).unwrap_or(i64::MAX));
    }

    /// Sets the age in seconds of the oldest entry of `queue`; 0 if it is empty.
    pub(super) fn lag(&self, queue: Queue, seconds: f64) {
        self.lag.get(queue).set(seconds);
    }

    /// Sets the number of e-mails in `state`.
    pub(super) fn outbox(&self, state: MailState, messages: i64) {
        self.outbox.get(state).set(messages);
    }

    /// Counts `count` deliveries that ended with `result`.
    pub(super) fn mail(&self, result: Delivery, count: u64) {
        self.mail.get(result).inc_by(count);
    }
}
