//! Pseudorandom numbers as pure functions of their inputs, so that the same seed always produces the same bytes.

/// The increment of the SplitMix64 generator.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Mixes the bits of a number. This is a bijection, which keeps generated IDs unique.
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// Hashes two numbers into one.
pub(crate) fn mix2(first: u64, second: u64) -> u64 {
    mix(mix(first.wrapping_add(STEP)) ^ second.wrapping_mul(STEP))
}

/// Hashes text into a number.
pub(crate) fn mix_text(seed: u64, text: &str) -> u64 {
    text.bytes().fold(mix(seed), |state, byte| mix2(state, u64::from(byte)))
}

/// Maps a random number uniformly to `0..limit`; returns 0 if `limit` is 0.
pub(crate) fn below(random: u64, limit: u64) -> u64 {
    ((u128::from(random) * u128::from(limit)) >> 64) as u64
}

/// Returns true with the given probability, from a random number.
pub(crate) fn chance(random: u64, probability: f64) -> bool {
    ((random >> 11) as f64) / ((1_u64 << 53) as f64) < probability
}

/// A pseudorandom sequence.
#[derive(Debug, Clone)]
pub(crate) struct Sequence(u64);

impl Sequence {
    pub(crate) fn new(seed: u64, index: u64) -> Self {
        Self(mix2(seed, index))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// Skips this many numbers.
    pub(crate) fn skip(&mut self, numbers: u64) {
        self.0 = self.0.wrapping_add(STEP.wrapping_mul(numbers));
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        below(self.next(), limit)
    }

    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        let index = self.below(items.len() as u64);
        items[usize::try_from(index).expect("an index into a slice fits usize")]
    }
}
