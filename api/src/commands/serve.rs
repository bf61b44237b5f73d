//! `api serve`: runs the API until a signal stops it.

use super::CommandError;
use crate::app::App;
use crate::config::Config;
use crate::process::clock::Clock;
use crate::process::shutdown::signalled;
use crate::server::open_files;
use crate::telemetry::chain;

/// Serves until SIGTERM or Ctrl-C, and then until what was begun has ended. A second signal skips the wait in which proxies learn of
/// the stop. Fails if the process cannot start.
pub async fn run(config: Config) -> Result<(), CommandError> {
    open_files::raise_limit();
    let app = App::build(config.validated()?, Clock::System).await?.bind()?;
    let state = app.state();
    tracing::info!(public = %app.public_addr, admin = %app.admin_addr, profile = ?state.profile, "serving");
    let shutdown = state.shutdown.clone();
    tokio::spawn(async move {
        match signalled().await {
            Ok(()) => tracing::info!("stopping"),
            Err(error) => tracing::error!(error = chain(&error), "signals cannot be received; stopping"),
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
