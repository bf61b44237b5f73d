//! `/eu`: what belongs to whoever is logged in.

pub mod claim;
pub mod donations;
pub mod end_session;
pub mod get;
pub mod organizadoras;
pub mod reauthenticate;
pub mod sessions;
pub mod update;

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::domain::ids::PersonId;
use crate::domain::role::PlatformRole;
use crate::store::people::Person;

/// A person as they see themselves.
#[derive(Serialize, ToSchema)]
#[schema(as = Pessoa)]
pub struct PersonBody {
    /// Who; give it to an organizadora that wants to add you.
    id: PersonId,
    nome: String,
    email: String,
    /// When the address was proven.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    email_verificado_em: Option<OffsetDateTime>,
    papel: PlatformRole,
    versao: i32,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    criada_em: OffsetDateTime,
}

impl From<Person> for PersonBody {
    fn from(row: Person) -> Self {
        Self {
            id: row.id,
            nome: row.nome,
            email: row.email,
            email_verificado_em: row.email_verificado_em,
            papel: row.papel,
            versao: row.versao,
            criada_em: row.criada_em,
        }
    }
}
