//! Organisations: how far the platform trusts one.

use super::ids::DoacaoId;
use super::slug::Slug;
use super::text_enum::text_enum;

/// How a request names an organizadora.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrganizadoraRef {
    /// By its own slug.
    Slug(Slug),
    /// By the slug of one of its campaigns.
    OfCampanha(Slug),
    /// By a donation to one of its campaigns.
    OfDoacao(DoacaoId),
}

text_enum! {
    /// The state of an organizadora.
    pub enum OrganizadoraStatus {
        /// Public, waits to be verified and cannot publish.
        Pendente = "pendente",
        /// Public, and may publish.
        Verificada = "verificada",
        /// Hidden with all of its campaigns, which take no donations.
        Suspensa = "suspensa",
    }
}
