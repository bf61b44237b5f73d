//! Charges, and what the bank received for them.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use crate::domain::donation::{Evidence, Reconciliation};
use crate::domain::ids::{ChargeId, DonationId, OrganizadoraId, PersonId};
use crate::domain::money::Centavos;
use crate::domain::pix_receipt::EndToEndId;
use crate::domain::provider::Provider;
use crate::domain::text_enum::text_enum;
use crate::domain::txid::Txid;

/// A charge.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns are described in migrations/")]
pub struct Charge {
    pub id: ChargeId,
    pub doacao_id: DonationId,
    pub provedor: Provider,
    pub txid: String,
    pub valor_centavos: i64,
    pub br_code: String,
    pub situacao: PaymentStatus,
    #[serde(with = "time::serde::rfc3339")]
    pub expira_em: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub criado_em: OffsetDateTime,
}

text_enum! {
    /// The state of a charge.
    pub enum PaymentStatus {
        /// Can be paid.
        Pending = "pendente",
        /// Was paid.
        Paid = "pago",
        /// Its time is over; a late payment is still credited.
        Expired = "expirado",
        /// The donation was cancelled; a payment that arrives is still credited.
        Cancelled = "cancelado",
    }
}

/// A charge that an organisation waits for.
#[derive(Clone, Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns are described in migrations/")]
pub struct PendingPayment {
    pub pagamento_id: ChargeId,
    pub doacao_id: DonationId,
    pub campanha_slug: String,
    /// Hidden for secret donations.
    pub nome_exibicao: Option<String>,
    pub provedor: Provider,
    pub txid: String,
    pub valor_centavos: i64,
    pub situacao: PaymentStatus,
    pub criado_em: OffsetDateTime,
    pub expira_em: OffsetDateTime,
}

/// A charge to store.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are described in migrations/")]
pub struct NewCharge {
    pub id: ChargeId,
    pub doacao_id: DonationId,
    pub provedor: Provider,
    pub txid: Txid,
    pub valor: Centavos,
    pub br_code: String,
    pub expira_em: OffsetDateTime,
}

impl NewCharge {
    /// What is there once it is stored at `now`.
    pub fn stored(self, now: OffsetDateTime) -> Charge {
        Charge {
            id: self.id,
            doacao_id: self.doacao_id,
            provedor: self.provedor,
            txid: self.txid.as_str().to_owned(),
            valor_centavos: self.valor.get(),
            br_code: self.br_code,
            situacao: PaymentStatus::Pending,
            expira_em: self.expira_em,
            criado_em: now,
        }
    }
}

/// Stores a further charge of a donation; the first comes with [`donations::insert`](super::donations::insert).
pub async fn insert(db: &mut PgConnection, new: &NewCharge, now: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO pagamentos (id, doacao_id, provedor, txid, valor_centavos, br_code, situacao, expira_em, criado_em)
         VALUES ($1, $2, $3, $4, $5, $6, 'pendente', $7, $8)",
    )
    .bind(new.id)
    .bind(new.doacao_id)
    .bind(new.provedor)
    .bind(new.txid.as_str())
    .bind(new.valor.get())
    .bind(&new.br_code)
    .bind(new.expira_em)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// The charges of several donations, oldest first.
pub async fn of_donations(db: &mut PgConnection, ids: &[DonationId]) -> Result<Vec<Charge>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    Ok(sqlx::query_as(
        "SELECT id, doacao_id, provedor, txid, valor_centavos, br_code, situacao, expira_em, criado_em FROM pagamentos
         WHERE doacao_id = ANY($1) ORDER BY id",
    )
    .bind(ids)
    .fetch_all(db)
    .await?)
}

/// The charge of a txid.
pub async fn find_by_txid(db: &mut PgConnection, txid: &Txid) -> Result<Option<ChargeId>, StoreError> {
    Ok(sqlx::query_scalar("SELECT id FROM pagamentos WHERE provedor IN ('simulado', 'pix_estatico') AND txid = $1 LIMIT 1")
        .bind(txid.as_str())
        .fetch_optional(db)
        .await?)
}

