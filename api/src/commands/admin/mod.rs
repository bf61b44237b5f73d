//! `api admin`: what only a person with access to the machine does. What changes data is recorded in the audit.

pub(super) mod accounts;
mod letters;
mod suspension;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use self::accounts::AdminAccountArgs;
use self::letters::LetterArgs;
use self::suspension::{MessageArgs, SuspensionTarget};
use super::{CommandError, command_line, pool};
use crate::config::DatabaseArgs;
use crate::config::keys::Keys;
use crate::domain::donation::MessageStatus;
use crate::domain::slug::Slug;
use crate::service::administration;
use crate::service::suspension::SuspensionAct;
use crate::store::consistency;

/// The subcommands of `api admin`.
#[derive(Subcommand, Debug)]
pub enum AdminCommand {
    /// Make the key files that are missing; existing ones are left alone.
    CreateKeys {
        /// The folder.
        dir: PathBuf,
    },
    /// Mark an organizadora as verified, so that it may publish.
    VerifyOrganizadora {
        /// The database that the API uses, as role `app`.
        #[command(flatten)]
        database: DatabaseArgs,
        /// The organizadora's name in URLs.
        slug: String,
    },
    /// Stop a person or an organizadora. Each process that serves knows it within a second.
    #[command(subcommand)]
    Suspend(SuspensionTarget),
    /// Undo `suspend`: a person may log in again, an organizadora gets the state back that it had before.
    #[command(subcommand)]
    Reinstate(SuspensionTarget),
    /// Hide the message of a donation from its campaign's public list, and each that the donor puts in its place.
    HideMessage(MessageArgs),
    /// Undo `hide-message`.
    ShowMessage(MessageArgs),
    /// Make an account for an administrator. Its address is taken for proven.
    Create(AdminAccountArgs),
    /// Make a person an administrator; ends their sessions.
    #[command(name = "grant-admin")]
    Grant {
        /// The database that the API uses, as role `app`.
        #[command(flatten)]
        database: DatabaseArgs,
        /// The e-mail address of the person's account.
        email: String,
    },
    /// Print the letters that wait in the outbox, for a developer to find the codes in. Refused in production, whose codes are
    /// other people's.
    Mail(LetterArgs),
    /// Check that totals, ledger, receipts and refunds agree.
    CheckBooks {
        /// The database that the API uses, as role `app`.
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

/// Runs `command`. The exit code is a failure without an error only where `check-books` has found that the books do not agree.
pub async fn run(command: AdminCommand) -> Result<ExitCode, CommandError> {
    match command {
        AdminCommand::CreateKeys { dir } => {
            for path in Keys::create_missing(&dir)? {
                println!("made {}", path.display());
            }
        }
        AdminCommand::VerifyOrganizadora { database, slug } => verify_organizadora(&database, &slug).await?,
        AdminCommand::Suspend(target) => suspension::apply(SuspensionAct::Suspend, target).await?,
        AdminCommand::Reinstate(target) => suspension::apply(SuspensionAct::Reinstate, target).await?,
        AdminCommand::HideMessage(args) => suspension::set_message_status(args, MessageStatus::Hidden).await?,
        AdminCommand::ShowMessage(args) => suspension::set_message_status(args, MessageStatus::Published).await?,
        AdminCommand::Create(args) => accounts::create(&args).await?,
        AdminCommand::Grant { database, email } => accounts::grant(&database, &email).await?,
        AdminCommand::Mail(args) => letters::print(args).await?,
        AdminCommand::CheckBooks { database } => return check_books(&database).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn verify_organizadora(database: &DatabaseArgs, slug: &str) -> Result<(), CommandError> {
    let slug = Slug::parse(slug)?;
    let db = pool(database)?;
    if !administration::verify_organizadora(&command_line(db), slug.as_str()).await? {
        return Err(format!("there is no organizadora {}", slug.as_str()).into());
    }
    println!("{} is verified", slug.as_str());
    Ok(())
}

/// Prints each rule that the books break, and fails if there is one.
async fn check_books(database: &DatabaseArgs) -> Result<ExitCode, CommandError> {
    let db = pool(database)?;
    let findings = administration::check_books(&db).await?;
    if findings.is_empty() {
        println!("the books agree: {} rules", consistency::CHECKS.len());
        return Ok(ExitCode::SUCCESS);
    }
    for finding in findings {
        println!("{}: {:?}", finding.check, finding.rows);
    }
    Ok(ExitCode::FAILURE)
}
