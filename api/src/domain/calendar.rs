//! Times that people choose.

use time::OffsetDateTime;
use time::macros::datetime;

/// A time outside the years that a campaign can live in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use uma data entre os anos 2000 e 2100")]
pub struct CalendarError;

/// `time`, where it is between the years 2000 and 2100. Times at the ends of the calendar overflow once somebody adds to them.
pub fn within_calendar(time: OffsetDateTime) -> Result<OffsetDateTime, CalendarError> {
    if (datetime!(2000-01-01 0:00 UTC)..datetime!(2101-01-01 0:00 UTC)).contains(&time) { Ok(time) } else { Err(CalendarError) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_calendar_are_refused() {
        assert!(within_calendar(datetime!(2026-11-24 10:30 UTC)).is_ok());
        for bad in [
            datetime!(1999-12-31 23:59:59 UTC),
            datetime!(2101-01-01 0:00 UTC),
            datetime!(9999-12-31 23:59 -23:59),
            datetime!(0000-01-01 0:00 +23:59),
        ] {
            assert_eq!(within_calendar(bad), Err(CalendarError), "{bad}");
        }
    }
}