/// The newest charge of a donation, which a confirmation that names no charge is for.
pub async fn newest_of(db: &mut PgConnection, donation_id: DonationId) -> Result<Option<ChargeId>, StoreError> {
    Ok(sqlx::query_scalar("SELECT id FROM pagamentos WHERE doacao_id = $1 ORDER BY id DESC LIMIT 1")
        .bind(donation_id)
        .fetch_optional(db)
        .await?)
}

/// Marks the charge as paid and closes the donation's other open ones.
pub async fn mark_paid(db: &mut PgConnection, donation_id: DonationId, paid: ChargeId) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE pagamentos SET situacao = CASE WHEN id = $2 THEN 'pago' ELSE 'cancelado' END
         WHERE doacao_id = $1 AND (id = $2 OR situacao = 'pendente')",
    )
    .bind(donation_id)
    .bind(paid)
    .execute(db)
    .await?;
    Ok(())
}

/// Closes the open charges of a donation.
pub async fn cancel_open(db: &mut PgConnection, donation_id: DonationId) -> Result<(), StoreError> {
    sqlx::query("UPDATE pagamentos SET situacao = 'cancelado' WHERE doacao_id = $1 AND situacao = 'pendente'")
        .bind(donation_id)
        .execute(db)
        .await?;
    Ok(())
}

/// The charges an organisation waits for, newest first. With `lapsed` also those whose time is over: late money still counts.
pub async fn pending(
    db: &mut PgConnection,
    organizadora: OrganizadoraId,
    lapsed: bool,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<PendingPayment>, StoreError> {
    // A text of its own for each, so that the plain one is planned with the index of what waits.
    let wanted = if lapsed {
        "d.situacao IN ('aguardando_pagamento', 'expirada', 'cancelada') AND p.situacao <> 'pago'"
    } else {
        "d.situacao = 'aguardando_pagamento' AND p.situacao = 'pendente'"
    };
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT p.id AS pagamento_id, d.id AS doacao_id, c.slug AS campanha_slug,
                CASE WHEN d.visibilidade <> 'secreta' THEN d.nome_exibicao END AS nome_exibicao,
                p.provedor, p.txid, p.valor_centavos, p.situacao, p.criado_em, p.expira_em
         FROM campanhas c JOIN doacoes d ON d.campanha_id = c.id JOIN pagamentos p ON p.doacao_id = d.id
         WHERE c.organizadora_id = $1 AND {wanted} AND p.id < $2
         ORDER BY p.id DESC LIMIT $3"
    )))
    .bind(organizadora)
    .bind(before.unwrap_or(Uuid::max()))
    .bind(limit)
    .fetch_all(db)
    .await?)
}

/// A receipt to store.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are described in migrations/")]
pub struct NewReceipt<'a> {
    pub e2eid: &'a EndToEndId,
    pub organizadora_id: OrganizadoraId,
    pub txid: &'a str,
    pub pagamento_id: ChargeId,
    pub valor: Centavos,
    pub horario: OffsetDateTime,
    pub evidencia: Evidence,
    pub conciliacao: Reconciliation,
    pub justificativa: Option<&'a str>,
    pub registrado_por: Option<PersonId>,
}

/// A stored receipt.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, sqlx::FromRow)]
#[expect(missing_docs, reason = "the columns are described in migrations/")]
pub struct Receipt {
    pub e2eid: String,
    /// The end-to-end id that the bank gave later, where the receipt was confirmed by hand without one.
    pub identificado: Option<String>,
    pub pagamento_id: Option<ChargeId>,
    pub valor_centavos: i64,
    #[serde(with = "time::serde::rfc3339")]
    pub horario: OffsetDateTime,
    pub conciliacao: Reconciliation,
    pub evidencia: Evidence,
}

impl Receipt {
    /// Whether `e2eid` is its id, letter for letter: its own, or the one that the bank gave later.
    pub fn is_named(&self, e2eid: &EndToEndId) -> bool {
        self.e2eid == e2eid.as_str() || self.identificado.as_deref() == Some(e2eid.as_str())
    }

