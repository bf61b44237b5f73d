//! Checks the books, a part of them a turn, round and round.

use std::collections::HashMap;
use std::time::Instant;

use std::sync::Arc;

use super::{Background, Task, Turn};
use crate::store::consistency::{self, CHECKS, Finding, Part, Size};
use crate::store::{LockClass, StoreError, commit, try_lock};

/// The part of a connection's time that checking takes, in each replica: one in so many.
const INVERSE_TIME_SHARE: u32 = 50;

/// How far a pass over all of them has come.
struct Pass {
    last: Option<Part>,
    rows: HashMap<&'static str, usize>,
    /// When the present turn began to check.
    began: Instant,
}

pub(super) async fn watch(work: Arc<Background>) {
    let shutdown = &work.core.shutdown;
    let mut pass = Pass { last: None, rows: HashMap::new(), began: Instant::now() };
    while !shutdown.has_begun() {
        // A very large campaign takes longer than a stop may wait; what only reads can be left.
        pass.began = Instant::now();
        let result = tokio::select! {
            result = turn(&work, &mut pass) => result,
            () = shutdown.begun() => break,
        };
        work.note(Task::Books, &result);
        shutdown.pause(Task::Books.every().max(pass.began.elapsed() * (INVERSE_TIME_SHARE - 1))).await;
    }
}

async fn turn(work: &Background, pass: &mut Pass) -> Result<Option<Turn>, StoreError> {
    // The lock only keeps replicas from doing the same work.
    let mut tx = work.core.db.begin_in_background().await?;
    consistency::hold_still(&mut tx).await?;
    if !try_lock(&mut tx, LockClass::Background, Task::Books.lock()).await? {
        return Ok(None);
    }
    work.core.db.collect_missing_statistics().await?;
    // What that took is no part of checking, and is not rested from.
    pass.began = Instant::now();
    // A part that fails is counted as such and met again on the next round; it must not keep the others from theirs.
    pass.last = consistency::next(&mut tx, pass.last.as_ref(), Size::default()).await?;
    match &pass.last {
        Some(part) => {
            for Finding { check, rows } in consistency::check(&mut tx, part, Size::default()).await? {
                tracing::error!(check, ?rows, "the books do not agree");
                *pass.rows.entry(check).or_default() += rows.len();
            }
        }
        None => {
            for check in CHECKS {
                work.metrics.findings(check, pass.rows.remove(check).unwrap_or(0));
            }
        }
    }
    commit(tx).await?;
    Ok(Some(Turn::Done))
}
