//! Numbers that look random and are the same on every run.

use time::{Duration, OffsetDateTime};
use uuid::{Builder, Uuid};

/// The generator `SplitMix64` (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014).
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`; 0 where that is empty.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        u64::try_from((u128::from(self.next()) * u128::from(bound)) >> 64).unwrap_or_default()
    }

    /// True `per_mille` times in a thousand.
    pub(super) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// A length of time of whole seconds in `from..to`.
    pub(super) fn between(&mut self, from: Duration, to: Duration) -> Duration {
        let width = u64::try_from((to - from).whole_seconds()).unwrap_or_default();
        from + Duration::seconds(i64::try_from(self.below(width)).unwrap_or_default())
    }

    /// One of `items`.
    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let bound = u64::try_from(items.len()).unwrap_or_default();
        items.get(usize::try_from(self.below(bound)).unwrap_or_default())
    }

    /// One of `words`.
    pub(super) fn word(&mut self, words: &[&'static str]) -> &'static str {
        self.pick(words).copied().unwrap_or_default()
    }

    /// A `UUIDv7` of the moment `at`.
    pub(super) fn id(&mut self, at: OffsetDateTime) -> Uuid {
        let millis = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
        Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }

    /// A random `UUID`, version 4.
    pub(super) fn uuid_v4(&mut self) -> Uuid {
        Builder::from_random_bytes(self.bytes()).into_uuid()
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(8) {
            for (byte, random) in chunk.iter_mut().zip(self.next().to_le_bytes()) {
                *byte = random;
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_vector_comes_out() {
        let mut random = Random::new(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        let mut random = Random::new(1);
        assert!((0..10_000).all(|_| random.below(7) < 7));
        assert_eq!(random.below(0), 0);
        assert_eq!(random.pick::<u8>(&[]), None);
    }

    #[test]
    fn ids_are_version_7_of_their_moment() {
        let at = OffsetDateTime::UNIX_EPOCH + Duration::milliseconds(1_767_225_600_123);
        let id = Random::new(1).id(at);
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.get_timestamp().map(|stamp| stamp.to_unix()), Some((1_767_225_600, 123_000_000)));
        assert_eq!(id, Random::new(1).id(at));
        assert_eq!(Random::new(1).uuid_v4().get_version_num(), 4);
    }
}
