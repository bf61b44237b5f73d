//! Delivers the outbox. Messages are taken in one transaction and sent outside of it; a process that dies in between leaves
//! them to come back after their lease, so a message is delivered at least once. Without a mail target they are counted and wait.

use std::sync::Arc;

use time::Duration;

use super::{Background, Delivery, MailState, Queue, Task, Turn, end_turn, take_turn};
use crate::mail::Mailer;
use crate::store::StoreError;
use crate::store::outbox::{self, Waiting};
use crate::telemetry::chain;

/// Messages that one turn delivers at most.
const BATCH_MESSAGES: i64 = 20;
/// Messages with expired codes that one turn deletes at most. It is enough for those of any but a very long outage.
const BATCH_LATE_MESSAGES: i64 = 1_000;
/// Time after which a message that a process took and did not deliver may be taken again.
const DELIVERY_LEASE: Duration = Duration::minutes(5);
/// Tries over some six hours; then the message is parked for a person to look at.
const MAX_TRIES: i32 = 12;

pub(super) async fn watch(work: Arc<Background>, mailer: Option<Mailer>) {
    let shutdown = &work.core.shutdown;
    while !shutdown.has_begun() {
        let result = turn(&work, mailer.as_ref()).await;
        if work.note(Task::Outbox, &result) != Some(Turn::More) {
            shutdown.pause(Task::Outbox.every()).await;
        }
    }
}

async fn turn(work: &Background, mailer: Option<&Mailer>) -> Result<Option<Turn>, StoreError> {
    let Background { core, metrics } = work;
    let Some(mut tx) = take_turn(core, Task::Outbox).await? else { return Ok(None) };
    let now = core.clock.now();
    let late = if mailer.is_some() { outbox::drop_late(&mut tx, BATCH_LATE_MESSAGES, now).await? } else { 0 };
    let backlog = outbox::backlog(&mut tx, now).await?;
    metrics.outbox(MailState::Pending, backlog.pending);
    metrics.outbox(MailState::Parked, backlog.parked);
    metrics.lag(Queue::Mail, backlog.mail_lag_seconds);
    metrics.lag(Queue::Invalidation, backlog.invalidation_lag_seconds);
    let Some(mailer) = mailer else { return end_turn(tx, 0, BATCH_MESSAGES).await };
    let messages = outbox::claim(&mut tx, BATCH_MESSAGES, DELIVERY_LEASE, now).await?;
    let turn = end_turn(tx, messages.len(), BATCH_MESSAGES).await?;
    metrics.mail(Delivery::Late, late);
    for message in messages {
        // What is left when the process stops, or cannot be noted, comes back after its lease.
        if core.shutdown.has_begun() {
            break;
        }
        if let Err(error) = deliver(work, mailer, message).await {
            tracing::warn!(error = chain(&error), "a delivery could not be noted");
        }
    }
    Ok(turn)
}

async fn deliver(work: &Background, mailer: &Mailer, message: Waiting) -> Result<(), StoreError> {
    let Background { core, metrics } = work;
    let sent = mailer.deliver(&core.keys.body, &message.carga).await;
    let may_retry = message.tentativas < MAX_TRIES;
    let outcome = match &sent {
        Ok(()) => Delivery::Sent,
        Err(_) if may_retry => Delivery::Failed,
        Err(_) => Delivery::Parked,
    };
    metrics.mail(outcome, 1);
    // Not in the requests' queue: a message that was sent and is not noted goes out once more.
    let mut db = core.db.background_connection().await?;
    match sent {
        Ok(()) => outbox::finish(&mut db, message.id).await,
        Err(error) => {
            let now = core.clock.now();
            let next = may_retry.then(|| now + backoff(message.tentativas));
            tracing::warn!(
                message = message.id,
                tries = message.tentativas,
                parked = next.is_none(),
                error = error.without_addresses(),
                "a message was not delivered"
            );
            outbox::fail(&mut db, message.id, &error.without_addresses(), next, now).await
        }
    }
}

/// 10 s, doubled by each try, at most three hours.
fn backoff(tries: i32) -> Duration {
    let doublings = u32::try_from(tries - 1).unwrap_or(0).min(20);
    Duration::seconds(10_i64.saturating_mul(1_i64 << doublings)).min(Duration::hours(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_spread_over_hours() {
        assert_eq!(backoff(1), Duration::seconds(10));
        assert_eq!(backoff(2), Duration::seconds(20));
        assert_eq!(backoff(50), Duration::hours(3));
        let total: Duration = (1..MAX_TRIES).map(backoff).sum();
        assert!(total > Duration::hours(5), "{total}");
    }
}
