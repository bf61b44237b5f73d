//! Repeats the invalidations that Redis did not acknowledge after their COMMIT, and vouches for the sessions in Redis while none waits.

use super::{Task, Turn, end_turn, take_turn};
use crate::cache::Tag;
use crate::service::invalidation;
use crate::state::Core;
use crate::store::{StoreError, outbox};

/// Messages in the outbox, each an invalidation of some tags, that one turn carries out at most.
const BATCH_MESSAGES: i64 = 500;

pub(super) async fn turn(core: &Core) -> Result<Option<Turn>, StoreError> {
    let Some(mut tx) = take_turn(core, Task::Invalidation).await? else { return Ok(None) };
    let waiting = outbox::waiting_invalidations(&mut tx, BATCH_MESSAGES).await?;
    if waiting.is_empty() {
        core.cache.vouch().await;
        return end_turn(tx, 0, BATCH_MESSAGES).await;
    }
    let tags: Vec<Tag> = waiting.iter().flat_map(|(_, text)| invalidation::read(text)).collect();
    if !core.cache.invalidate(&tags).await {
        // They are there for the next turn.
        return end_turn(tx, 0, BATCH_MESSAGES).await;
    }
    let ids: Vec<i64> = waiting.iter().map(|(id, _)| *id).collect();
    outbox::finish_many(&mut tx, &ids).await?;
    end_turn(tx, ids.len(), BATCH_MESSAGES).await
}
