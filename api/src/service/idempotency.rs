//! Requests that clients may send again: the first has the effect, and every repetition gets the result of the first.

use std::pin::Pin;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::PgConnection;
use uuid::Uuid;

use super::change::Change;
use crate::state::Core;
use crate::store::idempotency::{self as store, Scope};
use crate::store::{LockClass, StoreError, try_lock};

/// An `Idempotency-Key` with the hash of the body that it was sent with.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// The value of the header.
    pub key: Uuid,
    /// SHA-256 of the canonical body.
    pub fingerprint: [u8; 32],
}

/// The result of an operation that has one effect per key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// The result of this request, which had the effect.
    New(T),
    /// The kept result of an earlier request with the same key and body.
    Repeated(T),
}

impl<T> Outcome<T> {
    /// The result if this request had the effect; `None` for a repetition.
    pub const fn as_new(&self) -> Option<&T> {
        match self {
            Self::New(result) => Some(result),
            Self::Repeated(_) => None,
        }
    }

    /// The result, whether new or repeated.
    pub fn into_result(self) -> T {
        match self {
            Self::New(result) | Self::Repeated(result) => result,
        }
    }
}

/// Why a key cannot be used now.
#[derive(Debug, thiserror::Error)]
pub enum IdempotencyError {
    /// Another request with the same key is in progress, or one whose key shares its lock.
    #[error("a request with this key is in flight")]
    InFlight,
    /// An earlier request used the key with another body.
    #[error("the key was used with another body")]
    Reused,
    /// The kept result cannot be read: the key that sealed it is no longer in the key ring, or another release wrote it in another
    /// form.
    #[error("the kept result cannot be read with the keys and the code of this process")]
    Sealed,
    /// The result cannot be serialised to JSON, so it cannot be kept. The caller must roll the effect back.
    #[error("the result cannot be written")]
    Unwritable(#[source] serde_json::Error),
    /// The lock could not be taken, or the kept result could not be read or stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The future of an operation inside a change. It is boxed because it is large and each future around it would hold a copy.
pub type Work<'c, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>>;

/// Runs `work` if the key has no kept result, and keeps the result in the same transaction. Then commits if that worked, and rolls
/// back if it failed.
pub async fn run<'a, T, E>(
    mut change: Change<'a>,
    scope: &Scope,
    attempt: &Attempt,
    work: impl for<'c> FnOnce(&'c mut Change<'a>) -> Work<'c, T, E>,
) -> Result<Outcome<T>, E>
where
    T: Serialize + DeserializeOwned,
    E: From<IdempotencyError> + From<StoreError>,
{
    let outcome = run_within(&mut change, scope, attempt, work).await;
    change.conclude(outcome).await
}

/// Like [`run`], in a transaction that the caller commits or rolls back.
pub async fn run_within<'a, T, E>(
    change: &mut Change<'a>,
    scope: &Scope,
    attempt: &Attempt,
    work: impl for<'c> FnOnce(&'c mut Change<'a>) -> Work<'c, T, E>,
) -> Result<Outcome<T>, E>
where
    T: Serialize + DeserializeOwned,
    E: From<IdempotencyError>,
{
    if let Some(result) = claim(change, scope, attempt).await? {
        return Ok(Outcome::Repeated(result));
    }
    let result = work(change).await?;
    keep(change, scope, attempt, &result).await?;
    Ok(Outcome::New(result))
}

/// Locks the key until the transaction ends and returns its kept result; `None` means that the effect is still to be made.
///
/// Does not wait for the lock: if another request has it, the error is [`IdempotencyError::InFlight`]. The result is read under the
/// lock, so one that was committed a moment before is found.
async fn claim<T: DeserializeOwned>(change: &mut Change<'_>, scope: &Scope, attempt: &Attempt) -> Result<Option<T>, IdempotencyError> {
    if !try_lock(change.db(), LockClass::Idempotency, scope.lock_id()).await? {
        return Err(IdempotencyError::InFlight);
    }
    kept(change.core(), change.db(), scope, attempt).await
}

/// The kept result of a key, without a lock: `None` may also mean that another request is about to keep one.
pub async fn kept<T: DeserializeOwned>(
    core: &Core,
    db: &mut PgConnection,
    scope: &Scope,
    attempt: &Attempt,
) -> Result<Option<T>, IdempotencyError> {
    let Some(kept) = store::find(db, scope).await? else { return Ok(None) };
    if kept.impressao != attempt.fingerprint {
        return Err(IdempotencyError::Reused);
    }
    unseal(core, scope, &kept.resposta).map(Some)
}

/// The kept result of a key, whatever body it was sent with: for a sender who shows the key and is told what became of it.
pub async fn earlier<T: DeserializeOwned>(core: &Core, db: &mut PgConnection, scope: &Scope) -> Result<Option<T>, IdempotencyError> {
    let Some(kept) = store::find(db, scope).await? else { return Ok(None) };
    unseal(core, scope, &kept.resposta).map(Some)
}

fn unseal<T: DeserializeOwned>(core: &Core, scope: &Scope, sealed: &[u8]) -> Result<T, IdempotencyError> {
    let plain = core.keys.body.open(sealed, &context(scope)).ok_or(IdempotencyError::Sealed)?;
    serde_json::from_slice(&plain).map_err(|_| IdempotencyError::Sealed)
}

/// Stores the sealed result in the transaction of its effect.
async fn keep(change: &mut Change<'_>, scope: &Scope, attempt: &Attempt, result: &impl Serialize) -> Result<(), IdempotencyError> {
    let plain = serde_json::to_vec(result).map_err(IdempotencyError::Unwritable)?;
    let sealed = change.core().keys.body.seal(&plain, &context(scope));
    let now = change.now();
    Ok(store::insert(change.db(), scope, &attempt.fingerprint, &sealed, now).await?)
}

fn context(scope: &Scope) -> Vec<u8> {
    format!("idempotencia\n{}\n{}\n{}", scope.owner, scope.route, scope.key).into_bytes()
}
