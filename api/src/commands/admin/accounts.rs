//! Accounts of administrators.

use std::path::{Path, PathBuf};

use clap::Args;
use sqlx::PgPool;

use crate::commands::{CommandError, command_line, pool, unmeasured_passwords};
use crate::config::DatabaseArgs;
use crate::config::credentials::read_secret;
use crate::domain::email::{Email, Password};
use crate::domain::text::Name;
use crate::service::administration::{self, AdminAccount, CreatedAdmin};

/// The rest of a sentence about an address that has an account already.
pub(in crate::commands) const ADDRESS_TAKEN: &str =
    "has an account already, with a password of its own: make it an administrator with `api admin grant-admin`";

/// The arguments of `api admin create`.
#[derive(Args, Debug)]
pub struct AdminAccountArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The e-mail address with which the administrator will log in.
    email: String,
    /// File with its password.
    #[arg(long)]
    password_file: PathBuf,
}

/// Makes an administrator's account; fails if the address has an account already.
pub(super) async fn create(args: &AdminAccountArgs) -> Result<(), CommandError> {
    match create_admin(&pool(&args.database)?, &args.email, &args.password_file).await? {
        CreatedAdmin::Made => println!("done"),
        CreatedAdmin::AddressTaken => return Err(format!("this e-mail {ADDRESS_TAKEN}").into()),
    }
    Ok(())
}

/// Makes the person with this e-mail address an administrator; fails if nobody has it.
pub(super) async fn grant(database: &DatabaseArgs, email: &str) -> Result<(), CommandError> {
    let email = Email::parse(email)?;
    let db = pool(database)?;
    if !administration::grant_admin(&command_line(db), &email).await? {
        return Err("nobody has an account with this e-mail".into());
    }
    println!("done; the person must log in again");
    Ok(())
}

/// Makes an administrator's account with the password in `password_file`, unless the address has an account already.
pub(in crate::commands) async fn create_admin(db: &PgPool, email: &str, password_file: &Path) -> Result<CreatedAdmin, CommandError> {
    let (nome, email, password) = (Name::parse("Administração")?, Email::parse(email)?, Password::parse(read_secret(password_file)?)?);
    let passwords = unmeasured_passwords()?;
    Ok(administration::create_admin(&command_line(db.clone()), &passwords, AdminAccount { nome, email, password }).await?)
}
