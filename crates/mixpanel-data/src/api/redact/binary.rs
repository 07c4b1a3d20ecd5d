//! Decodes bytes encoded in bases 2 to 85 and as lists of numbers.

use std::sync::LazyLock;

/// The minimum length of a run of digits; shorter runs contain too little to matter.
const RUN_CHARS_MIN: usize = 8;
/// The maximum length of a number. Longer ones may not fit in 128 bits, and are masked anyway.
const NUMBER_CHARS_MAX: usize = 24;
/// The minimum length of a list of numbers.
const NUMBERS_MIN: usize = 4;

/// Alphabets in which each digit encodes a fixed number of bits, with that number.
const OF_BITS: [(&[u8], u32); 5] = [
    (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 5),
    (b"0123456789ABCDEFGHIJKLMNOPQRSTUV", 5),
    (b"0123456789ABCDEFGHJKMNPQRSTVWXYZ", 5),
    (b"ybndrfg8ejkmcpqxot1uwisza345h769", 5),
    (b"0123456789abcdef", 4),
];
/// The alphabet of `uuencode`, with six bits per digit.
const UU: &[u8] = b" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_";
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Alphabets in which five digits encode four bytes. The first is that of Ascii85, `!` to `u`.
const OF_85: [&[u8]; 3] = [
    b"!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstu",
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#",
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~",
];
/// Alphabets that encode a whole text as a single number.
const OF_NUMBERS: [&[u8]; 5] = [
    b"0123456789",
    b"0123456789abcdefghijklmnopqrstuvwxyz",
    b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
];

/// The digit values of bytes in each alphabet.
struct Tables {
    of_bits: [Table; 5],
    of_64: [Table; 3],
    of_85: [Table; 3],
    of_numbers: [Table; 5],
}

type Table = [u8; 256];

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let mut of_64 = table(BASE64, false);
    (of_64[usize::from(b'-')], of_64[usize::from(b'_')]) = (62, 63);
    Tables {
        of_bits: OF_BITS.map(|(digits, _)| table(digits, true)),
        // A dash or a slash may also be a separator.
        of_64: [of_64, table(&BASE64[..62], false), table(UU, false)],
        of_85: OF_85.map(|digits| table(digits, false)),
        of_numbers: OF_NUMBERS.map(|digits| table(digits, digits.len() == 36)),
    }
});

/// The table entry for a byte that is not a digit.
const NONE: u8 = 0xff;

/// Decodes every run of digits in each alphabet, at each possible alignment of the digit groups, and every list of
/// numbers.
pub(super) fn all(text: &[u8]) -> Vec<Vec<u8>> {
    let tables = &*TABLES;
    let mut found = Vec::new();
    for (table, (_, bits)) in tables.of_bits.iter().zip(OF_BITS) {
        for run in runs(text, table) {
            found.extend((0..8).map(|start| of_bits(&run, start, bits)));
        }
    }
    // Hexadecimal pairs may be separated by colons and the like.
    let plain: Vec<u8> =
        text.iter().copied().filter(|byte| !matches!(byte, b':' | b'-' | b';' | b'.' | b'_')).collect();
    if plain.len() != text.len() {
        for run in runs(&plain, &tables.of_bits[4]) {
            found.extend((0..2).map(|start| of_bits(&run, start, 4)));
        }
    }
    for run in tables.of_64.iter().flat_map(|table| runs(text, table)) {
        found.extend((0..4).map(|start| of_bits(&run, start, 6)));
    }
    for table in &tables.of_85 {
        for run in runs(text, table) {
            found.extend((0..5).map(|start| of_85(&run[start..])));
        }
    }
    for (table, digits) in tables.of_numbers.iter().zip(OF_NUMBERS) {
        for run in runs(text, table).into_iter().filter(|run| run.len() <= NUMBER_CHARS_MAX) {
            found.extend(of_number(&run, digits.len()));
        }
    }
    found.extend(lists(text));
    found
}

/// Returns the digit value of each byte in an alphabet.
fn table(digits: &[u8], any_case: bool) -> Table {
    let mut table = [NONE; 256];
    for (value, digit) in (0..).zip(digits) {
        table[usize::from(*digit)] = value;
        if any_case {
            table[usize::from(digit.to_ascii_lowercase())] = value;
            table[usize::from(digit.to_ascii_uppercase())] = value;
        }
    }
    table
}

