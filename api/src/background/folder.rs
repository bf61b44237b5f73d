//! Moves deltas into the totals.

use super::{Task, Turn, end_turn, take_turn};
use crate::metrics::Queue;
use crate::state::Core;
use crate::store::{StoreError, totals};

const BATCH: i64 = 2_000;

pub(super) async fn turn(core: &Core) -> Result<Option<Turn>, StoreError> {
    let Some(mut tx) = take_turn(core, Task::Folder).await? else { return Ok(None) };
    let now = core.clock.now();
    core.metrics.lag(Queue::Totals, totals::lag(&mut tx, now).await?);
    let folded = totals::fold(&mut tx, BATCH, now).await?;
    end_turn(tx, usize::try_from(folded.deltas).unwrap_or(0), BATCH).await
}
