//! `api serve | migrate | seed | admin | export-assets | openapi`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use doacoes_api::app::App;
use doacoes_api::clock::Clock;
use doacoes_api::config::{Config, DatabaseArgs, OwnerArgs, Profile};
use doacoes_api::credentials::read_secret;
use doacoes_api::domain::donation::MessageStatus;
use doacoes_api::domain::email::{Email, Password};
use doacoes_api::domain::ids::{DonationId, PersonId};
use doacoes_api::domain::organizadora::OrganizadoraStatus;
use doacoes_api::domain::role::PersonStatus;
use doacoes_api::domain::slug::Slug;
use doacoes_api::domain::text::{Name, Reason};
use doacoes_api::http::openapi;
use doacoes_api::keys::Keys;
use doacoes_api::limits::Rules;
use doacoes_api::load_shed::QueueMetrics;
use doacoes_api::password::Passwords;
use doacoes_api::seed::SeedError;
use doacoes_api::service::administration::{self, AdminAccount, CreatedAdmin, WaitingLetter};
use doacoes_api::service::change::CommandLine;
use doacoes_api::service::suspension::{self, StatusChange};
use doacoes_api::shutdown::signalled;
use doacoes_api::store::people::PersonRef;
use doacoes_api::store::schema::{self, Migrated};
use doacoes_api::store::{self, consistency};
use doacoes_api::{assets, migration_result, open_files, seed, telemetry};
use mimalloc::MiMalloc;
use prometheus::Registry;
use sqlx::PgPool;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// glibc's never gave back what connections and passwords needed once; docs/performance.md has the numbers.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

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

#[derive(Args)]
struct MigrateArgs {
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

/// What a command needs that is only for development.
#[derive(Args)]
struct DevelopmentArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Must be `development`.
    #[arg(long, env, value_enum, default_value = "production")]
    profile: Profile,
    /// Folder of key files.
    #[arg(long, env)]
    secrets_dir: PathBuf,
}

#[derive(Args)]
struct SeedArgs {
    #[command(flatten)]
    development: DevelopmentArgs,
    /// Do nothing, successfully, where there is data already.
    #[arg(long)]
    if_empty: bool,
    /// How many times as much of everything as usual, to see how the platform grows.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    times: u32,
}

