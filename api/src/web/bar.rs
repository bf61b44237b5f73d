//! The furrow bar: how far a campaign is.

use std::fmt;

use super::format::reais;
use super::language::Language;
use crate::domain::totals::Totals;

/// A part of the bar, in tenths of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BarShare(i64);

impl fmt::Display for BarShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}%", self.0 / 10, self.0 % 10)
    }
}

/// What a campaign has, as the bar and the numbers beside it show it. All in centavos.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raised {
    /// All but what went back.
    pub(crate) net: i64,
    /// The part of `net` that rests on the organizadora's word alone.
    pub(crate) declared: i64,
}

impl Raised {
    pub(crate) fn new(raised: i64, refunded: i64, declared: i64) -> Self {
        let net = raised.saturating_sub(refunded).max(0);
        Self { net, declared: declared.clamp(0, net) }
    }

    pub(crate) fn of(totals: &Totals) -> Self {
        Self::new(totals.arrecadado_centavos, totals.devolvido_centavos, totals.declarado_centavos)
    }

    /// `net` in whole percent of the goal, rounded down, without an upper bound.
    pub(crate) fn percent(&self, goal: i64) -> String {
        format!("{}%", scaled(self.net, 100, goal))
    }
}

/// The bar of a campaign with a goal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bar {
    /// What it says to those who do not see it.
    pub(crate) label: String,
    /// How much of it is full, at most all.
    pub(crate) full: BarShare,
    /// Where the declared part begins.
    pub(crate) firm: BarShare,
    /// How long the declared part is.
    pub(crate) declared: BarShare,
}

impl Bar {
    /// The bar of what was raised for `goal` centavos.
    pub(crate) fn new(raised: Raised, goal: i64, language: Language) -> Self {
        let full = scaled(raised.net, 1_000, goal).min(1_000);
        let declared = scaled(raised.declared, full, raised.net);
        let label = (language.texts().common.of_goal)(&raised.percent(goal), &reais(goal, language));
        Self { label, full: BarShare(full), firm: BarShare(full - declared), declared: BarShare(declared) }
    }

    /// The bar with the last part, of what `before` did not have yet, as one's own.
    pub(crate) fn own(before: Raised, after: Raised, goal: i64, language: Language) -> Self {
        let (from, to) = (scaled(before.net, 1_000, goal).min(1_000), scaled(after.net, 1_000, goal).min(1_000));
        let label = (language.texts().thanks.moved_label)(&before.percent(goal), &after.percent(goal));
        Self { label, full: BarShare(to), firm: BarShare(from), declared: BarShare(to - from) }
    }
}

/// `part` times `scale` over `whole`, rounded down; 0 of nothing.
fn scaled(part: i64, scale: i64, whole: i64) -> i64 {
    let exact = i128::from(part) * i128::from(scale) / i128::from(whole.max(1));
    i64::try_from(exact).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_full_at_most_and_its_declared_part_is_at_its_end() {
        let of = |raised, refunded, declared, goal| {
            let bar = Bar::new(Raised::new(raised, refunded, declared), goal, Language::Portuguese);
            [bar.full, bar.firm, bar.declared].map(|share| share.to_string())
        };
        assert_eq!(of(0, 0, 0, 100), ["0.0%", "0.0%", "0.0%"]);
        assert_eq!(of(1_234_050, 0, 210_000, 2_000_000), ["61.7%", "51.3%", "10.4%"]);
        assert_eq!(of(300, 100, 100, 100), ["100.0%", "50.0%", "50.0%"]);
        // What went back is more than there was: a list may show totals of two moments.
        assert_eq!(of(100, 300, 50, 100), ["0.0%", "0.0%", "0.0%"]);
        assert_eq!(of(i64::MAX, 0, 0, 1), ["100.0%", "100.0%", "0.0%"]);
        let bar = Bar::new(Raised::new(236, 0, 0), 200, Language::Portuguese);
        assert_eq!(bar.label, "118% da meta de R$\u{a0}2,00");
    }

    #[test]
    fn ones_own_part_is_the_last() {
        let bar = Bar::own(Raised::new(610, 0, 0), Raised::new(630, 0, 0), 1_000, Language::English);
        assert_eq!([bar.full, bar.firm, bar.declared].map(|share| share.to_string()), ["63.0%", "61.0%", "2.0%"]);
        assert_eq!(bar.label, "Your donation took the campaign from 61% to 63% of its goal");
    }
}
