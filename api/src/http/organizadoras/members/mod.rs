//! `/organizadoras/{slug}/membros`

pub mod add;
pub mod change;
pub mod list;
pub mod remove;

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::domain::ids::PersonId;
use crate::domain::role::Role;
use crate::store::members::MemberRow;

/// A member.
#[derive(Serialize, ToSchema)]
#[schema(as = Membro)]
pub struct MemberBody {
    pessoa_id: PersonId,
    nome: String,
    papel: Role,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    criado_em: OffsetDateTime,
}

impl From<MemberRow> for MemberBody {
    fn from(row: MemberRow) -> Self {
        Self { pessoa_id: row.pessoa_id, nome: row.nome, papel: row.papel, criado_em: row.criado_em }
    }
}
