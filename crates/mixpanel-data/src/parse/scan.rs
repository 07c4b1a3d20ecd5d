//! Finds the ends of records in text that is not valid JSON.
//!
//! A broken page is first split into records, each of which is then parsed strictly. The scanner follows brackets and
//! quotes and tolerates everything else: raw control characters, invalid UTF-8, missing or extra commas, comments,
//! unquoted words. A quote counts only where a string can begin or end, so unescaped quotes inside a string are
//! harmless. Where brackets or quotes do not match, the broken record ends where the next record seems to begin.

use memchr::{memchr, memchr3, memmem};

use super::object::{is_blank, text_end};

/// The keys that a record can begin with.
pub(super) const FIRST_KEYS: [&[u8]; 2] = [b"\"$distinct_id\"", b"\"$properties\""];

/// The budget for fruitless scanning, in bytes per byte of text. Keeps the running time linear, however broken the
/// brackets are.
const WASTE_MAX: usize = 4;

/// The maximum number of open brackets; each takes one byte of memory.
const DEPTH_MAX: usize = 1 << 20;

/// The longest key, in bytes, that is recognized as the key of an object member.
const KEY_BYTES_MAX: usize = 256;

/// Where an element of the array ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element {
    /// After its last byte: at a comma, at the next element, or at the end of the array.
    pub(super) end: usize,
    /// After the closing brace, if the element begins with an object.
    pub(super) object_end: Option<usize>,
}

/// A failed scan: brackets or quotes do not match.
struct ScanError {
    /// The number of bytes scanned before the mismatch was found.
    scanned: usize,
    object_end: Option<usize>,
}

/// Finds the elements of an array in the text between its brackets, in linear time.
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    /// The key that the first record begins with, if it is not one of [`FIRST_KEYS`].
    first_key: Option<&'a [u8]>,
    /// The ends of the last comment and the last line. Past them, searching for one is pointless.
    last_comment_end: Option<usize>,
    last_line_end: Option<usize>,
    waste_left: usize,
    /// The open brackets; kept here to reuse the allocation.
    open: Open,
}

/// The open brackets.
#[derive(Default)]
struct Open {
    brackets: Vec<u8>,
    /// The number of braces among them.
    braces: usize,
}

impl Open {
    fn push(&mut self, bracket: u8) {
        self.brackets.push(bracket);
        self.braces += usize::from(bracket == b'{');
    }

    /// Closes the matching bracket and any unclosed brackets inside it. Ignores a closing bracket without a match.
    fn close(&mut self, closing: u8) {
        let (opening, number) =
            if closing == b'}' { (b'{', self.braces) } else { (b'[', self.brackets.len() - self.braces) };
        while number > 0
            && let Some(bracket) = self.brackets.pop()
        {
            self.braces -= usize::from(bracket == b'{');
            if bracket == opening {
                break;
            }
        }
    }
}

