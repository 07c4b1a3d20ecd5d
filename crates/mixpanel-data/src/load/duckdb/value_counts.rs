//! Counts the different values of a property: exactly while there are few, then approximately.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher as _};

use crate::limits::{DISTINCT_EXACT_MAX, PROPERTY_VALUE_CHARS_MAX};
use crate::properties::FrequentValue;

/// The number of frequent values to return.
const TOP: usize = 3;

/// Bits of a hash that select a register. With 2^11 registers, the standard error is 1.04 / sqrt(2^11) = 2.3 %.
const INDEX_BITS: u32 = 11;

/// The values of one property.
#[derive(Debug, Default)]
pub(super) struct ValueCounts {
    /// The values with their counts, until there are too many.
    exact: HashMap<Box<str>, u64>,
    /// The registers of a HyperLogLog sketch; empty while the values are counted exactly.
    registers: Vec<u8>,
    example: Option<String>,
}

impl ValueCounts {
    /// Counts a value other than null, given as JSON.
    pub(super) fn add(&mut self, value: &str) {
        if self.example.is_none() {
            self.example = Some(truncated(value));
        }
        if !self.registers.is_empty() {
            return self.sketch(hash(value));
        }
        if let Some(count) = self.exact.get_mut(value) {
            *count += 1;
        } else if self.exact.len() < DISTINCT_EXACT_MAX {
            self.exact.insert(value.into(), 1);
        } else {
            self.registers = vec![0; 1 << INDEX_BITS];
            for known in std::mem::take(&mut self.exact).into_keys() {
                self.sketch(hash(&known));
            }
            self.sketch(hash(value));
        }
    }

    fn sketch(&mut self, hash: u64) {
        let index = usize::try_from(hash >> (u64::BITS - INDEX_BITS)).expect("eleven bits");
        let rank = ((hash << INDEX_BITS) | (1 << (INDEX_BITS - 1))).leading_zeros() + 1;
        let rank = u8::try_from(rank).expect("at most 64");
        self.registers[index] = self.registers[index].max(rank);
    }

    /// Returns the number of different values.
    pub(super) fn distinct(&self) -> u64 {
        if self.registers.is_empty() {
            return self.exact.len() as u64;
        }
        let registers = self.registers.len() as f64;
        let sum: f64 = self.registers.iter().map(|rank| 2_f64.powi(-i32::from(*rank))).sum();
        let estimate = 0.7213 / (1.0 + 1.079 / registers) * registers * registers / sum;
        let empty = self.registers.iter().filter(|rank| **rank == 0).count();
        let estimate = match empty {
            // Linear counting is more accurate for few values.
            1.. if estimate <= 2.5 * registers => registers * (registers / empty as f64).ln(),
            _ => estimate,
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive number of values")]
        let estimate = estimate.round() as u64;
        // There are more values than were counted exactly.
        estimate.max(DISTINCT_EXACT_MAX as u64 + 1)
    }

    /// Returns the most frequent values, if they are known and one occurs more than once.
    pub(super) fn top(&self) -> Vec<FrequentValue> {
        let mut values: Vec<(&str, u64)> = self.exact.iter().map(|(value, count)| (&**value, *count)).collect();
        values.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
        if values.first().is_none_or(|(_, count)| *count == 1) {
            return Vec::new();
        }
        values.into_iter().take(TOP).map(|(value, count)| FrequentValue { value: truncated(value), count }).collect()
    }

    pub(super) fn into_example(self) -> Option<String> {
        self.example
    }
}

fn hash(value: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(value.as_bytes());
    hasher.finish()
}

fn truncated(value: &str) -> String {
    match value.char_indices().nth(PROPERTY_VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(values: impl Iterator<Item = String>) -> ValueCounts {
        let mut counts = ValueCounts::default();
        values.for_each(|value| counts.add(&value));
        counts
    }

    #[test]
    fn few_values_are_counted_exactly_and_many_approximately() {
        for distinct in [0_u64, 1, 999, 1_000, 1_001, 1_500, 4_000, 5_500, 20_000, 300_000] {
            let counts = counted((0..3 * distinct).map(|number| format!("\"{}\"", number % distinct)));
            let (found, exact) = (counts.distinct() as f64, distinct as f64);
            let tolerance = if distinct <= 1_000 { 0.0 } else { 0.06 * exact };
            assert!((found - exact).abs() <= tolerance, "{distinct}: {found}");
        }
    }

    #[test]
    fn the_most_frequent_values_come_first() {
        let counts = counted("b a c a d b a e".split(' ').map(str::to_owned));
        let top: Vec<(&str, u64)> =
            counts.top().iter().map(|top| (top.value.clone().leak() as &str, top.count)).collect();
        assert_eq!(top, [("a", 3), ("b", 2), ("c", 1)]);
        assert_eq!(counts.into_example().as_deref(), Some("b"));
        assert_eq!(counted(["x", "y"].into_iter().map(str::to_owned)).top(), []);
        assert_eq!(counted((0..3_000).map(|number| (number / 2).to_string())).top(), []);
    }

    #[test]
    fn long_values_are_truncated() {
        let counts = counted(std::iter::repeat_n("é".repeat(300), 2));
        let expected = format!("{}…", "é".repeat(200));
        assert_eq!(counts.top()[0].value, expected);
        assert_eq!(counts.into_example(), Some(expected));
    }
}
