//! `operator run`, in this process.

use std::time::Duration;

use doacoes_operator::controller::{self, Scope, WatchState};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Result, World, eventually};

/// Longest that it may take to finish what it has begun; a request alone may take ten seconds.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// The running operator of one world or of several.
pub(crate) struct Running {
    /// State of its watches.
    pub(crate) watched: WatchState,
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Running {
    /// Starts it for the namespace of `world`.
    pub(crate) fn start(world: &World) -> Self {
        Self::start_for(&[world])
    }

    /// Starts it for the namespaces of all `worlds`, with the rights and the faults of the first.
    pub(crate) fn start_for(worlds: &[&World]) -> Self {
        let namespaces: Vec<String> = worlds.iter().map(|world| world.namespace.clone()).collect();
        let (world, watched) = (worlds[0], WatchState::default());
        let (stop, stopping) = watch::channel(false);
        let work = controller::run(world.context.clone(), world.metrics.clone(), Scope::of(&namespaces), watched.clone(), stopping);
        Self { watched, task: tokio::spawn(work), stop }
    }

    /// Waits until it has read what there is.
    pub(crate) async fn established(&self) -> Result {
        eventually("all watches are established", async || Ok(self.watched.is_established())).await
    }

    /// Stops it as SIGTERM does: it finishes what it has begun.
    pub(crate) async fn stop(self) -> Result {
        self.stop.send(true)?;
        Ok(tokio::time::timeout(STOP_TIMEOUT, self.task).await??)
    }

    /// Ends it before it can finish anything.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}
