//! What a member may do for an organisation.

use super::text_enum::text_enum;

text_enum! {
    /// The role of a member of an organizadora.
    pub enum Role {
        /// Everything, members and the PIX key included. There is always one.
        Dona = "dona",
        /// Campaigns.
        Editora = "editora",
        /// Payments and refunds.
        Financeiro = "financeiro",
        /// Reading only.
        Leitura = "leitura",
    }
}

text_enum! {
    /// The state of a person.
    pub enum PessoaStatus {
        /// May log in.
        Ativa = "ativa",
        /// May not log in, and has no session.
        Suspensa = "suspensa",
    }
}

text_enum! {
    /// What a person may do for the whole platform.
    pub enum PlatformRole {
        /// Nothing special.
        Pessoa = "pessoa",
        /// Moderation.
        Moderadora = "moderadora",
        /// Administration.
        Admin = "admin",
    }
}
