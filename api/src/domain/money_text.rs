//! Amounts as people type them.

use super::money::Centavos;

/// How a language writes numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberStyle {
    /// `1.234,56`, as in Brazil.
    CommaDecimals,
    /// `1,234.56`, as in English.
    PointDecimals,
}

/// Why a text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyTextError {
    /// It is blank.
    #[error("escreva um valor")]
    Empty,
    /// It cannot be read as one amount without guessing.
    #[error("escreva um valor como 35,00")]
    Unclear,
    /// It is an amount, but not one that can be given at once: see [`super::money::MAX_CENTAVOS`].
    #[error("o valor vai de R$ 0,01 a R$ 1.000.000,00")]
    Range,
}

/// Longer texts are no amounts.
const MAX_CHARACTERS: usize = 30;

/// Reads an amount in reais, in whole centavos. Nothing is guessed: what can be read in two ways is refused.
///
/// `R$`, spaces and no-break spaces are dropped. With one or two digits behind it, the last separator begins the centavos, whichever
/// of the two it is: keypads of some phones have no comma. Any other separator is then of the other kind and stands between groups of
/// three. A text with separators of one kind, all between groups of three, is a whole number of reais if that kind groups in the
/// language.
pub fn parse(text: &str, style: NumberStyle) -> Result<Centavos, MoneyTextError> {
    if text.chars().count() > MAX_CHARACTERS {
        return Err(MoneyTextError::Unclear);
    }
    let kept: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let kept = kept.strip_prefix("R$").or_else(|| kept.strip_prefix("r$")).unwrap_or(&kept);
    if kept.is_empty() {
        return Err(MoneyTextError::Empty);
    }
    if !kept.bytes().all(|byte| byte.is_ascii_digit() || byte == b',' || byte == b'.') {
        return Err(MoneyTextError::Unclear);
    }
    let (reais, centavos) = match kept.rfind([',', '.']) {
        None => (digits(kept)?, 0),
        Some(last) => {
            let (whole, rest) = kept.split_at(last);
            let (separator, decimals) = rest.split_at(1);
            match decimals.len() {
                1 | 2 => {
                    let grouping = if separator == "," { '.' } else { ',' };
                    let hundredths = digits(decimals)? * if decimals.len() == 1 { 10 } else { 1 };
                    (grouped(whole, grouping)?, hundredths)
                }
                3 if separator == style.grouping() => (grouped(kept, style.grouping_sign())?, 0),
                _ => return Err(MoneyTextError::Unclear),
            }
        }
    };
    let total = reais.checked_mul(100).and_then(|total| total.checked_add(centavos)).ok_or(MoneyTextError::Range)?;
    Centavos::try_from(total).map_err(|_| MoneyTextError::Range)
}

impl NumberStyle {
    const fn grouping(self) -> &'static str {
        match self {
            Self::CommaDecimals => ".",
            Self::PointDecimals => ",",
        }
    }

    const fn grouping_sign(self) -> char {
        match self {
            Self::CommaDecimals => '.',
            Self::PointDecimals => ',',
        }
    }
}

/// A whole number of at most nine digits, so that no multiplication by 100 leaves the range of `i64`.
fn digits(text: &str) -> Result<i64, MoneyTextError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(MoneyTextError::Unclear);
    }
    text.parse().map_err(|_| MoneyTextError::Range)
}

/// A whole number without separators, or with `sign` between groups of three.
fn grouped(text: &str, sign: char) -> Result<i64, MoneyTextError> {
    if !text.contains([',', '.']) {
        return digits(text);
    }
    let groups: Vec<&str> = text.split(sign).collect();
    let [first, others @ ..] = groups.as_slice() else { return Err(MoneyTextError::Unclear) };
    let is_whole = (1..=3).contains(&first.len()) && !first.starts_with('0') && others.iter().all(|group| group.len() == 3);
    if is_whole { digits(&groups.concat()) } else { Err(MoneyTextError::Unclear) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::domain::money::MAX_CENTAVOS;
    use proptest::prelude::*;

    fn brazilian(text: &str) -> Result<i64, MoneyTextError> {
        parse(text, NumberStyle::CommaDecimals).map(Centavos::get)
    }

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (text, centavos) in [
            ("35", 3_500),
            ("35,5", 3_550),
            ("35.50", 3_550),
            ("35,50", 3_550),
            ("1.234,56", 123_456),
            ("1,234.56", 123_456),
            ("1.000", 100_000),
            ("R$ 20", 2_000),
            ("r$20,00", 2_000),
            (" R$\u{a0}20 ", 2_000),
            ("0,01", 1),
            ("007", 700),
            ("1.000.000", MAX_CENTAVOS),
        ] {
            assert_eq!(brazilian(text), Ok(centavos), "{text}");
        }
        assert_eq!(parse("1,000", NumberStyle::PointDecimals).unwrap().get(), 100_000);
    }

    #[test]
    fn what_is_no_amount_or_could_be_two_is_refused() {
        for text in [
            "0,005",
            "1,000",
            "1.00.0",
            "1,2,3",
            "10e2",
            "-5",
            "+5",
            "٣",
            "trinta",
            "1.0000",
            "12.34.56",
            "1.234.5678",
            "0.123",
            ",",
            ".",
            "5,",
            "1..5",
            "1.,5",
            "01.000",
            "1 000 x",
            "R$R$5",
            "$5",
            "5 reais",
        ] {
            assert_eq!(brazilian(text), Err(MoneyTextError::Unclear), "{text}");
        }
        assert_eq!(parse("1.000", NumberStyle::PointDecimals), Err(MoneyTextError::Unclear));
        for text in ["", "  ", "R$", "\u{a0}"] {
            assert_eq!(brazilian(text), Err(MoneyTextError::Empty), "{text:?}");
        }
        for text in ["0", "0,00", "1000000,01", "99999999999999999999"] {
            assert_eq!(brazilian(text), Err(MoneyTextError::Range), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_written_amount_reads_back(value in 1..=MAX_CENTAVOS) {
            let amount = Centavos::try_from(value).unwrap();
            prop_assert_eq!(brazilian(&amount.display_brl()), Ok(value));
        }

        #[test]
        fn no_text_breaks_it(text in "\\PC{0,40}") {
            let _ = brazilian(&text);
            let _ = parse(&text, NumberStyle::PointDecimals);
        }
    }
}
