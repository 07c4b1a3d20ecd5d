//! One response of the engage endpoint: its envelope and its records.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::limits::PAGE_RECORDS_MAX;

use super::profile::{Scratch, push_record};
use super::recover::recover;
use super::rows::{ProfileRows, RecordForm, RowsBuilder};

/// A parsed response. Fields that are missing or invalid are `None`.
#[derive(Debug)]
pub(crate) struct PageBody {
    /// The page number according to the server.
    pub(crate) page: Option<u64>,
    /// The number of profiles in a full page.
    pub(crate) page_size: Option<u64>,
    /// The session that the other pages belong to.
    pub(crate) session_id: Option<String>,
    /// The number of profiles in all pages.
    pub(crate) total: Option<u64>,
    /// The records.
    pub(crate) rows: ProfileRows,
}

/// Parses a response strictly, and if that fails, record by record, so that an invalid record does not affect the
/// others.
///
/// A response is rejected as a whole only if its records cannot be told apart: it is truncated, its brackets do not
/// match, or its end is followed by what may be another response.
///
/// # Errors
/// A sentence that says why this is not a page: not JSON, no `results`, or an error with status 200
/// (`docs/mixpanel-api.md#engage-response`).
pub(crate) fn parse_page(body: &[u8], form: RecordForm) -> Result<PageBody, String> {
    let envelope = match parse_strictly(body, form) {
        Ok(envelope) => envelope,
        Err(strict) => recover(body, form).map_err(|reason| reason.unwrap_or(strict))?,
    };
    if let Some(message) = envelope.error {
        return Err(format!("the reply is an error with status 200: {message}"));
    }
    if let Some(status) = envelope.status.filter(|status| !is_good(status)) {
        return Err(format!("the reply has the status `{}` instead of `ok`", status.escape_debug()));
    }
    if let Some(total) = envelope.impossible_total {
        return Err(format!("the reply announces a total of {total}, which is no number of profiles"));
    }
    if envelope.has_results_twice {
        return Err("the reply has `results` twice".to_owned());
    }
    let mut rows = envelope.rows.ok_or("the reply has no `results`")?;
    rows.note_trailing(envelope.trailing);
    Ok(PageBody {
        page: envelope.page,
        page_size: envelope.page_size.filter(|size| *size > 0),
        session_id: envelope.session_id,
        total: envelope.total,
        rows,
    })
}

