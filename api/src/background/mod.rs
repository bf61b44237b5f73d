//! Work that nobody waits for: one task each, in every replica, one at a time among them.
//!
//! A task's turn is a transaction-level advisory lock, so it works through a pooler and is free the moment a replica dies.

mod books;
mod campaign_end;
mod expiry;
mod invalidation;
mod metrics;
mod outbox;
mod purge;
mod task;
mod totals_rollup;

pub use metrics::{BackgroundMetrics, BackgroundResult, Delivery, MailState, Queue};
pub use task::Task;

use std::sync::Arc;

use prometheus::Registry;
use sqlx::{Postgres, Transaction};

use crate::mail::Mailer;
use crate::state::{AppState, Core};
use crate::store::{LockClass, StoreError, commit, try_lock};
use crate::telemetry::chain;

/// What a turn did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// All there was.
    Done,
    /// A full batch: there may be more, so the next turn comes at once.
    More,
}

/// The result of [`Background::run_once`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SingleTurn {
    /// The task had a turn in this process.
    Ran(Turn),
    /// Another replica holds the task's lock, so nothing was done.
    Elsewhere,
    /// The task keeps state between its turns and cannot run a single one, so nothing was done.
    Continuous,
}

/// The background tasks of a process, with the state they work on and their metrics.
pub struct Background {
    core: AppState,
    metrics: BackgroundMetrics,
}

impl Background {
    /// Registers the metrics and starts no task; fails if one of their names is registered already.
    pub fn new(core: AppState, registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self { core, metrics: BackgroundMetrics::new(registry)? })
    }

    /// Starts every task. They run until the process is to stop. Without a `mailer` e-mails wait in the outbox.
    pub fn spawn_all(self: &Arc<Self>, mailer: Option<Mailer>) {
        let shutdown = &self.core.shutdown;
        shutdown.spawn(every(Arc::clone(self), Task::TotalsRollup, |work| Box::pin(totals_rollup::turn(work))));
        shutdown.spawn(every(Arc::clone(self), Task::Invalidation, |work| Box::pin(invalidation::turn(&work.core))));
        shutdown.spawn(every(Arc::clone(self), Task::Expiry, |work| Box::pin(expiry::turn(&work.core))));
        shutdown.spawn(every(Arc::clone(self), Task::CampaignEnd, |work| Box::pin(campaign_end::turn(&work.core))));
        shutdown.spawn(every(Arc::clone(self), Task::Purge, |work| Box::pin(purge::turn(&work.core))));
        shutdown.spawn(books::watch(Arc::clone(self)));
        shutdown.spawn(outbox::watch(Arc::clone(self), mailer));
    }

    /// Runs one turn of a task now, for tests, which cannot wait for its time. Fails if a statement of the turn fails.
    pub async fn run_once(&self, task: Task) -> Result<SingleTurn, StoreError> {
        let turn = match task {
            Task::TotalsRollup => totals_rollup::turn(self).await?,
            Task::Invalidation => invalidation::turn(&self.core).await?,
            Task::Expiry => expiry::turn(&self.core).await?,
            Task::CampaignEnd => campaign_end::turn(&self.core).await?,
            Task::Purge => purge::turn(&self.core).await?,
            Task::Outbox | Task::Books => return Ok(SingleTurn::Continuous),
        };
        Ok(turn.map_or(SingleTurn::Elsewhere, SingleTurn::Ran))
    }

    /// Counts the turn and logs a failure. Returns what the turn did; `None` if it failed or another replica had the lock.
    fn note(&self, task: Task, result: &Result<Option<Turn>, StoreError>) -> Option<Turn> {
        let (outcome, turn) = match result {
            Ok(Some(turn)) => (BackgroundResult::Done, Some(*turn)),
            Ok(None) => (BackgroundResult::Idle, None),
            Err(error) => {
                tracing::warn!(task = task.as_str(), error = chain(error), "a background task failed and comes again");
                (BackgroundResult::Failed, None)
            }
        };
        self.metrics.run(task, outcome, self.core.clock.now().unix_timestamp());
        turn
    }
}

type TurnFuture<'a> = std::pin::Pin<Box<dyn Future<Output = Result<Option<Turn>, StoreError>> + Send + 'a>>;

async fn every(work: Arc<Background>, task: Task, turn: for<'a> fn(&'a Background) -> TurnFuture<'a>) {
    let shutdown = &work.core.shutdown;
    while !shutdown.has_begun() {
        let result = turn(&work).await;
        if work.note(task, &result) == Some(Turn::More) {
            continue;
        }
        shutdown.pause(task.every()).await;
    }
}

/// A transaction that holds the task's lock until it ends; `None` if another replica has the lock.
async fn take_turn(core: &Core, task: Task) -> Result<Option<Transaction<'static, Postgres>>, StoreError> {
    let mut tx = core.db.begin_in_background().await?;
    Ok(if try_lock(&mut tx, LockClass::Background, task.lock()).await? { Some(tx) } else { None })
}

/// Ends a turn that handled `count` of at most `batch` rows.
async fn end_turn(tx: Transaction<'static, Postgres>, count: usize, batch: i64) -> Result<Option<Turn>, StoreError> {
    commit(tx).await?;
    let full = i64::try_from(count).is_ok_and(|count| count >= batch);
    Ok(Some(if full { Turn::More } else { Turn::Done }))
}
