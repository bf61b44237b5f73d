//! Organisations: how requests name one, and how far the platform trusts it.

use super::ids::DonationId;
use super::slug::Slug;
use super::text_enum::text_enum;

/// How a request names an organizadora.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrganizadoraRef {
    /// The organizadora with this slug.
    Slug(Slug),
    /// The organizadora of the campaign with this slug.
    OfCampaign(Slug),
    /// The organizadora whose campaign this donation went to.
    OfDonation(DonationId),
}

text_enum! {
    /// The state of an organizadora.
    pub enum OrganizadoraStatus {
        /// Public, waits to be verified and cannot publish.
        Pending = "pendente",
        /// Public, and may publish.
        Verified = "verificada",
        /// Hidden with all of its campaigns, which take no donations.
        Suspended = "suspensa",
    }
}