/// Returns the digit values of each run of consecutive digits.
fn runs(text: &[u8], table: &Table) -> Vec<Vec<u8>> {
    text.split(|byte| table[usize::from(*byte)] == NONE)
        .filter(|run| run.len() >= RUN_CHARS_MIN)
        .map(|run| run.iter().map(|byte| table[usize::from(*byte)]).collect())
        .collect()
}

/// Decodes digits of `bits` bits each, from the digit at `start`.
#[expect(clippy::cast_possible_truncation, reason = "the bits of bytes that are complete are dropped")]
fn of_bits(run: &[u8], start: usize, bits: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(run.len());
    let (mut held, mut count) = (0_u32, 0);
    for digit in run.iter().skip(start) {
        held = held << bits | u32::from(*digit);
        count += bits;
        if count >= 8 {
            count -= 8;
            bytes.push((held >> count) as u8);
        }
    }
    bytes
}

/// Decodes groups of five digits; a shorter last group is padded.
#[expect(clippy::cast_possible_truncation, reason = "a group beyond four bytes is noise")]
fn of_85(run: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(run.len());
    for group in run.chunks(5).filter(|group| group.len() > 1) {
        let value = (0..5).fold(0_u64, |value, at| value * 85 + u64::from(*group.get(at).unwrap_or(&84)));
        bytes.extend_from_slice(&(value as u32).to_be_bytes()[..group.len() - 1]);
    }
    bytes
}

/// Decodes all digits as one number, and returns its bytes in both byte orders.
fn of_number(run: &[u8], base: usize) -> Vec<Vec<u8>> {
    let base = base as u128;
    let value = run.iter().try_fold(0_u128, |value, digit| value.checked_mul(base)?.checked_add(u128::from(*digit)));
    value.map(|value| vec![value.to_be_bytes().to_vec(), value.to_le_bytes().to_vec()]).unwrap_or_default()
}

/// Decodes lists of character codes in base 2, 8, 10 or 16, such as `[67, 65, 78]` and `0x43 0x41`. Binary and decimal
/// codes need no separators.
fn lists(text: &[u8]) -> Vec<Vec<u8>> {
    let words: Vec<&[u8]> =
        text.split(|byte| !byte.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).map(without_prefix).collect();
    let mut found = Vec::new();
    for base in [2, 8, 10, 16] {
        let code = |word: &&[u8]| u32::from_str_radix(std::str::from_utf8(word).ok()?, base).ok();
        let characters: Vec<char> = words.iter().filter_map(code).filter_map(char::from_u32).collect();
        if characters.len() >= NUMBERS_MIN {
            found.push(characters.iter().collect::<String>().into_bytes());
        }
    }
    let bits: Vec<u8> = words
        .iter()
        .filter(|word| word.iter().all(|byte| matches!(byte, b'0' | b'1')))
        .copied()
        .flatten()
        .map(|bit| bit - b'0')
        .collect();
    if bits.len() >= 7 * NUMBERS_MIN {
        found.extend((0..8).map(|start| of_bits(&bits, start, 1)));
        found.extend((0..7).map(|start| {
            bits[start..].chunks(7).map(|bits| bits.iter().fold(0, |code, bit| code << 1 | bit)).collect()
        }));
    }
    for word in words.iter().filter(|word| word.len() >= RUN_CHARS_MIN && word.iter().all(u8::is_ascii_digit)) {
        found.extend((0..3).map(|start| codes_in_a_row(&word[start..])));
    }
    found
}

/// Removes a number prefix such as `0x`.
fn without_prefix(word: &[u8]) -> &[u8] {
    let of = |prefix: &&[u8]| word.len() > prefix.len() && word[..prefix.len()].eq_ignore_ascii_case(prefix);
    let prefix = [b"0x".as_slice(), b"0b", b"0o", b"u", b"x"].into_iter().find(of);
    prefix.map_or(word, |prefix| &word[prefix.len()..])
}

/// Decodes concatenated decimal character codes. Codes from 100 and those with a leading zero have three digits.
fn codes_in_a_row(mut digits: &[u8]) -> Vec<u8> {
    let mut codes = Vec::new();
    while digits.len() > 1 {
        let length = if digits[0] == b'0' || digits[0] == b'1' && digits.len() > 2 { 3 } else { 2 };
        let (code, rest) = digits.split_at(length.min(digits.len()));
        let value = code.iter().fold(0_u32, |value, digit| value * 10 + u32::from(digit - b'0'));
        codes.extend(u8::try_from(value));
        digits = rest;
    }
    codes
}
