//! Requests that may be sent again: one effect, and the same result each time.

use std::pin::Pin;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::PgConnection;
use uuid::Uuid;

use super::change::Change;
use crate::state::Core;
use crate::store::idempotency::{self as store, Scope};
use crate::store::{LockClass, StoreError, try_lock};

/// An `Idempotency-Key` with what it was sent with.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// The key.
    pub key: Uuid,
    /// SHA-256 of the canonical body.
    pub fingerprint: [u8; 32],
}

/// The result of an operation that has one effect per key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// This request had the effect.
    New(T),
    /// An earlier request with the same key and body had it; this is the result that was kept.
    Repeated(T),
}

impl<T> Outcome<T> {
    /// The result, where this request had the effect.
    pub const fn as_new(&self) -> Option<&T> {
        match self {
            Self::New(result) => Some(result),
            Self::Repeated(_) => None,
        }
    }

    /// The result.
    pub fn into_result(self) -> T {
        match self {
            Self::New(result) | Self::Repeated(result) => result,
        }
    }
}

/// Why a key cannot be used now.
#[derive(Debug, thiserror::Error)]
pub enum IdempotencyError {
    /// A request with the same key is being worked on.
    #[error("a request with this key is in flight")]
    InFlight,
    /// The key was used with another body.
    #[error("the key was used with another body")]
    Reused,
    /// The kept result cannot be read: its key is gone, or a release with another form of it wrote it.
    #[error("the kept result cannot be read with the keys and the code of this process")]
    Sealed,
    /// The result cannot be written to be kept.
    #[error("the result cannot be written")]
    Unwritable(#[source] serde_json::Error),
    /// A statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An operation at work in a change. On the heap, since the future is large and those around it would each hold a copy.
pub type Work<'c, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>>;

/// Does `work` once per key in the transaction of `change`, keeps its result there, and ends the transaction: it commits a success and
/// rolls a failure back.
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

/// Like [`run`], in a transaction that the caller ends.
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

/// Takes the key for the rest of the transaction: the kept result, or nothing where the effect is still to be made.
///
/// The lock is tried, not waited for. The row is read under the lock, so an effect that was committed a moment before is seen.
async fn claim<T: DeserializeOwned>(change: &mut Change<'_>, scope: &Scope, attempt: &Attempt) -> Result<Option<T>, IdempotencyError> {
    if !try_lock(change.db(), LockClass::Idempotency, scope.lock_id()).await? {
        return Err(IdempotencyError::InFlight);
    }
    kept(change.core(), change.db(), scope, attempt).await
}

/// The kept result of a key, for looking only: a request in flight may be about to keep one.
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
    let plain = core.keys.body.open(&kept.resposta, &context(scope)).ok_or(IdempotencyError::Sealed)?;
    serde_json::from_slice(&plain).map(Some).map_err(|_| IdempotencyError::Sealed)
}

/// Keeps the result in the transaction of its effect.
async fn keep(change: &mut Change<'_>, scope: &Scope, attempt: &Attempt, result: &impl Serialize) -> Result<(), IdempotencyError> {
    let plain = serde_json::to_vec(result).map_err(IdempotencyError::Unwritable)?;
    let sealed = change.core().keys.body.seal(&plain, &context(scope));
    let now = change.now();
    Ok(store::insert(change.db(), scope, &attempt.fingerprint, &sealed, now).await?)
}

fn context(scope: &Scope) -> Vec<u8> {
    format!("idempotencia\n{}\n{}\n{}", scope.owner, scope.route, scope.key).into_bytes()
}
