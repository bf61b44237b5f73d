//! `api seed`: fills an empty database with demo data, in development only.

use clap::Args;

use super::{CommandError, DevelopmentArgs, unmeasured_passwords};
use crate::config::Profile;
use crate::config::keys::Keys;
use crate::seed::{self, Scale, SeedError};
use crate::store;

/// The arguments of `api seed`.
#[derive(Args, Debug)]
pub struct SeedArgs {
    #[command(flatten)]
    development: DevelopmentArgs,
    /// Do nothing, successfully, where there is data already.
    #[arg(long)]
    if_empty: bool,
    /// Multiplies the usual number of people, campaigns and donations, from 1 to 100.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    times: u32,
}

/// Stores demo data and prints how much it was. Fails in production, and where there is data already, unless `--if-empty` is given.
pub async fn run(args: SeedArgs) -> Result<(), CommandError> {
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
    match seed::run(&db, &keys, &unmeasured_passwords()?, Scale::default().times(args.times), |step| eprintln!("{step}")).await {
        Ok(report) => println!("{report}"),
        // Somebody else was first, a moment ago.
        Err(SeedError::NotEmpty) if args.if_empty => println!("there is data already; nothing was added"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
