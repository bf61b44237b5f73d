//! Names in the alphabet and the length that a BR Code has room for.

use std::fmt;

use thiserror::Error;

const MAX_NAME_CHARS: usize = 25;
const MAX_CITY_CHARS: usize = 15;

/// Nothing of a name is left in the alphabet of a BR Code.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("o nome precisa de uma letra ou algarismo entre os primeiros caracteres")]
pub struct NameError;

/// The receiver's name as field 59 carries it: 1 to 25 characters of `[A-Za-z0-9 $%*+./:-]`.
///
/// Source of the length: `EMVCo` Merchant-Presented Mode, field 59; of the alphabet: the Banco
/// Central's API Pix, issues 509 and 635, since not every bank's app reads more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiverName(String);

impl ReceiverName {
    /// Takes any name, drops its accents, replaces by a space what the alphabet lacks and cuts it.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        plain(text, MAX_NAME_CHARS).map(Self)
    }

    /// The name on BR Codes of the simulated provider for an organizadora without a PIX key.
    pub fn simulated() -> Self {
        Self("PAGAMENTO SIMULADO".to_owned())
    }

    /// The name as the BR Code carries it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReceiverName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The receiver's city as field 60 carries it: like [`ReceiverName`], but up to 15 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct City(String);

impl City {
    /// Takes any name, drops its accents, replaces by a space what the alphabet lacks and cuts it.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        plain(text, MAX_CITY_CHARS).map(Self)
    }

    /// The city on BR Codes with the name [`ReceiverName::simulated`].
    pub fn simulated() -> Self {
        Self("BRASILIA".to_owned())
    }

    /// The city as the BR Code carries it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for City {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text with the accented letters of Western European languages replaced by their base
/// letters, composed or not, and every other character as it is.
pub fn strip_accents(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match base_letters(c) {
            Some(base) => plain.push_str(base),
            None => plain.push(c),
        }
    }
    plain
}

fn plain(text: &str, max: usize) -> Result<String, NameError> {
    let words = strip_accents(text).replace(|c| !is_in_alphabet(c), " ");
    let words: Vec<_> = words.split(' ').filter(|word| !word.is_empty()).collect();
    let cut: String = words.join(" ").chars().take(max).collect();
    let cut = cut.trim_end();
    if cut.bytes().any(|b| b.is_ascii_alphanumeric()) { Ok(cut.to_owned()) } else { Err(NameError) }
}

fn is_in_alphabet(c: char) -> bool {
    c.is_ascii_alphanumeric() || " $%*+./:-".contains(c)
}

