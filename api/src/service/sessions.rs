//! Logging in and out.

use std::net::IpAddr;

use secrecy::SecretString;
use time::{Duration, OffsetDateTime};

use super::Actor;
use super::accounts::{AccountError, password_matches};
use super::change::Change;
use crate::cache::Tag;
use crate::config::keys::{random_hex, sha256};
use crate::domain::email::Email;
use crate::domain::ids::{PersonId, SessionId};
use crate::password::PasswordsError;
use crate::state::Core;
use crate::store::access_log::{self, Access};
use crate::store::sessions::{self, NewSession, Session};
use crate::store::{StoreError, people};

/// Time after which a session ends, used or not.
const SESSION_LIFE: Duration = Duration::days(30);
/// Time for which an entered password is recent enough to confirm money.
const PASSWORD_RECENT_FOR: Duration = Duration::minutes(10);

/// A session that was just opened or renewed.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The session.
    pub id: SessionId,
    /// The secret for the cookie; only its hash is stored.
    pub token: String,
    /// Who.
    pub pessoa_id: PersonId,
    /// How long the cookie may live.
    pub life: Duration,
}

/// Why nobody was logged in.
#[derive(Debug, thiserror::Error)]
pub enum LogInError {
    /// No such account, or another password: one answer for both.
    #[error("no account with this e-mail and password")]
    Refused,
    /// Hashing was refused.
    #[error(transparent)]
    Passwords(#[from] PasswordsError),
    /// A statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<AccountError> for LogInError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Passwords(error) => Self::Passwords(error),
            AccountError::Store(error) => Self::Store(error),
            AccountError::BadToken | AccountError::WrongPassword | AccountError::Stale => Self::Refused,
        }
    }
}

/// Opens a session. An unknown address takes the time of a wrong password.
pub async fn log_in(
    core: &Core,
    email: Option<&Email>,
    password: SecretString,
    agent: Option<&str>,
    ip: IpAddr,
) -> Result<Opened, LogInError> {
    let permit = core.passwords.queue_up()?;
    let account = match email {
        Some(email) => {
            let mut db = core.db.connection().await?;
            people::credentials(&mut db, email).await?
        }
        None => None,
    };
    let stored = account.as_ref().map(|account| account.senha_hash.clone());
    let matches = core.passwords.verify(permit, password, stored).await?;
    let account = account.filter(|_| matches).ok_or(LogInError::Refused)?;
    let token = random_hex();
    let mut change = Change::begin(core, Actor::Person(account.id)).await?;
    let (access, now) = (change.new_id(), change.now());
    let session = NewSession {
        id: SessionId(change.new_id()),
        hash: sha256(token.as_bytes()),
        pessoa_id: account.id,
        versao_auth: account.versao_auth,
        agente: agent,
        expira_em: now + SESSION_LIFE,
    };
    sessions::insert(change.db(), &session, now).await?;
    access_log::record(change.db(), access, ip, Access::LogIn(account.id), now).await?;
    change.commit().await?;
    Ok(Opened { id: session.id, token, pessoa_id: account.id, life: SESSION_LIFE })
}

/// Ends a session of `pessoa`; whether there was one. It is over for every process before this returns, where Redis answers.
pub async fn end(core: &Core, person_id: PersonId, id: SessionId) -> Result<bool, StoreError> {
    let mut change = Change::begin(core, Actor::Person(person_id)).await?;
    let Some(hash) = sessions::delete(change.db(), person_id, id).await? else { return Ok(false) };
    change.invalidate([Tag::session(&hash)]);
    change.commit().await?;
    Ok(true)
}

/// Takes the password again: the session counts as recent and gets a new token.
pub async fn reauthenticate(core: &Core, session: &Session, password: SecretString) -> Result<Opened, LogInError> {
    if !password_matches(core, session.pessoa_id, password).await? {
        return Err(LogInError::Refused);
    }
    let token = random_hex();
    let mut change = Change::begin(core, Actor::Person(session.pessoa_id)).await?;
    let now = change.now();
    let old = sessions::renew(change.db(), session.id, &sha256(token.as_bytes()), now).await?.ok_or(LogInError::Refused)?;
    change.invalidate([Tag::session(&old)]);
    change.commit().await?;
    Ok(Opened { id: session.id, token, pessoa_id: session.pessoa_id, life: SESSION_LIFE })
}

/// Whether the password was entered recently enough to confirm money.
pub fn is_recent(session: &Session, now: OffsetDateTime) -> bool {
    now - session.reautenticada_em <= PASSWORD_RECENT_FOR
}
