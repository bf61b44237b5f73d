//! Stopping in order: first no new work, then what was begun is finished, then the end.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::redis_client::budget::keep_budget;

/// One handle for everything that must end with the process.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
    hurry: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    /// Asks everything to stop.
    pub fn begin(&self) {
        self.token.cancel();
        self.tasks.close();
    }

    /// Asks for the end of serving without the wait in which proxies learn of it.
    pub fn hasten(&self) {
        self.hurry.cancel();
    }

    /// Returns when new work is no longer taken: `drain` after a stop was asked for, or at once when haste was.
    pub async fn drained(&self, drain: Duration) {
        self.begun().await;
        tokio::select! {
            () = tokio::time::sleep(drain) => {}
            () = self.hurry.cancelled() => {}
        }
    }

    /// Waits for `time`, but no longer than until a stop is asked for.
    pub async fn pause(&self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.begun() => {}
        }
    }

    /// Whether a stop was asked for.
    pub fn has_begun(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Returns once a stop was asked for.
    pub async fn begun(&self) {
        self.token.cancelled().await;
    }

    /// Runs a request's `work` to its end even if the request goes away; [`Shutdown::finished`] waits for it. What is left of the
    /// request's budget for Redis goes with it.
    pub async fn complete<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Result<T, tokio::task::JoinError> {
        self.tasks.spawn(keep_budget(work)).await
    }

    /// Starts a task that watches [`Shutdown::begun`] itself.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(work);
    }

    /// Returns once a stop was asked for and every task has ended.
    pub async fn finished(&self) {
        self.tasks.wait().await;
    }
}

/// Waits for SIGTERM or Ctrl-C.
pub async fn signalled() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis_client::budget::{budget_left, budgeted};

    #[tokio::test]
    async fn completed_work_keeps_the_budget_of_its_request() {
        let left = Duration::from_millis(20);
        budgeted(left, async {
            let completed = Shutdown::default().complete(async { budget_left() }).await;
            assert_eq!(completed.ok(), Some(Some(left)));
        })
        .await;
    }
}
