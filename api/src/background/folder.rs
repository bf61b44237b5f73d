//! Moves deltas into the totals, and shows the totals to everyone.

use time::Duration;

use super::{Task, Turn, end_turn, take_turn};
use crate::metrics::Queue;
use crate::state::Core;
use crate::store::{StoreError, totals};

const BATCH: i64 = 2_000;
/// What moved in this time is published again: Redis may have been away, or the process before this one may have died.
/// As long as Redis keeps a list of donations.
const REPEATED: Duration = Duration::minutes(15);
const MOST: i64 = 1_000;

pub(super) async fn turn(core: &Core) -> Result<Option<Turn>, StoreError> {
    let Some(mut tx) = take_turn(core, Task::Folder).await? else { return Ok(None) };
    let now = core.clock.now();
    core.metrics.lag(Queue::Totals, totals::lag(&mut tx, now).await?);
    let folded = totals::fold(&mut tx, BATCH, now).await?;
    let turn = end_turn(tx, usize::try_from(folded.deltas).unwrap_or(0), BATCH).await?;
    let moved = {
        let mut db = core.background_connection().await?;
        totals::moved_since(&mut db, now - REPEATED, MOST).await?
    };
    core.cache.publish_totals(moved.into_iter().map(|named| (named.slug, named.totals)).collect()).await;
    Ok(turn)
}
