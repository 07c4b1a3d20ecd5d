//! One response of the engage endpoint: its envelope and its records.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::limits::PAGE_RECORDS_MAX;
use crate::text::printable;

use super::envelope::{Envelope, Key};
use super::profile::{Scratch, push_record};
use super::reading::Reading;
use super::recover::recover;
use super::rows::{ProfileRows, RecordForm};

/// A parsed response. Fields that are missing or invalid are `None`.
#[derive(Debug)]
pub(crate) struct PageBody {
    /// The page number according to the server.
    pub(crate) page: Option<u64>,
    /// The number of profiles in a full page.
    pub(crate) page_size: Option<u64>,
    /// The session that the remaining pages belong to.
    pub(crate) session_id: Option<String>,
    /// The total number of profiles across all pages.
    pub(crate) total: Option<u64>,
    /// The records.
    pub(crate) rows: ProfileRows,
}

/// Parses a response strictly or, if that fails, record by record, so that an invalid record does not affect the
/// others.
///
/// A response is rejected as a whole only if its records cannot be told apart: it is truncated, its brackets do not
/// match, or the text after its end may be another response.
///
/// If `reading` has rules for properties, neither the result nor an error contains a value that they drop or hash.
///
/// # Errors
/// A message that explains why this is not a page: not JSON, no `results`, or an error with status 200
/// (`docs/mixpanel-api.md#engage-response`).
pub(crate) fn parse_page(body: &[u8], reading: impl Into<Reading>) -> Result<PageBody, String> {
    let reading = reading.into();
    let envelope = match parse_strictly(body, &reading) {
        Ok(envelope) => envelope,
        Err(strict) => recover(body, &reading).map_err(|reason| reason.unwrap_or(strict))?,
    };
    if let Some(message) = envelope.error {
        return Err(format!("the response is an error with status 200: {message}"));
    }
    if let Some(status) = envelope.status.filter(|status| !is_good(status)) {
        return Err(format!("the response has the status `{}` instead of `ok`", printable(&status)));
    }
    if let Some(total) = envelope.invalid_total {
        return Err(format!("the response announces an invalid total of {total}"));
    }
    if envelope.has_results_twice {
        return Err("the response has `results` twice".to_owned());
    }
    let mut rows = envelope.rows.ok_or("the response has no `results`")?;
    rows.note_trailing(envelope.trailing);
    Ok(PageBody {
        page: envelope.page,
        page_size: envelope.page_size.filter(|size| *size > 0),
        session_id: envelope.session_id,
        total: envelope.total,
        rows,
    })
}

fn parse_strictly(body: &[u8], reading: &Reading) -> Result<Envelope, String> {
    let text = std::str::from_utf8(body)
        .map_err(|error| format!("the response is not UTF-8 at byte {}", error.valid_up_to()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    EnvelopeSeed { bytes: text.len(), reading }
        .deserialize(&mut deserializer)
        .and_then(|envelope| deserializer.end().map(|()| envelope))
        .map_err(|error| format!("the response is not a page of profiles: {}", shown(&error, reading)))
}

/// Returns the text of an error. One about a value quotes it, which is withheld if there are rules for properties.
fn shown(error: &serde_json::Error, reading: &Reading) -> String {
    if reading.rules.is_none() || !error.is_data() {
        return error.to_string();
    }
    format!("it has another structure, at line {} column {}", error.line(), error.column())
}

struct EnvelopeSeed<'a> {
    bytes: usize,
    reading: &'a Reading,
}

impl<'de> DeserializeSeed<'de> for EnvelopeSeed<'_> {
    type Value = Envelope;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Envelope, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EnvelopeSeed<'_> {
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
                    envelope.rows = map.next_value_seed(ResultsSeed { bytes: self.bytes, reading: self.reading })?;
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

/// Returns whether a status means success. Mixpanel documents `ok`; the others are common equivalents.
fn is_good(status: &str) -> bool {
    let good = ["ok", "success", "complete", "completed", "done", "true", "200", "null"];
    // A value that is not valid JSON still has its original quotes.
    let status = status.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\'' | '"'));
    good.iter().any(|good| status.eq_ignore_ascii_case(good))
}

struct ResultsSeed<'a> {
    bytes: usize,
    reading: &'a Reading,
}

impl<'de> DeserializeSeed<'de> for ResultsSeed<'_> {
    type Value = Option<ProfileRows>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ResultsSeed<'_> {
    type Value = Option<ProfileRows>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`results` to be an array of profiles")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut records: A) -> Result<Self::Value, A::Error> {
        let mut rows = self.reading.rows(self.bytes);
        let mut scratch = Scratch::new(self.reading);
        let mut count = 0;
        while let Some(record) = records.next_element::<&RawValue>()? {
            count += 1;
            if count > PAGE_RECORDS_MAX {
                return Err(A::Error::custom(format!("it has more than {PAGE_RECORDS_MAX} records")));
            }
            match self.reading.form {
                RecordForm::Row => push_record(&mut rows, record.get(), &mut scratch),
                RecordForm::Raw => rows.push("", record.get(), None),
            }
        }
        scratch.note_matched(&mut rows);
        Ok(Some(rows.finish()))
    }
}

#[cfg(test)]
mod tests;
