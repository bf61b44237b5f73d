//! Identifiers. All are UUIDv7: unique without coordination, and inserts stay local in the indexes.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $schema:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
        #[serde(transparent)]
        #[schema(as = $schema)]
        #[sqlx(transparent)]
        pub struct $name(pub Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

/// Parses a UUID that a client made, in its 36-character form.
///
/// `None` for any other text, and for UUIDs that several clients are likely to send: nil and max (RFC 9562 §5.9 and §5.10) and
/// those that repeat one byte, as in code samples and in fields that nobody set.
pub fn client_uuid(text: &str) -> Option<Uuid> {
    if text.len() != 36 {
        return None;
    }
    let uuid = Uuid::try_parse(text).ok()?;
    let [first, rest @ ..] = uuid.as_bytes();
    (!rest.iter().all(|byte| byte == first)).then_some(uuid)
}

ids! {
    /// A person with an account.
    PersonId = PessoaId,
    /// A log-in of a person on one device.
    SessionId = SessaoId,
    /// An organisation that runs campaigns.
    OrganizadoraId = OrganizadoraId,
    /// A campaign.
    CampaignId = CampanhaId,
    /// A donation.
    DonationId = DoacaoId,
    /// A charge of a donation.
    ChargeId = PagamentoId,
    /// A refund.
    RefundId = DevolucaoId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_uuid_is_its_own() {
        assert!(client_uuid("018f3b1e-7d1c-4c5e-9a52-0c6f6d3f7a10").is_some());
        assert_eq!(client_uuid("018F3B1E-7D1C-4C5E-9A52-0C6F6D3F7A10"), client_uuid("018f3b1e-7d1c-4c5e-9a52-0c6f6d3f7a10"));
        for bad in [
            "",
            "abc",
            "018f3b1e7d1c4c5e9a520c6f6d3f7a10",
            "{018f3b1e-7d1c-4c5e-9a52-0c6f6d3f7a10}",
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
            "11111111-1111-1111-1111-111111111111",
        ] {
            assert_eq!(client_uuid(bad), None, "{bad}");
        }
    }
}
