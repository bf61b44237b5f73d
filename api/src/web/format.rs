//! Money, counts and times, written as a language writes them.

use std::fmt;

use askama::filters::HtmlSafe;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use time::OffsetDateTime;

use super::language::Language;
use crate::domain::money_text::NumberStyle;

/// All times on the pages are of this zone.
static ZONE: TimeZone = jiff::tz::get!("America/Sao_Paulo");

/// An amount as HTML, with the sign of the currency smaller than the number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Money(String);

impl Money {
    /// The amount of `centavos`.
    pub(crate) fn of(centavos: i64, language: Language) -> Self {
        Self(number(centavos, language))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<span class=\"dinheiro\"><span class=\"rs\">R$</span>&nbsp;{}</span>", self.0)
    }
}

/// It holds digits and separators only.
impl HtmlSafe for Money {}

/// `1.234,56`, or `1,234.56` in English.
pub(crate) fn number(centavos: i64, language: Language) -> String {
    let point = match language.numbers() {
        NumberStyle::CommaDecimals => ',',
        NumberStyle::PointDecimals => '.',
    };
    let sign = if centavos < 0 { "-" } else { "" };
    let centavos = centavos.unsigned_abs();
    format!("{sign}{}{point}{:02}", grouped(centavos / 100, language), centavos % 100)
}

/// `R$ 1.234,56` with a space that does not break.
pub(crate) fn reais(centavos: i64, language: Language) -> String {
    format!("R$\u{a0}{}", number(centavos, language))
}

/// The same, without centavos where there are none.
pub(crate) fn round_reais(centavos: i64, language: Language) -> String {
    if centavos % 100 == 0 && centavos >= 0 {
        format!("R$\u{a0}{}", grouped(centavos.unsigned_abs() / 100, language))
    } else {
        reais(centavos, language)
    }
}

/// A count, with separators between thousands.
pub(crate) fn count(number: i64, language: Language) -> String {
    grouped(number.unsigned_abs(), language)
}

fn grouped(number: u64, language: Language) -> String {
    let sign = match language.numbers() {
        NumberStyle::CommaDecimals => '.',
        NumberStyle::PointDecimals => ',',
    };
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(sign);
        }
        text.push(digit);
    }
    text
}

/// A point in time, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// UTC, for `datetime`.
    pub(crate) machine: String,
    /// The day, as `24 de dez. de 2026`.
    pub(crate) day: String,
    /// The time of day, as `14:32`.
    pub(crate) clock: String,
}

impl Moment {
    /// `at`, in the time of Brasília.
    pub(crate) fn of(at: OffsetDateTime, language: Language) -> Self {
        let at = zoned(at);
        Self {
            machine: at.timestamp().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            day: day(&at, language),
            clock: at.strftime("%H:%M").to_string(),
        }
    }

    /// Day and time of day.
    pub(crate) fn text(&self) -> String {
        format!("{}, {}", self.day, self.clock)
    }
}

fn zoned(at: OffsetDateTime) -> Zoned {
    // Times of this platform lie between 2000 and 2100, which a timestamp holds.
    Timestamp::from_second(at.unix_timestamp()).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(ZONE.clone())
}

const MONTHS: [&str; 12] = ["jan.", "fev.", "mar.", "abr.", "maio", "jun.", "jul.", "ago.", "set.", "out.", "nov.", "dez."];

fn day(at: &Zoned, language: Language) -> String {
    match language {
        Language::Portuguese => {
            let month = usize::try_from(at.month()).ok().and_then(|month| MONTHS.get(month - 1)).copied().unwrap_or_default();
            let first = if at.day() == 1 { "º" } else { "" };
            format!("{}{first} de {month} de {}", at.day(), at.year())
        }
        Language::English => at.strftime("%-d %b %Y").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn amounts_are_written_as_each_language_does() {
        for (centavos, portuguese, english) in [
            (0, "0,00", "0.00"),
            (5, "0,05", "0.05"),
            (123_456, "1.234,56", "1,234.56"),
            (100_000_000_000, "1.000.000.000,00", "1,000,000,000.00"),
            (-2_050, "-20,50", "-20.50"),
        ] {
            assert_eq!(number(centavos, Language::Portuguese), portuguese);
            assert_eq!(number(centavos, Language::English), english);
        }
        assert_eq!(round_reais(2_000, Language::Portuguese), "R$\u{a0}20");
        assert_eq!(round_reais(2_050, Language::Portuguese), "R$\u{a0}20,50");
        assert_eq!(round_reais(200_000, Language::English), "R$\u{a0}2,000");
        assert_eq!(count(1_231, Language::Portuguese), "1.231");
        assert_eq!(
            Money::of(3_500, Language::Portuguese).to_string(),
            "<span class=\"dinheiro\"><span class=\"rs\">R$</span>&nbsp;35,00</span>"
        );
    }

    #[test]
    fn times_are_those_of_brasilia() {
        let at = datetime!(2026-12-01 02:32:59.5 UTC);
        let moment = Moment::of(at, Language::Portuguese);
        assert_eq!((moment.machine.as_str(), moment.text().as_str()), ("2026-12-01T02:32:59Z", "30 de nov. de 2026, 23:32"));
        assert_eq!(Moment::of(at, Language::English).text(), "30 Nov 2026, 23:32");
        assert_eq!(Moment::of(datetime!(2026-05-01 12:00 UTC), Language::Portuguese).day, "1º de maio de 2026");
        // Summer time, as it was.
        assert_eq!(Moment::of(datetime!(2018-12-01 12:00 UTC), Language::Portuguese).clock, "10:00");
    }
}
