//! Time and identifiers as a parameter, so that tests can hold them still.

use std::sync::{Arc, Mutex, PoisonError};

use time::{Duration, OffsetDateTime};
use uuid::{NoContext, Timestamp, Uuid};

/// Where the time comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that moves only when told to.
    Fixed(FixedClock),
}

/// A clock for tests.
#[derive(Clone, Debug)]
pub struct FixedClock(Arc<Mutex<OffsetDateTime>>);

impl FixedClock {
    /// A clock that stands at `start`.
    pub fn at(start: OffsetDateTime) -> Self {
        Self(Arc::new(Mutex::new(start)))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }

    fn read(&self) -> OffsetDateTime {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock {
    /// Now, in UTC and whole microseconds: what PostgreSQL keeps of a time.
    pub fn now(&self) -> OffsetDateTime {
        let now = match self {
            #[expect(clippy::disallowed_methods, reason = "this is where the time comes from")]
            Self::System => OffsetDateTime::now_utc(),
            Self::Fixed(clock) => clock.read(),
        };
        now.replace_nanosecond(now.microsecond() * 1_000).unwrap_or(now)
    }

    /// A new UUIDv7 of this moment.
    pub fn new_id(&self) -> Uuid {
        let now = self.now();
        let seconds = u64::try_from(now.unix_timestamp()).unwrap_or(0);
        Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.nanosecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_moves_only_when_told() {
        let fixed = FixedClock::at(OffsetDateTime::UNIX_EPOCH);
        let clock = Clock::Fixed(fixed.clone());
        assert_eq!(clock.now(), OffsetDateTime::UNIX_EPOCH);
        fixed.advance(Duration::hours(1));
        assert_eq!(clock.now(), OffsetDateTime::UNIX_EPOCH + Duration::hours(1));
    }

    #[test]
    fn ids_carry_the_clocks_time() {
        let clock = Clock::Fixed(FixedClock::at(OffsetDateTime::UNIX_EPOCH + Duration::seconds(5)));
        assert_eq!(clock.new_id().get_timestamp().map(|t| t.to_unix().0), Some(5));
    }
}
