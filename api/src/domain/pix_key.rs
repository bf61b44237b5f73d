//! PIX keys: the names under which the DICT, the directory of the Banco Central, knows an account.

use std::fmt;

use thiserror::Error;

use super::cnpj::{Cnpj, CnpjError};
use super::cpf::{Cpf, CpfError};

/// The longest key, which only an e-mail can reach.
const MAX_EMAIL_CHARS: usize = 77;

/// Why a text is not a PIX key.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PixKeyError {
    /// The name of the kind is none of the five.
    #[error("o tipo da chave PIX é cpf, cnpj, telefone, email ou aleatoria")]
    Type,
    /// A CPF was announced and is not one.
    #[error(transparent)]
    Cpf(#[from] CpfError),
    /// A CNPJ was announced and is not one.
    #[error(transparent)]
    Cnpj(#[from] CnpjError),
    /// A telephone was announced and is not one.
    #[error("o telefone começa com + e o código do país; no Brasil, +55 e 10 ou 11 algarismos com o DDD")]
    Phone,
    /// An e-mail was announced and is not one.
    #[error("o e-mail tem até 77 caracteres, sem acentos, na forma nome@dominio")]
    Email,
    /// A random key was announced and is not one.
    #[error("a chave aleatória tem 32 algarismos hexadecimais em grupos de 8-4-4-4-12")]
    Random,
    /// The text has the form of no kind of key.
    #[error("a chave PIX é um CPF, um CNPJ, um telefone, um e-mail ou uma chave aleatória")]
    Form,
}

/// The kinds of key the DICT has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PixKeyType {
    /// The register of natural persons.
    Cpf,
    /// The register of legal entities.
    Cnpj,
    /// A telephone in the international form of E.164.
    Phone,
    /// An e-mail address.
    Email,
    /// A UUID drawn by the DICT (EVP, "endereço virtual de pagamento").
    Random,
}

impl PixKeyType {
    /// Every kind, in the order shown to people.
    pub const ALL: [Self; 5] = [Self::Cpf, Self::Cnpj, Self::Phone, Self::Email, Self::Random];

    /// The name used in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cpf => "cpf",
            Self::Cnpj => "cnpj",
            Self::Phone => "telefone",
            Self::Email => "email",
            Self::Random => "aleatoria",
        }
    }

    /// Reads the name used in the API and in the database.
    pub fn parse(text: &str) -> Result<Self, PixKeyError> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(PixKeyError::Type)
    }
}

impl fmt::Display for PixKeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A PIX key in the canonical text under which the DICT holds it; ASCII, at most 77 characters.
///
/// Source of the forms: BCB, API do DICT, schema `Key`. `Debug` shows only the kind, since a key
/// may be personal data.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PixKey {
    kind: PixKeyType,
    text: String,
}

impl PixKey {
    /// Reads a key as a person types it: with punctuation in a CPF, a CNPJ or a telephone, and in
    /// either case.
    pub fn parse(kind: PixKeyType, text: &str) -> Result<Self, PixKeyError> {
        let text = text.trim();
        let text = match kind {
            PixKeyType::Cpf => Cpf::parse(text)?.as_str().to_owned(),
            PixKeyType::Cnpj => Cnpj::parse(text)?.as_str().to_owned(),
            PixKeyType::Phone => phone(text).ok_or(PixKeyError::Phone)?,
            PixKeyType::Email => email(text).ok_or(PixKeyError::Email)?,
            PixKeyType::Random => random(text).ok_or(PixKeyError::Random)?,
        };
        Ok(Self { kind, text })
    }

    /// Reads a key that comes without its kind, as in a BR Code. The canonical forms of the five
    /// kinds exclude each other, and no other form is taken.
    pub fn detect(text: &str) -> Result<Self, PixKeyError> {
        // The at sign first: an e-mail may begin with a plus.
        let kind = if text.contains('@') {
            PixKeyType::Email
        } else if text.starts_with('+') {
            PixKeyType::Phone
        } else {
            match text.len() {
                11 => PixKeyType::Cpf,
                14 => PixKeyType::Cnpj,
                36 => PixKeyType::Random,
                _ => return Err(PixKeyError::Form),
            }
        };
        let key = Self::parse(kind, text)?;
        if key.text == text { Ok(key) } else { Err(PixKeyError::Form) }
    }

