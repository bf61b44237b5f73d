//! Quantities as Kubernetes writes them, such as 500m or 1Gi.

/// A quantity in billionths, to which Kubernetes rounds it up.
pub fn billionths(text: &str) -> Option<i128> {
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '+' || c == '-')).unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(split)?;
    // An exponent: E alone stands for exa, Ei for its binary sister.
    let is_exponent = |rest: &&str| rest.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+');
    if let Some(exponent) = suffix.strip_prefix(['e', 'E']).filter(is_exponent) {
        let exponent: i32 = exponent.parse().ok()?;
        return scaled(number, ONE, exponent);
    }
    let scale: i128 = match suffix {
        "n" => 1,
        "u" => 1_000,
        "m" => 1_000_000,
        "" => ONE,
        "k" => ONE * 1_000,
        "M" => ONE * 1_000_000,
        "G" => ONE * 1_000_000_000,
        "T" => ONE * 1_000_000_000_000,
        "P" => ONE * 1_000_000_000_000_000,
        "E" => ONE * 1_000_000_000_000_000_000,
        "Ki" => ONE << 10,
        "Mi" => ONE << 20,
        "Gi" => ONE << 30,
        "Ti" => ONE << 40,
        "Pi" => ONE << 50,
        "Ei" => ONE << 60,
        _ => return None,
    };
    scaled(number, scale, 0)
}

/// One, in billionths.
const ONE: i128 = 1_000_000_000;

/// `number` times `scale` times ten to the power of `exponent`, rounded up.
fn scaled(number: &str, scale: i128, exponent: i32) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let power = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let tens = 10_i128.checked_pow(power.unsigned_abs())?;
    let product = digits.checked_mul(scale)?;
    if power >= 0 { product.checked_mul(tens) } else { product.checked_neg()?.div_euclid(tens).checked_neg() }
}

/// A quantity in whole units, such as bytes, rounded down.
pub fn whole(text: &str) -> Option<i64> {
    i64::try_from(billionths(text)?.div_euclid(ONE)).ok()
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
        assert_eq!(billionths("20m"), Some(20_000_000));
        assert_eq!(billionths("1n"), Some(1));
        assert_eq!(billionths("0.1n"), Some(1));
        assert_eq!(whole("1.2341Gi"), Some(1_325_104_784));
        assert_eq!(whole("1.12345678912345Gi"), Some(1_206_302_541));
        assert_eq!(billionths("1.2341Gi"), billionths("1325104784998400u"));
    }
}
