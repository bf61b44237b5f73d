//! The ledger. Balance and immutability are held by the database; see `migrations/`.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use crate::domain::ids::{CampaignId, DonationId, OrganizadoraId};
use crate::domain::money::Centavos;

/// A movement of money between two accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerEntry {
    /// A donation was paid: into the bank, for the campaign.
    Confirmation(CampaignId),
    /// Money came that must go back: into the bank, for nobody's campaign.
    Surplus,
    /// A donation went back: out of the bank, from the campaign.
    Refund(CampaignId),
    /// Surplus went back.
    SurplusRefund,
}

/// Makes the bank and surplus accounts of an organisation.
pub async fn open_organizadora(db: &mut PgConnection, id: OrganizadoraId) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO contas (tipo, dono) VALUES ('banco', $1), ('a_devolver', $1)").bind(id).execute(db).await?;
    Ok(())
}

/// Makes the account of a campaign.
pub async fn open_campaign(db: &mut PgConnection, id: CampaignId) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO contas (tipo, dono) VALUES ('campanha', $1)").bind(id).execute(db).await?;
    Ok(())
}

/// A movement to post.
#[derive(Clone, Copy, Debug)]
pub struct Posting<'a> {
    /// Its id.
    pub id: Uuid,
    /// Its name: the same name is never posted twice.
    pub once: &'a str,
    /// Between which accounts.
    pub entry: LedgerEntry,
    /// Whose bank account.
    pub organizadora: OrganizadoraId,
    /// For which donation.
    pub donation_id: DonationId,
    /// How much.
    pub amount: Centavos,
}

/// Posts a movement.
pub async fn post(db: &mut PgConnection, posting: &Posting<'_>, now: OffsetDateTime) -> Result<(), StoreError> {
    let organizadora = posting.organizadora;
    let amount = posting.amount.get();
    let (kind, counterpart, owner, into_bank) = match posting.entry {
        LedgerEntry::Confirmation(campaign_id) => ("confirmacao", "campanha", campaign_id.0, amount),
        LedgerEntry::Surplus => ("excedente", "a_devolver", organizadora.0, amount),
        LedgerEntry::Refund(campaign_id) => ("devolucao", "campanha", campaign_id.0, -amount),
        LedgerEntry::SurplusRefund => ("devolucao_excedente", "a_devolver", organizadora.0, -amount),
    };
    sqlx::query(
        "WITH novo AS (INSERT INTO lancamentos (id, idem, tipo, doacao_id, em) VALUES ($1, $2, $3, $4, $5) RETURNING id)
         INSERT INTO partidas (lancamento_id, conta_id, valor_centavos)
         SELECT novo.id, c.id, CASE WHEN c.tipo = 'banco' THEN $9 ELSE -$9 END
         FROM novo, contas c WHERE (c.tipo, c.dono) IN (('banco', $6), ($7, $8))",
    )
    .bind(posting.id)
    .bind(posting.once)
    .bind(kind)
    .bind(posting.donation_id)
    .bind(now)
    .bind(organizadora)
    .bind(counterpart)
    .bind(owner)
    .bind(into_bank)
    .execute(db)
    .await?;
    Ok(())
}
