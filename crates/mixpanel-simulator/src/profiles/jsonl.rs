//! Reads records from a JSONL file, one per line.

use std::collections::BTreeMap;
use std::io::BufRead;

use serde_json::value::RawValue;
use thiserror::Error;

use super::write::push;

/// Profiles read from JSONL, stored as the JSON text that the API sends.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Records {
    text: Vec<u8>,
    ends: Vec<usize>,
}

/// An error in reading a JSONL file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecordsError {
    /// The file could not be read.
    #[error("could not read line {line}")]
    Read {
        /// The line number, counted from 1.
        line: u64,
        /// The I/O error.
        source: std::io::Error,
    },
    /// A line is not a profile.
    #[error("line {line}: {reason}")]
    Line {
        /// The line number, counted from 1.
        line: u64,
        /// What is wrong, and what is accepted.
        reason: String,
    },
}

impl Records {
    /// Reads one record per line. Skips empty lines and byte order marks. Lines may end in CRLF, and the last line
    /// needs no line ending.
    ///
    /// Each line has one of two formats. A line in the format of the Engage API,
    /// `{"$distinct_id": ..., "$properties": {...}}`, is served byte for byte. A line in the format of
    /// `mp fetch profiles --stdout`, `{"distinct_id": ..., "properties": {...}, "last_seen": ...}`, is converted to
    /// the first format. The conversion strips a trailing `Z` or `+00:00` from `last_seen`, because the API sends
    /// times without a zone (`docs/mixpanel-api.md#records`).
    ///
    /// # Errors
    ///
    /// Returns an error with the line number if reading fails, or if a line is not UTF-8, is not JSON or has neither
    /// format. Compressed and UTF-16 files get an error of their own.
    pub fn read(mut reader: impl BufRead) -> Result<Self, RecordsError> {
        let mut records = Self::default();
        let mut bytes = Vec::new();
        for line in 1.. {
            bytes.clear();
            let read = reader.read_until(b'\n', &mut bytes).map_err(|source| RecordsError::Read { line, source })?;
            if read == 0 {
                break;
            }
            let failed = |reason: String| RecordsError::Line { line, reason };
            if let Some(reason) = other_format(&bytes).filter(|_| line == 1) {
                return Err(failed(reason.to_owned()));
            }
            let text = std::str::from_utf8(&bytes)
                .map_err(|error| failed(format!("not UTF-8 at byte {}", error.valid_up_to())))?;
            let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
            if !text.is_empty() {
                records.push_line(text).map_err(failed)?;
            }
        }
        Ok(records)
    }

    /// Returns the number of records.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(super) fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start..self.ends[index]]
    }

    fn push_line(&mut self, line: &str) -> Result<(), String> {
        if line.starts_with('[') {
            return Err("not a profile but an array; JSON lines have one record per line".to_owned());
        }
        let form: Form<'_> = serde_json::from_str(line).map_err(|error| format!("not a profile: {error}"))?;
        if form.api_id.is_some() || form.api_properties.is_some() {
            push(&mut self.text, line);
        } else if let (Some(id), Some(properties)) = (form.id, form.properties) {
            let members = properties.get().trim().strip_prefix('{').and_then(|text| text.strip_suffix('}'));
            let members = members.ok_or("\"properties\" is not an object")?.trim();
            push(&mut self.text, "{\"$distinct_id\":");
            push(&mut self.text, id.get());
            push(&mut self.text, ",\"$properties\":{");
            push(&mut self.text, members);
            // `mp` leaves `$last_seen` in the properties if it does not have the usual format.
            let has_last_seen = members.contains("last_seen\"") && {
                let members: BTreeMap<String, &RawValue> = serde_json::from_str(properties.get())
                    .map_err(|error| format!("\"properties\" is not an object: {error}"))?;
                members.contains_key("$last_seen")
            };
            if let Some(last_seen) = form.last_seen.filter(|_| !has_last_seen) {
                push(&mut self.text, if members.is_empty() { "\"$last_seen\":" } else { ",\"$last_seen\":" });
                push(&mut self.text, &without_zone(last_seen.get()));
            }
            push(&mut self.text, "}}");
        } else {
            return Err(
                "neither {\"$distinct_id\", \"$properties\"} nor {\"distinct_id\", \"properties\", \"last_seen\"}"
                    .to_owned(),
            );
        }
        self.ends.push(self.text.len());
        Ok(())
    }
}

#[derive(serde::Deserialize)]
struct Form<'a> {
    #[serde(rename = "$distinct_id", borrow)]
    api_id: Option<&'a RawValue>,
    #[serde(rename = "$properties", borrow)]
    api_properties: Option<&'a RawValue>,
    #[serde(rename = "distinct_id", borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    properties: Option<&'a RawValue>,
    #[serde(borrow)]
    last_seen: Option<&'a RawValue>,
}

/// Recognizes compressed and UTF-16 files by their first bytes.
fn other_format(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x1f, 0x8b, ..] => Some("the file is compressed with gzip; pipe it through `gunzip -c` and read `-`"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            Some("the file is compressed with zstd; pipe it through `zstd -dc` and read `-`")
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, b'{', ..] | [b'{', 0, ..] => {
            Some("the file is UTF-16; save it as UTF-8")
        }
        _ => None,
    }
}

fn without_zone(last_seen: &str) -> String {
    let text = last_seen.strip_suffix("Z\"").or_else(|| last_seen.strip_suffix("+00:00\""));
    text.map_or_else(|| last_seen.to_owned(), |text| format!("{text}\"").replacen(' ', "T", 1))
}
