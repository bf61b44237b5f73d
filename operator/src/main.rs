//! Command line of the operator.

use std::{
    error::Error as _,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use doacoes_operator::{crd::DonationPlatform, yaml};
use kube::CustomResourceExt as _;

/// Operator of the `DonationPlatform` resource.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the `CustomResourceDefinition` as YAML.
    Crd,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Yaml(#[from] yaml::Error),
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), Error> {
    let text = match cli.command {
        Command::Crd => yaml::manifest(&DonationPlatform::crd(), "operator crd")?,
    };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Error::Output)
}

fn report(error: &Error) {
    eprint!("operator: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprint!(": {cause}");
        source = cause.source();
    }
    eprintln!();
}
