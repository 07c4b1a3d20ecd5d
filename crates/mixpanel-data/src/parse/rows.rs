//! The rows of one page, as the columns that the stage stores.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray};
use arrow::array::{TimestampMicrosecondBuilder, builder::ArrayBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::catalog::Catalog;
use super::collector::Collector;
use super::unstored::Unstored;
use crate::limits::{PAGE_BYTES_MAX, REJECT_BYTES_MAX};

/// The form in which received records are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecordForm {
    /// As a row of the table: `{"distinct_id": …, "last_seen": …, "properties": {…}}` when streamed.
    #[default]
    Row,
    /// As the API sent it: `$last_seen` stays in the properties, and only invalid JSON is rejected.
    Raw,
}

/// One profile, ready for the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProfileRow<'a> {
    /// The profile's id, as text; a numeric id keeps its digits as sent.
    pub distinct_id: &'a str,
    /// The properties as received, byte for byte. `$last_seen` is removed if it occurs once and has the form
    /// `YYYY-MM-DDTHH:MM:SS`, which `last_seen` represents exactly; otherwise it stays in the properties as well.
    pub properties: &'a str,
    /// When the profile was last updated, in microseconds since 1970 in UTC; `None` if `$last_seen` is missing or not
    /// a time.
    pub last_seen: Option<i64>,
}

impl<'a> ProfileRow<'a> {
    /// Returns the record's id or, for a raw record, its text, which includes the id.
    pub(crate) fn identity(self) -> &'a str {
        if self.distinct_id.is_empty() { self.properties } else { self.distinct_id }
    }
}

/// A record that cannot become a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Its zero-based position among all records of the page.
    pub position: u32,
    /// The reason, as a lowercase fragment.
    pub reason: String,
    /// The record as received. If properties are dropped or hashed, so they are here; a record to which that cannot be
    /// applied is withheld: this is then empty, and `reason` says so.
    ///
    /// In a record that is not UTF-8 (`reason` begins with `not UTF-8`), non-ASCII bytes and backslashes are escaped as
    /// `\xNN`; all other bytes are unchanged. This is DuckDB's text form of a BLOB, so `raw::BLOB` returns the original
    /// bytes.
    ///
    /// A very long record is truncated to [`REJECT_BYTES_MAX`](crate::limits::REJECT_BYTES_MAX) bytes; `reason` then
    /// states its full length.
    pub raw: String,
}

impl Reject {
    /// Creates a reject whose text takes at most `room` bytes.
    fn new(position: u32, reason: String, raw: &[u8], room: usize) -> Self {
        Self::of_part(position, reason, raw, raw.len() as u64, room)
    }

    /// Creates a reject of a record of `bytes` bytes, of which `raw` is the beginning.
    pub(super) fn of_part(position: u32, mut reason: String, raw: &[u8], bytes: u64, room: usize) -> Self {
        let (text, kept) = match std::str::from_utf8(raw) {
            Ok(text) => {
                let kept = text.floor_char_boundary(room);
                (text[..kept].to_owned(), kept)
            }
            Err(_) => escape(raw, room),
        };
        if (kept as u64) < bytes {
            let _ = write!(reason, "; only the first {kept} of {bytes} bytes are kept");
        }
        Self { position, reason, raw: text }
    }
}

/// Escapes bytes in DuckDB's text form of a BLOB, up to `room` bytes of text. Returns the text and the number of bytes
/// that fit.
fn escape(raw: &[u8], room: usize) -> (String, usize) {
    let mut text = String::with_capacity(raw.len().min(room));
    for (index, byte) in raw.iter().enumerate() {
        if text.len() + 4 > room {
            return (text, index);
        }
        if byte.is_ascii() && *byte != b'\\' {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "\\x{byte:02X}");
        }
    }
    (text, raw.len())
}

/// The profiles of one page in the order received, and the rejected records.
#[derive(Debug, Clone)]
pub struct ProfileRows {
    distinct_ids: StringArray,
    properties: StringArray,
    last_seen: TimestampMicrosecondArray,
    rejects: Vec<Reject>,
    unstored: Unstored,
    catalog: Catalog,
    /// The sum of the hashes of withheld records, for the fingerprint of the page.
    withheld: u64,
}

impl ProfileRows {
    /// Returns the number of rows, excluding rejects.
    #[must_use]
    pub fn len(&self) -> usize {
        self.distinct_ids.len()
    }

    /// Returns whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the records that cannot become rows.
    #[must_use]
    pub fn rejects(&self) -> &[Reject] {
        &self.rejects
    }

    /// Returns the received data that is not stored: everything except the ids and properties of the records.
    #[must_use]
    pub fn unstored(&self) -> &Unstored {
        &self.unstored
    }

    /// Returns the sum of the hashes of withheld records. 0 for rows read from a stage.
    pub(super) fn withheld(&self) -> u64 {
        self.withheld
    }

    /// Returns the catalog of the rows' properties. Empty for raw records, and for rows read from a stage.
    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Records that `bytes` bytes followed the end of the page.
    pub(super) fn note_trailing(&mut self, bytes: usize) {
        self.unstored.note_trailing(bytes);
    }

    /// Returns the number of records in the page: rows and rejects.
    #[must_use]
    pub fn received(&self) -> usize {
        self.len() + self.rejects.len()
    }

