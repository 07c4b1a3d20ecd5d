//! One reply of the engage endpoint: its envelope and its records.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::limits::PAGE_RECORDS_MAX;

use super::profile::{Scratch, push_record};
use super::recover::recover;
use super::rows::{ProfileRows, RecordForm, RowsBuilder};

/// A reply, read. Fields that the server left out, or that make no sense, are `None`.
#[derive(Debug)]
pub(crate) struct PageBody {
    /// Which page the server says this is.
    pub(crate) page: Option<u64>,
    /// How many profiles a full page has.
    pub(crate) page_size: Option<u64>,
    /// The session that the other pages belong to.
    pub(crate) session_id: Option<String>,
    /// How many profiles there are in all pages.
    pub(crate) total: Option<u64>,
    /// The records.
    pub(crate) rows: ProfileRows,
}

/// Reads a reply: strictly, and if that fails, record by record, so that what is wrong with one costs no other.
///
/// Only a reply whose records cannot be told apart is no page: one that was cut off, or whose brackets do not match, or one
/// that goes on after its end with what may be another reply.
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

/// What a reply says, as far as it makes sense.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    page: Option<u64>,
    page_size: Option<u64>,
    session_id: Option<String>,
    total: Option<u64>,
    error: Option<String>,
    /// What it says of itself, such as `ok`; a value that is not text as it stands.
    status: Option<String>,
    /// A total that is a number and no count, as it stands.
    impossible_total: Option<String>,
    has_results_twice: bool,
    pub(super) rows: Option<ProfileRows>,
    /// Bytes behind its end.
    pub(super) trailing: usize,
}

impl Envelope {
    /// Notes a member, whose value is given as it stands.
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

    /// Adds what the other part of the same reply says.
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
    /// Reads a key in its quotes.
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

/// A count as a number, as one with a zero fraction or an exponent, or as digits in a string: the documentation is vague
/// on it.
fn read_count(raw: &str) -> Option<u64> {
    let text = raw.trim_matches('"').trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if text.contains(['e', 'E']) {
        let number: f64 = text.parse().ok()?;
        // Beyond 2^53 a float is no count any more.
        let is_count = number.fract() == 0.0 && (0.0..9e15).contains(&number);
        return is_count.then(|| format!("{number:.0}").parse().ok()).flatten();
    }
    if fraction.bytes().any(|digit| digit != b'0') {
        return None;
    }
    whole.parse().ok()
}

/// Whether a page with this status is one. Mixpanel documents `ok`; the others are what servers say for it.
fn is_good(status: &str) -> bool {
    let good = ["ok", "success", "complete", "completed", "done", "true", "200", "null"];
    // A value that is not JSON stands in whatever quotes it came in.
    let status = status.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\'' | '"'));
    good.iter().any(|good| status.eq_ignore_ascii_case(good))
}

/// Text, or what is not text as it stands; `null`, `false`, 0 and what is empty are nothing.
fn read_text(raw: &str) -> Option<String> {
    let text = serde_json::from_str::<String>(raw).unwrap_or_else(|_| raw.to_owned());
    (!matches!(text.as_str(), "" | "null" | "false" | "0" | "[]" | "{}")).then_some(text)
}

/// A session's id. One that is not JSON could not be sent back as it came, so it is none.
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
