//! Results kept under their idempotency key, in the transaction of their effect.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;

/// A key with its owner and its route; each combination keeps one result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// `pessoa:{id}`; for guests `campanha:{id}`, `campanha:{id} dispositivo:{hash}` or `doacao:{id}`.
    pub owner: String,
    /// The method and the pattern of the route, for instance `POST /doacoes/{id}/pagamentos`.
    pub route: &'static str,
    /// The value of the header `Idempotency-Key`.
    pub key: Uuid,
}

/// A result as it is stored.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct KeptResult {
    /// SHA-256 of the request's canonical body.
    pub impressao: Vec<u8>,
    /// The HTTP status of the answer; 201 for every result that this release keeps.
    pub status: i16,
    /// The result as JSON, sealed.
    pub resposta: Vec<u8>,
}

impl Scope {
    /// The number of this key's lock, 32 bits of a hash. If two keys share a number, a request with one is refused while a request
    /// with the other is in progress.
    pub fn lock_id(&self) -> i32 {
        let [a, b, c, d, ..] = crate::config::keys::sha256(format!("{}\n{}\n{}", self.owner, self.route, self.key).as_bytes());
        i32::from_be_bytes([a, b, c, d])
    }
}

/// The kept result of a key; `None` if there is none.
pub async fn find(db: &mut PgConnection, scope: &Scope) -> Result<Option<KeptResult>, StoreError> {
    Ok(sqlx::query_as("SELECT impressao, status, resposta FROM idempotencia WHERE dono = $1 AND rota = $2 AND chave = $3")
        .bind(&scope.owner)
        .bind(scope.route)
        .bind(scope.key)
        .fetch_optional(db)
        .await?)
}

/// The HTTP status of every kept result.
const CREATED_STATUS: i16 = 201;

/// Stores a sealed result. Fails if the key has one already.
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
        .bind(CREATED_STATUS)
        .bind(sealed)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// Deletes at most `limit` results that were kept before `before`. Returns how many were deleted.
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
