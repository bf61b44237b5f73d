//! Drops in Redis what could not be dropped there when it changed, and vouches for the sessions in Redis while nothing waits.

use super::{Task, Turn, end_turn, take_turn};
use crate::cache::Tag;
use crate::service::invalidation;
use crate::state::Core;
use crate::store::{StoreError, outbox};

/// Messages in the outbox, each with tags to drop, that one turn carries out at most.
const BATCH_MESSAGES: i64 = 500;

pub(super) async fn turn(core: &Core) -> Result<Option<Turn>, StoreError> {
    let Some(mut tx) = take_turn(core, Task::Drops).await? else { return Ok(None) };
    let waiting = outbox::waiting_drops(&mut tx, BATCH_MESSAGES).await?;
    if waiting.is_empty() {
        core.cache.vouch().await;
        return end_turn(tx, 0, BATCH_MESSAGES).await;
    }
    let tags: Vec<Tag> = waiting.iter().flat_map(|(_, text)| invalidation::read(text)).collect();
    if !core.cache.drop_tags(&tags).await {
        // They are there for the next turn.
        return end_turn(tx, 0, BATCH_MESSAGES).await;
    }
    let ids: Vec<i64> = waiting.iter().map(|(id, _)| *id).collect();
    outbox::finish_many(&mut tx, &ids).await?;
    end_turn(tx, ids.len(), BATCH_MESSAGES).await
}
