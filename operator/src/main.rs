//! Command line of the operator.

use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use doacoes_operator::client::ApiClient;
use doacoes_operator::controller::{self, Scope, WatchState};
use doacoes_operator::crd::DonationPlatform;
use doacoes_operator::metrics::Metrics;
use doacoes_operator::reconcile::Context;
use doacoes_operator::{admin, manifests, names, render, telemetry, yaml};
use kube::runtime::events::Reporter;
use kube::{Client, Config, CustomResourceExt as _};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Operator of the `DonationPlatform` resource.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Keep every `DonationPlatform` of the cluster as its resource says.
    Run(Run),
    /// Print the `CustomResourceDefinition` as YAML.
    Crd,
    /// Print everything that installs the operator as YAML.
    Manifests {
        /// Only objects of this kind, such as `ClusterRole`.
        #[arg(long)]
        kind: Option<String>,
    },
    /// Print what a resource would create as YAML, without a cluster. Generated data is replaced by placeholders.
    Render {
        /// YAML or JSON of one `DonationPlatform`.
        file: PathBuf,
    },
}

#[derive(Args, Debug)]
struct Run {
    /// Namespaces to look in, separated by commas. Empty: all.
    #[arg(long, env, value_delimiter = ',')]
    watch_namespaces: Vec<String>,
    /// Where `/livez`, `/readyz` and `/metrics` are served.
    #[arg(long, env, default_value = "0.0.0.0:8081")]
    admin_addr: SocketAddr,
    /// What is logged, as a `tracing` filter.
    #[arg(long, env = "LOG", default_value = "info")]
    log: String,
    /// Name under which the operator reports Events, such as its pod's. Default: the machine's.
    #[arg(long, env)]
    pod_name: Option<String>,
}

fn main() -> ExitCode {
    match command(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("operator: {}", telemetry::chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn command(command: Command) -> Result<(), AnyError> {
    let text = match command {
        Command::Run(run) => return start(run),
        Command::Crd => yaml::manifest(&DonationPlatform::crd(), "operator crd")?,
        Command::Manifests { kind } => {
            let mut objects = manifests::install()?;
            objects.retain(|object| kind.as_deref().is_none_or(|kind| object.get("kind").and_then(Value::as_str) == Some(kind)));
            yaml::manifests(&objects, "operator manifests")?
        }
        Command::Render { file } => yaml::documents(&render::render(&fs::read_to_string(file)?)?)?,
    };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

fn start(run: Run) -> Result<(), AnyError> {
    telemetry::init(&run.log);
    // It waits for the API server nearly all of the time.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(run))
}

async fn serve(run: Run) -> Result<(), AnyError> {
    let metrics = Arc::new(Metrics::new()?);
    let mut config = Config::infer().await?;
    // Each class of error has a wait of its own; retries below it would multiply the requests to a server that has too many.
    config.default_retry = false;
    let client = Client::try_from(config)?;
    let reporter = Reporter { instance: run.pod_name, ..names::REPORTER.into() };
    let context = Context { client: ApiClient::new(client, Arc::clone(&metrics)), reporter };
    let listener = TcpListener::bind(run.admin_addr).await?;
    let namespaces: Vec<String> = run.watch_namespaces.into_iter().filter(|namespace| !namespace.is_empty()).collect();
    tracing::info!(admin = %listener.local_addr()?, ?namespaces, "running");
    let (stop, stopping) = watch::channel(false);
    let watched = WatchState::default();
    let mut until = stopping.clone();
    let admin = tokio::spawn(admin::serve(listener, watched.clone(), Arc::clone(&metrics), async move {
        let _ = until.wait_for(|stop| *stop).await;
    }));
    let mut work = Box::pin(controller::run(context, metrics, Scope::of(&namespaces), watched, stopping));
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        () = &mut work => return Err("the watches ended".into()),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    let _ = stop.send(true);
    work.await;
    admin.await??;
    tracing::info!("stopped");
    Ok(())
}
