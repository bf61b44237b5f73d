//! Moves deltas into the totals, and publishes the new totals to Redis and to every process.

use time::Duration;

use super::{Background, Queue, Task, Turn, end_turn, take_turn};
use crate::store::{StoreError, totals};

/// Deltas that one turn adds up at most.
const BATCH_DELTAS: i64 = 2_000;
/// Totals that one turn publishes at most; the next turn publishes the rest. It must be more than one roll-up can change, since
/// all totals of a roll-up have the same time and the next turn goes on from the time of the last one.
const MAX_PUBLISHED_TOTALS: i64 = 2 * BATCH_DELTAS;
/// The most by which the clocks of two processes may differ.
const CLOCK_SKEW: Duration = Duration::seconds(10);

pub(super) async fn turn(work: &Background) -> Result<Option<Turn>, StoreError> {
    let core = &work.core;
    let Some(mut tx) = take_turn(core, Task::TotalsRollup).await? else { return Ok(None) };
    let now = core.clock.now();
    work.metrics.lag(Queue::Totals, totals::lag(&mut tx, now).await?);
    let rolled_up = totals::roll_up(&mut tx, BATCH_DELTAS, now).await?;
    let turn = end_turn(tx, usize::try_from(rolled_up.deltas).unwrap_or(0), BATCH_DELTAS).await?;
    let moved = {
        let mut db = core.db.background_connection().await?;
        totals::moved_since(&mut db, core.cache.unpublished_since(now), MAX_PUBLISHED_TOTALS).await?
    };
    let full = i64::try_from(moved.len()).is_ok_and(|count| count >= MAX_PUBLISHED_TOTALS);
    let until = moved.last().filter(|_| full).map_or(now - CLOCK_SKEW, |last| last.totals.atualizado_em);
    core.cache.publish_totals(moved.into_iter().map(|named| (named.slug, named.totals)).collect(), until).await;
    Ok(turn)
}
