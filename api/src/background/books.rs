//! Checks the books, a part of them a turn, round and round.

use std::collections::HashMap;
use std::time::Instant;

use super::{Task, Turn, note, take_turn};
use crate::state::{AppState, Core, commit};
use crate::store::StoreError;
use crate::store::consistency::{CHECKS, Finding, Part};

/// The part of a connection's time that checking takes, in each replica: one in so many.
const SHARE: u32 = 50;

/// How far a pass over all of them has come.
#[derive(Default)]
struct Pass {
    last: Option<Part>,
    rows: HashMap<&'static str, usize>,
}

pub(super) async fn watch(state: AppState) {
    let mut pass = Pass::default();
    while !state.shutdown.has_begun() {
        // A very large campaign takes longer than a stop may wait; what only reads can be left.
        let started = Instant::now();
        let result = tokio::select! {
            result = turn(&state, &mut pass) => result,
            () = state.shutdown.begun() => break,
        };
        note(&state, Task::Books, &result);
        state.shutdown.pause(Task::Books.every().max(started.elapsed() * (SHARE - 1))).await;
    }
}

async fn turn(core: &Core, pass: &mut Pass) -> Result<Option<Turn>, StoreError> {
    // The lock only keeps replicas from doing the same work; the checks read on a connection of their own.
    let Some(tx) = take_turn(core, Task::Books).await? else { return Ok(None) };
    core.collect_missing_statistics().await?;
    // A part that fails is counted as such and met again on the next round; it must not keep the others from theirs.
    pass.last = core.next_part_of_books(pass.last.as_ref()).await?;
    let findings = match &pass.last {
        Some(part) => core.check_part_of_books(part).await?,
        None => vec![],
    };
    commit(tx).await?;
    for Finding { check, rows } in findings {
        tracing::error!(check, ?rows, "the books do not agree");
        *pass.rows.entry(check).or_default() += rows.len();
    }
    if pass.last.is_none() {
        for check in CHECKS {
            core.metrics.findings(check, pass.rows.remove(check).unwrap_or(0));
        }
    }
    Ok(Some(Turn::Done))
}