    /// The kind of the key.
    pub const fn kind(&self) -> PixKeyType {
        self.kind
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Makes the PIX key of kind `cnpj`; every CNPJ has the form of such a key.
impl From<&Cnpj> for PixKey {
    fn from(cnpj: &Cnpj) -> Self {
        Self { kind: PixKeyType::Cnpj, text: cnpj.as_str().to_owned() }
    }
}

impl fmt::Debug for PixKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PixKey({}, ***)", self.kind)
    }
}

/// E.164: `+`, then 8 to 15 digits of which the first is not zero. Brazil's national number is an
/// area code of 2 digits and 8 or 9 more.
fn phone(text: &str) -> Option<String> {
    let bare: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')')).collect();
    let digits = bare.strip_prefix('+')?;
    let international = (8..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    let national = digits.strip_prefix("55").is_none_or(|national| matches!(national.len(), 10 | 11));
    (international && national).then_some(bare)
}

/// The DICT's form of an e-mail, lower case, with one rule more: a domain has a point, or no
/// message could reach it.
fn email(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let (local, domain) = text.split_once('@')?;
    let legal = text.len() <= MAX_EMAIL_CHARS
        && !local.is_empty()
        && local.bytes().all(is_local_part)
        && domain.contains('.')
        && domain.split('.').all(is_domain_label);
    legal.then_some(text)
}

fn is_local_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".!#$&'*+/=?^_`{|}~-".contains(&byte)
}

fn is_domain_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// A UUID with hyphens, lower case. The DICT draws version 4, but the Banco Central's own example
/// is not one, so the version is not looked at.
fn random(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let shaped = text.len() == 36
        && text.bytes().enumerate().all(
            |(position, b)| {
                if matches!(position, 8 | 13 | 18 | 23) { b == b'-' } else { b.is_ascii_hexdigit() }
            },
        );
    shaped.then_some(text)
}

#[cfg(test)]
pub(super) mod strategy {
    use proptest::prelude::*;

    use super::{PixKey, PixKeyType};

    /// Keys of every kind, canonical or as people type them.
    pub(in crate::domain) fn pix_key() -> impl Strategy<Value = PixKey> {
        prop_oneof![
            "[0-9]{9}".prop_filter_map("a repeated digit", |base| with_check_digits(PixKeyType::Cpf, &base)),
            "[0-9A-Z]{12}".prop_filter_map("a repeated character", |base| with_check_digits(PixKeyType::Cnpj, &base)),
            "\\+55[1-9][0-9] ?[0-9]{4,5}-?[0-9]{4}".prop_filter_map("a telephone", |text| key(PixKeyType::Phone, &text)),
            "\\+(1|49|351|598)[0-9]{7,12}".prop_filter_map("a telephone", |text| key(PixKeyType::Phone, &text)),
            "[A-Za-z0-9.!#$&'*+/=?^_`{|}~-]{1,44}@[a-zA-Z0-9]{1,10}(-[a-z0-9]{1,10})?\\.org\\.br"
                .prop_filter_map("an e-mail", |text| key(PixKeyType::Email, &text)),
            "[0-9a-fA-F]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}".prop_filter_map("a random key", |text| key(PixKeyType::Random, &text)),
        ]
    }

    fn key(kind: PixKeyType, text: &str) -> Option<PixKey> {
        PixKey::parse(kind, text).ok()
    }

