//! Recovers the records of a response that is not valid JSON, if they can be told apart.
//!
//! A record is the text between two commas in `results`. As in a JavaScript array, empty text between two commas is a
//! record, and a trailing comma does not add one. Text that follows a complete record and cannot be part of it becomes
//! a separate record. Where brackets and quotes are too broken to tell two records apart, both become one reject that
//! holds their text.

use serde_json::value::RawValue;

use super::envelope::{Envelope, Key};
use super::object::{text_end, value_end};
use super::profile::{Scratch, push_record};
use super::reading::Reading;
use super::rows::{ProfileRows, RecordForm, RowsBuilder};
use super::scan::{FIRST_KEYS, Scanner, is_skipped, skip};
use crate::limits::PAGE_RECORDS_MAX;

/// Limits of the backward search for the end of `results`, in closing brackets and in bytes.
const TAIL_BRACKETS_MAX: usize = 64;
const TAIL_BYTES_MAX: usize = 1 << 20;

/// The maximum number of closing brackets to check for a response that follows.
const NEXT_RESPONSE_CHECKS_MAX: usize = 64;

/// Parses a response that is not valid JSON but has a recognizable envelope. Malformed records become rejects.
///
/// # Errors
/// The reason why the response cannot be read; `None` if the error of the strict parser applies.
pub(super) fn recover(body: &[u8], reading: &Reading) -> Result<Envelope, Option<String>> {
    let mut envelope = Envelope::default();
    let start = skip(body, 0);
    if body.get(start) != Some(&b'{') {
        return Err(None);
    }
    let results = match read_members(body, start + 1, &mut envelope).ok_or(None)? {
        Stop::Results(bracket) => bracket + 1,
        Stop::End(end) => {
            envelope.trailing = trailing(body, end).ok_or(None)?;
            return Ok(envelope);
        }
    };
    let (end, tail) = find_end(body, results).ok_or(None)?;
    envelope.add(tail);
    envelope.rows = Some(read_records(&body[results..end], reading)?);
    Ok(envelope)
}

/// Where parsing the members of the envelope stopped.
enum Stop {
    /// At the bracket that opens `results`.
    Results(usize),
    /// After the brace that closes the envelope.
    End(usize),
}

/// Parses the members of the envelope, starting at `at`. Returns `None` if they are malformed.
fn read_members(body: &[u8], mut at: usize, envelope: &mut Envelope) -> Option<Stop> {
    loop {
        at = skip(body, at);
        match body.get(at)? {
            b',' => at += 1,
            b'}' => return Some(Stop::End(at + 1)),
            b'"' => {
                let key_end = text_end(body, at);
                let key = Key::of(&body[at..key_end]);
                let colon = skip(body, key_end);
                if body.get(colon) != Some(&b':') {
                    return None;
                }
                let value = skip(body, colon + 1);
                if key == Key::Results {
                    return (body.get(value) == Some(&b'[')).then_some(Stop::Results(value));
                }
                at = value_end(body, value);
                let ends_as_it_begins = match body.get(value)? {
                    b'{' => body[at - 1] == b'}',
                    b'[' => body[at - 1] == b']',
                    _ => at > value,
                };
                if !ends_as_it_begins {
                    return None;
                }
                envelope.set(key, &String::from_utf8_lossy(&body[value..at]));
            }
            _ => return None,
        }
    }
}

/// Searches the end of the response for the bracket that closes `results`: the earliest one followed only by the rest
/// of an envelope. Returns its position and the rest of the envelope.
fn find_end(body: &[u8], results: usize) -> Option<(usize, Envelope)> {
    // The last record contains this key, so the closing bracket is after it.
    let last_key = FIRST_KEYS.iter().filter_map(|key| memchr::memmem::rfind(body, key)).max().unwrap_or(0);
    let from = results.max(last_key).max(body.len().saturating_sub(TAIL_BYTES_MAX));
    let mut found = None;
    for bracket in memchr::memrchr_iter(b']', &body[from..]).take(TAIL_BRACKETS_MAX) {
        let mut envelope = Envelope::default();
        if let Some(Stop::End(end)) = read_members(body, from + bracket + 1, &mut envelope)
            && let Some(bytes) = trailing(body, end)
        {
            envelope.trailing = bytes;
            found = Some((from + bracket, envelope));
        }
    }
    found
}

