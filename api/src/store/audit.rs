//! Who did what. Append-only.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;

/// A deed to record.
#[derive(Clone, Debug)]
pub struct Deed<'a> {
    /// `pessoa:{id}` or `cli`.
    pub actor: &'a str,
    /// What was done.
    pub action: &'static str,
    /// The kind of thing it was done to.
    pub target_kind: &'static str,
    /// The thing it was done to.
    pub target: Uuid,
    /// More, without personal data.
    pub detail: serde_json::Value,
}

/// The detail of the newest `action` on a target; nothing where it was never done.
pub async fn last_detail(
    db: &mut PgConnection,
    action: &'static str,
    target_kind: &'static str,
    target: Uuid,
) -> Result<Option<serde_json::Value>, StoreError> {
    Ok(sqlx::query_scalar("SELECT detalhe FROM auditoria WHERE alvo_tipo = $1 AND alvo_id = $2 AND acao = $3 ORDER BY id DESC LIMIT 1")
        .bind(target_kind)
        .bind(target)
        .bind(action)
        .fetch_optional(db)
        .await?)
}

/// Records a deed.
pub async fn record(db: &mut PgConnection, id: Uuid, deed: &Deed<'_>, now: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO auditoria (id, em, ator, acao, alvo_tipo, alvo_id, detalhe) VALUES ($1, $2, $3, $4, $5, $6, $7)")
        .bind(id)
        .bind(now)
        .bind(deed.actor)
        .bind(deed.action)
        .bind(deed.target_kind)
        .bind(deed.target)
        .bind(&deed.detail)
        .execute(db)
        .await?;
    Ok(())
}
