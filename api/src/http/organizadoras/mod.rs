//! `/organizadoras`

pub mod campaigns;
pub mod create;
pub mod get;
pub mod list;
pub mod members;
pub mod pending_payments;
pub mod pix_key;
pub mod update;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::domain::ids::OrganizadoraId;
use crate::domain::organizadora::OrganizadoraStatus;
use crate::store::organizadoras::Organizadora;

/// An organisation as everyone sees it.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = Organizadora)]
pub struct OrganizadoraBody {
    pub(crate) id: OrganizadoraId,
    pub(crate) slug: String,
    pub(crate) nome: String,
    /// 14 characters, without punctuation.
    pub(crate) cnpj: String,
    /// `pendente` or `verificada`; `suspensa` in a member's own list only.
    pub(crate) situacao: OrganizadoraStatus,
    pub(crate) versao: i32,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub(crate) criada_em: OffsetDateTime,
}

impl From<Organizadora> for OrganizadoraBody {
    fn from(row: Organizadora) -> Self {
        Self {
            id: row.id,
            slug: row.slug,
            nome: row.nome,
            cnpj: row.cnpj,
            situacao: row.situacao,
            versao: row.versao,
            criada_em: row.criada_em,
        }
    }
}
