//! Refunds. That they never exceed their receipt is held by a trigger under the receipt's lock.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::StoreError;
use crate::domain::ids::{ChargeId, DonationId, PersonId, RefundId};
use crate::domain::money::Centavos;

/// A refund.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns are described in migrations/")]
pub struct Refund {
    pub id: RefundId,
    pub doacao_id: DonationId,
    pub e2eid: String,
    pub id_devolucao: String,
    pub valor_centavos: i64,
    pub motivo: Option<String>,
    pub situacao: String,
    #[serde(with = "time::serde::rfc3339")]
    pub criada_em: OffsetDateTime,
}

/// A refund to store.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are described in migrations/")]
pub struct NewRefund<'a> {
    pub id: RefundId,
    pub doacao_id: DonationId,
    pub pagamento_id: ChargeId,
    pub e2eid: &'a str,
    pub valor: Centavos,
    pub motivo: Option<&'a str>,
    pub criada_por: PersonId,
}

/// Why a refund was not stored.
#[derive(Debug, thiserror::Error)]
pub enum InsertRefundError {
    /// More than what is left of the receipt.
    #[error("more than what is left of the receipt")]
    Exceeds,
    /// The statement failed.
    #[error(transparent)]
    Store(StoreError),
}

/// What went back of a receipt so far, in centavos.
pub async fn refunded(db: &mut PgConnection, e2eid: &str) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("SELECT coalesce(sum(valor_centavos), 0)::bigint FROM devolucoes WHERE e2eid = $1")
        .bind(e2eid)
        .fetch_one(db)
        .await?)
}

/// Stores a refund.
pub async fn insert(db: &mut PgConnection, new: &NewRefund<'_>, now: OffsetDateTime) -> Result<Refund, InsertRefundError> {
    sqlx::query_as(
        "INSERT INTO devolucoes (id, doacao_id, pagamento_id, e2eid, id_devolucao, valor_centavos, motivo, situacao, criada_por, criada_em)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'registrada', $8, $9)
         RETURNING id, doacao_id, e2eid, id_devolucao, valor_centavos, motivo, situacao, criada_em",
    )
    .bind(new.id)
    .bind(new.doacao_id)
    .bind(new.pagamento_id)
    .bind(new.e2eid)
    .bind(new.id.0.simple().to_string())
    .bind(new.valor.get())
    .bind(new.motivo)
    .bind(new.criada_por)
    .bind(now)
    .fetch_one(db)
    .await
    .map_err(|error| {
        let error = StoreError::from(error);
        if error.constraint() == Some("devolucoes_ate_o_recebido") { InsertRefundError::Exceeds } else { InsertRefundError::Store(error) }
    })
}

/// The refunds of a donation, oldest first.
pub async fn of_donation(db: &mut PgConnection, donation_id: DonationId) -> Result<Vec<Refund>, StoreError> {
    Ok(sqlx::query_as(
        "SELECT id, doacao_id, e2eid, id_devolucao, valor_centavos, motivo, situacao, criada_em FROM devolucoes WHERE doacao_id = $1 ORDER BY id",
    )
    .bind(donation_id)
    .fetch_all(db)
    .await?)
}
