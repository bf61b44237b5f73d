//! Progress lines of the seed: how many donations are stored, how many per second, and how long the rest takes.

use std::time::{Duration, Instant};

/// The shortest time between two lines, except before the last.
const LINE_INTERVAL: Duration = Duration::from_secs(2);

/// Makes progress lines about a count that grows to `total`.
pub(super) struct Progress {
    total: u32,
    /// The time of the last line, and the count at that time.
    last: (Instant, u32),
}

impl Progress {
    /// Begins at a count of 0, with the present time.
    pub(super) fn new(total: u32) -> Self {
        Self { total, last: (Instant::now(), 0) }
    }

    /// A line for the count `made`, if one is due. Its rate is that since the last line, so that a stall shows at once.
    pub(super) fn line(&mut self, made: u32) -> Option<String> {
        let (since, before) = self.last;
        let elapsed = since.elapsed();
        if elapsed < LINE_INTERVAL && made < self.total {
            return None;
        }
        self.last = (Instant::now(), made);
        Some(line(made, made - before, self.total, elapsed))
    }
}

/// The line for `made` of `total` donations, of which `new` were stored within `elapsed`.
fn line(made: u32, new: u32, total: u32, elapsed: Duration) -> String {
    // At least a millisecond, so that nothing is divided by zero.
    let millis = elapsed.as_millis().max(1);
    let rate = u128::from(new) * 1_000 / millis;
    let head = format!("{} of {} donations, {}/s", grouped(made.into()), grouped(total.into()), grouped(rate));
    match u128::from(total - made).checked_div(rate) {
        Some(0) if made == total => head,
        Some(seconds) => format!("{head}, {} s left", grouped(seconds)),
        None => head,
    }
}

/// `number` with a comma between groups of three digits.
fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_rate_and_rest() {
        let second = Duration::from_secs(1);
        assert_eq!(line(120_000, 19_000, 200_000, 2 * second), "120,000 of 200,000 donations, 9,500/s, 8 s left");
        assert_eq!(line(1_000, 5, 1_000_000, 2 * second), "1,000 of 1,000,000 donations, 2/s, 499,500 s left");
        assert_eq!(line(7, 0, 100, second), "7 of 100 donations, 0/s", "a stall has no end to tell");
        assert_eq!(line(200, 200, 200, second), "200 of 200 donations, 200/s");
        assert_eq!(line(0, 0, 0, Duration::ZERO), "0 of 0 donations, 0/s");
    }

    #[test]
    fn lines_come_every_two_seconds_and_at_the_end() {
        let mut progress = Progress::new(10);
        assert_eq!(progress.line(5), None);
        assert!(progress.line(10).is_some_and(|line| line.starts_with("10 of 10 donations, ")));
    }
}
