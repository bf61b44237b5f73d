//! CPF, the Brazilian register of natural persons.

use std::fmt;

use thiserror::Error;

const CPF_DIGITS: usize = 11;

/// The weights of a CPF's check digits grow from 2, at the right, to 11.
const MAX_WEIGHT: u32 = 11;

/// The text is not a CPF.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("o CPF tem 11 algarismos e dígitos verificadores válidos")]
pub struct CpfError;

/// A CPF whose check digits hold, kept as its 11 digits.
///
/// `Debug` hides the number, which is personal data.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cpf(String);

impl Cpf {
    /// Reads a CPF written bare or with its points and hyphen.
    pub fn parse(text: &str) -> Result<Self, CpfError> {
        let bare: String = text.trim().chars().filter(|c| !matches!(c, '.' | '-')).collect();
        let digits: Vec<u32> = bare.chars().map(|c| c.to_digit(10)).collect::<Option<_>>().ok_or(CpfError)?;
        if is_register_number(&digits, CPF_DIGITS, MAX_WEIGHT) { Ok(Self(bare)) } else { Err(CpfError) }
    }

    /// The 11 digits, without punctuation.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `XXX.XXX.XXX-XX`.
impl fmt::Display for Cpf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, digit) in self.0.chars().enumerate() {
            match position {
                3 | 6 => write!(f, ".{digit}")?,
                9 => write!(f, "-{digit}")?,
                _ => write!(f, "{digit}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Cpf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cpf(***)")
    }
}

/// Whether the values of a number's characters make a CPF or a CNPJ: the right length, two right
/// check digits at the end, and not one character repeated, a form that satisfies the check digits
/// and that the Receita Federal assigns to nobody.
pub(super) fn is_register_number(values: &[u32], length: usize, heaviest: u32) -> bool {
    let [head @ .., last] = values else {
        return false;
    };
    let [base @ .., first] = head else {
        return false;
    };
    values.len() == length
        && values.iter().any(|value| value != last)
        && *first == check_digit(base, heaviest)
        && *last == check_digit(head, heaviest)
}

/// The check digit that follows `values`: each value times its weight, summed, modulo 11; a
/// remainder under 2 gives 0 and any other its complement to 11. Weights start at 2 on the right
/// and begin again after `heaviest`.
///
/// Source: Receita Federal, the check digit rule shared by CPF and CNPJ.
pub(super) fn check_digit(values: &[u32], heaviest: u32) -> u32 {
    let sum: u32 = values.iter().rev().zip((2..=heaviest).cycle()).map(|(value, weight)| value * weight).sum();
    match sum % 11 {
        0 | 1 => 0,
        remainder => 11 - remainder,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cpf_is_read_bare_or_punctuated_and_kept_bare() -> Result<(), CpfError> {
        for text in ["52998224725", "529.982.247-25", " 529.982.247-25\n"] {
            let cpf = Cpf::parse(text)?;
            assert_eq!(cpf.as_str(), "52998224725");
            assert_eq!(cpf.to_string(), "529.982.247-25");
        }
        Ok(())
    }

    #[test]
    fn a_remainder_of_zero_or_one_gives_the_check_digit_zero() {
        for (text, remainders) in
            [("00000000604", "first 1"), ("00000001406", "first 0"), ("00000001910", "second 0"), ("00000001830", "second 1")]
        {
            assert!(Cpf::parse(text).is_ok(), "{remainders}");
        }
    }

    #[test]
    fn a_repeated_digit_is_refused_although_its_check_digits_hold() {
        for digit in '0'..='9' {
            assert_eq!(Cpf::parse(&String::from(digit).repeat(CPF_DIGITS)), Err(CpfError));
        }
    }

    #[test]
    fn what_is_not_a_cpf_is_refused() {
        for text in
            ["", "5299822472", "529982247250", "52998224724", "52998224735", "5299822472A", "529 982 247 25", "５２９９８２２４７２５"]
        {
            assert_eq!(Cpf::parse(text), Err(CpfError), "{text}");
        }
    }

    #[test]
    fn debug_does_not_show_the_number() -> Result<(), CpfError> {
        assert_eq!(format!("{:?}", Cpf::parse("52998224725")?), "Cpf(***)");
        Ok(())
    }

    proptest! {
        #[test]
        fn nine_digits_have_one_pair_of_check_digits(base in "[0-9]{9}") {
            let valid = (0..100)
                .filter(|pair| Cpf::parse(&format!("{base}{pair:02}")).is_ok())
                .count();
            let repeated = base.chars().all(|c| base.starts_with(c));
            prop_assert_eq!(valid, usize::from(!repeated));
        }
    }
}
