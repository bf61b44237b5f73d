//! `operator run`, in this process.

use doacoes_operator::controller::{self, Scope, WatchState};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::eventually;
use crate::server::{Result, World};

/// The running operator of one world or of several.
pub(crate) struct Running {
    /// What its watches know.
    pub(crate) watched: WatchState,
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Running {
    /// For the namespace of `world`.
    pub(crate) fn start(world: &World) -> Self {
        Self::start_for(&[world])
    }

    /// For all their namespaces, with the rights and the faults of the first.
    pub(crate) fn start_for(worlds: &[&World]) -> Self {
        let namespaces: Vec<String> = worlds.iter().map(|world| world.namespace.clone()).collect();
        let (world, watched) = (worlds[0], WatchState::default());
        let (stop, stopping) = watch::channel(false);
        let work = controller::run(world.context.clone(), world.metrics.clone(), Scope::of(&namespaces), watched.clone(), stopping);
        Self { watched, task: tokio::spawn(work), stop }
    }

    /// Until it has read what there is.
    pub(crate) async fn established(&self) -> Result {
        eventually("all watches are established", async || Ok(self.watched.is_established())).await
    }

    /// As on SIGTERM: it finishes what it has begun; a request alone may take ten seconds.
    pub(crate) async fn stop(self) -> Result {
        self.stop.send(true)?;
        Ok(tokio::time::timeout(std::time::Duration::from_secs(30), self.task).await??)
    }

    /// Without finishing anything.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}
