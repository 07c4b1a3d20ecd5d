//! The patterns to search for in a text: parts of secrets, as plain text and in simple ciphers.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::credentials::Secret;

use super::fold::{Folded, folded};

/// The number of consecutive characters that reveal a secret; a shorter secret is a single part.
const PART_CHARS: usize = 6;
/// The minimum length of a secret that is searched for in ciphers; shorter ones match almost any text.
const CIPHER_CHARS_MIN: usize = 5;
/// Bits per character in the key of a part.
const CHAR_BITS: usize = 21;
/// Base-2 logarithm of the number of bits in the bitmap filter.
const TABLE_BITS: u32 = 16;

/// The parts of all secrets.
#[derive(Default)]
pub(super) struct Needles {
    /// Parts to search for in the letters and digits of a text, ignoring everything between them.
    letters: Vec<Parts>,
    /// Parts to search for in the visible characters of a text.
    compact: Vec<Parts>,
}

/// Parts of the same length.
struct Parts {
    length: usize,
    all: HashSet<u128>,
    /// A bitmap filter: a part whose bit is not set is not in `all`.
    table: Vec<u64>,
}

impl Needles {
    /// Creates the patterns for pairs of a user name and a secret.
    pub(super) fn new(pairs: &[(String, Secret)]) -> Self {
        let mut needles = Self::default();
        for (user, secret) in pairs {
            let secret = secret.expose();
            let pair = STANDARD.encode(format!("{user}:{secret}"));
            let secret = if secret.is_empty() { user } else { secret };
            needles.add(secret);
            needles.add(&pair);
            // Base64 in changed case can no longer be decoded, so it is searched for directly. Its first and last
            // characters depend on the neighboring bytes.
            for before in ["", "a", "ab"] {
                let encoded = STANDARD.encode(format!("{before}{secret}"));
                let core = encoded.trim_end_matches('=');
                needles.add_whole(core.get(2..core.len() - 1).unwrap_or_default());
            }
            // A short secret cannot be distinguished from noise once decoded, so its encoding is searched for.
            if secret.len() < PART_CHARS {
                let encoded = STANDARD.encode(secret);
                insert(&mut needles.compact, &folded(encoded.trim_end_matches('=').as_bytes()).compact);
            }
        }
        needles
    }

    /// Returns the length of the shortest part, in characters.
    pub(super) fn length_min(&self) -> usize {
        self.letters.iter().chain(&self.compact).map(|parts| parts.length).min().unwrap_or(PART_CHARS)
    }

    /// Returns whether the text contains one of the parts.
    pub(super) fn occur_in(&self, text: &[u8]) -> bool {
        let text = folded(text);
        self.letters.iter().any(|parts| parts.occur_in(&text.letters))
            || self.compact.iter().any(|parts| parts.occur_in(&text.compact))
    }

    fn add(&mut self, secret: &str) {
        let Folded { compact, letters } = folded(secret.as_bytes());
        insert(&mut self.compact, &compact);
        let is_most = letters.len() * 2 >= compact.len() && letters.len() > 1;
        if is_most || letters.len() >= CIPHER_CHARS_MIN {
            insert(&mut self.letters, &letters);
        }
        if compact.len() < CIPHER_CHARS_MIN {
            return;
        }
        // ROT47 depends on the case of letters, so it is applied before normalization. It may be combined with ROT13.
        for moved in [
            secret.chars().map(rot47).collect::<String>(),
            secret.chars().map(rot13).map(rot47).collect(),
            secret.chars().map(rot47).map(rot13).collect(),
        ] {
            insert(&mut self.compact, &folded(moved.as_bytes()).compact);
        }
        let texts = [(&mut self.letters, letters), (&mut self.compact, compact)];
        for (groups, text) in texts.into_iter().filter(|(_, text)| text.len() >= CIPHER_CHARS_MIN) {
            for start in [0, 1] {
                insert(groups, &in_swapped_pairs(&text, start));
            }
            let mut add = |cipher: &dyn Fn(char) -> char| {
                insert(groups, &text.iter().map(|c| cipher(*c)).collect::<Vec<_>>());
            };
            add(&atbash);
            for shift in 1..26 {
                add(&|c| rotated(c, shift, 0));
                add(&|c| rotated(c, shift, 5));
            }
        }
    }

    fn add_whole(&mut self, text: &str) {
        let letters = folded(text.as_bytes()).letters;
        if letters.len() >= PART_CHARS {
            insert(&mut self.letters, &letters);
        }
    }
}

/// Adds the parts of a text, both forwards and backwards.
fn insert(groups: &mut Vec<Parts>, text: &[char]) {
    let length = text.len().min(PART_CHARS);
    if length == 0 {
        return;
    }
    let index = groups.iter().position(|parts| parts.length == length).unwrap_or_else(|| {
        groups.push(Parts::new(length));
        groups.len() - 1
    });
    for part in text.windows(length) {
        groups[index].insert(part.iter());
        groups[index].insert(part.iter().rev());
    }
}

impl Parts {
    fn new(length: usize) -> Self {
        Self { length, all: HashSet::new(), table: vec![0; 1 << (TABLE_BITS - 6)] }
    }

    fn insert<'a>(&mut self, part: impl Iterator<Item = &'a char>) {
        let key = part.fold(0, |key: u128, c| key << CHAR_BITS | u128::from(u32::from(*c)));
        let (word, bit) = place(key);
        self.table[word] |= bit;
        self.all.insert(key);
    }

    fn occur_in(&self, text: &[char]) -> bool {
        let mask = (1 << (CHAR_BITS * self.length)) - 1;
        let mut key: u128 = 0;
        text.iter().enumerate().any(|(index, c)| {
            key = (key << CHAR_BITS | u128::from(u32::from(*c))) & mask;
            let (word, bit) = place(key);
            index + 1 >= self.length && self.table[word] & bit != 0 && self.all.contains(&key)
        })
    }
}

/// Returns the position of a key in the bitmap filter: the index of a word, and the mask of a bit.
#[expect(clippy::cast_possible_truncation, reason = "both halves count, and of the product only the upper bits")]
fn place(key: u128) -> (usize, u64) {
    let mixed = (key as u64 ^ (key >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - TABLE_BITS);
    ((mixed >> 6) as usize, 1 << (mixed & 63))
}

/// Swaps the characters of each pair, as `hexdump` does with the bytes of 16-bit numbers.
fn in_swapped_pairs(text: &[char], start: usize) -> Vec<char> {
    let (before, pairs) = text.split_at(start);
    before.iter().copied().chain(pairs.chunks(2).flat_map(|pair| pair.iter().rev().copied())).collect()
}

/// Rotates a letter or a digit within its alphabet.
fn rotated(c: char, letters: u8, digits: u8) -> char {
    match c {
        'a'..='z' => char::from((c as u8 - b'a' + letters) % 26 + b'a'),
        '0'..='9' => char::from((c as u8 - b'0' + digits) % 10 + b'0'),
        c => c,
    }
}

/// Rotates a letter by half of the alphabet.
fn rot13(c: char) -> char {
    match c {
        'A'..='Z' => rotated(c.to_ascii_lowercase(), 13, 0).to_ascii_uppercase(),
        c => rotated(c, 13, 0),
    }
}

/// Mirrors a letter in the alphabet.
fn atbash(c: char) -> char {
    if c.is_ascii_lowercase() { char::from(b'a' + b'z' - c as u8) } else { c }
}

/// Rotates a character within the printable ASCII characters.
fn rot47(c: char) -> char {
    if c.is_ascii_graphic() { char::from((c as u8 - 33 + 47) % 94 + 33) } else { c }
}
