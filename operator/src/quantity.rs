//! Amounts as Kubernetes writes them, such as `500m`, `1.5`, `2e3` and `10Gi`.

/// Parts of one unit: Kubernetes counts no smaller ones.
const PER_UNIT: i128 = 1_000_000_000;

/// An amount, exact to a billionth.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Amount(i128);

impl Amount {
    /// Reads what the API server takes for a quantity; `None` for anything else, and for more than a billion billion units.
    pub fn parse(text: &str) -> Option<Self> {
        let end = text.find(|character: char| !matches!(character, '0'..='9' | '.' | '+' | '-')).unwrap_or(text.len());
        let (number, suffix) = text.split_at_checked(end)?;
        let (negative, digits) = match number.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, number.strip_prefix('+').unwrap_or(number)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        // Enough for the largest whole number in billionths; more would overflow below.
        if !all_digits(whole) || !all_digits(fraction) || whole.len() > 19 || fraction.len() > 9 {
            return None;
        }
        let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let mantissa: i128 = format!("0{whole}{fraction}").parse().ok()?;
        let (multiplier, divisor) = factor(suffix)?;
        let nanos = mantissa.checked_mul(multiplier)?.checked_mul(PER_UNIT)?;
        // Rounded up, as the API server does it.
        let rounded = ceil(nanos, scale.checked_mul(divisor)?)?;
        (rounded <= PER_UNIT.checked_mul(PER_UNIT)?).then_some(Self(if negative { -rounded } else { rounded }))
    }

    /// The amount in whole bytes, rounded up. `None` if it is negative.
    pub fn bytes(self) -> Option<u64> {
        u64::try_from(ceil(self.0, PER_UNIT)?).ok()
    }
}

/// Bytes as text, with the largest binary suffix that keeps them exact: 1342177280 is `1280Mi`.
pub fn of_bytes(bytes: u64) -> String {
    let mut rest = bytes;
    let mut suffix = "";
    for next in ["Ki", "Mi", "Gi", "Ti"] {
        if rest == 0 || !rest.is_multiple_of(1024) {
            break;
        }
        rest /= 1024;
        suffix = next;
    }
    format!("{rest}{suffix}")
}

fn ceil(amount: i128, divisor: i128) -> Option<i128> {
    let quotient = amount.checked_div_euclid(divisor)?;
    if amount.checked_rem_euclid(divisor)? == 0 { Some(quotient) } else { quotient.checked_add(1) }
}

/// What a suffix multiplies with, and divides by.
fn factor(suffix: &str) -> Option<(i128, i128)> {
    let binary = |power: u32| 1024_i128.checked_pow(power).map(|factor| (factor, 1));
    let decimal = |power: i32| {
        let factor = 10_i128.checked_pow(power.unsigned_abs())?;
        Some(if power < 0 { (1, factor) } else { (factor, 1) })
    };
    match suffix {
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            (-18..=18).contains(&exponent).then(|| decimal(exponent)).flatten()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(text: &str) -> Option<i128> {
        Amount::parse(text).map(|amount| amount.0)
    }

    #[test]
    fn every_notation_of_an_amount_is_read() {
        for (text, expected) in [
            ("0", 0),
            ("1", PER_UNIT),
            ("+1", PER_UNIT),
            ("-1", -PER_UNIT),
            ("500m", PER_UNIT / 2),
            ("0.5", PER_UNIT / 2),
            (".5", PER_UNIT / 2),
            ("1.", PER_UNIT),
            ("7n", 7),
            ("7u", 7_000),
            ("2k", 2_000 * PER_UNIT),
            ("2e3", 2_000 * PER_UNIT),
            ("2E3", 2_000 * PER_UNIT),
            ("5e-1", PER_UNIT / 2),
            ("3M", 3_000_000 * PER_UNIT),
            ("1Ki", 1024 * PER_UNIT),
            ("1.5Gi", 1_610_612_736 * PER_UNIT),
            ("1Ti", 1_099_511_627_776 * PER_UNIT),
            ("0.1n", 1),
        ] {
            assert_eq!(nanos(text), Some(expected), "{text}");
        }
        assert_eq!(nanos("1E"), Some(PER_UNIT * PER_UNIT));
    }

    #[test]
    fn nothing_else_is_read_and_nothing_overflows() {
        for text in
            ["", ".", "-", "Gi", "1 Gi", "1gi", "1GiB", "1,5", "1.2.3", "--1", "1e", "1e99", "2E", "9Ei", "99999999999999999999", "١"]
        {
            assert_eq!(nanos(text), None, "{text}");
        }
    }

    #[test]
    fn amounts_compare_by_what_they_are_worth() {
        assert!(Amount::parse("1Gi") > Amount::parse("1G"));
        assert_eq!(Amount::parse("1Gi"), Amount::parse("1024Mi"));
        assert!(Amount::parse("999m") < Amount::parse("1"));
    }

    #[test]
    fn bytes_are_whole_and_keep_their_value_as_text() {
        assert_eq!(Amount::parse("1500m").and_then(Amount::bytes), Some(2));
        assert_eq!(Amount::parse("-1").and_then(Amount::bytes), None);
        for (bytes, text) in
            [(0, "0"), (1, "1"), (1023, "1023"), (1024, "1Ki"), (1_342_177_280, "1280Mi"), (1 << 40, "1Ti"), (1 << 50, "1024Ti")]
        {
            assert_eq!(of_bytes(bytes), text);
            assert_eq!(Amount::parse(text).and_then(Amount::bytes), Some(bytes));
        }
    }
}