fn parse_strictly(body: &[u8], form: RecordForm) -> Result<Envelope, String> {
    let text =
        std::str::from_utf8(body).map_err(|error| format!("the reply is not UTF-8 at byte {}", error.valid_up_to()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    EnvelopeSeed { bytes: text.len(), form }
        .deserialize(&mut deserializer)
        .and_then(|envelope| deserializer.end().map(|()| envelope))
        .map_err(|error| format!("the reply is no page of profiles: {error}"))
}

/// The envelope of a response; members without a usable value are empty.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    page: Option<u64>,
    page_size: Option<u64>,
    session_id: Option<String>,
    total: Option<u64>,
    error: Option<String>,
    /// The response's own status, such as `ok`; a value that is not a string is kept as its raw text.
    status: Option<String>,
    /// The raw text of a total that is a number but not a count.
    impossible_total: Option<String>,
    has_results_twice: bool,
    pub(super) rows: Option<ProfileRows>,
    /// The number of bytes after the end of the envelope.
    pub(super) trailing: usize,
}

impl Envelope {
    /// Records a member; `value` is its raw text.
    pub(super) fn set(&mut self, key: Key, value: &str) {
        match key {
            Key::Page => self.page = read_count(value),
            Key::PageSize => self.page_size = read_count(value),
            Key::Total => {
                self.total = read_count(value);
                let is_none =
                    self.total.is_none() && value != "null" && serde_json::from_str::<IgnoredAny>(value).is_ok();
                self.impossible_total = is_none.then(|| value.chars().take(40).collect());
            }
            Key::SessionId => self.session_id = read_session(value),
            Key::Error => self.error = read_text(value),
            Key::Status => self.status = serde_json::from_str(value).ok().or_else(|| Some(value.to_owned())),
            Key::Results | Key::Other => {}
        }
    }

    /// Adds the members of the other part of the same response. They take precedence.
    pub(super) fn add(&mut self, other: Self) {
        self.page = other.page.or(self.page);
        self.page_size = other.page_size.or(self.page_size);
        self.session_id = other.session_id.or(self.session_id.take());
        self.total = other.total.or(self.total);
        self.error = other.error.or(self.error.take());
        self.status = other.status.or(self.status.take());
        self.impossible_total = other.impossible_total.or(self.impossible_total.take());
        self.trailing += other.trailing;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
pub(super) enum Key {
    Page,
    PageSize,
    SessionId,
    Total,
    Error,
    Status,
    Results,
    #[serde(other)]
    Other,
}

impl Key {
    /// Parses a key, given in its quotes.
    pub(super) fn of(raw: &[u8]) -> Self {
        serde_json::from_slice(raw).unwrap_or(Self::Other)
    }
}

struct EnvelopeSeed {
    bytes: usize,
    form: RecordForm,
}

impl<'de> DeserializeSeed<'de> for EnvelopeSeed {
    type Value = Envelope;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Envelope, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EnvelopeSeed {
    type Value = Envelope;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `results`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope, A::Error> {
        let mut envelope = Envelope::default();
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Results if envelope.rows.is_some() => {
                    envelope.has_results_twice = true;
                    map.next_value::<IgnoredAny>()?;
                }
                Key::Results => {
                    envelope.rows = map.next_value_seed(ResultsSeed { bytes: self.bytes, form: self.form })?;
                }
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
                key => envelope.set(key, map.next_value::<&RawValue>()?.get()),
            }
        }
        Ok(envelope)
    }
}

/// Parses a count: a plain number, a number with a zero fraction or an exponent, or digits in a string. The
/// documentation is vague about the form.
fn read_count(raw: &str) -> Option<u64> {
    let text = raw.trim_matches('"').trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if text.contains(['e', 'E']) {
        let number: f64 = text.parse().ok()?;
        // Beyond 2^53 a float cannot represent every integer.
        let is_count = number.fract() == 0.0 && (0.0..9e15).contains(&number);
        return is_count.then(|| format!("{number:.0}").parse().ok()).flatten();
    }
    if fraction.bytes().any(|digit| digit != b'0') {
        return None;
    }
    whole.parse().ok()
}

/// Returns whether a status means success. Mixpanel documents `ok`; the others are common equivalents.
fn is_good(status: &str) -> bool {
    let good = ["ok", "success", "complete", "completed", "done", "true", "200", "null"];
    // A value that is not JSON still has the quotes that it came in.
    let status = status.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\'' | '"'));
    good.iter().any(|good| status.eq_ignore_ascii_case(good))
}

/// Returns a string's text, or the raw text of any other value. `null`, `false`, 0 and empty values count as missing.
fn read_text(raw: &str) -> Option<String> {
    let text = serde_json::from_str::<String>(raw).unwrap_or_else(|_| raw.to_owned());
    (!matches!(text.as_str(), "" | "null" | "false" | "0" | "[]" | "{}")).then_some(text)
}

/// Parses a session id. One that is not JSON could not be sent back unchanged, so it counts as missing.
fn read_session(raw: &str) -> Option<String> {
    serde_json::from_str::<IgnoredAny>(raw).ok()?;
    read_text(raw).filter(|text| !text.contains(char::REPLACEMENT_CHARACTER))
}

struct ResultsSeed {
    bytes: usize,
    form: RecordForm,
}

impl<'de> DeserializeSeed<'de> for ResultsSeed {
    type Value = Option<ProfileRows>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ResultsSeed {
    type Value = Option<ProfileRows>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`results` to be an array of profiles")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut records: A) -> Result<Self::Value, A::Error> {
        let mut rows = RowsBuilder::with_capacity(self.bytes);
        let mut scratch = Scratch::default();
        let mut count = 0;
        while let Some(record) = records.next_element::<&RawValue>()? {
            count += 1;
            if count > PAGE_RECORDS_MAX {
                return Err(A::Error::custom(format!("it has more than {PAGE_RECORDS_MAX} records")));
            }
            match self.form {
                RecordForm::Row => push_record(&mut rows, record.get(), &mut scratch),
                RecordForm::Raw => rows.push("", record.get(), None),
            }
        }
        Ok(Some(rows.finish()))
    }
}

#[cfg(test)]
#[path = "page_test.rs"]
mod tests;