/// Returns the number of bytes after the envelope, or `None` if they may be another response, which must not be lost.
fn trailing(body: &[u8], end: usize) -> Option<usize> {
    let rest = &body[skip(body, end)..];
    let has_brackets = rest.iter().any(|byte| matches!(byte, b'{' | b'}' | b'[' | b']'));
    (!has_brackets).then_some(rest.len())
}

/// Parses the records in the text between the brackets of `results`.
///
/// # Errors
/// A reason if the page has too many records; `None` if the text holds the records of two responses.
fn read_records(text: &[u8], reading: &Reading) -> Result<ProfileRows, Option<String>> {
    let mut records = Records { rows: reading.rows(text.len()), scratch: Scratch::new(reading), form: reading.form };
    let mut scanner = Scanner::new(text);
    let mut looks_left = NEXT_RESPONSE_CHECKS_MAX;
    let mut at = scanner.skip_blank(0);
    while at < text.len() {
        if records.rows.received() == PAGE_RECORDS_MAX {
            return Err(Some(format!("the response has more than {PAGE_RECORDS_MAX} records")));
        }
        if text[at] == b',' {
            records.rows.reject("there is nothing between two commas".to_owned(), b"");
            at = scanner.skip_blank(at + 1);
            continue;
        }
        let element = scanner.element(at);
        let behind = element.object_end.map_or(at, |end| scanner.skip_blank(end));
        if text.get(behind) == Some(&b']') && looks_left > 0 {
            looks_left -= 1;
            if precedes_another_response(text, behind) {
                return Err(None);
            }
        }
        records.read(&text[at..element.end], element.object_end.map(|end| end - at));
        at = scanner.skip_blank(element.end);
        if text.get(at) == Some(&b',') {
            at = scanner.skip_blank(at + 1);
        }
    }
    records.scratch.note_matched(&mut records.rows);
    Ok(records.rows.finish())
}

/// Returns whether the bracket ends the `results` of a response that is followed by another one.
fn precedes_another_response(text: &[u8], bracket: usize) -> bool {
    let stop = read_members(text, bracket + 1, &mut Envelope::default());
    matches!(stop, Some(Stop::End(end)) if text.get(skip(text, end)) == Some(&b'{'))
}

struct Records {
    rows: RowsBuilder,
    scratch: Scratch,
    form: RecordForm,
}

impl Records {
    /// Parses one element. `object_end` is the end of the object that it begins with, if any.
    fn read(&mut self, text: &[u8], object_end: Option<usize>) {
        let blank_bytes = text.iter().rev().take_while(|byte| is_skipped(**byte)).count();
        let text = &text[..text.len() - blank_bytes];
        match (strict(text), object_end) {
            (Ok(record), _) => self.push(record),
            (Err(reason), Some(end)) if end < text.len() => {
                let (object, rest) = text.split_at(end);
                match strict(object) {
                    Ok(record) if is_unrelated_to(record, rest) => {
                        self.push(record);
                        let rest = &rest[skip(rest, 0)..];
                        let rest = rest.strip_prefix(b",").unwrap_or(rest);
                        let rest = &rest[skip(rest, 0)..];
                        self.rows.reject_as_received("not JSON: it follows a whole record".to_owned(), rest);
                    }
                    _ => self.rows.reject_as_received(reason, text),
                }
            }
            (Err(reason), _) => self.rows.reject_as_received(reason, text),
        }
    }

    fn push(&mut self, record: &str) {
        match self.form {
            RecordForm::Row => push_record(&mut self.rows, record, &mut self.scratch),
            RecordForm::Raw => self.rows.push("", record, None),
        }
    }
}

/// Returns whether the text after a record cannot be part of it: it has no JSON punctuation, or it repeats a key of the
/// record.
fn is_unrelated_to(record: &str, rest: &[u8]) -> bool {
    let has_structure = rest.iter().any(|byte| matches!(byte, b'{' | b'}' | b'[' | b']' | b'"' | b'\'' | b':' | b','));
    let has = |text: &[u8], key: &[u8]| memchr::memmem::find(text, key).is_some();
    !has_structure || FIRST_KEYS.iter().any(|key| has(rest, key) && has(record.as_bytes(), key))
}

/// Returns the text of a record, or the reason why it is not valid JSON.
fn strict(record: &[u8]) -> Result<&str, String> {
    let text = std::str::from_utf8(record).map_err(|error| {
        let at = error.valid_up_to();
        format!("not UTF-8 at byte {at} (0x{:02X}); `raw::BLOB` has the bytes", record[at])
    })?;
    let value: &RawValue = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    Ok(value.get())
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod testing;