    /// Keeps only the first `records` records.
    pub(crate) fn truncate(&mut self, records: usize) {
        self.rejects.retain(|reject| usize::try_from(reject.position).is_ok_and(|position| position < records));
        let rows = records.saturating_sub(self.rejects.len()).min(self.len());
        self.distinct_ids = self.distinct_ids.slice(0, rows);
        self.properties = self.properties.slice(0, rows);
        self.last_seen = self.last_seen.slice(0, rows);
        if self.catalog.profiles > 0 {
            let mut collector = Collector::new();
            self.iter().for_each(|row| collector.profile(row.properties));
            self.catalog = collector.finish();
        }
    }

    /// Returns the rows in the order received.
    pub fn iter(&self) -> impl Iterator<Item = ProfileRow<'_>> {
        (0..self.len()).map(|index| ProfileRow {
            distinct_id: self.distinct_ids.value(index),
            properties: self.properties.value(index),
            last_seen: self.last_seen.is_valid(index).then(|| self.last_seen.value(index)),
        })
    }

    /// Returns the Arrow schema of a staged page: `distinct_id`, `properties`, `last_seen`.
    pub(crate) fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("distinct_id", DataType::Utf8, false),
            Field::new("properties", DataType::Utf8, false),
            Field::new("last_seen", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        ]))
    }

    /// Returns the rows as one record batch, without copying.
    pub(crate) fn to_record_batch(&self) -> RecordBatch {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.distinct_ids.clone()),
            Arc::new(self.properties.clone()),
            Arc::new(self.last_seen.clone()),
        ];
        RecordBatch::try_new(Self::schema(), columns).expect("the columns are built with this schema's types")
    }

    /// Reverses [`to_record_batch`](Self::to_record_batch). Returns `None` if columns are missing or have other types.
    pub(crate) fn from_record_batch(batch: &RecordBatch) -> Option<Self> {
        Some(Self {
            distinct_ids: batch.column_by_name("distinct_id")?.as_any().downcast_ref::<StringArray>()?.clone(),
            properties: batch.column_by_name("properties")?.as_any().downcast_ref::<StringArray>()?.clone(),
            last_seen: batch.column_by_name("last_seen")?.as_any().downcast_ref::<TimestampMicrosecondArray>()?.clone(),
            rejects: Vec::new(),
            unstored: Unstored::default(),
            catalog: Catalog::default(),
            withheld: 0,
        })
    }
}

/// Builder for [`ProfileRows`].
pub(super) struct RowsBuilder {
    distinct_ids: StringBuilder,
    properties: StringBuilder,
    last_seen: TimestampMicrosecondBuilder,
    rejects: Vec<Reject>,
    reject_room: usize,
    unstored: Unstored,
    collector: Collector,
    /// The sum of the hashes of withheld records; `None` if records are kept as received.
    withheld: Option<u64>,
}

impl RowsBuilder {
    /// Creates a builder with space for a response body of `bytes` bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        let rows = bytes / 800 + 1;
        Self {
            distinct_ids: StringBuilder::with_capacity(rows, rows * 32),
            properties: StringBuilder::with_capacity(rows, bytes),
            last_seen: TimestampMicrosecondBuilder::with_capacity(rows),
            rejects: Vec::new(),
            reject_room: PAGE_BYTES_MAX,
            unstored: Unstored::default(),
            collector: Collector::new(),
            withheld: None,
        }
    }

    /// Withholds the records that [`reject_as_received`](Self::reject_as_received) gets.
    pub(super) fn withholding(self) -> Self {
        Self { withheld: Some(0), ..self }
    }

    /// Returns the number of records appended.
    pub(super) fn received(&self) -> usize {
        self.distinct_ids.len() + self.rejects.len()
    }

    /// Records the names of a record's members that are not stored.
    pub(super) fn note_unstored(&mut self, names: &[&str]) {
        self.unstored.note_record(names);
    }

    /// Returns the received data that is not stored.
    pub(super) fn unstored(&mut self) -> &mut Unstored {
        &mut self.unstored
    }

    /// Returns the collector of the rows' properties.
    pub(super) fn collector(&mut self) -> &mut Collector {
        &mut self.collector
    }

    /// Appends a row.
    pub(super) fn push(&mut self, distinct_id: &str, properties: &str, last_seen: Option<i64>) {
        self.distinct_ids.append_value(distinct_id);
        self.properties.append_value(properties);
        self.last_seen.append_option(last_seen);
    }

    /// Appends a record that cannot become a row, given as received. If records are withheld, only the reason is kept.
    pub(super) fn reject_as_received(&mut self, reason: String, raw: &[u8]) {
        let Some(withheld) = &mut self.withheld else { return self.reject(reason, raw) };
        let mut hasher = DefaultHasher::new();
        raw.hash(&mut hasher);
        *withheld = withheld.wrapping_add(hasher.finish());
        let why = if raw.is_empty() { "" } else { "; withheld, because properties are dropped or hashed" };
        self.reject(format!("{reason}{why}"), b"");
    }

    /// Appends a record that cannot become a row.
    pub(super) fn reject(&mut self, reason: String, raw: &[u8]) {
        let position = u32::try_from(self.received()).unwrap_or(u32::MAX);
        let reject = Reject::new(position, reason, raw, self.reject_room.min(REJECT_BYTES_MAX));
        self.reject_room -= reject.raw.len();
        self.rejects.push(reject);
    }

    /// Returns the collected rows.
    pub(super) fn finish(mut self) -> ProfileRows {
        ProfileRows {
            distinct_ids: self.distinct_ids.finish(),
            properties: self.properties.finish(),
            last_seen: self.last_seen.finish(),
            rejects: self.rejects,
            unstored: self.unstored,
            catalog: self.collector.finish(),
            withheld: self.withheld.unwrap_or(0),
        }
    }
}
