//! The subcommands of the binary, a file each: its arguments, and what it does with them.

pub mod admin;
pub mod export_assets;
pub mod migrate;
mod migration_result;
pub mod openapi;
pub mod rate_limits;
pub mod seed;
pub mod serve;

use clap::Args;
use prometheus::Registry;
use sqlx::PgPool;
use std::path::PathBuf;

use crate::config::{DatabaseArgs, Profile};
use crate::limits::load_shed::QueueMetrics;
use crate::password::Passwords;
use crate::process::clock::Clock;
use crate::service::change::CommandLine;
use crate::store;

/// Why a command failed. Its text and those of its sources are what the person who ran the command reads.
pub type CommandError = Box<dyn std::error::Error + Send + Sync>;

/// The arguments of a command that is only for development.
#[derive(Args, Debug)]
pub struct DevelopmentArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Profile of the platform. Every value but `development` is refused.
    #[arg(long, env, value_enum, default_value = "production")]
    profile: Profile,
    /// Folder of key files.
    #[arg(long, env)]
    secrets_dir: PathBuf,
}

/// A pool on the database of a command, which runs one transaction after the other.
fn pool(database: &DatabaseArgs) -> Result<PgPool, CommandError> {
    Ok(store::pool(&database.url()?, 2)?)
}

/// What a change at the command line is made with, on the pool `db`.
fn command_line(db: PgPool) -> CommandLine {
    CommandLine { db, clock: Clock::System }
}

/// Makes the hashing of passwords for a command, whose metrics nobody reads.
fn unmeasured_passwords() -> Result<Passwords, CommandError> {
    Ok(Passwords::new(&QueueMetrics::new(&Registry::new())?)?)
}
