//! The outbox: written with the effect, delivered after it, deleted when acknowledged.

use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};

use super::StoreError;

/// A message that waits.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Waiting {
    /// Its number.
    pub id: i64,
    /// Its sealed content.
    pub carga: Vec<u8>,
    /// How often delivery was tried, this time included.
    pub tentativas: i32,
}

/// An e-mail in the outbox, for looking only.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct KeptMail {
    /// Its number.
    pub id: i64,
    /// Its sealed content.
    pub carga: Vec<u8>,
    /// Since when it waits.
    pub criada_em: OffsetDateTime,
    /// After when nobody should get it.
    pub vale_ate: Option<OffsetDateTime>,
}

/// How much waits, for the metrics.
#[derive(Clone, Copy, Debug, Default, sqlx::FromRow)]
pub struct Backlog {
    /// E-mails to deliver.
    pub pending: i64,
    /// E-mails given up.
    pub parked: i64,
    /// Age of the oldest e-mail to deliver, in seconds.
    pub mail_lag_seconds: f64,
    /// Age of the oldest invalidation, in seconds; 0 if none waits.
    pub invalidation_lag_seconds: f64,
}

/// Adds a sealed e-mail, which nobody should get after `until`.
pub async fn push_email(
    db: &mut PgConnection,
    sealed: &[u8],
    until: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO caixa_saida (tipo, carga, proxima_em, criada_em, vale_ate) VALUES ('email', $1, $2, $2, $3)")
        .bind(sealed)
        .bind(now)
        .bind(until)
        .execute(db)
        .await?;
    Ok(())
}

/// Adds an invalidation of `tags`, one in each line, and returns the message's number.
pub async fn push_invalidation(db: &mut PgConnection, tags: &str, now: OffsetDateTime) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(
        "INSERT INTO caixa_saida (tipo, carga, proxima_em, criada_em) VALUES ('cache', convert_to($1, 'UTF8'), $2, $2) RETURNING id",
    )
    .bind(tags)
    .bind(now)
    .fetch_one(db)
    .await?)
}

/// At most `limit` invalidations, oldest first: the number of each message, and its tags, one in each line.
pub async fn waiting_invalidations(db: &mut PgConnection, limit: i64) -> Result<Vec<(i64, String)>, StoreError> {
    Ok(sqlx::query_as("SELECT id, convert_from(carga, 'UTF8') FROM caixa_saida WHERE tipo = 'cache' ORDER BY id LIMIT $1")
        .bind(limit)
        .fetch_all(db)
        .await?)
}

/// Messages were delivered.
pub async fn finish_many(db: &mut PgConnection, ids: &[i64]) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM caixa_saida WHERE id = ANY($1)").bind(ids).execute(db).await?;
    Ok(())
}

/// Deletes at most `limit` e-mails that are too late for whoever would get them; how many.
pub async fn drop_late(db: &mut PgConnection, limit: i64, now: OffsetDateTime) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "DELETE FROM caixa_saida WHERE id IN (
             SELECT id FROM caixa_saida WHERE tipo = 'email' AND vale_ate <= $1 AND estacionada_em IS NULL LIMIT $2 FOR UPDATE SKIP LOCKED)",
    )
    .bind(now)
    .bind(limit)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// At most `limit` e-mails after number `after`, oldest first, parked ones too.
pub async fn waiting(db: &mut PgConnection, after: i64, limit: i64) -> Result<Vec<KeptMail>, StoreError> {
    Ok(sqlx::query_as("SELECT id, carga, criada_em, vale_ate FROM caixa_saida WHERE tipo = 'email' AND id > $1 ORDER BY id LIMIT $2")
        .bind(after)
        .bind(limit)
        .fetch_all(db)
        .await?)
}

/// Takes at most `limit` e-mails that are due. They come back by themselves after `lease` unless they are finished.
pub async fn claim(db: &mut PgConnection, limit: i64, lease: Duration, now: OffsetDateTime) -> Result<Vec<Waiting>, StoreError> {
    Ok(sqlx::query_as(
        "UPDATE caixa_saida SET proxima_em = $3, tentativas = tentativas + 1
         WHERE id IN (SELECT id FROM caixa_saida WHERE tipo = 'email' AND proxima_em <= $1 AND estacionada_em IS NULL
                          AND (vale_ate IS NULL OR vale_ate > $1) ORDER BY proxima_em, id LIMIT $2 FOR UPDATE SKIP LOCKED)
         RETURNING id, carga, tentativas",
    )
    .bind(now)
    .bind(limit)
    .bind(now + lease)
    .fetch_all(db)
    .await?)
}

/// A message was delivered.
pub async fn finish(db: &mut PgConnection, id: i64) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM caixa_saida WHERE id = $1").bind(id).execute(db).await?;
    Ok(())
}

/// A message was not delivered: try again at `next`, or park it where that is `None`.
pub async fn fail(
    db: &mut PgConnection,
    id: i64,
    error: &str,
    next: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE caixa_saida SET ultimo_erro = left($2, 500), proxima_em = coalesce($3, proxima_em),
             estacionada_em = CASE WHEN $3::timestamptz IS NULL THEN $4 END WHERE id = $1",
    )
    .bind(id)
    .bind(error)
    .bind(next)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// How much waits.
pub async fn backlog(db: &mut PgConnection, now: OffsetDateTime) -> Result<Backlog, StoreError> {
    Ok(sqlx::query_as(
        "SELECT count(*) FILTER (WHERE tipo = 'email' AND estacionada_em IS NULL) AS pending,
                count(*) FILTER (WHERE tipo = 'email' AND estacionada_em IS NOT NULL) AS parked,
                coalesce(extract(epoch FROM $1 - min(criada_em) FILTER (WHERE tipo = 'email' AND estacionada_em IS NULL)), 0)::float8
                    AS mail_lag_seconds,
                coalesce(extract(epoch FROM $1 - min(criada_em) FILTER (WHERE tipo = 'cache')), 0)::float8 AS invalidation_lag_seconds
         FROM caixa_saida",
    )
    .bind(now)
    .fetch_one(db)
    .await?)
}
