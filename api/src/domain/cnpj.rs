//! CNPJ, the Brazilian register of legal entities, numeric or alphanumeric.

use std::fmt;

use thiserror::Error;

use super::cpf::{check_digit, is_register_number};

const CNPJ_CHARS: usize = 14;

/// The weights of a CNPJ's check digits go from 2, at the right, to 9, and begin again.
const MAX_WEIGHT: u32 = 9;

/// The text is not a CNPJ.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("o CNPJ tem 14 caracteres e dígitos verificadores válidos")]
pub struct CnpjError;

/// A CNPJ whose check digits hold, kept as its 14 characters: 12 of `[0-9A-Z]` and 2 digits.
///
/// Source of the form and of the calculation: Receita Federal, Instrução Normativa RFB 2.229/2024
/// (alphanumeric CNPJ). A character is worth its ASCII code minus 48, so a digit is worth itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cnpj(String);

impl Cnpj {
    /// Reads a CNPJ in either case, written bare or with its points, slash and hyphen.
    pub fn parse(text: &str) -> Result<Self, CnpjError> {
        let bare: String = text.trim().chars().filter(|c| !matches!(c, '.' | '/' | '-')).map(|c| c.to_ascii_uppercase()).collect();
        let values: Vec<u32> = bare.chars().map(value).collect::<Option<_>>().ok_or(CnpjError)?;
        if is_register_number(&values, CNPJ_CHARS, MAX_WEIGHT) { Ok(Self(bare)) } else { Err(CnpjError) }
    }

    /// Adds the two check digits to `base`, twelve characters of `[0-9A-Za-z]`. Fails for any other text, and if the twelve
    /// are one character repeated, since nobody has such a CNPJ.
    pub fn with_check_digits(base: &str) -> Result<Self, CnpjError> {
        let mut bare = base.to_ascii_uppercase();
        for _ in 0..2 {
            let values: Vec<u32> = bare.chars().map(value).collect::<Option<_>>().ok_or(CnpjError)?;
            bare.push_str(&check_digit(&values, MAX_WEIGHT).to_string());
        }
        Self::parse(&bare)
    }

    /// The 14 characters, without punctuation.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Reads a CNPJ from a column of the database.
impl TryFrom<String> for Cnpj {
    type Error = CnpjError;

    fn try_from(text: String) -> Result<Self, CnpjError> {
        Self::parse(&text)
    }
}

/// What a character weighs in the check digits.
fn value(c: char) -> Option<u32> {
    matches!(c, '0'..='9' | 'A'..='Z').then(|| u32::from(c) - u32::from('0'))
}

/// `XX.XXX.XXX/XXXX-XX`.
impl fmt::Display for Cnpj {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, character) in self.0.chars().enumerate() {
            match position {
                2 | 5 => write!(f, ".{character}")?,
                8 => write!(f, "/{character}")?,
                12 => write!(f, "-{character}")?,
                _ => write!(f, "{character}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VECTORS: [(&str, &str); 3] = [
        // The Receita Federal's own example of an alphanumeric CNPJ.
        ("12ABC34501DE35", "12.ABC.345/01DE-35"),
        ("11222333000181", "11.222.333/0001-81"),
        ("00000000000191", "00.000.000/0001-91"),
    ];

    #[test]
    fn known_cnpjs_are_read_and_written() -> Result<(), CnpjError> {
        for (bare, punctuated) in VECTORS {
            let cnpj = Cnpj::parse(bare)?;
            assert_eq!(cnpj.as_str(), bare);
            assert_eq!(cnpj.to_string(), punctuated);
            assert_eq!(Cnpj::parse(punctuated)?, cnpj);
            assert_eq!(Cnpj::parse(&punctuated.to_lowercase())?, cnpj);
        }
        Ok(())
    }

    #[test]
    fn check_digits_are_added_to_twelve_characters_only() {
        for (bare, _) in VECTORS {
            let base = &bare[..12];
            assert_eq!(Cnpj::with_check_digits(base), Cnpj::parse(bare));
            assert_eq!(Cnpj::with_check_digits(&base.to_lowercase()), Cnpj::parse(bare));
            for wrong in [&base[..11], bare, &base.replace('0', "-"), &base.replace('1', "é"), ""] {
                assert_eq!(Cnpj::with_check_digits(wrong), Err(CnpjError), "{wrong}");
            }
        }
    }

    #[test]
    fn a_repeated_character_is_refused() {
        for character in ('0'..='9').chain('A'..='Z') {
            let text = String::from(character).repeat(CNPJ_CHARS);
            assert_eq!(Cnpj::parse(&text), Err(CnpjError), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_cnpj_is_refused() {
        for text in [
            "",
            "1122233300018",
            "112223330001811",
            "11222333000182",
            "11222333000171",
            "12ABC34501DE3A",
            "12ABC34501DE53",
            "12ÁBC34501DE35",
            "11 222 333 0001 81",
        ] {
            assert_eq!(Cnpj::parse(text), Err(CnpjError), "{text}");
        }
    }

    #[test]
    fn every_other_character_in_any_position_of_a_vector_is_refused() {
        for (bare, _) in VECTORS {
            for position in 0..CNPJ_CHARS {
                for other in '0'..='9' {
                    let changed: String =
                        bare.chars().enumerate().map(|(i, c)| if i == position && c.is_ascii_digit() { other } else { c }).collect();
                    assert_eq!(Cnpj::parse(&changed).is_ok(), changed == bare, "{changed}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn twelve_characters_have_one_pair_of_check_digits(base in "[0-9A-Z]{12}") {
            let valid = (0..100)
                .filter(|pair| Cnpj::parse(&format!("{base}{pair:02}")).is_ok())
                .count();
            let repeated = base.chars().all(|c| base.starts_with(c));
            prop_assert_eq!(valid, usize::from(!repeated));
            let found = (0..100).find_map(|pair| Cnpj::parse(&format!("{base}{pair:02}")).ok());
            prop_assert_eq!(Cnpj::with_check_digits(&base).ok(), found);
        }

        #[test]
        fn what_is_written_reads_back(base in "[0-9A-Z]{12}") {
            for pair in 0..100 {
                if let Ok(cnpj) = Cnpj::parse(&format!("{base}{pair:02}")) {
                    prop_assert_eq!(Cnpj::parse(&cnpj.to_string())?, cnpj);
                }
            }
        }
    }
}