#[derive(Subcommand)]
enum AdminCommand {
    /// Make the key files that are missing; existing ones are left alone.
    CreateKeys {
        /// The folder.
        dir: PathBuf,
    },
    /// Mark an organizadora as verified, so that it may publish.
    VerifyOrganizadora {
        #[command(flatten)]
        database: DatabaseArgs,
        /// Its slug.
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
    Create {
        #[command(flatten)]
        database: DatabaseArgs,
        /// Its e-mail.
        email: String,
        /// File with its password.
        #[arg(long)]
        password_file: PathBuf,
    },
    /// Make a person an administrator; ends their sessions.
    #[command(name = "grant-admin")]
    Grant {
        #[command(flatten)]
        database: DatabaseArgs,
        /// Their e-mail.
        email: String,
    },
    /// Print the letters that wait in the outbox, for a developer to find the codes in. Refused in production, whose codes are
    /// other people's.
    Mail(MailArgs),
    /// Check that totals, ledger, receipts and refunds agree.
    CheckBooks {
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

/// What is suspended or reinstated.
#[derive(Subcommand)]
enum SuspensionTarget {
    /// A person. While suspended they have no session and cannot log in or reset the password; their donations stay.
    Person {
        #[command(flatten)]
        database: DatabaseArgs,
        /// Their e-mail or id.
        who: String,
        #[command(flatten)]
        reason: ReasonArgs,
    },
    /// An organizadora. While suspended its page and campaigns are not found and take no donations, and its members change
    /// nothing. Payments that arrive all the same are recorded, and can be refunded.
    Organizadora {
        #[command(flatten)]
        database: DatabaseArgs,
        /// Its slug.
        slug: String,
        #[command(flatten)]
        reason: ReasonArgs,
    },
}

#[derive(Args)]
struct MessageArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The donation's id.
    donation_id: Uuid,
    #[command(flatten)]
    reason: ReasonArgs,
}

#[derive(Args)]
struct ReasonArgs {
    /// Why, for the audit: one line of 1 to 500 characters, without personal data.
    #[arg(long)]
    reason: String,
}

#[derive(Args)]
struct MailArgs {
    #[command(flatten)]
    development: DevelopmentArgs,
    /// Only those to this address.
    #[arg(long)]
    to: Option<String>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let default = match cli.command {
        Command::Serve(_) => "info",
        Command::Migrate(_) => "warn",
        Command::Seed(_) | Command::Admin(_) | Command::ExportAssets { .. } | Command::RateLimits | Command::Openapi { .. } => "error",
    };
    telemetry::init(cli.log.as_deref().unwrap_or(default));
    let result = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(AnyError::from).and_then(|runtime| {
        let result = runtime.block_on(run(cli.command));
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

async fn run(command: Command) -> Result<ExitCode, AnyError> {
    match command {
        Command::Serve(config) => serve(*config).await?,
        Command::Migrate(args) => migrate(args).await?,
        Command::Seed(args) => fill(args).await?,
        Command::Admin(command) => return admin(command).await,
        Command::ExportAssets { dir } => println!("{} files written", assets::export(&dir)?),
        Command::RateLimits => println!("{}", serde_json::to_string_pretty(&Rules::default().by_name())?),
        Command::Openapi { profile } => println!("{}", openapi::document(profile).to_pretty_json()?),
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: Config) -> Result<(), AnyError> {
    open_files::raise_limit();
    let app = App::build(config.validated()?, Clock::System).await?.bind()?;
    let state = app.state();
    tracing::info!(public = %app.public_addr, admin = %app.admin_addr, profile = ?state.profile, "serving");
    let shutdown = state.shutdown.clone();
    tokio::spawn(async move {
        match signalled().await {
            Ok(()) => tracing::info!("stopping"),
            Err(error) => tracing::error!(error = telemetry::chain(&error), "signals cannot be received; stopping"),
        }
        shutdown.begin();
        if signalled().await.is_ok() {
            tracing::info!("stopping without the wait");
        }
        shutdown.hasten();
    });
    app.run(true).await;
    tracing::info!("stopped");
    Ok(())
}

/// Tells how it ended on standard output or error, and in the file of `--result` for whoever started the process.
async fn migrate(args: MigrateArgs) -> Result<(), AnyError> {
    let done = run_migrations(&args).await;
    if let Some(file) = &args.result {
        migration_result::write(file, &done).map_err(|error| format!("{} cannot be written: {error}", file.display()))?;
    }
    let done = done?;
    println!("{} migrations applied, the schema is {}", done.applied, done.schema);
    Ok(())
}

async fn run_migrations(args: &MigrateArgs) -> Result<Migrated, AnyError> {
    let url = args.owner.url()?;
    let done = schema::migrate(&url, Duration::from_secs(args.wait)).await?;
    if let (Some(email), Some(file)) = (&args.first_admin, &args.first_admin_password_file) {
        println!("{}", make_first_admin(&store::pool(&url, 1)?, email, file).await?);
    }
    Ok(done)
}

/// What became of it. Only where there is no administrator has the account to be one that can be made.
async fn make_first_admin(db: &PgPool, email: &str, password_file: &Path) -> Result<String, AnyError> {
    if administration::has_admin(db).await? {
        return Ok("there is an administrator already; no account was made".to_owned());
    }
    Ok(match create_admin(db, email, password_file).await? {
        CreatedAdmin::Made => "the first administrator has an account".to_owned(),
        // No reason to keep a site from its new version.
        CreatedAdmin::AddressTaken => format!("the address of the first administrator {ADDRESS_TAKEN}"),
    })
}

const ADDRESS_TAKEN: &str = "has an account already, with a password of its own: make it an administrator with `api admin grant-admin`";

async fn create_admin(db: &PgPool, email: &str, password_file: &Path) -> Result<CreatedAdmin, AnyError> {
    let (nome, email, password) = (Name::parse("Administração")?, Email::parse(email)?, Password::parse(read_secret(password_file)?)?);
    let passwords = uncounted_passwords()?;
    Ok(administration::create_admin(&command_line(db.clone()), &passwords, AdminAccount { nome, email, password }).await?)
}

fn command_line(db: PgPool) -> CommandLine {
    CommandLine { db, clock: Clock::System }
}

/// Makes the hashing of passwords for commands, with metrics that nobody reads.
fn uncounted_passwords() -> Result<Passwords, AnyError> {
    Ok(Passwords::new(&QueueMetrics::new(&Registry::new())?)?)
}

async fn fill(args: SeedArgs) -> Result<(), AnyError> {
    let DevelopmentArgs { database, profile, secrets_dir } = args.development;
    if profile != Profile::Development {
        return Err("demo data is only for PROFILE=development".into());
    }
    let db = store::pool(&database.url()?, database.database_pool_size)?;
    if args.if_empty && !seed::is_empty(&db).await? {
        println!("there is data already; nothing was added");
        return Ok(());
    }
    let keys = Keys::load(&secrets_dir)?;
    match seed::run(&db, &keys, &uncounted_passwords()?, seed::Scale::default().times(args.times), |step| eprintln!("{step}")).await {
        Ok(report) => println!("{report}"),
        // Somebody else was first, a moment ago.
        Err(SeedError::NotEmpty) if args.if_empty => println!("there is data already; nothing was added"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

async fn admin(command: AdminCommand) -> Result<ExitCode, AnyError> {
    match command {
        AdminCommand::CreateKeys { dir } => {
            for path in Keys::create_missing(&dir)? {
                println!("made {}", path.display());
            }
        }
        AdminCommand::VerifyOrganizadora { database, slug } => {
            let slug = Slug::parse(&slug)?;
            let db = store::pool(&database.url()?, 2)?;
            if !administration::verify_organizadora(&command_line(db), slug.as_str()).await? {
                return Err(format!("there is no organizadora {}", slug.as_str()).into());
            }
            println!("{} is verified", slug.as_str());
        }
        AdminCommand::Suspend(target) => suspend(target).await?,
        AdminCommand::Reinstate(target) => reinstate(target).await?,
        AdminCommand::HideMessage(MessageArgs { database, donation_id, reason }) => {
            let (db, reason) = (store::pool(&database.url()?, 1)?, Reason::parse(&reason.reason)?);
            tell(suspension::hide_message(&command_line(db), DonationId(donation_id), &reason).await?.map(MessageStatus::as_str));
        }
        AdminCommand::ShowMessage(MessageArgs { database, donation_id, reason }) => {
            let (db, reason) = (store::pool(&database.url()?, 1)?, Reason::parse(&reason.reason)?);
            tell(suspension::show_message(&command_line(db), DonationId(donation_id), &reason).await?.map(MessageStatus::as_str));
        }
        AdminCommand::Create { database, email, password_file } => {
            match create_admin(&store::pool(&database.url()?, 1)?, &email, &password_file).await? {
                CreatedAdmin::Made => println!("done"),
                CreatedAdmin::AddressTaken => return Err(format!("this e-mail {ADDRESS_TAKEN}").into()),
            }
        }
        AdminCommand::Grant { database, email } => {
            let email = Email::parse(&email)?;
            let db = store::pool(&database.url()?, 2)?;
            if !administration::grant_admin(&command_line(db), &email).await? {
                return Err("nobody has an account with this e-mail".into());
            }
            println!("done; the person must log in again");
        }
        AdminCommand::Mail(args) => print_letters(args).await?,
        AdminCommand::CheckBooks { database } => {
            let db = store::pool(&database.url()?, 2)?;
            let findings = administration::check_books(&db).await?;
            if findings.is_empty() {
                println!("the books agree: {} rules", consistency::CHECKS.len());
            } else {
                for finding in findings {
                    println!("{}: {:?}", finding.check, finding.rows);
                }
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn suspend(target: SuspensionTarget) -> Result<(), AnyError> {
    match target {
        SuspensionTarget::Person { database, who, reason } => {
            let (who, reason, db) = (person(&who)?, Reason::parse(&reason.reason)?, store::pool(&database.url()?, 1)?);
            tell(suspension::suspend_person(&command_line(db), &who, &reason).await?.map(PersonStatus::as_str));
        }
        SuspensionTarget::Organizadora { database, slug, reason } => {
            let (slug, reason, db) = (Slug::parse(&slug)?, Reason::parse(&reason.reason)?, store::pool(&database.url()?, 1)?);
            tell(suspension::suspend_organizadora(&command_line(db), &slug, &reason).await?.map(OrganizadoraStatus::as_str));
        }
    }
    Ok(())
}

async fn reinstate(target: SuspensionTarget) -> Result<(), AnyError> {
    match target {
        SuspensionTarget::Person { database, who, reason } => {
            let (who, reason, db) = (person(&who)?, Reason::parse(&reason.reason)?, store::pool(&database.url()?, 1)?);
            tell(suspension::reinstate_person(&command_line(db), &who, &reason).await?.map(PersonStatus::as_str));
        }
        SuspensionTarget::Organizadora { database, slug, reason } => {
            let (slug, reason, db) = (Slug::parse(&slug)?, Reason::parse(&reason.reason)?, store::pool(&database.url()?, 1)?);
            tell(suspension::reinstate_organizadora(&command_line(db), &slug, &reason).await?.map(OrganizadoraStatus::as_str));
        }
    }
    Ok(())
}

/// Parses a person's e-mail, if `who` contains an `@`, or else their id.
fn person(who: &str) -> Result<PersonRef, AnyError> {
    if who.contains('@') {
        return Ok(PersonRef::Email(Email::parse(who)?));
    }
    let id = Uuid::try_parse(who).map_err(|_| format!("{who} is neither an e-mail nor an id"))?;
    Ok(PersonRef::Id(PersonId(id)))
}

fn tell(outcome: StatusChange<&str>) {
    match outcome {
        StatusChange::Changed { from, to } => println!("done: `{from}` became `{to}`; each process that serves knows it within a second"),
        StatusChange::Already(state) => println!("nothing to do: it is `{state}` already"),
    }
}

async fn print_letters(args: MailArgs) -> Result<(), AnyError> {
    let DevelopmentArgs { database, profile, secrets_dir } = args.development;
    if profile != Profile::Development {
        return Err("letters hold other people's codes: they are shown only with PROFILE=development".into());
    }
    let to = args.to.as_deref().map(Email::parse).transpose()?;
    let keys = Keys::load(&secrets_dir)?;
    let db = store::pool(&database.url()?, 2)?;
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
