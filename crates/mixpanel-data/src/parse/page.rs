//! One reply of the engage endpoint: its envelope and its records.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::limits::PAGE_RECORDS_MAX;

use super::profile::{Scratch, push_record};
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

/// Reads a reply.
///
/// # Errors
/// A sentence that says why this is no page: not JSON, no `results`, or an error that came with status 200
/// (API facts 2.4).
pub(crate) fn parse_page(body: &str, form: RecordForm) -> Result<PageBody, String> {
    let text = body.strip_prefix('\u{feff}').unwrap_or(body);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let envelope = EnvelopeSeed { bytes: text.len(), form }
        .deserialize(&mut deserializer)
        .and_then(|envelope| deserializer.end().map(|()| envelope))
        .map_err(|error| format!("the reply is no page of profiles: {error}"))?;
    if let Some(message) = envelope.error {
        return Err(format!("the reply is an error with status 200: {message}"));
    }
    let rows = envelope.rows.ok_or("the reply has no `results`")?;
    Ok(PageBody {
        page: envelope.page,
        page_size: envelope.page_size.filter(|size| *size > 0),
        session_id: envelope.session_id,
        total: envelope.total,
        rows,
    })
}

#[derive(Default)]
struct Envelope {
    page: Option<u64>,
    page_size: Option<u64>,
    session_id: Option<String>,
    total: Option<u64>,
    error: Option<String>,
    rows: Option<ProfileRows>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Page,
    PageSize,
    SessionId,
    Total,
    Error,
    Results,
    #[serde(other)]
    Other,
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
                Key::Page => envelope.page = read_count(map.next_value()?),
                Key::PageSize => envelope.page_size = read_count(map.next_value()?),
                Key::Total => envelope.total = read_count(map.next_value()?),
                Key::SessionId => envelope.session_id = read_text(map.next_value()?),
                Key::Error => envelope.error = read_text(map.next_value()?),
                Key::Results if envelope.rows.is_some() => return Err(A::Error::duplicate_field("results")),
                Key::Results => {
                    envelope.rows = map.next_value_seed(ResultsSeed { bytes: self.bytes, form: self.form })?;
                }
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(envelope)
    }
}

/// A count as a number, as a number with a zero fraction, or as digits in a string: the documentation is vague on it.
fn read_count(raw: &RawValue) -> Option<u64> {
    let text = raw.get().trim_matches('"');
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.bytes().any(|digit| digit != b'0') {
        return None;
    }
    whole.parse().ok()
}

/// Text, or what is not text as it stands; `null`, `false` and the empty string are nothing.
fn read_text(raw: &RawValue) -> Option<String> {
    let text = serde_json::from_str::<String>(raw.get()).unwrap_or_else(|_| raw.get().to_owned());
    (!matches!(text.as_str(), "" | "null" | "false")).then_some(text)
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
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<PageBody, String> {
        parse_page(body, RecordForm::Row)
    }

    #[test]
    fn reads_the_documented_reply() {
        let body = r#"{"page":2,"page_size":1000,"session_id":"1790012345-QZKRWT","status":"ok","total":2345,
            "computed_at":"x","results":[{"$distinct_id":"a","$properties":{"k":1}},{"$distinct_id":10042}]}"#;
        let page = parse(body).unwrap();
        assert_eq!((page.page, page.page_size, page.total), (Some(2), Some(1000), Some(2345)));
        assert_eq!(page.session_id.as_deref(), Some("1790012345-QZKRWT"));
        let ids: Vec<_> = page.rows.iter().map(|row| row.distinct_id.to_owned()).collect();
        assert_eq!(ids, ["a", "10042"]);
    }

    #[test]
    fn tolerates_odd_counts() {
        for (value, expected) in [("5", Some(5)), ("5.0", Some(5)), ("\"5\"", Some(5)), ("5.5", None), ("-1", None)] {
            let page = parse(&format!(r#"{{"total":{value},"results":[]}}"#)).unwrap();
            assert_eq!(page.total, expected, "{value}");
        }
        let page = parse(r#"{"page_size":0,"session_id":null,"total":null,"results":[]}"#).unwrap();
        assert_eq!((page.page_size, page.session_id, page.total), (None, None, None));
    }

    #[test]
    fn one_bad_record_takes_no_neighbour_along() {
        let body =
            "{\"results\":[{\"$distinct_id\":\"a\"},null,[],{\"$distinct_id\":\"\\ud800\"},{\"$distinct_id\":\"b\"}]}";
        let page = parse(body).unwrap();
        assert_eq!((page.rows.len(), page.rows.rejects().len(), page.rows.received()), (2, 3, 5));
        let positions: Vec<_> = page.rows.rejects().iter().map(|reject| reject.position).collect();
        assert_eq!(positions, [1, 2, 3]);
    }

    #[test]
    fn raw_records_are_kept_as_they_are() {
        let page = parse_page("{\"results\":[{\"$distinct_id\": \"a\"},null]}", RecordForm::Raw).unwrap();
        let records: Vec<_> = page.rows.iter().map(|row| row.properties.to_owned()).collect();
        assert_eq!(records, [r#"{"$distinct_id": "a"}"#, "null"]);
    }

    #[test]
    fn says_why_a_reply_is_no_page() {
        for (body, part) in [
            ("", "EOF"),
            ("<html>", "expected value"),
            ("[]", "an object with `results`"),
            (r#"{"status":"ok"}"#, "no `results`"),
            (r#"{"results":null}"#, "no `results`"),
            (r#"{"results":{}}"#, "an array of profiles"),
            (r#"{"error":"no such thing"}"#, "no such thing"),
            (r#"{"results":[],"results":[]}"#, "duplicate field"),
            (r#"{"results":[]} x"#, "trailing characters"),
            (r#"{"results":[{"a":NaN}]}"#, "expected value"),
            (&format!(r#"{{"results":[{}[]]}}"#, "[],".repeat(PAGE_RECORDS_MAX)), "more than 200000 records"),
        ] {
            let error = parse(body).unwrap_err();
            assert!(error.contains(part), "{body}: {error}");
        }
    }

    #[test]
    fn deep_nesting_is_no_danger() {
        let deep = format!(
            r#"{{"results":[{{"$distinct_id":"a","$properties":{{"k":{}{}}}}}]}}"#,
            "[".repeat(200_000),
            "]".repeat(200_000)
        );
        assert_eq!(parse(&deep).unwrap().rows.received(), 1);
    }
}