impl<'a> Scanner<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut scanner = Self {
            bytes,
            first_key: None,
            last_comment_end: memmem::rfind(bytes, b"*/"),
            last_line_end: memchr::memrchr(b'\n', bytes),
            waste_left: bytes.len().saturating_mul(WASTE_MAX),
            open: Open::default(),
        };
        let start = scanner.skip_blank(0);
        if bytes.get(start) == Some(&b'{') {
            let key = skip(bytes, start + 1);
            let end = text_end(bytes, key).min(bytes.len());
            if bytes.get(key) == Some(&b'"') && end - key <= KEY_BYTES_MAX {
                scanner.first_key = bytes.get(key..end).filter(|key| !FIRST_KEYS.contains(key));
            }
        }
        scanner
    }

    /// Skips whitespace, control characters, byte order marks and comments.
    pub(super) fn skip_blank(&self, at: usize) -> usize {
        let mut at = skip(self.bytes, at);
        while let Some(end) = self.comment_end(at) {
            at = skip(self.bytes, end);
        }
        at
    }

    /// Finds the end of the element that begins at `start`.
    pub(super) fn element(&mut self, start: usize) -> Element {
        let mut object_end = None;
        if self.waste_left > 0 {
            match self.by_brackets(start) {
                Ok(element) => return element,
                Err(lost) => {
                    self.waste_left = self.waste_left.saturating_sub(lost.scanned.max(1));
                    object_end = lost.object_end;
                }
            }
        }
        let end = self.next_record(start);
        Element { end, object_end: object_end.filter(|object_end| *object_end <= end) }
    }

    /// Finds the end of an element by its brackets and quotes.
    fn by_brackets(&mut self, start: usize) -> Result<Element, ScanError> {
        let bytes = self.bytes;
        let mut open = std::mem::take(&mut self.open);
        open.brackets.clear();
        open.braces = 0;
        let mut object_end = None;
        // The last byte that is not whitespace.
        let mut before = b',';
        let mut at = start;
        let found = loop {
            let Some(&byte) = bytes.get(at) else { break if open.brackets.is_empty() { Ok(at) } else { Err(at) } };
            match byte {
                b'"' | b'\'' if can_open(byte, before) => match self.string_end(at) {
                    Ok(end) => {
                        at = end;
                        before = b'"';
                        continue;
                    }
                    Err(at) => break Err(at),
                },
                b'/' | b'#' => {
                    if let Some(end) = self.comment_end(at) {
                        at = end;
                        continue;
                    }
                }
                b'{' if open.brackets.is_empty() && (before == b'}' || at > start && self.begins_record(at)) => {
                    break Ok(at);
                }
                // Only a key is valid here, so the previous record was not closed.
                b'{' if open.brackets.last() == Some(&b'{')
                    && matches!(before, b',' | b'}')
                    && self.begins_record(at) =>
                {
                    break Err(at);
                }
                b'{' | b'[' if open.brackets.len() == DEPTH_MAX => break Err(at),
                b'{' | b'[' => open.push(byte),
                b'}' | b']' => {
                    open.close(byte);
                    if open.brackets.is_empty() && byte == b'}' && bytes[start] == b'{' {
                        object_end.get_or_insert(at + 1);
                    }
                }
                b',' if open.brackets.is_empty() && !self.is_at_member(at + 1) => break Ok(at),
                _ => {}
            }
            if byte.is_ascii() && !is_skipped(byte) {
                before = byte;
            }
            at += 1;
        };
        self.open = open;
        found.map(|end| Element { end, object_end }).map_err(|at| ScanError { scanned: at - start, object_end })
    }

    /// Returns the position after the closing quote of a string; if there is none, fails with the position where the
    /// search ended.
    fn string_end(&self, start: usize) -> Result<usize, usize> {
        let bytes = self.bytes;
        let quote = bytes[start];
        let mut at = start + 1;
        while let Some(found) = bytes.get(at..).and_then(|rest| memchr3(b'"', b'\\', quote, rest)) {
            at += found;
            match bytes[at] {
                // The escaped byte cannot end the string.
                b'\\' => at += 1,
                byte if byte == quote && self.can_close(at) => return Ok(at + 1),
                // This cannot be part of a string: a quote is missing, and another record begins here.
                b'"' if self.record_start_at_key(at).is_some() => return Err(at),
                _ => {}
            }
            at += 1;
        }
        Err(bytes.len())
    }

    /// Returns whether a string can end with this quote, judging by what follows.
    fn can_close(&self, quote: usize) -> bool {
        let next = skip(self.bytes, quote + 1);
        match self.bytes.get(next) {
            None | Some(b',' | b':' | b'}' | b']' | b'#') => true,
            Some(b'/') => matches!(self.bytes.get(next + 1), Some(b'/' | b'*')),
            Some(_) => false,
        }
    }

    /// Returns whether the brace at `at` is followed by a key that records begin with.
    fn begins_record(&self, at: usize) -> bool {
        let rest = self.bytes.get(skip(self.bytes, at + 1)..).unwrap_or_default();
        FIRST_KEYS.iter().copied().chain(self.first_key).any(|key| rest.starts_with(key))
    }

    /// Returns the position of the opening brace, if a record can begin with the key at `quote`.
    fn record_start_at_key(&self, quote: usize) -> Option<usize> {
        let rest = self.bytes.get(quote..)?;
        if !FIRST_KEYS.iter().copied().chain(self.first_key).any(|key| rest.starts_with(key)) {
            return None;
        }
        let brace = skip_back(self.bytes, quote)?;
        let before = skip_back(self.bytes, brace)?;
        (self.bytes[brace] == b'{' && matches!(self.bytes[before], b',' | b'}')).then_some(brace)
    }

    /// Finds the next record after `start` by the keys that records begin with. Returns the position of the comma
    /// before it, of its brace if there is no comma, or of the end of the array.
    fn next_record(&self, start: usize) -> usize {
        let mut at = start + 1;
        while let Some(found) = self.bytes.get(at..).and_then(|rest| memchr(b'"', rest)) {
            let quote = at + found;
            if let Some(brace) = self.record_start_at_key(quote).filter(|brace| *brace > start) {
                let before = skip_back(self.bytes, brace).unwrap_or(start);
                return if self.bytes[before] == b',' { before.max(start) } else { brace };
            }
            at = quote + 1;
        }
        self.bytes.len()
    }

    /// Returns whether there is an object member where an element is expected, which means that the previous object
    /// ended too early.
    fn is_at_member(&self, at: usize) -> bool {
        let key = skip(self.bytes, at);
        if self.bytes.get(key) != Some(&b'"') {
            return false;
        }
        let window = &self.bytes[key..self.bytes.len().min(key + KEY_BYTES_MAX)];
        let end = text_end(window, 0);
        end > 1 && window[end - 1] == b'"' && self.bytes.get(skip(self.bytes, key + end)) == Some(&b':')
    }

    /// Returns the position after the comment that begins at `at`, if there is one.
    fn comment_end(&self, at: usize) -> Option<usize> {
        let bytes = self.bytes;
        let rest = bytes.get(at..)?;
        if rest.starts_with(b"/*") && self.last_comment_end.is_some_and(|last| last >= at + 2) {
            return memmem::find(&rest[2..], b"*/").map(|found| at + 2 + found + 2);
        }
        let is_line = rest.starts_with(b"//") || rest.starts_with(b"#");
        if is_line && self.last_line_end.is_some_and(|last| last > at) {
            return memchr(b'\n', rest).map(|found| at + found + 1);
        }
        None
    }
}

/// Returns whether a string can begin with this quote, judging by the byte before it.
fn can_open(quote: u8, before: u8) -> bool {
    matches!(before, b'{' | b'[' | b',' | b':') || quote == b'"' && matches!(before, b'}' | b']' | b'"')
}

/// Returns whether a byte is whitespace or a control character.
pub(super) fn is_skipped(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7f
}

/// Skips whitespace, control characters and byte order marks.
pub(super) fn skip(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        if is_skipped(*byte) {
            at += 1;
        } else if *byte == 0xef && bytes[at..].starts_with(b"\xef\xbb\xbf") {
            at += 3;
        } else {
            break;
        }
    }
    at
}

/// Returns the position of the last byte before `at` that is not whitespace.
fn skip_back(bytes: &[u8], at: usize) -> Option<usize> {
    bytes[..at].iter().rposition(|byte| !is_blank(*byte))
}
