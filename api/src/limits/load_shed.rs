//! Load shedding. A queue without a bound turns overload into answers that come too late for everyone; so a bounded number waits, and
//! the rest are told at once to come back.

use std::sync::Arc;

use prometheus::{IntCounter, IntGauge, Registry};
use tokio::sync::{Mutex, MutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::telemetry::metrics::{Family, Present, label};

label! {
    /// A bounded queue of requests, or a bounded number of places.
    pub enum WaitQueue {
        /// Requests that wait for a connection to the database.
        Database = "database",
        /// Requests that wait for a password to be hashed.
        Passwords = "passwords",
        /// Requests for a new password, which are carried out after the answer.
        Resets = "resets",
        /// Streams of campaigns' totals; all that have a place are served at once.
        Streams = "streams",
        /// Streams of totals to one address; all that have a place are served at once.
        StreamsOfAddress = "streams_address",
    }
}

/// The metrics of the bounded queues: how many wait, and how many were refused.
pub struct QueueMetrics {
    waiting: Family<WaitQueue, IntGauge>,
    shed: Family<WaitQueue, IntCounter>,
}

impl QueueMetrics {
    /// Registers every metric in `registry`; fails if one of their names is registered already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            waiting: Family::new(registry, "doacoes_queue_waiting", "Requests that wait in a bounded queue.", ["queue"])?,
            shed: Family::new(registry, "doacoes_shed_total", "Requests turned away because a queue was full.", ["queue"])?,
        })
    }

    /// The gauge of the requests that wait in `queue`.
    pub fn waiting(&self, queue: WaitQueue) -> IntGauge {
        self.waiting.get(queue).clone()
    }

    /// The counter of the requests that were refused because `queue` was full.
    pub fn shed(&self, queue: WaitQueue) -> IntCounter {
        self.shed.get(queue).clone()
    }
}

/// A bounded number of permits, to wait in a queue or to hold a place.
#[derive(Clone)]
pub struct LoadShed {
    permits: Arc<Semaphore>,
    taken: IntGauge,
    shed: IntCounter,
}

/// A place in a queue; dropping it frees the place.
pub struct Permit {
    _permit: OwnedSemaphorePermit,
    _taken: Present,
}

impl LoadShed {
    /// A queue in which at most `limit` wait, with the metrics of `queue`.
    pub fn new(limit: usize, queue: WaitQueue, metrics: &QueueMetrics) -> Self {
        Self::counted(limit, metrics.waiting(queue), metrics.shed(queue))
    }

    /// Gives out at most `limit` permits at a time. `taken` shows how many are in use, `shed` counts the refusals.
    pub fn counted(limit: usize, taken: IntGauge, shed: IntCounter) -> Self {
        Self { permits: Arc::new(Semaphore::new(limit)), taken, shed }
    }

    /// Whether no permit is left now. If so, this counts a refusal: the caller must turn the request away.
    pub fn is_full(&self) -> bool {
        let full = self.permits.available_permits() == 0;
        if full {
            self.shed.inc();
        }
        full
    }

    /// A permit, without waiting; `None`, which is counted, if none is left.
    pub fn enter(&self) -> Option<Permit> {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            self.shed.inc();
            return None;
        };
        Some(Permit { _permit: permit, _taken: Present::of(self.taken.clone()) })
    }
}

/// A bounded queue whose members are served one at a time.
pub struct SerialQueue {
    waiting: LoadShed,
    turn: Mutex<()>,
}

impl SerialQueue {
    /// A queue in which at most `limit` wait or are served.
    pub fn new(limit: usize, queue: WaitQueue, metrics: &QueueMetrics) -> Self {
        Self { waiting: LoadShed::new(limit, queue, metrics), turn: Mutex::default() }
    }

    /// A place in the queue, without waiting; `None`, which is counted, if it is full.
    pub fn enter(&self) -> Option<Permit> {
        self.waiting.enter()
    }

    /// Waits until it is the caller's turn, which ends when the guard is dropped.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn as_many_wait_as_there_are_permits() {
        let queue = LoadShed::new(2, WaitQueue::Database, &QueueMetrics::new(&Registry::new()).unwrap());
        let first = queue.enter();
        let second = queue.enter();
        assert!(first.is_some() && second.is_some() && queue.enter().is_none());
        assert_eq!((queue.taken.get(), queue.shed.get()), (2, 1));
        assert!(queue.is_full());
        assert_eq!(queue.shed.get(), 2);
        drop(first);
        assert!(!queue.is_full());
        assert_eq!(queue.taken.get(), 1);
        assert!(queue.enter().is_some());
    }
}
