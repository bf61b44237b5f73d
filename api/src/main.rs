//! `api serve | migrate | seed | admin | export-assets | rate-limits | openapi`: reads the command line and runs one command.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use doacoes_api::commands::admin::{self, AdminCommand};
use doacoes_api::commands::migrate::{self, MigrateArgs};
use doacoes_api::commands::seed::{self, SeedArgs};
use doacoes_api::commands::{CommandError, export_assets, openapi, rate_limits, serve};
use doacoes_api::config::{Config, Profile};
use doacoes_api::telemetry;
use mimalloc::MiMalloc;

/// glibc's never gave back what connections and passwords needed once; docs/performance.md has the numbers.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The doacoes API.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// What is logged, as a `tracing` filter: `info` for `serve`, `warn` for `migrate`, `error` for what a person runs
    /// and reads.
    #[arg(long, env = "LOG", global = true)]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API. Refuses to start while migrations are pending or keys are missing or readable by everyone.
    Serve(Box<Config>),
    /// Run every pending migration.
    Migrate(MigrateArgs),
    /// Fill an empty database with demo data. Refused in production.
    Seed(SeedArgs),
    /// What only a person with access to the machine does. Audited.
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Write the static files below DIR, each under its path in a URL, for a web server to serve by itself.
    ExportAssets {
        /// The folder.
        dir: PathBuf,
    },
    /// Print the rate limits that hold where `RATE_LIMITS` names no others, in the form of its file.
    RateLimits,
    /// Print the OpenAPI document.
    Openapi {
        /// Whose routes: development adds the simulated bank.
        #[arg(long, env, value_enum, default_value = "production")]
        profile: Profile,
    },
}

impl Command {
    /// What is logged where the command line says nothing else.
    const fn default_log(&self) -> &'static str {
        match self {
            Self::Serve(_) => "info",
            Self::Migrate(_) => "warn",
            Self::Seed(_) | Self::Admin(_) | Self::ExportAssets { .. } | Self::RateLimits | Self::Openapi { .. } => "error",
        }
    }
}

fn main() -> ExitCode {
    let Cli { log, command } = Cli::parse();
    telemetry::init(log.as_deref().unwrap_or(command.default_log()));
    let result = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CommandError::from).and_then(|runtime| {
        let result = runtime.block_on(run(command));
        // Dropping it would wait for whatever a blocking thread does.
        runtime.shutdown_timeout(Duration::from_secs(1));
        result
    });
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("api: {}", telemetry::chain(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<ExitCode, CommandError> {
    match command {
        Command::Serve(config) => serve::run(*config).await?,
        Command::Migrate(args) => migrate::run(args).await?,
        Command::Seed(args) => seed::run(args).await?,
        Command::Admin(command) => return admin::run(command).await,
        Command::ExportAssets { dir } => export_assets::run(&dir)?,
        Command::RateLimits => rate_limits::run()?,
        Command::Openapi { profile } => openapi::run(profile)?,
    }
    Ok(ExitCode::SUCCESS)
}
