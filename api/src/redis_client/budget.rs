//! The time that one request may wait for Redis. The budget belongs to the request's task; work that a request starts in another
//! task begins with what is left of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The longest time that one request waits for all of its Redis commands together, and so also for one command.
pub const REQUEST_BUDGET: Duration = Duration::from_millis(50);

/// The time that the running request may still wait for Redis, in microseconds.
struct Left(AtomicU64);

impl Left {
    fn new(time: Duration) -> Self {
        Self(AtomicU64::new(micros(time)))
    }

    fn get(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }

    fn spend(&self, time: Duration) {
        let less = |left: u64| Some(left.saturating_sub(micros(time)));
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

tokio::task_local! {
    static LEFT: Left;
}

/// Runs `request`, which waits for Redis for at most `budget` in all.
pub async fn budgeted<F: Future>(budget: Duration, request: F) -> F::Output {
    LEFT.scope(Left::new(budget), request).await
}

/// Wraps work for another task, so that it has what is left of the running request's budget.
pub fn keep_budget<F: Future>(work: F) -> impl Future<Output = F::Output> {
    LEFT.scope(Left::new(budget_left().unwrap_or(REQUEST_BUDGET)), work)
}

/// Runs `work` in a task of its own with what is left of the running request's budget.
pub fn spawn_budgeted<F>(work: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(keep_budget(work))
}

/// The time that the running request may still wait; `None` outside of a request, where each command has a budget of its own.
pub fn budget_left() -> Option<Duration> {
    LEFT.try_with(Left::get).ok()
}

/// Sleeps for `time` and takes it from the budget. Returns false at once, without sleeping, where less than `time` is left.
pub async fn wait_within_budget(time: Duration) -> bool {
    if budget_left().is_some_and(|left| left < time) {
        return false;
    }
    tokio::time::sleep(time).await;
    spend(time);
    true
}

/// Takes `time` from the running request's budget, which does not go below zero.
pub fn spend(time: Duration) {
    let _ = LEFT.try_with(|left| left.spend(time));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_and_what_it_spawns_share_a_budget() {
        budgeted(REQUEST_BUDGET, async {
            assert_eq!(budget_left(), Some(REQUEST_BUDGET));
            spend(Duration::from_millis(30));
            assert_eq!(budget_left(), Some(Duration::from_millis(20)));
            let spawned = spawn_budgeted(async { budget_left() }).await;
            assert_eq!(spawned.ok(), Some(Some(Duration::from_millis(20))));
            assert!(!wait_within_budget(Duration::from_millis(21)).await);
            spend(Duration::from_millis(30));
            assert_eq!(budget_left(), Some(Duration::ZERO));
        })
        .await;
        assert_eq!(budget_left(), None, "work without a request has a budget for each command");
    }
}
