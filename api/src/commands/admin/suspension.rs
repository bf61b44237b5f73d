//! Suspending a person or an organizadora, hiding a message, and the way back from each.

use clap::{Args, Subcommand};
use uuid::Uuid;

use crate::commands::{CommandError, command_line, pool};
use crate::config::DatabaseArgs;
use crate::domain::donation::MessageStatus;
use crate::domain::email::Email;
use crate::domain::ids::{DonationId, PersonId};
use crate::domain::organizadora::OrganizadoraStatus;
use crate::domain::role::PersonStatus;
use crate::domain::slug::Slug;
use crate::domain::text::Reason;
use crate::service::suspension::{self, StatusChange, SuspensionAct};
use crate::store::people::PersonRef;

/// Whom or what to suspend or reinstate.
#[derive(Subcommand, Debug)]
pub enum SuspensionTarget {
    /// A person. While suspended they have no session and cannot log in or reset the password; their donations stay.
    Person {
        /// The database that the API uses, as role `app`.
        #[command(flatten)]
        database: DatabaseArgs,
        /// The e-mail address of the person's account, or its id.
        who: String,
        #[command(flatten)]
        reason: ReasonArgs,
    },
    /// An organizadora. While suspended its page and campaigns are not found and take no donations, and its members change
    /// nothing. Payments that arrive all the same are recorded, and can be refunded.
    Organizadora {
        /// The database that the API uses, as role `app`.
        #[command(flatten)]
        database: DatabaseArgs,
        /// The organizadora's name in URLs.
        slug: String,
        #[command(flatten)]
        reason: ReasonArgs,
    },
}

/// The arguments of `api admin hide-message` and `show-message`.
#[derive(Args, Debug)]
pub struct MessageArgs {
    /// The database that the API uses, as role `app`.
    #[command(flatten)]
    database: DatabaseArgs,
    /// The donation's id.
    donation_id: Uuid,
    #[command(flatten)]
    reason: ReasonArgs,
}

/// The reason for the audit.
#[derive(Args, Debug)]
pub struct ReasonArgs {
    /// Why, for the audit: one line of 1 to 500 characters, without personal data.
    #[arg(long)]
    reason: String,
}

/// Suspends or reinstates `target` and prints what changed. Fails if it does not exist.
pub(super) async fn apply(act: SuspensionAct, target: SuspensionTarget) -> Result<(), CommandError> {
    match target {
        SuspensionTarget::Person { database, who, reason } => {
            let (who, reason, db) = (person(&who)?, Reason::parse(&reason.reason)?, pool(&database)?);
            print_change(suspension::set_person(&command_line(db), act, &who, &reason).await?.map(PersonStatus::as_str));
        }
        SuspensionTarget::Organizadora { database, slug, reason } => {
            let (slug, reason, db) = (Slug::parse(&slug)?, Reason::parse(&reason.reason)?, pool(&database)?);
            print_change(suspension::set_organizadora(&command_line(db), act, &slug, &reason).await?.map(OrganizadoraStatus::as_str));
        }
    }
    Ok(())
}

/// Hides or shows the message of a donation and prints what changed. Fails if there is no such donation, or no message to hide.
pub(super) async fn set_message_status(args: MessageArgs, to: MessageStatus) -> Result<(), CommandError> {
    let MessageArgs { database, donation_id, reason } = args;
    let (db, reason) = (pool(&database)?, Reason::parse(&reason.reason)?);
    let change = suspension::set_message_status(&command_line(db), DonationId(donation_id), to, &reason).await?;
    print_change(change.map(MessageStatus::as_str));
    Ok(())
}

/// Parses a person's e-mail, if `who` contains an `@`, or else their id.
fn person(who: &str) -> Result<PersonRef, CommandError> {
    if who.contains('@') {
        return Ok(PersonRef::Email(Email::parse(who)?));
    }
    let id = Uuid::try_parse(who).map_err(|_| format!("{who} is neither an e-mail nor an id"))?;
    Ok(PersonRef::Id(PersonId(id)))
}

fn print_change(change: StatusChange<&str>) {
    match change {
        StatusChange::Changed { from, to } => println!("done: `{from}` became `{to}`; each process that serves knows it within a second"),
        StatusChange::Already(state) => println!("nothing to do: it is `{state}` already"),
    }
}
