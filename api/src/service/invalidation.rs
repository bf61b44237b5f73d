//! Tells the caches that something changed. The tags are written to the outbox in the transaction of the change and invalidated right
//! after COMMIT; a background task repeats that until Redis has acknowledged it.

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::cache::Tag;
use crate::state::Core;
use crate::store::{StoreError, outbox};

/// Tags to invalidate once the change is committed.
#[must_use = "what is not carried out is noticed a moment later only"]
#[derive(Debug)]
pub struct Invalidation {
    /// The number of the outbox message; `None` if there are no tags.
    message: Option<i64>,
    tags: Vec<Tag>,
}

impl Invalidation {
    /// Writes `tags` to the outbox in the transaction of the change.
    pub async fn announce(db: &mut PgConnection, tags: Vec<Tag>, now: OffsetDateTime) -> Result<Self, StoreError> {
        let message = if tags.is_empty() { None } else { Some(outbox::push_invalidation(db, &write(&tags), now).await?) };
        Ok(Self { message, tags })
    }

    /// Invalidates the tags in every process and in Redis, after COMMIT. If Redis does not acknowledge it, the message stays in the
    /// outbox.
    pub async fn carry_out(self, core: &Core) {
        if let Some(message) = self.message
            && core.cache.invalidate(&self.tags).await
            && let Ok(mut db) = core.db.connection().await
        {
            // If this fails, the tags are invalidated once more, which does no harm.
            let _ = outbox::finish(&mut db, message).await;
        }
    }
}

fn write(tags: &[Tag]) -> String {
    tags.iter().map(Tag::as_str).collect::<Vec<_>>().join("\n")
}

/// The tags of an outbox message.
pub fn read(text: &str) -> impl Iterator<Item = Tag> {
    text.lines().map(Tag::parse)
}
