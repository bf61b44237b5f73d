//! What a member may do for an organisation.

use super::text_enum::text_enum;

text_enum! {
    /// The role of a member of an organizadora.
    pub enum Role {
        /// Everything, members and the PIX key included. There is always one.
        Owner = "dona",
        /// Campaigns.
        Editor = "editora",
        /// Payments and refunds.
        Finance = "financeiro",
        /// Reading only.
        Reader = "leitura",
    }
}

text_enum! {
    /// The state of a person.
    pub enum PersonStatus {
        /// May log in.
        Active = "ativa",
        /// May not log in, and has no session.
        Suspended = "suspensa",
    }
}

text_enum! {
    /// What a person may do for the whole platform.
    pub enum PlatformRole {
        /// Nothing special.
        Person = "pessoa",
        /// Moderation.
        Moderator = "moderadora",
        /// Administration.
        Admin = "admin",
    }
}
