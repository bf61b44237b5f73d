//! The wait of a platform after a failed pass.
//!
//! A failure begins a wait of its class ([`ErrorClass::delay`]), and the wait ends with the next try. Passes that events start during a
//! wait are tries too, but their failures neither count nor extend it: ten events in a second are one cause, not ten. So, but for
//! the jitter, a wait is at most as long as the platform has been failing plus the first wait of its class. It is never longer than
//! the cap of its class, unless the API server asks for more.
//!
//! Each class counts for itself, so that a minute of lost answers does not lengthen the wait after a refusal. All counts begin again
//! when a pass succeeds and when the resource's generation changes, because the cause is then gone or another one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::ErrorClass;

/// The waits of every platform whose last pass failed.
#[derive(Debug, Default)]
pub struct Backoff {
    platforms: Mutex<HashMap<Key, Failing>>,
}

/// The platform that failures belong to.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Key {
    /// Namespace of the platform.
    pub namespace: String,
    /// Name of the platform.
    pub name: String,
}

/// A failed pass, as [`Backoff::failed`] counts it.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// `metadata.generation` of the resource; another one than before makes all counts begin again.
    pub generation: Option<i64>,
    /// Class of the error, which decides the wait.
    pub class: ErrorClass,
    /// The shortest wait that the API server asks for; zero if it asks for none.
    pub retry_after: Duration,
    /// From 0 to 1; shortens a new wait as [`ErrorClass::delay`] says.
    pub jitter: f64,
}

/// The wait after a failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retry {
    /// Number of counted failures of this class in a row, from 1.
    pub failures: u32,
    /// The time that is left of the wait.
    pub delay: Duration,
}

/// The waits of one platform, for one generation of its resource.
#[derive(Debug, Default)]
struct Failing {
    generation: Option<i64>,
    waits: HashMap<ErrorClass, Wait>,
}

/// The wait of one class.
#[derive(Clone, Copy, Debug)]
struct Wait {
    failures: u32,
    until: Instant,
}

impl Backoff {
    /// Returns when to try again after a failure at the time `now`. Counts the failure, unless a wait of its class is still going
    /// on.
    pub fn failed(&self, key: Key, failure: Failure, now: Instant) -> Retry {
        let Failure { generation, class, retry_after, jitter } = failure;
        let mut platforms = self.platforms.lock().unwrap_or_else(PoisonError::into_inner);
        let failing = platforms.entry(key).or_default();
        if failing.generation != generation {
            *failing = Failing { generation, waits: HashMap::new() };
        }
        let wait = failing.waits.entry(class).or_insert(Wait { failures: 0, until: now });
        if now >= wait.until {
            wait.failures = wait.failures.saturating_add(1);
            wait.until = now + class.delay(wait.failures, jitter);
        }
        wait.until = wait.until.max(now + retry_after);
        Retry { failures: wait.failures, delay: wait.until.saturating_duration_since(now) }
    }

    /// Forgets the failures of a platform: a pass succeeded, or the platform is gone.
    pub fn forget(&self, key: &Key) {
        self.platforms.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Failures of one platform in a time that moves only when it is told to.
    struct Clock {
        backoff: Backoff,
        start: Instant,
        now: Instant,
    }

    impl Clock {
        fn new() -> Self {
            let start = Instant::now();
            Self { backoff: Backoff::default(), start, now: start }
        }

        fn fail(&self, failure: Failure) -> Retry {
            self.backoff.failed(key(), failure, self.now)
        }

        /// Number of failures that count, and the wait in whole seconds.
        fn seconds(&self, class: ErrorClass) -> (u32, u64) {
            let retry = self.fail(failure(class));
            (retry.failures, retry.delay.as_secs())
        }

        fn advance(&mut self, by: Duration) {
            self.now += by;
        }
    }

    fn key() -> Key {
        Key { namespace: "doacoes".to_owned(), name: "esperanca".to_owned() }
    }

    fn failure(class: ErrorClass) -> Failure {
        Failure { generation: Some(1), class, retry_after: Duration::ZERO, jitter: 0.0 }
    }

    #[test]
    fn a_burst_of_events_is_one_failure_per_wait() {
        let mut clock = Clock::new();
        let mut next = clock.now;
        // Ten events in 21 s, and the tries that the waits ask for.
        for event in 0..10_u32 {
            let at = clock.start + Duration::from_millis(2100) * event;
            while next < at {
                clock.now = next;
                next = clock.now + clock.fail(failure(ErrorClass::Fault)).delay;
            }
            clock.now = at;
            let retry = clock.fail(failure(ErrorClass::Fault));
            next = clock.now + retry.delay;
            assert!(retry.failures <= 4, "{retry:?} after {event} events");
            let first = ErrorClass::Fault.delay(1, 0.0);
            assert!(retry.delay <= (at - clock.start) + first, "{retry:?}: longer than the trouble has lasted");
        }
        // Waits of 2, 4, 8 and 16 s: the fifth try is due 30 s after the first one.
        assert_eq!((next - clock.start).as_secs(), 30);
    }

    #[test]
    fn an_event_neither_shortens_nor_extends_the_wait() {
        let mut clock = Clock::new();
        assert_eq!(clock.seconds(ErrorClass::NameConflict), (1, 15));
        for left in [14, 13, 12] {
            clock.advance(Duration::from_secs(1));
            assert_eq!(clock.seconds(ErrorClass::NameConflict), (1, left));
        }
        clock.advance(Duration::from_secs(12));
        assert_eq!(clock.seconds(ErrorClass::NameConflict), (2, 30));
    }

    #[test]
    fn waits_double_up_to_the_cap_of_their_class() {
        let mut clock = Clock::new();
        let mut waits = Vec::new();
        for _ in 0..10 {
            let retry = clock.fail(failure(ErrorClass::Fault));
            waits.push(retry.delay.as_secs());
            clock.advance(retry.delay);
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    }

    #[test]
    fn success_another_generation_and_another_class_begin_again() {
        let mut clock = Clock::new();
        for _ in 0..6 {
            let retry = clock.fail(failure(ErrorClass::Transient));
            clock.advance(retry.delay);
        }
        assert_eq!(clock.seconds(ErrorClass::Fault), (1, 2), "another class");
        let changed = Failure { generation: Some(2), ..failure(ErrorClass::Transient) };
        assert_eq!(clock.fail(changed), Retry { failures: 1, delay: Duration::from_millis(500) }, "another generation");
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.fail(changed).failures, 2);
        clock.backoff.forget(&key());
        assert_eq!(clock.fail(changed).failures, 1, "success");
    }

    #[test]
    fn classes_that_take_turns_still_back_off() {
        let mut clock = Clock::new();
        let mut last = Duration::ZERO;
        for _ in 0..8 {
            last = clock.fail(failure(ErrorClass::Fault)).delay;
            clock.advance(last);
            let retry = clock.fail(failure(ErrorClass::Transient));
            clock.advance(retry.delay);
        }
        assert_eq!(last.as_secs(), 256);
    }

    #[test]
    fn what_the_api_server_asks_for_is_kept_and_platforms_do_not_share() {
        let mut clock = Clock::new();
        let asked = Failure { retry_after: Duration::from_secs(40), ..failure(ErrorClass::Transient) };
        assert_eq!(clock.fail(asked).delay.as_secs(), 40);
        clock.advance(Duration::from_secs(10));
        assert_eq!(clock.seconds(ErrorClass::Transient), (1, 30));
        let other = Key { name: "outra".to_owned(), ..key() };
        assert_eq!(clock.backoff.failed(other, failure(ErrorClass::Transient), clock.now).delay, Duration::from_millis(500));
    }
}
