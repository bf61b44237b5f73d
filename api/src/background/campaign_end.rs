//! Closes campaigns whose end has come.

use super::{Task, Turn, end_turn, take_turn};
use crate::state::Core;
use crate::store::{StoreError, campanhas};

const BATCH: i64 = 200;

pub(super) async fn turn(core: &Core) -> Result<Option<Turn>, StoreError> {
    let Some(mut tx) = take_turn(core, Task::CampaignEnd).await? else { return Ok(None) };
    let closed = campanhas::close_ended(&mut tx, BATCH, core.clock.now()).await?;
    end_turn(tx, closed.len(), BATCH).await
}
