//! Signing up, proving an address, and passwords. Nothing here tells a stranger whether an e-mail has an account.

use std::net::IpAddr;

use secrecy::SecretString;
use time::Duration;

use super::Actor;
use super::change::Change;
use crate::cache::Tag;
use crate::config::keys::{random_hex, sha256};
use crate::domain::email::{Email, Password};
use crate::domain::ids::PersonId;
use crate::domain::text::Name;
use crate::mail::{Mail, Recipient};
use crate::password::PasswordsError;
use crate::state::{Core, PRIVACY_NOTICE};
use crate::store::StoreError;
use crate::store::access_log::{self, Access};
use crate::store::people::{self, NewSignUp, Person};
use crate::store::sessions;

/// Time for which a sign-up waits for its code.
const SIGN_UP_LIFE: Duration = Duration::hours(24);

/// Why an account did not change.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The token is unknown, used or expired.
    #[error("the token is unknown, used or expired")]
    BadToken,
    /// The password is not the one that the sign-up was made with.
    #[error("the sign-up has another password")]
    WrongPassword,
    /// The profile was changed by somebody else.
    #[error("the profile has another version")]
    Stale,
    /// Hashing was refused.
    #[error(transparent)]
    Passwords(#[from] PasswordsError),
    /// A statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes a sign-up. A known and an unknown address cost the same hash, the same kind of row and one mail each.
pub async fn sign_up(core: &Core, nome: Name, email: Email, password: Password) -> Result<(), AccountError> {
    let senha_hash = core.passwords.hash(password.into_secret()).await?;
    let token = random_hex();
    let mut change = Change::begin(core, Actor::Guest).await?;
    let now = change.now();
    let exists = people::has_account(change.db(), &email).await?;
    let sign_up = NewSignUp {
        token_hash: sha256(token.as_bytes()),
        pessoa_id: PersonId(change.new_id()),
        nome,
        email,
        senha_hash,
        aviso_privacidade: PRIVACY_NOTICE.to_owned(),
    };
    let until = now + SIGN_UP_LIFE;
    people::insert_sign_up(change.db(), &sign_up, now, until).await?;
    let mail = if exists { Mail::AccountExists } else { Mail::VerifyEmail { token: &token, until } };
    change.mail(Recipient::named(sign_up.nome.as_str(), sign_up.email.as_str()), &mail).await?;
    Ok(change.commit().await?)
}

/// Makes the account of a sign-up whose mail was answered by whoever made it. The code alone does not do: a stranger may
/// have signed up with the address too, and the owner, holding both codes, must not get the stranger's password.
pub async fn verify_email(core: &Core, token: &str, password: SecretString, ip: IpAddr) -> Result<Person, AccountError> {
    let now = core.clock.now();
    let token_hash = sha256(token.as_bytes());
    // Before the hashing, or invented tokens would take its few places from those who log in.
    let stored = {
        let mut db = core.db.connection().await?;
        people::sign_up_password_hash(&mut db, &token_hash, now).await?.ok_or(AccountError::BadToken)?
    };
    if !core.passwords.verify(core.passwords.queue_up()?, password, Some(stored)).await? {
        return Err(AccountError::WrongPassword);
    }
    let mut change = Change::begin(core, Actor::Guest).await?;
    let (access, now) = (change.new_id(), change.now());
    let id = people::complete_sign_up(change.db(), &token_hash, now).await?.ok_or(AccountError::BadToken)?;
    access_log::record(change.db(), access, ip, Access::SignUp(id), now).await?;
    let person = people::get(change.db(), id).await?.ok_or(AccountError::BadToken)?;
    change.commit().await?;
    Ok(person)
}

/// Sets a new password by code and ends every session.
pub async fn reset(core: &Core, token: &str, password: Password, ip: IpAddr) -> Result<(), AccountError> {
    let now = core.clock.now();
    let token_hash = sha256(token.as_bytes());
    // Before the hashing, or invented tokens would take its few places from those who log in.
    let live = {
        let mut db = core.db.connection().await?;
        people::reset_is_live(&mut db, &token_hash, now).await?
    };
    if !live {
        return Err(AccountError::BadToken);
    }
    let hash = core.passwords.hash(password.into_secret()).await?;
    let mut change = Change::begin(core, Actor::Guest).await?;
    let (access, now) = (change.new_id(), change.now());
    let id = people::take_reset(change.db(), &token_hash, now).await?.ok_or(AccountError::BadToken)?;
    people::set_password(change.db(), id, &hash, now).await?;
    let ended = sessions::delete_all(change.db(), id).await?;
    change.invalidate(ended.iter().map(|hash| Tag::session(hash)));
    access_log::record(change.db(), access, ip, Access::Reset(id), now).await?;
    if let Some((nome, email)) = people::address(change.db(), id).await? {
        change.mail(Recipient::named(&nome, &email), &Mail::PasswordChanged).await?;
    }
    change.commit().await?;
    Ok(())
}

/// Changes the profile where `version` is still the current one.
pub async fn update_profile(core: &Core, id: PersonId, version: i32, nome: Option<&Name>) -> Result<Person, AccountError> {
    let mut change = Change::begin(core, Actor::Person(id)).await?;
    let now = change.now();
    let changed = people::update_profile(change.db(), id, version, nome, now).await?.ok_or(AccountError::Stale)?;
    change.invalidate([Tag::person(id)]);
    change.commit().await?;
    Ok(changed)
}

/// Whether `password` is the person's.
pub async fn password_matches(core: &Core, id: PersonId, password: SecretString) -> Result<bool, AccountError> {
    let permit = core.passwords.queue_up()?;
    let stored = {
        let mut db = core.db.connection().await?;
        people::password_hash(&mut db, id).await?
    };
    Ok(core.passwords.verify(permit, password, stored).await?)
}
