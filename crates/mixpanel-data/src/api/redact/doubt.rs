//! Masks everything except words and a few numbers, because it may be a secret in an unknown encoding.
//!
//! A text is split into pieces. A word has the weight zero; any other piece weighs more the less it looks like a word.
//! A run of pieces, possibly with single words in between, is masked if its total weight is too high.

use std::ops::Range;

use super::decode::digit_of;
use super::fold::is_mark;
use super::words::{Word, judge};

/// A word that is repeated within this many words may encode a digit.
const WORDS_APART: usize = 3;
/// Replaces masked text.
const LEFT_OUT: &str = "[not shown]";
/// A run of pieces with at least this total weight is masked.
const WEIGHT_MAX: usize = 12;
/// This many consecutive words end a run of pieces.
const WORDS_BETWEEN: usize = 2;
/// The maximum length of a numeric ID: 64-bit numbers have up to 20 digits.
const DIGITS_MAX: usize = 20;
/// The weight of a number, a single letter or an unknown symbol, each of which may encode one character.
const SIGN: usize = 2;
/// The weight of a time, a UUID or an address.
const SHAPE: usize = 5;

/// A part of a text and its weight.
struct Piece {
    range: Range<usize>,
    weight: usize,
    is_word: bool,
}

/// Returns the text with a placeholder for each part that may not be words.
pub(super) fn masked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for range in doubtful(&pieces(text)) {
        shown.push_str(&text[from..range.start]);
        shown.push_str(LEFT_OUT);
        from = range.end;
    }
    shown.push_str(&text[from..]);
    shown
}

/// Returns all pieces that are not words, concatenated, because a secret may have been split.
pub(super) fn odd_words(text: &str) -> String {
    pieces(text).into_iter().filter(|piece| !piece.is_word).map(|piece| &text[piece.range]).collect()
}

/// Finds the runs of pieces to mask.
fn doubtful(pieces: &[Piece]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut row: Option<(Range<usize>, usize)> = None;
    let mut words = 0;
    for piece in pieces {
        if piece.weight == 0 {
            words += 1;
            if words >= WORDS_BETWEEN {
                found.extend(row.take());
            }
            continue;
        }
        words = 0;
        match &mut row {
            Some((range, weight)) => {
                range.end = piece.range.end;
                *weight += piece.weight;
            }
            None => row = Some((piece.range.clone(), piece.weight)),
        }
    }
    found.extend(row);
    found.into_iter().filter(|(_, weight)| *weight >= WEIGHT_MAX).map(|(range, _)| range).collect()
}

/// Splits a text into pieces; separators between words are not pieces.
fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let is_start = !text[..at].chars().next_back().is_some_and(char::is_alphanumeric);
        let (length, weight) = if let Some(length) = is_start.then(|| shape(rest)).flatten() {
            (length, Some(SHAPE))
        } else if c.is_alphanumeric() {
            let length = rest.find(|c: char| !c.is_alphanumeric() && !is_mark(c)).unwrap_or(rest.len());
            (length, Some(weight_of(&rest[..length])))
        } else if c.is_ascii() {
            let length = rest.find(|c: char| !c.is_ascii_punctuation()).unwrap_or(rest.len()).max(1);
            let alone = is_alone(text, at, at + length) && !is_line(&rest[..length]);
            (length, alone.then_some(SIGN))
        } else {
            (c.len_utf8(), (!is_usual_sign(c)).then_some(SIGN))
        };
        if let Some(weight) = weight {
            let (range, is_word) = (at..at + length, weight == 0);
            let weight = if is_word { weight_of_word(&rest[..length], &mut words) } else { weight };
            pieces.push(Piece { range, weight, is_word });
        }
        at += length;
    }
    pieces
}

/// Returns whether the range is surrounded by spaces or the ends of the text.
fn is_alone(text: &str, start: usize, end: usize) -> bool {
    let is_blank = |c: Option<char>| c.is_none_or(|c| c == ' ');
    is_blank(text[..start].chars().next_back()) && is_blank(text[end..].chars().next())
}

/// Returns whether punctuation is a separator line, such as `-----`.
fn is_line(signs: &str) -> bool {
    signs.len() > 3 && signs.bytes().all(|sign| sign == signs.as_bytes()[0])
}

/// Returns whether a non-ASCII character is common punctuation in any language or a common symbol.
fn is_usual_sign(c: char) -> bool {
    matches!(
        c,
        '\u{a0}' | '¡' | '§' | '©' | '«' | '®' | '°' | '±' | '·' | '»' | '¿' | '×' | '‐'..='―' | '‘'..='„' | '•' | '…'
            | '‹' | '›' | '€' | '£' | '¥' | '→' | '←' | '✓' | '✗' | '、' | '。' | '〈'..='】' | '・' | '！' | '（' | '）'
            | '，' | '：' | '；' | '？'
    )
}

/// Returns the length of the date, time, UUID or IPv4 address at the beginning of the text, if any.
fn shape(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let ends = |length: usize| !text[length..].chars().next().is_some_and(char::is_alphanumeric);
    if has_form(bytes, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx") && ends(36) {
        return Some(36);
    }
    if let Some(length) = address(text) {
        return ends(length).then_some(length);
    }
    if !has_form(bytes, "9999-99-99") {
        return None;
    }
    let mut length = 10;
    for form in ["T99:99", " 99:99", ":99"] {
        length += if has_form(&bytes[length..], form) { form.len() } else { 0 };
    }
    if bytes.get(length) == Some(&b'.') && length > 15 {
        let digits = bytes[length + 1..].iter().take(9).take_while(|byte| byte.is_ascii_digit()).count();
        length += digits + usize::from(digits > 0);
    }
    for form in ["Z", "+99:99", "-99:99"] {
        length += if has_form(&bytes[length..], form) { form.len() } else { 0 };
    }
    ends(length).then_some(length)
}

