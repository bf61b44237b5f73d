//! Identifiers. All are UUIDv7: unique without coordination, and inserts stay local in the indexes.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
        #[serde(transparent)]
        #[sqlx(transparent)]
        pub struct $name(pub Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

ids! {
    /// A person with an account.
    PessoaId,
    /// A log-in of a person on one device.
    SessaoId,
    /// An organisation that runs campaigns.
    OrganizadoraId,
    /// A campaign.
    CampanhaId,
    /// A donation.
    DoacaoId,
    /// A charge of a donation.
    PagamentoId,
    /// A refund.
    DevolucaoId,
}
