//! The rows of one page, column by column, as they go into the stage.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray};
use arrow::array::{TimestampMicrosecondBuilder, builder::ArrayBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// How a received record is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecordForm {
    /// As the table has it: `{"distinct_id": …, "last_seen": …, "properties": {…}}` when streamed.
    #[default]
    Row,
    /// As the API sent it; nothing is lifted out and nothing is rejected.
    Raw,
}

/// One profile, ready for the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProfileRow<'a> {
    /// The profile's id, as text; a numeric id is its digits as sent.
    pub distinct_id: &'a str,
    /// The properties as received, byte for byte, less a `$last_seen` that could be read as a time.
    pub properties: &'a str,
    /// When the profile was last updated, in microseconds since 1970 in UTC.
    pub last_seen: Option<i64>,
}

/// A record that cannot be a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Its position in the page, counted from 0 over all records received.
    pub position: u32,
    /// Why, as a lowercase fragment.
    pub reason: String,
    /// The record as received.
    pub raw: String,
}

/// The profiles of one page in the order received, and the records that cannot be rows.
#[derive(Debug, Clone)]
pub struct ProfileRows {
    distinct_ids: StringArray,
    properties: StringArray,
    last_seen: TimestampMicrosecondArray,
    rejects: Vec<Reject>,
}

impl ProfileRows {
    /// Returns the number of rows, rejects not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.distinct_ids.len()
    }

    /// Says whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the records that cannot be rows.
    #[must_use]
    pub fn rejects(&self) -> &[Reject] {
        &self.rejects
    }

    /// Returns how many records the page had: rows and rejects.
    #[must_use]
    pub fn received(&self) -> usize {
        self.len() + self.rejects.len()
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

    /// Returns the rows as one record batch; nothing is copied.
    pub(crate) fn to_record_batch(&self) -> RecordBatch {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.distinct_ids.clone()),
            Arc::new(self.properties.clone()),
            Arc::new(self.last_seen.clone()),
        ];
        RecordBatch::try_new(Self::schema(), columns).expect("the columns are built with this schema's types")
    }

    /// Reads back what [`to_record_batch`](Self::to_record_batch) made. `None` if the columns are of other types.
    pub(crate) fn from_record_batch(batch: &RecordBatch) -> Option<Self> {
        Some(Self {
            distinct_ids: batch.column_by_name("distinct_id")?.as_any().downcast_ref::<StringArray>()?.clone(),
            properties: batch.column_by_name("properties")?.as_any().downcast_ref::<StringArray>()?.clone(),
            last_seen: batch.column_by_name("last_seen")?.as_any().downcast_ref::<TimestampMicrosecondArray>()?.clone(),
            rejects: Vec::new(),
        })
    }
}

/// Collects the rows of a page.
pub(super) struct RowsBuilder {
    distinct_ids: StringBuilder,
    properties: StringBuilder,
    last_seen: TimestampMicrosecondBuilder,
    rejects: Vec<Reject>,
}

impl RowsBuilder {
    /// Makes room for a page whose body has `bytes` bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        let rows = bytes / 800 + 1;
        Self {
            distinct_ids: StringBuilder::with_capacity(rows, rows * 32),
            properties: StringBuilder::with_capacity(rows, bytes),
            last_seen: TimestampMicrosecondBuilder::with_capacity(rows),
            rejects: Vec::new(),
        }
    }

    /// Appends a row.
    pub(super) fn push(&mut self, distinct_id: &str, properties: &str, last_seen: Option<i64>) {
        self.distinct_ids.append_value(distinct_id);
        self.properties.append_value(properties);
        self.last_seen.append_option(last_seen);
    }

    /// Appends a record that cannot be a row.
    pub(super) fn reject(&mut self, reason: String, raw: &str) {
        let position = u32::try_from(self.distinct_ids.len() + self.rejects.len()).unwrap_or(u32::MAX);
        self.rejects.push(Reject { position, reason, raw: raw.to_owned() });
    }

    /// Returns what was collected.
    pub(super) fn finish(mut self) -> ProfileRows {
        ProfileRows {
            distinct_ids: self.distinct_ids.finish(),
            properties: self.properties.finish(),
            last_seen: self.last_seen.finish(),
            rejects: self.rejects,
        }
    }
}
