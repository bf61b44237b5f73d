//! Telling the caches that something changed: written with the change, carried out right after it, and by a background task
//! until Redis has acknowledged it.

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::cache::Tag;
use crate::state::Core;
use crate::store::{StoreError, outbox};

/// Tags to drop once the change is committed.
#[must_use = "what is not carried out is noticed a moment later only"]
#[derive(Debug)]
pub struct Invalidation {
    /// Nothing where there is nothing to drop.
    message: Option<i64>,
    tags: Vec<Tag>,
}

impl Invalidation {
    /// Writes them in the change's own transaction.
    pub async fn announce(db: &mut PgConnection, tags: Vec<Tag>, now: OffsetDateTime) -> Result<Self, StoreError> {
        let message = if tags.is_empty() { None } else { Some(outbox::push_drops(db, &write(&tags), now).await?) };
        Ok(Self { message, tags })
    }

    /// Invalidation them everywhere, after the commit. What Redis does not take in time stays in the outbox.
    pub async fn carry_out(self, core: &Core) {
        if let Some(message) = self.message
            && core.cache.drop_tags(&self.tags).await
            && let Ok(mut db) = core.db.connection().await
        {
            // Where this fails they are dropped once more, which harms nobody.
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
