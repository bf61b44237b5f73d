//! Who did what. Append-only.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use crate::domain::ids::{CampaignId, DonationId, OrganizadoraId, PersonId};

/// The thing or person that an audited action was done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditTarget {
    /// A campaign, by id.
    Campaign(CampaignId),
    /// A donation, by id.
    Donation(DonationId),
    /// An organisation, by id.
    Organizadora(OrganizadoraId),
    /// A person, by id.
    Person(PersonId),
}

impl AuditTarget {
    /// The value of the column `alvo_tipo`.
    const fn kind(self) -> &'static str {
        match self {
            Self::Campaign(_) => "campanha",
            Self::Donation(_) => "doacao",
            Self::Organizadora(_) => "organizadora",
            Self::Person(_) => "pessoa",
        }
    }

    const fn id(self) -> Uuid {
        match self {
            Self::Campaign(id) => id.0,
            Self::Donation(id) => id.0,
            Self::Organizadora(id) => id.0,
            Self::Person(id) => id.0,
        }
    }
}

impl From<CampaignId> for AuditTarget {
    fn from(id: CampaignId) -> Self {
        Self::Campaign(id)
    }
}

impl From<DonationId> for AuditTarget {
    fn from(id: DonationId) -> Self {
        Self::Donation(id)
    }
}

impl From<OrganizadoraId> for AuditTarget {
    fn from(id: OrganizadoraId) -> Self {
        Self::Organizadora(id)
    }
}

impl From<PersonId> for AuditTarget {
    fn from(id: PersonId) -> Self {
        Self::Person(id)
    }
}

/// An action to record in the audit.
#[derive(Clone, Debug)]
pub struct Deed<'a> {
    /// The column `ator`: `pessoa:{id}` or `cli`.
    pub actor: &'a str,
    /// The column `acao`, for instance `pessoa.suspensa`.
    pub action: &'static str,
    /// What the action was done to.
    pub target: AuditTarget,
    /// Details of the action, without personal data.
    pub detail: serde_json::Value,
}

/// The detail of the newest `action` on a target; `None` if it was never done.
pub async fn last_detail(
    db: &mut PgConnection,
    action: &'static str,
    target: AuditTarget,
) -> Result<Option<serde_json::Value>, StoreError> {
    Ok(sqlx::query_scalar("SELECT detalhe FROM auditoria WHERE alvo_tipo = $1 AND alvo_id = $2 AND acao = $3 ORDER BY id DESC LIMIT 1")
        .bind(target.kind())
        .bind(target.id())
        .bind(action)
        .fetch_optional(db)
        .await?)
}

/// Appends an action to the audit.
pub async fn record(db: &mut PgConnection, id: Uuid, deed: &Deed<'_>, now: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO auditoria (id, em, ator, acao, alvo_tipo, alvo_id, detalhe) VALUES ($1, $2, $3, $4, $5, $6, $7)")
        .bind(id)
        .bind(now)
        .bind(deed.actor)
        .bind(deed.action)
        .bind(deed.target.kind())
        .bind(deed.target.id())
        .bind(&deed.detail)
        .execute(db)
        .await?;
    Ok(())
}
