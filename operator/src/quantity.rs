//! Amounts as Kubernetes writes them, such as 500m or 1Gi.

/// A quantity in thousandths, if it is a whole number of them.
pub fn thousandths(text: &str) -> Option<i128> {
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '+' || c == '-')).unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(split)?;
    // An exponent: E alone stands for exa, Ei for its binary sister.
    let is_exponent = |rest: &&str| rest.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+');
    if let Some(exponent) = suffix.strip_prefix(['e', 'E']).filter(is_exponent) {
        let exponent: i32 = exponent.parse().ok()?;
        return scaled(number, 1_000, exponent);
    }
    let (scale, divisor): (i128, i128) = match suffix {
        "n" => (1, 1_000_000),
        "u" => (1, 1_000),
        "m" => (1, 1),
        "" => (1_000, 1),
        "k" => (1_000_000, 1),
        "M" => (1_000_000_000, 1),
        "G" => (1_000_000_000_000, 1),
        "T" => (1_000_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000_000, 1),
        "Ki" => (1_000 << 10, 1),
        "Mi" => (1_000 << 20, 1),
        "Gi" => (1_000 << 30, 1),
        "Ti" => (1_000 << 40, 1),
        "Pi" => (1_000 << 50, 1),
        "Ei" => (1_000 << 60, 1),
        _ => return None,
    };
    let found = scaled(number, scale, 0)?;
    (found % divisor == 0).then_some(found / divisor)
}

/// `number` times `scale` times ten to the power of `exponent`, if it is a whole number.
fn scaled(number: &str, scale: i128, exponent: i32) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 9 {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let power = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let tens = 10_i128.checked_pow(power.unsigned_abs())?;
    let product = digits.checked_mul(scale)?;
    if power >= 0 { product.checked_mul(tens) } else { (product % tens == 0).then_some(product / tens) }
}

/// A quantity in whole units, such as bytes, rounded down.
pub fn whole(text: &str) -> Option<i64> {
    i64::try_from(thousandths(text)?.div_euclid(1_000)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_binary_and_decimal_suffixes() {
        for (text, expected) in [
            ("1Gi", Some(1 << 30)),
            ("1G", Some(1_000_000_000)),
            ("1.5Ki", Some(1536)),
            ("1500m", Some(1)),
            ("268435456", Some(268_435_456)),
            ("64Ti", Some(64 << 40)),
            ("1Xi", None),
            ("", None),
            ("Gi", None),
            ("9999999Ei", None),
            ("1Ei", Some(1 << 60)),
            ("1E", Some(1_000_000_000_000_000_000)),
            ("1e9", Some(1_000_000_000)),
            ("1.5E3", Some(1500)),
            ("12e-1", Some(1)),
            ("1e", None),
            ("1e99", None),
        ] {
            assert_eq!(whole(text), expected, "{text}");
        }
        assert_eq!(thousandths("20m"), Some(20));
        assert_eq!(thousandths("1n"), None, "not a whole number of them");
    }
}
