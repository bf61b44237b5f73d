//! Who did what. Append-only.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use crate::domain::ids::{CampanhaId, DoacaoId, OrganizadoraId, PessoaId};

/// What a deed was done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditTarget {
    /// A campaign.
    Campanha(CampanhaId),
    /// A donation.
    Doacao(DoacaoId),
    /// An organisation.
    Organizadora(OrganizadoraId),
    /// A person.
    Pessoa(PessoaId),
}

impl AuditTarget {
    /// The text of the column `alvo_tipo`.
    const fn kind(self) -> &'static str {
        match self {
            Self::Campanha(_) => "campanha",
            Self::Doacao(_) => "doacao",
            Self::Organizadora(_) => "organizadora",
            Self::Pessoa(_) => "pessoa",
        }
    }

    const fn id(self) -> Uuid {
        match self {
            Self::Campanha(id) => id.0,
            Self::Doacao(id) => id.0,
            Self::Organizadora(id) => id.0,
            Self::Pessoa(id) => id.0,
        }
    }
}

impl From<CampanhaId> for AuditTarget {
    fn from(id: CampanhaId) -> Self {
        Self::Campanha(id)
    }
}

impl From<DoacaoId> for AuditTarget {
    fn from(id: DoacaoId) -> Self {
        Self::Doacao(id)
    }
}

impl From<OrganizadoraId> for AuditTarget {
    fn from(id: OrganizadoraId) -> Self {
        Self::Organizadora(id)
    }
}

impl From<PessoaId> for AuditTarget {
    fn from(id: PessoaId) -> Self {
        Self::Pessoa(id)
    }
}

/// A deed to record.
#[derive(Clone, Debug)]
pub struct Deed<'a> {
    /// `pessoa:{id}` or `cli`.
    pub actor: &'a str,
    /// What was done.
    pub action: &'static str,
    /// The thing it was done to.
    pub target: AuditTarget,
    /// More, without personal data.
    pub detail: serde_json::Value,
}

/// The detail of the newest `action` on a target; nothing where it was never done.
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

/// Records a deed.
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
