//! Money in whole centavos of BRL. There is no floating point in this crate.

/// The largest single amount, R$ 1.000.000,00.
pub const MAX_CENTAVOS: i64 = 100_000_000;

/// An amount of one donation, payment or refund: 1 to [`MAX_CENTAVOS`] centavos.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Centavos(i64);

/// An amount outside 1 ..= [`MAX_CENTAVOS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("o valor vai de 1 a {MAX_CENTAVOS} centavos, sem frações")]
pub struct AmountError;

/// A campaign's goal: 1 to [`Goal::MAX`] centavos, since it may be more than any single donation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goal(i64);

/// A goal outside 1 ..= [`Goal::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a meta vai de 1 a {} centavos, sem frações; sem meta, use null", Goal::MAX)]
pub struct GoalError;

impl Goal {
    /// R$ 1.000.000.000,00.
    pub const MAX: i64 = 100_000_000_000;

    /// The number of centavos.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for Goal {
    type Error = GoalError;

    fn try_from(value: i64) -> Result<Self, Self::Error> {
        if (1..=Self::MAX).contains(&value) { Ok(Self(value)) } else { Err(GoalError) }
    }
}

impl Centavos {
    /// The number of centavos.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// `self - other`, or nothing where that is not a positive amount.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).and_then(|rest| Self::try_from(rest).ok())
    }

    /// `R$ 1.234,56`, as written in Brazil.
    pub fn display_brl(self) -> String {
        let reais = (self.0 / 100).to_string();
        let mut grouped = String::new();
        for (index, digit) in reais.chars().enumerate() {
            if index > 0 && (reais.len() - index).is_multiple_of(3) {
                grouped.push('.');
            }
            grouped.push(digit);
        }
        format!("R$ {grouped},{:02}", self.0 % 100)
    }
}

impl TryFrom<i64> for Centavos {
    type Error = AmountError;

    fn try_from(value: i64) -> Result<Self, Self::Error> {
        if (1..=MAX_CENTAVOS).contains(&value) { Ok(Self(value)) } else { Err(AmountError) }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bounds_are_inclusive() {
        assert!(Centavos::try_from(0).is_err());
        assert!(Centavos::try_from(-1).is_err());
        assert_eq!(Centavos::try_from(1).unwrap().get(), 1);
        assert_eq!(Centavos::try_from(MAX_CENTAVOS).unwrap().get(), MAX_CENTAVOS);
        assert!(Centavos::try_from(MAX_CENTAVOS + 1).is_err());
    }

    #[test]
    fn amounts_are_written_as_in_brazil() {
        let written = |value| Centavos::try_from(value).unwrap().display_brl();
        assert_eq!(written(5), "R$ 0,05");
        assert_eq!(written(100_000), "R$ 1.000,00");
        assert_eq!(written(MAX_CENTAVOS), "R$ 1.000.000,00");
    }

    proptest! {
        #[test]
        fn only_the_legal_range_is_an_amount(value in any::<i64>()) {
            prop_assert_eq!(Centavos::try_from(value).is_ok(), (1..=MAX_CENTAVOS).contains(&value));
        }

        #[test]
        fn a_difference_is_exact_or_refused(a in 1..=MAX_CENTAVOS, b in 1..=MAX_CENTAVOS) {
            let rest = Centavos::try_from(a).unwrap().checked_sub(Centavos::try_from(b).unwrap());
            prop_assert_eq!(rest.map(Centavos::get), (a > b).then_some(a - b));
        }

        #[test]
        fn the_written_amount_reads_back(value in 1..=MAX_CENTAVOS) {
            let digits: String = Centavos::try_from(value).unwrap().display_brl().chars().filter(char::is_ascii_digit).collect();
            prop_assert_eq!(digits.parse::<i64>().unwrap(), value);
        }
    }
}
