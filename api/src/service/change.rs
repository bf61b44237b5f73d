//! A unit of work: one transaction with its actor, its time and what follows from it.

use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Actor;
use super::invalidation::Invalidation;
use crate::cache::Tag;
use crate::mail::{Mail, Recipient};
use crate::process::clock::Clock;
use crate::state::Core;
use crate::store::audit::{self, AuditTarget, Deed};
use crate::store::{StoreError, outbox};

/// The process that makes a change: one that serves, or a command.
pub trait Site: Sync {
    /// The clock that gives the time of a change and its new ids.
    fn clock(&self) -> &Clock;

    /// Drops the cached answers that a committed change made obsolete. Cannot fail: what is not dropped now stays in the outbox.
    fn carry_out(&self, invalidation: Invalidation) -> impl Future<Output = ()> + Send;
}

impl Site for Core {
    fn clock(&self) -> &Clock {
        &self.clock
    }

    async fn carry_out(&self, invalidation: Invalidation) {
        invalidation.carry_out(self).await;
    }
}

/// A process that carries out one command and does not serve. It has no Redis and no caches.
#[derive(Clone, Debug)]
pub struct CommandLine {
    /// Connections to the database.
    pub db: PgPool,
    /// The clock that gives the time of a change and its new ids.
    pub clock: Clock,
}

impl Site for CommandLine {
    fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Does nothing, since a command does not speak to Redis: a process that serves reads the outbox within a second and drops the
    /// answers.
    async fn carry_out(&self, _: Invalidation) {}
}

/// A transaction with its actor, its time and the cached answers it makes obsolete. Unless [`Change::commit`] is called, none of
/// its rows and none of its mail are kept.
pub struct Change<'a, S = Core> {
    site: &'a S,
    tx: Transaction<'static, Postgres>,
    actor: Actor,
    now: OffsetDateTime,
    obsolete: Vec<Tag>,
}

impl<'a> Change<'a> {
    /// Begins a change of a request. Fails where the database cannot be reached or too many requests wait for it.
    pub async fn begin(core: &'a Core, actor: Actor) -> Result<Self, StoreError> {
        Ok(Self::on(core, core.db.begin().await?, actor))
    }

    /// Begins a change that no request waits for, on a connection of background work.
    pub async fn begin_in_background(core: &'a Core, actor: Actor) -> Result<Self, StoreError> {
        Ok(Self::on(core, core.db.begin_in_background().await?, actor))
    }

    /// The state of the process that makes the change.
    pub const fn core(&self) -> &'a Core {
        self.site
    }

    /// Puts a sealed message into the outbox. It is sent only if the change is committed.
    pub async fn mail(&mut self, to: Recipient<'_>, mail: &Mail<'_>) -> Result<(), StoreError> {
        let sealed = mail.seal(&self.site.keys.body, &self.site.public_url, to);
        outbox::push_email(&mut self.tx, &sealed, mail.good_until(), self.now).await
    }
}

impl<'a> Change<'a, CommandLine> {
    /// Begins a change that somebody makes at the command line.
    pub async fn begin_at_command_line(site: &'a CommandLine) -> Result<Self, StoreError> {
        Ok(Self::on(site, site.db.begin().await?, Actor::Cli))
    }
}

impl<'a, S: Site> Change<'a, S> {
    fn on(site: &'a S, tx: Transaction<'static, Postgres>, actor: Actor) -> Self {
        Self { site, tx, actor, now: site.clock().now(), obsolete: Vec::new() }
    }

    /// The connection on which statements run inside the transaction.
    pub fn db(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// The time at which the change began; everything that it stores has this time.
    pub const fn now(&self) -> OffsetDateTime {
        self.now
    }

    /// The actor on whose behalf the change is made.
    pub const fn actor(&self) -> Actor {
        self.actor
    }

    /// Makes `actor` the one who acts in the rest of the transaction.
    pub const fn act_as(&mut self, actor: Actor) {
        self.actor = actor;
    }

    /// Makes an id of version 7 (RFC 9562 §5.7): unique everywhere, and in the order of the clock.
    pub fn new_id(&self) -> Uuid {
        self.site.clock().new_id()
    }

    /// Records in the audit that the actor did `action` to `target`. `detail` must contain no personal data.
    pub async fn audit(
        &mut self,
        action: &'static str,
        target: impl Into<AuditTarget>,
        detail: serde_json::Value,
    ) -> Result<(), StoreError> {
        let (id, now) = (self.new_id(), self.now);
        let deed = Deed { actor: &self.actor.to_string(), action, target: target.into(), detail };
        audit::record(&mut self.tx, id, &deed, now).await
    }

    /// Notes tags whose cached answers are to be dropped once the change is committed.
    pub fn invalidate(&mut self, tags: impl IntoIterator<Item = Tag>) {
        self.obsolete.extend(tags);
    }

    /// Writes the tags noted by [`Change::invalidate`] to the outbox, inside the transaction, and forgets them.
    pub(super) async fn announce(&mut self) -> Result<Invalidation, StoreError> {
        Invalidation::announce(&mut self.tx, std::mem::take(&mut self.obsolete), self.now).await
    }

    /// Commits, and then drops the cached answers whose tags were noted. An error means that nothing was stored, unless the
    /// connection broke during COMMIT: then the change may have been stored.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        if self.obsolete.is_empty() {
            return crate::store::commit(self.tx).await;
        }
        let invalidation = self.announce().await?;
        crate::store::commit(self.tx).await?;
        // On the heap, since every change would hold a copy of this future.
        Box::pin(self.site.carry_out(invalidation)).await;
        Ok(())
    }

    /// Rolls back and waits until the database has done so.
    pub async fn roll_back(self) -> Result<(), StoreError> {
        Ok(self.tx.rollback().await?)
    }

    /// Commits a success and rolls back a failure, before the answer goes out. A transaction that is merely dropped is rolled back a
    /// moment later, and until then holds its locks against the client's next request.
    pub async fn conclude<T, E: From<StoreError>>(self, result: Result<T, E>) -> Result<T, E> {
        match result {
            Ok(value) => {
                self.commit().await?;
                Ok(value)
            }
            Err(error) => {
                // Without a connection there is nothing left to roll back.
                let _ = self.roll_back().await;
                Err(error)
            }
        }
    }
}