/// Returns the length of the IPv4 address at the beginning of the text, including its port, if any.
fn address(text: &str) -> Option<usize> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let host = text[..end].trim_end_matches('.');
    host.parse::<std::net::Ipv4Addr>().ok()?;
    let port = text[host.len()..]
        .strip_prefix(':')
        .map_or("", |rest| &rest[..rest.bytes().take(5).take_while(u8::is_ascii_digit).count()]);
    Some(host.len() + port.len() + usize::from(!port.is_empty()))
}

/// Returns whether the text begins with a pattern in which `9` matches a digit and `x` a lowercase hexadecimal digit.
fn has_form(text: &[u8], form: &str) -> bool {
    let fits = |(byte, form): (&u8, u8)| match form {
        b'9' => byte.is_ascii_digit(),
        b'x' => byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'),
        form => *byte == form,
    };
    text.len() >= form.len() && text.iter().zip(form.bytes()).all(fits)
}

/// Returns the weight of a word, given the words before it. Words can encode digits: by name, or in pairs such as `yes`
/// and `no`.
fn weight_of_word(word: &str, last: &mut Vec<String>) -> usize {
    let word = word.to_lowercase();
    let is_digit = digit_of(&word).is_some() || last.contains(&word);
    if last.len() == WORDS_APART {
        last.remove(0);
    }
    last.push(word);
    if is_digit { SIGN } else { 0 }
}

/// Returns the weight of a group of adjacent letters and digits.
fn weight_of(atom: &str) -> usize {
    if atom.is_ascii() {
        return weight_of_ascii(atom);
    }
    let length = atom.chars().count();
    let base: String = atom.chars().filter_map(base_letter).collect();
    if base.is_ascii() {
        return weight_of_ascii(&base);
    }
    let scripts: Vec<u32> = atom.chars().map(script).collect();
    let is_one = scripts.iter().all(|script| *script == scripts[0]) && scripts[0] != 0;
    if is_one { 0 } else { SIGN * length }
}

fn weight_of_ascii(atom: &str) -> usize {
    let length = atom.len();
    if length == 1 {
        return SIGN;
    }
    if atom.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number with a leading zero is not a count, but its digits may be bits.
        let is_count = length <= DIGITS_MAX && !atom.starts_with('0');
        return if is_count { SIGN } else { length.max(SIGN) };
    }
    let parts = parts_of(atom);
    let (numbers, words): (Vec<&str>, Vec<&str>) = parts.iter().partition(|part| part.as_bytes()[0].is_ascii_digit());
    let digits: usize = numbers.iter().map(|number| number.len()).sum();
    let words: Vec<Word> = words.iter().map(|word| judge(&word.to_ascii_lowercase())).collect();
    match (words.as_slice(), digits) {
        ([Word::Likely], 0) => length / 2,
        (words, 0) if words.iter().all(|word| *word == Word::Sure) => 0,
        (words, 1..=4) if parts.len() <= 3 && words.iter().all(|word| *word == Word::Sure) => SIGN,
        _ => length,
    }
}

/// Splits between letters and digits and at the capital letters of words, as in `HTTPStatusCode404`.
fn parts_of(atom: &str) -> Vec<&str> {
    let bytes = atom.as_bytes();
    let mut parts = Vec::new();
    let mut start = 0;
    for at in 1..bytes.len() {
        let [before, this] = [bytes[at - 1], bytes[at]];
        let next_is_lower = bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase);
        let is_cut = before.is_ascii_digit() != this.is_ascii_digit()
            || this.is_ascii_uppercase() && (before.is_ascii_lowercase() || next_is_lower);
        if is_cut {
            parts.push(&atom[start..at]);
            start = at;
        }
    }
    parts.push(&atom[start..]);
    parts
}

/// Removes diacritics from Latin letters; other letters are returned unchanged, including lookalikes.
fn base_letter(c: char) -> Option<char> {
    if is_mark(c) {
        return None;
    }
    if !matches!(c, '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}') {
        return Some(c);
    }
    let mut decomposed = icu_normalizer::DecomposingNormalizerBorrowed::new_nfd().normalize_iter(std::iter::once(c));
    Some(match decomposed.next().unwrap_or(c) {
        'ß' => 's',
        'ø' | 'Ø' => 'o',
        'æ' | 'Æ' => 'e',
        'ł' | 'Ł' => 'l',
        'ı' => 'i',
        'đ' | 'Đ' => 'd',
        c => c,
    })
}

/// Returns the number of a character's script; 0 for scripts in which messages are not written.
fn script(c: char) -> u32 {
    match c {
        '\u{370}'..='\u{3ff}' => 1,
        '\u{400}'..='\u{4ff}' => 2,
        '\u{590}'..='\u{5ff}' => 3,
        '\u{600}'..='\u{6ff}' => 4,
        '\u{900}'..='\u{97f}' => 5,
        '\u{e00}'..='\u{e7f}' => 6,
        '\u{3041}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}' | '\u{3005}' => 7,
        '\u{ac00}'..='\u{d7a3}' => 8,
        _ => 0,
    }
}
