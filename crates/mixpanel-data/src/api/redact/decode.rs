//! Decodes parts of a text that may be in one of the common encodings.

use std::io::Read as _;

use flate2::read::{GzDecoder, ZlibDecoder};

use super::{binary, escapes, fold};

/// The maximum number of inflated bytes to examine.
const INFLATED_BYTES_MAX: u64 = 4 << 10;
/// A shorter run of printable characters in decoded text is noise, regardless of the secret.
const ROW_CHARS_MIN: usize = 4;
/// A text without a printable run of this length is not decoded again: any encoding of six characters of a secret is
/// at least this long.
const ROW_AGAIN_MIN: usize = 8;

/// A possible decoding of a text.
pub(super) struct Decoded {
    pub(super) text: Vec<u8>,
    /// Whether the text is too short or too noisy to be decoded again.
    pub(super) is_final: bool,
}

/// Undoes one layer of each encoding that the text may have. Decoded bytes count as noise unless they contain a run of
/// `row_min` printable characters.
pub(super) fn all(text: &[u8], row_min: usize) -> Vec<Decoded> {
    let mut found = escapes::all(text);
    found.push(text.iter().copied().filter(|byte| !is_filler(*byte)).collect());
    let mut found: Vec<Decoded> = found.into_iter().map(|text| Decoded { text, is_final: false }).collect();
    found.extend(spelled(text).into_iter().map(|text| Decoded { text, is_final: true }));
    found.retain(|decoded| decoded.text != text && !decoded.text.is_empty());
    let row_min = row_min.max(ROW_CHARS_MIN);
    for bytes in binary::all(text).into_iter().chain(wide(text)) {
        let inflated = inflated(&bytes);
        // The text may have two or four bytes per character.
        let bytes: Vec<u8> = bytes.into_iter().filter(|byte| *byte != 0).collect();
        for text in [inflated, Some(bytes)].into_iter().flatten() {
            let row = longest_run(&text);
            if row >= row_min {
                found.push(Decoded { text, is_final: row < ROW_AGAIN_MIN });
            }
        }
    }
    found
}

/// Returns whether the byte may separate the parts of a split value: whitespace, a control character, or punctuation
/// of string literals.
fn is_filler(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte.is_ascii_control() || matches!(byte, b'"' | b'\'' | b',' | b'`' | b'\\')
}

/// Returns the texts spelled by the single-character words, by the first and the last letters of all words, and by
/// every other character.
fn spelled(text: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(text);
    let seen: String = text.chars().filter(|c| c.is_whitespace() || !fold::is_invisible(*c)).collect();
    let words: Vec<&str> = seen.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let chunks: Vec<&str> = seen.split_whitespace().collect();
    let single =
        |words: &[&str]| -> String { words.iter().filter(|word| word.chars().nth(1).is_none()).copied().collect() };
    let first = |words: &[&str]| -> String {
        words.iter().map(|word| digit_of(word).unwrap_or(*word)).filter_map(|word| word.chars().next()).collect()
    };
    let last = |words: &[&str]| -> String { words.iter().filter_map(|word| word.chars().next_back()).collect() };
    // A secret may have a separator after each character; its position decides which half contains it.
    let every_other = |start: usize| -> String { seen.chars().skip(start).step_by(2).collect() };
    [single(&words), single(&chunks), first(&words), last(&words), every_other(0), every_other(1)]
        .map(String::into_bytes)
        .to_vec()
}

/// Returns non-ASCII text as the bytes of its UTF-16 code units, in both byte orders, and as the lowest 8 and 7 bits of
/// each character.
#[expect(clippy::cast_possible_truncation, reason = "the last bits are meant")]
fn wide(text: &[u8]) -> Vec<Vec<u8>> {
    if text.is_ascii() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(text);
    let units = || text.encode_utf16();
    let low = |bits: u32| text.chars().map(|c| (u32::from(c) & bits) as u8).collect();
    vec![
        units().flat_map(u16::to_be_bytes).collect(),
        units().flat_map(u16::to_le_bytes).collect(),
        low(0xff),
        low(0x7f),
    ]
}

/// Returns the digit that a word names.
pub(super) fn digit_of(word: &str) -> Option<&'static str> {
    const NAMES: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let digit = NAMES
        .iter()
        .position(|name| word.eq_ignore_ascii_case(name) || word.eq_ignore_ascii_case("niner") && *name == "nine")?;
    Some(DIGITS[digit])
}

/// Inflates gzip or zlib data up to the first error; `None` for other data.
fn inflated(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    // Truncated or damaged data still yields its beginning.
    let _whole = match bytes {
        [0x1f, 0x8b, 8, ..] => GzDecoder::new(bytes).take(INFLATED_BYTES_MAX).read_to_end(&mut text),
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => {
            ZlibDecoder::new(bytes).take(INFLATED_BYTES_MAX).read_to_end(&mut text)
        }
        _ => return None,
    };
    Some(text)
}

/// Returns the length of the longest run of printable characters.
fn longest_run(bytes: &[u8]) -> usize {
    let is_noise = |byte: &u8| !byte.is_ascii_graphic() && *byte != b' ';
    bytes.split(is_noise).map(<[u8]>::len).max().unwrap_or_default()
}
