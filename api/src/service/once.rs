//! Requests that may be sent again: one effect, and the same answer each time.

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::state::Core;
use crate::store::idempotency::{self, Scope};
use crate::store::{LockClass, StoreError, try_lock};

/// An `Idempotency-Key` with what it was sent with.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// The key.
    pub key: Uuid,
    /// SHA-256 of the canonical body.
    pub fingerprint: [u8; 32],
}

/// An answer that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What was made; guests' tokens are rebuilt from it and never stored.
    pub subject: Uuid,
    /// The `Location` header.
    pub location: Option<String>,
    /// The JSON body, byte for byte.
    pub body: String,
}

/// Why a key cannot be used now.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    /// A request with the same key is being worked on.
    #[error("a request with this key is in flight")]
    InFlight,
    /// The key was used with another body.
    #[error("the key was used with another body")]
    Reused,
    /// The kept answer cannot be opened: its key is gone.
    #[error("the kept answer cannot be opened with the keys of this process")]
    Sealed,
    /// A statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes the key for the rest of the transaction: the kept answer, or nothing where the effect is still to be made.
///
/// The lock is tried, not waited for. Whoever gets it reads the row afterwards, so an effect that was committed a moment
/// before is seen.
pub async fn claim(core: &Core, db: &mut PgConnection, scope: &Scope, attempt: &Attempt) -> Result<Option<Answer>, OnceError> {
    if !try_lock(db, LockClass::Idempotency, scope.lock_id()).await? {
        return Err(OnceError::InFlight);
    }
    kept(core, db, scope, attempt).await
}

/// The kept answer of a key, for looking only: a request in flight may be about to keep one.
pub async fn kept(core: &Core, db: &mut PgConnection, scope: &Scope, attempt: &Attempt) -> Result<Option<Answer>, OnceError> {
    let Some(kept) = idempotency::find(db, scope).await? else { return Ok(None) };
    if kept.impressao != attempt.fingerprint {
        return Err(OnceError::Reused);
    }
    let plain = core.keys.body.open(&kept.resposta, &context(scope)).ok_or(OnceError::Sealed)?;
    serde_json::from_slice(&plain).map(Some).map_err(|_| OnceError::Sealed)
}

/// Keeps the answer in the effect's transaction. All kept answers are 201.
pub async fn keep(core: &Core, db: &mut PgConnection, scope: &Scope, attempt: &Attempt, answer: &Answer) -> Result<(), OnceError> {
    // A struct of strings always serialises.
    let plain = serde_json::to_vec(answer).unwrap_or_default();
    let sealed = core.keys.body.seal(&plain, &context(scope));
    Ok(idempotency::insert(db, scope, &attempt.fingerprint, 201, &sealed, core.clock.now()).await?)
}

fn context(scope: &Scope) -> Vec<u8> {
    format!("idempotencia\n{}\n{}\n{}", scope.owner, scope.route, scope.key).into_bytes()
}