/// What is left of an accented letter, or of a combining accent, without the accent.
fn base_letters(c: char) -> Option<&'static str> {
    let base = match c {
        '\u{300}'..='\u{36f}' => "",
        'À'..='Å' | 'Ā' | 'Ă' | 'Ą' => "A",
        'à'..='å' | 'ā' | 'ă' | 'ą' | 'ª' => "a",
        'Æ' => "AE",
        'æ' => "ae",
        'Ç' | 'Ć' | 'Č' => "C",
        'ç' | 'ć' | 'č' => "c",
        'Ð' | 'Đ' | 'Ď' => "D",
        'ð' | 'đ' | 'ď' => "d",
        'È'..='Ë' | 'Ē' | 'Ę' | 'Ě' | 'Ẽ' => "E",
        'è'..='ë' | 'ē' | 'ę' | 'ě' | 'ẽ' => "e",
        'Ğ' => "G",
        'ğ' => "g",
        'Ì'..='Ï' | 'Ĩ' | 'Ī' | 'İ' => "I",
        'ì'..='ï' | 'ĩ' | 'ī' | 'ı' => "i",
        'Ł' => "L",
        'ł' => "l",
        'Ñ' | 'Ń' | 'Ň' => "N",
        'ñ' | 'ń' | 'ň' => "n",
        'Ò'..='Ö' | 'Ø' | 'Ō' | 'Ő' => "O",
        'ò'..='ö' | 'ø' | 'ō' | 'ő' | 'º' => "o",
        'Œ' => "OE",
        'œ' => "oe",
        'Ř' => "R",
        'ř' => "r",
        'Ś' | 'Ş' | 'Š' => "S",
        'ś' | 'ş' | 'š' => "s",
        'ß' => "ss",
        'ẞ' => "SS",
        'Þ' => "TH",
        'þ' => "th",
        'Ù'..='Ü' | 'Ũ' | 'Ū' | 'Ů' | 'Ű' => "U",
        'ù'..='ü' | 'ũ' | 'ū' | 'ů' | 'ű' => "u",
        'Ý' | 'Ÿ' | 'Ỹ' => "Y",
        'ý' | 'ÿ' | 'ỹ' => "y",
        'Ź' | 'Ż' | 'Ž' => "Z",
        'ź' | 'ż' | 'ž' => "z",
        _ => return None,
    };
    Some(base)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_lose_accents_and_foreign_characters() -> Result<(), NameError> {
        for (text, expected) in [
            ("Associação Mãos à Obra", "Associacao Maos a Obra"),
            ("Associac\u{327}a\u{303}o", "Associacao"),
            ("ÁÉÍÓÚ ÂÊÔ ÃÕ À Ç Ü áéíóú", "AEIOU AEO AO A C U aeiou"),
            ("Straße Øst Åse Łódź Œuvre", "Strasse Ost Ase Lodz OEuv"),
            ("Niño & Cia. (São Paulo)", "Nino Cia. Sao Paulo"),
            ("1ª Vara nº 2", "1a Vara no 2"),
            ("  Ana\t\u{a0}Lia \n", "Ana Lia"),
            ("Casa 100% *$+./:-", "Casa 100% *$+./:-"),
            ("猫 Gato 🐈", "Gato"),
        ] {
            assert_eq!(ReceiverName::parse(text)?.as_str(), expected, "{text}");
        }
        Ok(())
    }

    #[test]
    fn what_a_simulated_payment_says_is_legal() -> Result<(), NameError> {
        assert_eq!(ReceiverName::parse(ReceiverName::simulated().as_str())?, ReceiverName::simulated());
        assert_eq!(City::parse(City::simulated().as_str())?, City::simulated());
        Ok(())
    }

    #[test]
    fn stripping_accents_changes_nothing_else() {
        for (text, expected) in
            [("Natal Solidário — São João!", "Natal Solidario — Sao Joao!"), ("a\u{301}gua\tfria", "agua\tfria"), ("日本 & ñ", "日本 & n")]
        {
            assert_eq!(strip_accents(text), expected);
        }
    }

    #[test]
    fn names_are_cut_and_do_not_end_in_a_space() -> Result<(), NameError> {
        for (text, name, city) in [
            ("Instituto de Apoio Social e Cultural", "Instituto de Apoio Social", "Instituto de Ap"),
            ("São José do Rio Preto", "Sao Jose do Rio Preto", "Sao Jose do Rio"),
            ("Governador Dix-Sept Rosado", "Governador Dix-Sept Rosad", "Governador Dix-"),
            ("Presidente Epit. Pessoa e outros", "Presidente Epit. Pessoa e", "Presidente Epit"),
            ("Vale do Itajaí em SC", "Vale do Itajai em SC", "Vale do Itajai"),
        ] {
            assert_eq!(ReceiverName::parse(text)?.as_str(), name);
            assert_eq!(City::parse(text)?.as_str(), city);
        }
        Ok(())
    }

    #[test]
    fn a_name_without_a_letter_or_digit_is_refused() {
        for text in ["", "   ", "猫", "...", "\u{301}", &format!("{}a", "-".repeat(25))] {
            assert_eq!(ReceiverName::parse(text), Err(NameError), "{text}");
            assert_eq!(City::parse(text), Err(NameError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_a_legal_name_or_an_error(text in any::<String>()) {
            if let Ok(legal) = ReceiverName::parse(&text) {
                let name = legal.as_str();
                prop_assert!((1..=MAX_NAME_CHARS).contains(&name.len()));
                prop_assert!(name.is_ascii() && name.chars().all(is_in_alphabet));
                prop_assert_eq!(name.trim(), name);
                prop_assert!(!name.contains("  "));
                prop_assert_eq!(ReceiverName::parse(name)?, legal);
            }
            if let Ok(city) = City::parse(&text) {
                prop_assert!((1..=MAX_CITY_CHARS).contains(&city.as_str().len()));
            }
        }
    }
}
