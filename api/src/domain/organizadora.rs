//! Organisations: how far the platform trusts one.

use super::text_enum::text_enum;

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
