//! Asking for a new password. The answer comes before anybody has looked whether there is an account, so what was accepted is not
//! given up because the database is busy or away.

use std::time::{Duration, Instant};

use super::Actor;
use super::change::Change;
use crate::domain::email::Email;
use crate::keys::{random_hex, sha256};
use crate::mail::{Mail, Recipient};
use crate::state::{AppState, Core};
use crate::store::{FailureClass, StoreError, pessoas};
use crate::telemetry::chain;

/// Time for which a code is valid.
const RESET_CODE_LIFE: time::Duration = time::Duration::minutes(30);
/// Time after which a request is given up: the person has given up too, or asked again.
const GIVE_UP_AFTER: Duration = Duration::from_mins(15);
/// Time between two tries.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Accepts a request, or refuses it where too many wait, alike whether the address has an account or not.
pub fn accept(state: &AppState, email: Email) -> Result<(), StoreError> {
    let permit = state.resets.enter().ok_or(StoreError::Crowded)?;
    let core = AppState::clone(state);
    state.shutdown.spawn(async move {
        carry_out(&core, &email).await;
        drop(permit);
    });
    Ok(())
}

/// Tries until it is done, and once more when a stop is asked for. A commit of which nobody knows whether it happened is repeated:
/// two messages help, none does not.
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

/// Sends a code to set a new password, where the address has an account. Of background work, since nobody waits for it.
pub async fn send(core: &Core, email: &Email) -> Result<(), StoreError> {
    let token = random_hex();
    let mut change = Change::begin_in_background(core, Actor::Guest).await?;
    let now = change.now();
    if let Some(account) = pessoas::credentials(change.db(), email).await? {
        let until = now + RESET_CODE_LIFE;
        pessoas::insert_reset(change.db(), &sha256(token.as_bytes()), account.id, now, until).await?;
        let mail = Mail::ResetPassword { token: &token, until };
        change.mail(Recipient::unnamed(email.as_str()), &mail).await?;
    }
    change.commit().await
}