    fn with_check_digits(kind: PixKeyType, base: &str) -> Option<PixKey> {
        (0..100).find_map(|pair| key(kind, &format!("{base}{pair:02}")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn kinds_are_read_by_the_name_they_write() {
        for kind in PixKeyType::ALL {
            assert_eq!(PixKeyType::parse(kind.as_str()), Ok(kind));
        }
        for name in ["", "CPF", "evp", "phone"] {
            assert_eq!(PixKeyType::parse(name), Err(PixKeyError::Type));
        }
    }

    #[test]
    fn keys_are_kept_in_the_form_the_dict_has() -> Result<(), PixKeyError> {
        for (kind, typed, canonical) in [
            (PixKeyType::Cpf, "529.982.247-25", "52998224725"),
            (PixKeyType::Cnpj, "12.abc.345/01de-35", "12ABC34501DE35"),
            (PixKeyType::Cnpj, "11.222.333/0001-81", "11222333000181"),
            (PixKeyType::Phone, "+55 (61) 91234-5678", "+5561912345678"),
            (PixKeyType::Phone, "+556133334444", "+556133334444"),
            (PixKeyType::Phone, "+1 202 555 0123", "+12025550123"),
            (PixKeyType::Email, " Doe@Exemplo.ORG.br ", "doe@exemplo.org.br"),
            (PixKeyType::Email, "+55@exemplo.org", "+55@exemplo.org"),
            (PixKeyType::Random, "123E4567-E12B-12D1-A456-426655440000", "123e4567-e12b-12d1-a456-426655440000"),
        ] {
            let key = PixKey::parse(kind, typed)?;
            assert_eq!(key.as_str(), canonical);
            assert_eq!(key.kind(), kind);
            assert_eq!(PixKey::detect(canonical)?, key);
        }
        Ok(())
    }

    #[test]
    fn a_wrong_key_is_refused_with_the_rule_of_its_kind() {
        for (kind, text, error) in [
            (PixKeyType::Cpf, "52998224724", PixKeyError::Cpf(CpfError)),
            (PixKeyType::Cnpj, "11222333000182", PixKeyError::Cnpj(CnpjError)),
            (PixKeyType::Phone, "61912345678", PixKeyError::Phone),
            (PixKeyType::Phone, "+", PixKeyError::Phone),
            (PixKeyType::Phone, "+0123456789", PixKeyError::Phone),
            (PixKeyType::Phone, "+1234567", PixKeyError::Phone),
            (PixKeyType::Phone, "+1234567890123456", PixKeyError::Phone),
            (PixKeyType::Phone, "+55619123456", PixKeyError::Phone),
            (PixKeyType::Phone, "+55619123456789", PixKeyError::Phone),
            (PixKeyType::Phone, "++5561912345678", PixKeyError::Phone),
            (PixKeyType::Phone, "+55 61 9123A-5678", PixKeyError::Phone),
            (PixKeyType::Email, "exemplo.org", PixKeyError::Email),
            (PixKeyType::Email, "@exemplo.org", PixKeyError::Email),
            (PixKeyType::Email, "a@exemplo", PixKeyError::Email),
            (PixKeyType::Email, "a@exemplo..org", PixKeyError::Email),
            (PixKeyType::Email, "a@-exemplo.org", PixKeyError::Email),
            (PixKeyType::Email, "a@exemplo-.org", PixKeyError::Email),
            (PixKeyType::Email, "a@b@exemplo.org", PixKeyError::Email),
            (PixKeyType::Email, "a b@exemplo.org", PixKeyError::Email),
            (PixKeyType::Email, "doação@exemplo.org", PixKeyError::Email),
            (PixKeyType::Email, "a%b@exemplo.org", PixKeyError::Email),
            (PixKeyType::Random, "123e4567e12b12d1a456426655440000", PixKeyError::Random),
            (PixKeyType::Random, "123e4567-e12b-12d1-a456-42665544000g", PixKeyError::Random),
            (PixKeyType::Random, "123e4567e-12b-12d1-a456-426655440000", PixKeyError::Random),
        ] {
            assert_eq!(PixKey::parse(kind, text), Err(error), "{text}");
        }
    }

    #[test]
    fn an_email_of_77_characters_is_the_longest() {
        let longest = format!("{}@exemplo.org", "a".repeat(65));
        assert_eq!(longest.len(), 77);
        assert!(PixKey::parse(PixKeyType::Email, &longest).is_ok());
        assert_eq!(PixKey::parse(PixKeyType::Email, &format!("a{longest}")), Err(PixKeyError::Email));
    }

    #[test]
    fn only_canonical_text_is_recognised_without_a_kind() {
        for text in [
            "",
            "52998224724",
            "529.982.247-25",
            "12abc34501de35",
            "+55 61912345678",
            "Doe@exemplo.org",
            "123E4567-E12B-12D1-A456-426655440000",
            "chave",
        ] {
            assert!(PixKey::detect(text).is_err(), "{text}");
        }
    }

    #[test]
    fn debug_shows_the_kind_and_not_the_key() -> Result<(), PixKeyError> {
        let key = PixKey::parse(PixKeyType::Email, "doe@exemplo.org")?;
        assert_eq!(format!("{key:?}"), "PixKey(email, ***)");
        Ok(())
    }

    proptest! {
        #[test]
        fn a_key_is_ascii_short_and_recognised_by_its_form(key in strategy::pix_key()) {
            prop_assert!(key.as_str().is_ascii());
            prop_assert!(key.as_str().len() <= MAX_EMAIL_CHARS);
            prop_assert_eq!(PixKey::detect(key.as_str())?, key);
        }

        #[test]
        fn no_text_breaks_the_reader(text in any::<String>()) {
            for kind in PixKeyType::ALL {
                if let Ok(key) = PixKey::parse(kind, &text) {
                    prop_assert_eq!(PixKey::detect(key.as_str())?, key);
                }
            }
        }
    }
}
