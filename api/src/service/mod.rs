//! What the platform does. Services own transactions; nothing leaves the process between begin and commit.
//!
//! Each operation has an error enum of its own; `http::failures` says what each becomes for the client.

pub mod accounts;
pub mod administration;
pub mod campaigns;
pub mod change;
pub mod claims;
pub mod donations;
pub mod idempotency;
pub mod invalidation;
pub mod organizadoras;
pub mod refunds;
pub mod resets;
pub mod self_test;
pub mod sessions;
pub mod settle;
pub mod suspension;

use crate::domain::ids::PersonId;

/// Who does something, as written into events and the audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A person with an account.
    Person(PersonId),
    /// A donor without one.
    Guest,
    /// The payment provider.
    Psp,
    /// A person at the command line.
    Cli,
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Person(id) => write!(f, "pessoa:{id}"),
            Self::Guest => f.write_str("convidada"),
            Self::Psp => f.write_str("psp"),
            Self::Cli => f.write_str("cli"),
        }
    }
}
