//! What is counted about background work.

use prometheus::{Gauge, IntCounter, IntGauge, IntGaugeVec, Opts, Registry};

use super::task::Task;
use crate::metrics::{Family, label, registered};

label! {
    /// How a run of a background task ended.
    pub enum BackgroundResult {
        /// It did its work.
        Done = "done",
        /// Another replica has the lock.
        Idle = "idle",
        /// It failed and comes again.
        Failed = "failed",
    }
}

label! {
    /// What can lag.
    pub enum Queue {
        /// `totais_delta`.
        Totals = "totals",
        /// E-mails in `caixa_saida`.
        Mail = "mail",
        /// Names of cached answers to drop in `caixa_saida`.
        Drops = "drops",
    }
}

label! {
    /// Whether an e-mail in the outbox is still tried.
    pub enum MailState {
        /// It is.
        Pending = "pending",
        /// It was given up and waits for a person.
        Parked = "parked",
    }
}

label! {
    /// How an attempt to deliver an e-mail ended.
    pub enum Delivery {
        /// It was taken.
        Sent = "sent",
        /// It was not, and is tried again.
        Failed = "failed",
        /// It was not, and is given up.
        Parked = "parked",
        /// Its code was no longer good, so it was not sent.
        Late = "late",
    }
}

/// The families of background work. Lag, outbox and findings are told by the replica that had the turn, so they begin with its first.
pub struct BackgroundMetrics {
    runs: Family<(Task, BackgroundResult), IntCounter>,
    last_success: Family<Task, Gauge>,
    findings: IntGaugeVec,
    lag: Family<Queue, Gauge>,
    outbox: Family<MailState, IntGauge>,
    mail: Family<Delivery, IntCounter>,
}

impl BackgroundMetrics {
    /// Registers all.
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
                "Age of the oldest entry that waits: a delta of totals, an e-mail or a drop.",
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
                "Attempts to deliver an e-mail: sent, failed or parked.",
                ["result"],
            )?,
        })
    }

    /// A background task ran.
    pub(super) fn run(&self, task: Task, result: BackgroundResult, unix_seconds: i64) {
        self.runs.get((task, result)).inc();
        if result == BackgroundResult::Done {
            self.last_success.get(task).set(u32::try_from(unix_seconds).map_or(0.0, f64::from));
        }
    }

    /// What a full pass of a check found; one of [`CHECKS`](crate::store::consistency::CHECKS).
    pub(super) fn findings(&self, check: &'static str, rows: usize) {
        self.findings.with_label_values(&[check]).set(i64::try_from(rows).unwrap_or(i64::MAX));
    }

    /// The age of the oldest entry of a queue, in seconds.
    pub(super) fn lag(&self, queue: Queue, seconds: f64) {
        self.lag.get(queue).set(seconds);
    }

    /// The number of e-mails in a state.
    pub(super) fn outbox(&self, state: MailState, messages: i64) {
        self.outbox.get(state).set(messages);
    }

    /// Attempts to deliver an e-mail ended.
    pub(super) fn mail(&self, result: Delivery, count: u64) {
        self.mail.get(result).inc_by(count);
    }
}
