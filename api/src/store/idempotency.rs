//! Results kept under their idempotency key, in the transaction of their effect.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;

/// Whose key, where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// `pessoa:{id}`, or `campanha:{id}` for a guest.
    pub owner: String,
    /// The route's pattern with its method.
    pub route: &'static str,
    /// The key.
    pub key: Uuid,
}

/// A kept result.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct KeptResult {
    /// SHA-256 of the request's canonical body.
    pub impressao: Vec<u8>,
    /// The answer's status.
    pub status: i16,
    /// The result, sealed.
    pub resposta: Vec<u8>,
}

impl Scope {
    /// The lock of this key. Two keys that share one only wait for each other.
    pub fn lock_id(&self) -> i32 {
        let [a, b, c, d, ..] = crate::keys::sha256(format!("{}\n{}\n{}", self.owner, self.route, self.key).as_bytes());
        i32::from_be_bytes([a, b, c, d])
    }
}

/// The kept result of a key.
pub async fn find(db: &mut PgConnection, scope: &Scope) -> Result<Option<KeptResult>, StoreError> {
    Ok(sqlx::query_as("SELECT impressao, status, resposta FROM idempotencia WHERE dono = $1 AND rota = $2 AND chave = $3")
        .bind(&scope.owner)
        .bind(scope.route)
        .bind(scope.key)
        .fetch_optional(db)
        .await?)
}

/// The HTTP status of every kept result.
const CREATED: i16 = 201;

/// Keeps a sealed result.
pub async fn insert(
    db: &mut PgConnection,
    scope: &Scope,
    fingerprint: &[u8; 32],
    sealed: &[u8],
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO idempotencia (dono, rota, chave, impressao, status, resposta, criada_em) VALUES ($1, $2, $3, $4, $5, $6, $7)")
        .bind(&scope.owner)
        .bind(scope.route)
        .bind(scope.key)
        .bind(fingerprint.as_slice())
        .bind(CREATED)
        .bind(sealed)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// Deletes at most `limit` results from before `before`; how many went.
pub async fn purge(db: &mut PgConnection, before: OffsetDateTime, limit: i64) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "DELETE FROM idempotencia WHERE (dono, rota, chave) IN
         (SELECT dono, rota, chave FROM idempotencia WHERE criada_em < $1 ORDER BY criada_em LIMIT $2)",
    )
    .bind(before)
    .bind(limit)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}