    /// Whether `e2eid` is its id but for the case of letters.
    pub fn is_named_in_any_case(&self, e2eid: &EndToEndId) -> bool {
        let is_alike = |id: &str| id.eq_ignore_ascii_case(e2eid.as_str());
        is_alike(&self.e2eid) || self.identificado.as_deref().is_some_and(is_alike)
    }
}

/// Stores a receipt. Returns false, and stores nothing, if there is one with its end-to-end id.
pub async fn insert_receipt(db: &mut PgConnection, new: &NewReceipt<'_>, now: OffsetDateTime) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO pix_recebidos (e2eid, organizadora_id, txid, pagamento_id, valor_centavos, horario, evidencia, conciliacao, justificativa,
                                    registrado_por, criado_em)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT ON CONSTRAINT pix_recebidos_pk DO NOTHING",
    )
    .bind(new.e2eid.as_str())
    .bind(new.organizadora_id)
    .bind(new.txid)
    .bind(new.pagamento_id)
    .bind(new.valor.get())
    .bind(new.horario)
    .bind(new.evidencia)
    .bind(new.conciliacao)
    .bind(new.justificativa)
    .bind(new.registrado_por)
    .bind(now)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

macro_rules! select_receipts {
    ($rest:literal) => {
        concat!(
            "SELECT r.e2eid, i.e2eid AS identificado, r.pagamento_id, r.valor_centavos, r.horario, r.conciliacao, r.evidencia",
            " FROM pix_recebidos r LEFT JOIN pix_identificados i ON i.declarado = r.e2eid ",
            $rest
        )
    };
}

/// The receipts that may be the payment `e2eid`: those with this id in any letter case, and the one that the bank identified by it;
/// at most 10.
pub async fn receipts_like(db: &mut PgConnection, e2eid: &str) -> Result<Vec<Receipt>, StoreError> {
    Ok(sqlx::query_as(select_receipts!(
        "WHERE lower(r.e2eid) = lower($1) OR r.e2eid = (SELECT n.declarado FROM pix_identificados n WHERE n.e2eid = $1) LIMIT 10"
    ))
    .bind(e2eid)
    .fetch_all(db)
    .await?)
}

/// A receipt of the donation that a member confirmed with exactly `amount` and without an end-to-end id, and for which the bank has
/// reported none yet. If there are several, the one that confirmed the donation comes before surplus.
pub async fn unidentified_receipt(db: &mut PgConnection, donation_id: DonationId, amount: Centavos) -> Result<Option<Receipt>, StoreError> {
    Ok(sqlx::query_as(select_receipts!(
        "JOIN pagamentos p ON p.id = r.pagamento_id
         WHERE p.doacao_id = $1 AND r.valor_centavos = $2 AND r.e2eid LIKE 'manual:%' AND i.e2eid IS NULL
         ORDER BY r.conciliacao = 'duplicada', r.criado_em LIMIT 1"
    ))
    .bind(donation_id)
    .bind(amount.get())
    .fetch_optional(db)
    .await?)
}

/// Records that the bank reported the payment of the receipt `declared`, which a member had confirmed without an end-to-end id.
pub async fn identify_receipt(db: &mut PgConnection, declared: &str, told: &Told<'_>, now: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO pix_identificados (e2eid, declarado, horario, evidencia, criado_em) VALUES ($1, $2, $3, $4, $5)")
        .bind(told.e2eid.as_str())
        .bind(declared)
        .bind(told.horario)
        .bind(told.evidencia)
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// A payment as the bank reports it.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the columns are described in migrations/")]
pub struct Told<'a> {
    pub e2eid: &'a EndToEndId,
    pub horario: OffsetDateTime,
    pub evidencia: Evidence,
}

/// The receipts of a donation's charges: first the one that confirmed the donation, then surplus in the order in which it was
/// recorded.
pub async fn receipts_of(db: &mut PgConnection, donation_id: DonationId) -> Result<Vec<Receipt>, StoreError> {
    Ok(sqlx::query_as(select_receipts!(
        "JOIN pagamentos p ON p.id = r.pagamento_id WHERE p.doacao_id = $1 ORDER BY r.conciliacao = 'duplicada', r.criado_em, r.e2eid"
    ))
    .bind(donation_id)
    .fetch_all(db)
    .await?)
}
