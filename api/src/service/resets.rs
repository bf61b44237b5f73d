//! Requests for a new password. The client is answered before the account is looked up, so a request that was accepted is tried
//! again while the database is busy or away.

use std::time::{Duration, Instant};

use super::Actor;
use super::change::Change;
use crate::config::keys::{random_hex, sha256};
use crate::domain::email::Email;
use crate::mail::{Mail, Recipient};
use crate::state::{AppState, Core};
use crate::store::{FailureClass, StoreError, people};
use crate::telemetry::chain;

/// Time for which a code is valid.
const RESET_CODE_LIFE: time::Duration = time::Duration::minutes(30);
/// Time after which a request is given up; by then the person has given up too, or has asked again.
const GIVE_UP_AFTER: Duration = Duration::from_mins(15);
/// Time between two tries to prepare the message of one request.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Accepts a request, to be carried out after the answer. Fails with [`StoreError::Crowded`] if too many wait. The result does not
/// tell whether the address has an account.
pub fn accept(state: &AppState, email: Email) -> Result<(), StoreError> {
    let permit = state.resets.enter().ok_or(StoreError::Crowded)?;
    let core = AppState::clone(state);
    state.shutdown.spawn(async move {
        carry_out(&core, &email).await;
        drop(permit);
    });
    Ok(())
}

/// Tries until the message is in the outbox, and gives up after [`GIVE_UP_AFTER`], on a fault, or after one more try when the
/// process is to stop. After a COMMIT without an answer it tries again: two messages are better than none.
async fn carry_out(core: &Core, email: &Email) {
    let began = Instant::now();
    loop {
        let is_last = core.shutdown.has_begun() || began.elapsed() > GIVE_UP_AFTER;
        let turn = core.resets.turn().await;
        let Err(error) = send(core, email).await else { return };
        drop(turn);
        if is_last || error.class() == FailureClass::Fault {
            tracing::error!(error = chain(&error), "a password reset could not be prepared");
            return;
        }
        core.shutdown.pause(RETRY_INTERVAL).await;
    }
}

/// Puts a message with a code to set a new password into the outbox, if the address has an active account. Uses a connection of
/// background work, since no request waits for it.
pub async fn send(core: &Core, email: &Email) -> Result<(), StoreError> {
    let token = random_hex();
    let mut change = Change::begin_in_background(core, Actor::Guest).await?;
    let now = change.now();
    if let Some(account) = people::credentials(change.db(), email).await? {
        let until = now + RESET_CODE_LIFE;
        people::insert_reset(change.db(), &sha256(token.as_bytes()), account.id, now, until).await?;
        let mail = Mail::ResetPassword { token: &token, until };
        change.mail(Recipient::unnamed(email.as_str()), &mail).await?;
    }
    change.commit().await
}
