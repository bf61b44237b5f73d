//! A unit of work: one transaction with its actor, its time and what follows from it.

use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Actor;
use super::invalidation::Invalidation;
use crate::cache::Tag;
use crate::clock::Clock;
use crate::mail::{Mail, Recipient};
use crate::state::Core;
use crate::store::audit::{self, AuditTarget, Deed};
use crate::store::{StoreError, outbox};

/// Where changes are made: in a process that serves, or at the command line.
pub trait Site: Sync {
    /// The time, and new ids.
    fn clock(&self) -> &Clock;

    /// Drops what a committed change made obsolete.
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

/// The command line: a database and a clock.
#[derive(Clone, Debug)]
pub struct CommandLine {
    /// The database.
    pub db: PgPool,
    /// The time.
    pub clock: Clock,
}

impl Site for CommandLine {
    fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The command line does not speak to Redis: a process that serves drops what was announced within a second.
    async fn carry_out(&self, _: Invalidation) {}
}

/// A change in the making. Without [`Change::commit`] nothing of it happens: neither its rows nor its mail.
pub struct Change<'a, S = Core> {
    site: &'a S,
    tx: Transaction<'static, Postgres>,
    actor: Actor,
    now: OffsetDateTime,
    obsolete: Vec<Tag>,
}

impl<'a> Change<'a> {
    /// A change that a request makes.
    pub async fn begin(core: &'a Core, actor: Actor) -> Result<Self, StoreError> {
        Ok(Self::on(core, core.db.begin().await?, actor))
    }

    /// A change that no request waits for.
    pub async fn begin_in_background(core: &'a Core, actor: Actor) -> Result<Self, StoreError> {
        Ok(Self::on(core, core.db.begin_in_background().await?, actor))
    }

    /// What the process works with.
    pub const fn core(&self) -> &'a Core {
        self.site
    }

    /// Puts a message into the outbox, sealed.
    pub async fn mail(&mut self, to: Recipient<'_>, mail: &Mail<'_>) -> Result<(), StoreError> {
        let sealed = mail.seal(&self.site.keys.body, &self.site.public_url, to);
        outbox::push_email(&mut self.tx, &sealed, mail.good_until(), self.now).await
    }
}

impl<'a> Change<'a, CommandLine> {
    /// A change that somebody makes at the command line.
    pub async fn begin_at_command_line(site: &'a CommandLine) -> Result<Self, StoreError> {
        Ok(Self::on(site, site.db.begin().await?, Actor::Cli))
    }
}

impl<'a, S: Site> Change<'a, S> {
    fn on(site: &'a S, tx: Transaction<'static, Postgres>, actor: Actor) -> Self {
        Self { site, tx, actor, now: site.clock().now(), obsolete: Vec::new() }
    }

    /// The transaction's connection.
    pub fn db(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// The time of the whole change.
    pub const fn now(&self) -> OffsetDateTime {
        self.now
    }

    /// The one who makes it.
    pub const fn actor(&self) -> Actor {
        self.actor
    }

    /// The same transaction, where `actor` acts from now on.
    pub const fn act_as(&mut self, actor: Actor) {
        self.actor = actor;
    }

    /// A new id.
    pub fn new_id(&self) -> Uuid {
        self.site.clock().new_id()
    }

    /// Records in the audit what the actor did to `target`; `detail` is without personal data.
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

    /// Notes cached answers that the change makes obsolete.
    pub fn invalidate(&mut self, tags: impl IntoIterator<Item = Tag>) {
        self.obsolete.extend(tags);
    }

    /// Writes what was noted by [`Change::invalidate`] into the transaction.
    pub(super) async fn announce(&mut self) -> Result<Invalidation, StoreError> {
        Invalidation::announce(&mut self.tx, std::mem::take(&mut self.obsolete), self.now).await
    }

    /// Commits, and then drops the cached answers that are obsolete.
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

    /// Rolls back, before the answer goes out.
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
