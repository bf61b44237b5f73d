//! Who may wait. A queue without a bound only turns overload into answers that come too late for whoever asked; so a few wait,
//! and the rest are told at once to come back.

use std::sync::Arc;

use prometheus::{IntCounter, IntGauge};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::{Metrics, Present, WaitQueue};

/// The entrance to a queue of bounded length.
#[derive(Clone)]
pub struct Gate {
    places: Arc<Semaphore>,
    waiting: IntGauge,
    shed: IntCounter,
}

/// A place in the queue, until it is dropped.
pub struct Place {
    _permit: OwnedSemaphorePermit,
    _waiting: Present,
}

impl Gate {
    /// A queue in which at most `places` wait.
    pub fn new(places: usize, queue: WaitQueue, metrics: &Metrics) -> Self {
        Self::counted(places, metrics.waiting(queue), metrics.shed(queue))
    }

    /// Room for `places` at a time. `taken` shows how many there are, `shed` counts those who found none left.
    pub fn counted(places: usize, taken: IntGauge, shed: IntCounter) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), waiting: taken, shed }
    }

    /// Whether nobody can enter now; who asks is turned away and counted.
    pub fn is_closed(&self) -> bool {
        let closed = self.places.available_permits() == 0;
        if closed {
            self.shed.inc();
        }
        closed
    }

    /// A place, or nothing where the queue is full, which is counted.
    pub fn enter(&self) -> Option<Place> {
        let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() else {
            self.shed.inc();
            return None;
        };
        Some(Place { _permit: permit, _waiting: Present::of(self.waiting.clone()) })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn as_many_wait_as_there_are_places() {
        let gate = Gate::new(2, WaitQueue::Database, &Metrics::new().unwrap());
        let first = gate.enter();
        let second = gate.enter();
        assert!(first.is_some() && second.is_some() && gate.enter().is_none());
        assert_eq!((gate.waiting.get(), gate.shed.get()), (2, 1));
        assert!(gate.is_closed());
        assert_eq!(gate.shed.get(), 2);
        drop(first);
        assert!(!gate.is_closed());
        assert_eq!(gate.waiting.get(), 1);
        assert!(gate.enter().is_some());
    }
}
