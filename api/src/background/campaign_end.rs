//! Closes campaigns whose end has come.

use super::{Task, Turn, end_turn, take_turn};
use crate::cache::Tag;
use crate::service::invalidation::Invalidation;
use crate::state::Core;
use crate::store::{StoreError, campaigns};

/// Campaigns that one turn closes at most.
const BATCH_CAMPAIGNS: i64 = 200;

pub(super) async fn turn(core: &Core) -> Result<Option<Turn>, StoreError> {
    let Some(mut tx) = take_turn(core, Task::CampaignEnd).await? else { return Ok(None) };
    let closed = campaigns::close_ended(&mut tx, BATCH_CAMPAIGNS, core.clock.now()).await?;
    let tags = Tag::all_of_campaigns(closed.iter().map(String::as_str));
    let invalidation = Invalidation::announce(&mut tx, tags, core.clock.now()).await?;
    let turn = end_turn(tx, closed.len(), BATCH_CAMPAIGNS).await?;
    invalidation.carry_out(core).await;
    Ok(turn)
}
