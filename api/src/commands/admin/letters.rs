//! The letters that wait in the outbox, for a developer who looks for the code in one.

use clap::Args;
use time::format_description::well_known::Rfc3339;

use crate::commands::{CommandError, DevelopmentArgs, pool};
use crate::config::Profile;
use crate::config::keys::Keys;
use crate::domain::email::Email;
use crate::service::administration::{self, WaitingLetter};

/// The arguments of `api admin mail`.
#[derive(Args, Debug)]
pub struct LetterArgs {
    #[command(flatten)]
    development: DevelopmentArgs,
    /// Only those to this address.
    #[arg(long)]
    to: Option<String>,
}

/// Prints the letters that wait, the oldest first. Fails in production.
pub(super) async fn print(args: LetterArgs) -> Result<(), CommandError> {
    let DevelopmentArgs { database, profile, secrets_dir } = args.development;
    if profile != Profile::Development {
        return Err("letters hold other people's codes: they are shown only with PROFILE=development".into());
    }
    let to = args.to.as_deref().map(Email::parse).transpose()?;
    let keys = Keys::load(&secrets_dir)?;
    let db = pool(&database)?;
    let (letters, sealed) = administration::waiting_letters(&db, &keys.body, to.as_ref()).await?;
    for WaitingLetter { since, until, letter } in &letters {
        println!("To: {}\nSubject: {}\nDate: {}", letter.address, letter.subject, since.format(&Rfc3339)?);
        if let Some(until) = until {
            println!("Expires: {}", until.format(&Rfc3339)?);
        }
        println!("\n{}\n", letter.body);
    }
    if letters.is_empty() {
        eprintln!("no letter waits");
    }
    if sealed > 0 {
        eprintln!("{sealed} letters cannot be opened with the keys in {}", secrets_dir.display());
    }
    Ok(())
}
