//! The amounts that are offered.

/// What most people give, in centavos.
const USUAL: [i64; 4] = [2_000, 5_000, 10_000, 20_000];
/// In multiples of the least amount, where that is more than the least of the usual ones.
const MULTIPLES: [i64; 4] = [1, 2, 5, 10];

/// Up to four amounts in centavos, lowest first, that a campaign with these limits takes.
pub(crate) fn suggested(least: i64, most: i64) -> Vec<i64> {
    let [lowest, ..] = USUAL;
    let candidates = if least <= lowest { USUAL } else { MULTIPLES.map(|times| least.saturating_mul(times)) };
    candidates.into_iter().filter(|amount| (least..=most).contains(amount)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_campaign_takes_is_offered() {
        assert_eq!(suggested(100, 100_000_000), USUAL);
        assert_eq!(suggested(100, 6_000), [2_000, 5_000]);
        assert_eq!(suggested(3_000, 100_000_000), [3_000, 6_000, 15_000, 30_000]);
        assert_eq!(suggested(3_000, 7_000), [3_000, 6_000]);
        assert_eq!(suggested(100, 500), [0; 0]);
    }
}
