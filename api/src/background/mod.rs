//! Work that nobody waits for: one task each, in every replica, one at a time among them.
//!
//! A task's turn is a transaction-level advisory lock, so it works through a pooler and is free the moment a replica dies.

mod books;
mod campaign_end;
mod drops;
mod expiry;
mod folder;
mod outbox;
mod purge;

use std::time::Duration;

use sqlx::{Postgres, Transaction};

use crate::domain::text_enum::texts;
use crate::mail::Mailer;
use crate::metrics::BackgroundResult;
use crate::state::{AppState, Core};
use crate::store::{LockClass, StoreError, commit, try_lock};
use crate::telemetry::chain;

/// The tasks, by lock number and metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Folds totals.
    Folder,
    /// Delivers the outbox.
    Outbox,
    /// Expires donations.
    Expiry,
    /// Closes campaigns that are over.
    CampaignEnd,
    /// Deletes what is no longer needed.
    Purge,
    /// Checks the books.
    Books,
    /// Drops cached answers that Redis has not acknowledged.
    Drops,
}

texts!(Task {
    Folder = "folder",
    Outbox = "outbox",
    Expiry = "expiry",
    CampaignEnd = "campaign_end",
    Purge = "purge",
    Books = "books",
    Drops = "drops",
});

impl Task {
    const fn lock(self) -> i32 {
        match self {
            Self::Folder => 1,
            Self::Outbox => 2,
            Self::Expiry => 3,
            Self::CampaignEnd => 4,
            Self::Purge => 5,
            Self::Books => 6,
            Self::Drops => 7,
        }
    }

    const fn every(self) -> Duration {
        match self {
            Self::Folder => Duration::from_millis(250),
            Self::Drops => Duration::from_millis(500),
            Self::Outbox | Self::Books => Duration::from_secs(1),
            Self::Expiry | Self::CampaignEnd => Duration::from_secs(5),
            Self::Purge => Duration::from_mins(1),
        }
    }
}

/// What a turn did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// All there was.
    Done,
    /// A full batch: there may be more, so the next turn comes at once.
    More,
}

/// Starts every task. They stop when a stop is asked for. Without a `mailer` letters wait.
pub fn spawn_all(state: &AppState, mailer: Option<Mailer>) {
    state.shutdown.spawn(every(state.clone(), Task::Folder, |core| Box::pin(folder::turn(core))));
    state.shutdown.spawn(every(state.clone(), Task::Drops, |core| Box::pin(drops::turn(core))));
    state.shutdown.spawn(every(state.clone(), Task::Expiry, |core| Box::pin(expiry::turn(core))));
    state.shutdown.spawn(every(state.clone(), Task::CampaignEnd, |core| Box::pin(campaign_end::turn(core))));
    state.shutdown.spawn(every(state.clone(), Task::Purge, |core| Box::pin(purge::turn(core))));
    state.shutdown.spawn(books::watch(state.clone()));
    state.shutdown.spawn(outbox::watch(state.clone(), mailer));
}

/// One turn of a task, now; for tests and for whoever cannot wait.
pub async fn run_once(core: &Core, task: Task) -> Result<Option<Turn>, StoreError> {
    match task {
        Task::Folder => folder::turn(core).await,
        Task::Drops => drops::turn(core).await,
        Task::Expiry => expiry::turn(core).await,
        Task::CampaignEnd => campaign_end::turn(core).await,
        Task::Purge => purge::turn(core).await,
        Task::Outbox | Task::Books => Ok(None),
    }
}

type TurnFuture<'a> = std::pin::Pin<Box<dyn Future<Output = Result<Option<Turn>, StoreError>> + Send + 'a>>;

async fn every(state: AppState, task: Task, turn: for<'a> fn(&'a Core) -> TurnFuture<'a>) {
    while !state.shutdown.has_begun() {
        let result = turn(&state).await;
        if note(&state, task, &result) == Some(Turn::More) {
            continue;
        }
        state.shutdown.pause(task.every()).await;
    }
}

/// Counts and logs how a turn ended.
fn note(core: &Core, task: Task, result: &Result<Option<Turn>, StoreError>) -> Option<Turn> {
    let (outcome, turn) = match result {
        Ok(Some(turn)) => (BackgroundResult::Done, Some(*turn)),
        Ok(None) => (BackgroundResult::Idle, None),
        Err(error) => {
            tracing::warn!(task = task.as_str(), error = chain(error), "a background task failed and comes again");
            (BackgroundResult::Failed, None)
        }
    };
    core.metrics.background(task, outcome, core.clock.now().unix_timestamp());
    turn
}

/// A transaction that holds the task's lock; nothing where another replica has it.
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
