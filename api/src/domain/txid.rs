//! The transaction identifier that ties a PIX to a charge.

use std::fmt;

use thiserror::Error;

/// The longest txid of a static charge.
const MAX_CHARS: usize = 25;

const RADIX: u32 = 36;

/// The text is not the txid of a static charge.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("o txid tem de 1 a 25 letras sem acento ou algarismos")]
pub struct TxidError;

/// The txid of a static charge, `[A-Za-z0-9]{1,25}`.
///
/// Source: BCB, Manual de Padrões para Iniciação do Pix, field 62-05. Case matters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Txid(String);

impl Txid {
    /// Reads a txid as it is written.
    pub fn parse(text: &str) -> Result<Self, TxidError> {
        let fits = (1..=MAX_CHARS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        if fits { Ok(Self(text.to_owned())) } else { Err(TxidError) }
    }

    /// The 128 bits of a UUID in base 36, upper-case, padded with zeros to 25 characters.
    ///
    /// 36^25 exceeds 2^128, so no two UUIDs share a txid, while the 32 hexadecimal digits would
    /// not fit.
    pub fn from_uuid(uuid: u128) -> Self {
        let mut digits = Vec::with_capacity(MAX_CHARS);
        let mut rest = uuid;
        for _ in 0..MAX_CHARS {
            digits.push(base36_digit(rest % u128::from(RADIX)));
            rest /= u128::from(RADIX);
        }
        Self(digits.into_iter().rev().collect())
    }

    /// The txid as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Txid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The digit for a remainder, which is below the radix and so always has one.
fn base36_digit(remainder: u128) -> char {
    u32::try_from(remainder).ok().and_then(|digit| char::from_digit(digit, RADIX)).map_or('0', |digit| digit.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_extreme_uuids_have_25_characters() {
        assert_eq!(Txid::from_uuid(0).as_str(), "0000000000000000000000000");
        assert_eq!(Txid::from_uuid(1).as_str(), "0000000000000000000000001");
        assert_eq!(Txid::from_uuid(36).as_str(), "0000000000000000000000010");
        assert_eq!(Txid::from_uuid(u128::MAX).as_str(), "F5LXX1ZZ5PNORYNQGLHZMSP33");
    }

    #[test]
    fn a_txid_keeps_its_case() -> Result<(), TxidError> {
        for text in ["a", "Z9", "ABCDEFGHIJKLMNOPQRSTUVWXY", "doacao2026"] {
            assert_eq!(Txid::parse(text)?.as_str(), text);
        }
        Ok(())
    }

    #[test]
    fn what_is_not_a_txid_is_refused() {
        for text in ["", "***", "a b", "a-b", "ção", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "a\n"] {
            assert_eq!(Txid::parse(text), Err(TxidError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_uuid_can_be_read_back_from_its_txid(uuid: u128) {
            let txid = Txid::from_uuid(uuid);
            prop_assert_eq!(txid.as_str().len(), MAX_CHARS);
            prop_assert_eq!(u128::from_str_radix(txid.as_str(), RADIX)?, uuid);
            prop_assert_eq!(Txid::parse(txid.as_str())?, txid);
        }
    }
}
