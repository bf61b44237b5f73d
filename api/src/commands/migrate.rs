//! `api migrate`: brings the schema to this release, and may make the first administrator's account.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use sqlx::PgPool;

use super::admin::accounts::{ADDRESS_TAKEN, create_admin};
use super::{CommandError, migration_result};
use crate::config::OwnerArgs;
use crate::service::administration::{self, CreatedAdmin};
use crate::store::{
    self,
    schema::{self, Migrated},
};

/// The arguments of `api migrate`.
#[derive(Args, Debug)]
pub struct MigrateArgs {
    #[command(flatten)]
    owner: OwnerArgs,
    /// Seconds to wait for the database to accept connections.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    wait: u64,
    /// File for one line of JSON that says how it ended, like a pod's `/dev/termination-log`:
    /// `{"schema": "…", "applied": 0}` or `{"error": "…"}`.
    #[arg(long)]
    result: Option<PathBuf>,
    /// E-mail of an administrator's account to make once the schema is there, if there is no administrator yet.
    #[arg(long, requires = "first_admin_password_file")]
    first_admin: Option<String>,
    /// File with that account's password.
    #[arg(long, requires = "first_admin")]
    first_admin_password_file: Option<PathBuf>,
}

/// Runs every pending migration. Writes the result to standard output or error, and to the file of `--result` for whoever started
/// the process.
pub async fn run(args: MigrateArgs) -> Result<(), CommandError> {
    let done = run_migrations(&args).await;
    if let Some(file) = &args.result {
        migration_result::write(file, &done).map_err(|error| format!("{} cannot be written: {error}", file.display()))?;
    }
    let done = done?;
    println!("{} migrations applied, the schema is {}", done.applied, done.schema);
    Ok(())
}

async fn run_migrations(args: &MigrateArgs) -> Result<Migrated, CommandError> {
    let url = args.owner.url()?;
    let done = schema::migrate(&url, Duration::from_secs(args.wait)).await?;
    if let (Some(email), Some(file)) = (&args.first_admin, &args.first_admin_password_file) {
        println!("{}", make_first_admin(&store::pool(&url, 1)?, email, file).await?);
    }
    Ok(done)
}

/// Makes the first administrator's account and returns a sentence about the outcome. Reads the password only if there is no
/// administrator yet: otherwise the file may hold one that would be refused.
async fn make_first_admin(db: &PgPool, email: &str, password_file: &Path) -> Result<String, CommandError> {
    if administration::has_admin(db).await? {
        return Ok("there is an administrator already; no account was made".to_owned());
    }
    Ok(match create_admin(db, email, password_file).await? {
        CreatedAdmin::Made => "the first administrator has an account".to_owned(),
        // No reason to keep a site from its new version.
        CreatedAdmin::AddressTaken => format!("the address of the first administrator {ADDRESS_TAKEN}"),
    })
}
