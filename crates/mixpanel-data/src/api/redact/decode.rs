//! The usual encodings of text, undone wherever something looks like them.

use std::io::Read as _;

use flate2::read::{GzDecoder, ZlibDecoder};

use super::{binary, escapes, fold};

/// Bytes of an inflated text that are looked at.
const INFLATED_BYTES_MAX: u64 = 4 << 10;
/// A shorter row of characters in what is decoded is noise, whatever is looked for.
const ROW_CHARS_MIN: usize = 4;

/// Undoes each encoding that the text may be in, by itself. Of what is decoded, as many characters in a row must be
/// printable: else it is noise.
pub(super) fn all(text: &[u8], row_min: usize) -> Vec<Vec<u8>> {
    let mut found = escapes::all(text);
    found.push(text.iter().copied().filter(|byte| !is_filler(*byte)).collect());
    found.extend(spelled(text));
    found.retain(|decoded| decoded != text && !decoded.is_empty());
    let row_min = row_min.max(ROW_CHARS_MIN);
    for bytes in binary::all(text) {
        let inflated = inflated(&bytes);
        // Text in two or four bytes a character.
        let bytes: Vec<u8> = bytes.into_iter().filter(|byte| *byte != 0).collect();
        found.extend([inflated, Some(bytes)].into_iter().flatten().filter(|bytes| has_row(bytes, row_min)));
    }
    found
}

/// What may stand between the parts of something that was split: blanks, and the quotation marks of code.
fn is_filler(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte.is_ascii_control() || matches!(byte, b'"' | b'\'' | b',' | b'`' | b'\\')
}

/// What a text spells: with its single characters, with the beginnings of its words and lines, and with their ends.
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
    [single(&words), single(&chunks), first(&words), last(&words)].map(String::into_bytes).to_vec()
}

/// Reads the name of a digit.
fn digit_of(word: &str) -> Option<&'static str> {
    const NAMES: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let digit = NAMES
        .iter()
        .position(|name| word.eq_ignore_ascii_case(name) || word.eq_ignore_ascii_case("niner") && *name == "nine")?;
    Some(DIGITS[digit])
}

/// Inflates what begins as gzip or zlib has it, as far as it can be inflated.
fn inflated(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    // What is cut off or damaged gives its beginning.
    let _whole = match bytes {
        [0x1f, 0x8b, 8, ..] => GzDecoder::new(bytes).take(INFLATED_BYTES_MAX).read_to_end(&mut text),
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => {
            ZlibDecoder::new(bytes).take(INFLATED_BYTES_MAX).read_to_end(&mut text)
        }
        _ => return None,
    };
    Some(text)
}

/// Says whether there is anything but noise in it.
fn has_row(bytes: &[u8], length: usize) -> bool {
    let mut row = 0;
    bytes.iter().any(|byte| {
        row = if byte.is_ascii_graphic() || *byte == b' ' { row + 1 } else { 0 };
        row >= length
    })
}
