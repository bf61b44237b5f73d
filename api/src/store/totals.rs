//! Totals by deltas: a confirmation appends, the roll-up adds up.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::StoreError;
use crate::domain::donation::Evidence;
use crate::domain::ids::{CampaignId, DonationId};
use crate::domain::totals::Totals;

/// The totals of a campaign, with its slug.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct NamedTotals {
    /// The slug of the campaign.
    pub slug: String,
    /// The totals of the campaign.
    #[sqlx(flatten)]
    pub totals: Totals,
}

/// What one transition of a donation adds to the totals of its campaign.
#[derive(Clone, Debug)]
pub enum Delta<'a> {
    /// A donation was confirmed.
    Confirmed {
        /// What was received, in centavos.
        received: i64,
        /// The evidence of the payment.
        evidence: Evidence,
        /// The hash that the donor is counted by.
        donor: &'a [u8],
    },
    /// So many centavos went back. If the donation was confirmed by the organizadora alone, a trigger takes them off the declared
    /// sum.
    Refunded(i64),
}

/// The row of a delta to store.
#[derive(Clone, Debug)]
pub struct NewDelta<'a> {
    /// The campaign whose totals change.
    pub campanha_id: CampaignId,
    /// The donation that made the transition.
    pub doacao_id: DonationId,
    /// The number of the donation's event that records the transition.
    pub evento_seq: i32,
    /// What the transition adds.
    pub delta: Delta<'a>,
}

/// Appends a delta. Must run in the transaction of the transition that it belongs to.
pub async fn push(db: &mut PgConnection, new: &NewDelta<'_>, now: OffsetDateTime) -> Result<(), StoreError> {
    let (raised, declared, refunded, count, donor) = match new.delta {
        Delta::Confirmed { received, evidence, donor } => {
            (received, if evidence == Evidence::Declared { received } else { 0 }, 0, 1, Some(donor))
        }
        Delta::Refunded(amount) => (0, 0, amount, 0, None),
    };
    sqlx::query(
        "INSERT INTO totais_delta (campanha_id, doacao_id, evento_seq, arrecadado_centavos, declarado_centavos, devolvido_centavos,
                                   doacoes_qtd, doador_chave, criado_em)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(new.campanha_id)
    .bind(new.doacao_id)
    .bind(new.evento_seq)
    .bind(raised)
    .bind(declared)
    .bind(refunded)
    .bind(count)
    .bind(donor)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// The result of a roll-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct RolledUp {
    /// Deltas added up and removed.
    pub deltas: i64,
    /// Campaigns whose totals changed.
    pub campanhas: i64,
}

/// Moves at most `limit` deltas into the totals, in one statement: no reader sees a delta twice or not at all.
pub async fn roll_up(db: &mut PgConnection, limit: i64, now: OffsetDateTime) -> Result<RolledUp, StoreError> {
    Ok(sqlx::query_as(
        "WITH deltas AS (
             DELETE FROM totais_delta WHERE id IN (SELECT id FROM totais_delta ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
             RETURNING campanha_id, arrecadado_centavos, declarado_centavos, devolvido_centavos, doacoes_qtd, doador_chave
         ), novos AS (
             INSERT INTO campanha_doadores (campanha_id, doador_chave)
             SELECT DISTINCT campanha_id, doador_chave FROM deltas WHERE doador_chave IS NOT NULL
             ON CONFLICT DO NOTHING RETURNING campanha_id
         ), somas AS (
             SELECT campanha_id, sum(arrecadado_centavos)::bigint AS arrecadado, sum(declarado_centavos)::bigint AS declarado,
                    sum(devolvido_centavos)::bigint AS devolvido, sum(doacoes_qtd)::bigint AS doacoes
             FROM deltas GROUP BY campanha_id
         ), doadores AS (
             SELECT campanha_id, count(*) AS quantos FROM novos GROUP BY campanha_id
         ), mudadas AS (
             UPDATE campanha_totais t SET
                 arrecadado_centavos = t.arrecadado_centavos + s.arrecadado, declarado_centavos = t.declarado_centavos + s.declarado,
                 devolvido_centavos = t.devolvido_centavos + s.devolvido, doacoes_qtd = t.doacoes_qtd + s.doacoes,
                 doadores_qtd = t.doadores_qtd + coalesce(d.quantos, 0), seq = t.seq + 1, atualizado_em = greatest(t.atualizado_em, $2)
             FROM somas s LEFT JOIN doadores d USING (campanha_id) WHERE t.campanha_id = s.campanha_id
             RETURNING t.campanha_id
         )
         SELECT (SELECT count(*) FROM deltas) AS deltas, (SELECT count(*) FROM mudadas) AS campanhas",
    )
    .bind(limit)
    .bind(now)
    .fetch_one(db)
    .await?)
}

/// The age of the oldest delta in seconds, 0 where there is none.
pub async fn lag(db: &mut PgConnection, now: OffsetDateTime) -> Result<f64, StoreError> {
    Ok(sqlx::query_scalar("SELECT coalesce(extract(epoch FROM $1 - (SELECT criado_em FROM totais_delta ORDER BY id LIMIT 1)), 0)::float8")
        .bind(now)
        .fetch_one(db)
        .await?)
}

// The totals of public campaigns by slug, with one more condition.
macro_rules! public_totals {
    ($rest:literal) => {
        concat!(
            "SELECT c.slug, t.arrecadado_centavos, t.declarado_centavos, t.devolvido_centavos, t.doacoes_qtd, t.doadores_qtd, t.seq,",
            " t.atualizado_em FROM campanha_totais t JOIN campanhas c ON c.id = t.campanha_id",
            " JOIN organizadoras o ON o.id = c.organizadora_id",
            " WHERE c.situacao IN ('publicada', 'pausada', 'encerrada') AND o.situacao <> 'suspensa' AND ",
            $rest
        )
    };
}

/// The totals of a public campaign; `None` if there is none with this slug.
pub async fn get_public(db: &mut PgConnection, slug: &str) -> Result<Option<Totals>, StoreError> {
    Ok(sqlx::query_as(public_totals!("c.slug = $1")).bind(slug).fetch_optional(db).await?)
}

/// The totals of some public campaigns, by slug.
pub async fn get_many(db: &mut PgConnection, slugs: &[&str]) -> Result<Vec<NamedTotals>, StoreError> {
    Ok(sqlx::query_as(public_totals!("c.slug = ANY($1)")).bind(slugs).fetch_all(db).await?)
}

/// The totals of public campaigns that moved at or after `since`, at most `limit` of them, the earliest first.
pub async fn moved_since(db: &mut PgConnection, since: OffsetDateTime, limit: i64) -> Result<Vec<NamedTotals>, StoreError> {
    Ok(sqlx::query_as(public_totals!("t.atualizado_em >= $1 ORDER BY t.atualizado_em LIMIT $2"))
        .bind(since)
        .bind(limit)
        .fetch_all(db)
        .await?)
}
