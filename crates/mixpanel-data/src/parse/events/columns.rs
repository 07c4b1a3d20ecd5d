//! Events as the columns that the stage stores.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Builder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::limits::{EVENT_GROUP_BYTES, EVENT_GROUP_ROWS};

/// The columns of a staged slice that the table has too.
pub(crate) const EVENT_COLUMNS: [&str; 5] = ["event_name", "event_time", "distinct_id", "insert_id", "properties"];

/// Returns the Arrow schema of a staged slice: the columns of the table, then when Mixpanel received the event, in
/// milliseconds since 1970, and the event's day in the project's time zone.
pub(crate) fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    let [event_name, event_time, distinct_id, insert_id, properties] = EVENT_COLUMNS;
    Arc::new(Schema::new(vec![
        text(event_name),
        Field::new(event_time, DataType::Timestamp(TimeUnit::Microsecond, None), false),
        text(distinct_id),
        text(insert_id),
        text(properties),
        Field::new("_ingested", DataType::Int64, true),
        Field::new("_day", DataType::Date32, false),
    ]))
}

/// Returns the Arrow schema of the columns of the table.
pub(crate) fn table_schema() -> SchemaRef {
    let fields = schema().fields().iter().take(EVENT_COLUMNS.len()).cloned().collect::<Vec<_>>();
    Arc::new(Schema::new(fields))
}

/// The columns of the next row group.
pub(super) struct Columns {
    pub(super) event_names: StringBuilder,
    /// In microseconds since 1970.
    pub(super) event_times: TimestampMicrosecondBuilder,
    pub(super) distinct_ids: StringBuilder,
    pub(super) insert_ids: StringBuilder,
    pub(super) properties: StringBuilder,
    pub(super) ingested: Int64Builder,
    /// In days since 1970.
    pub(super) days: Date32Builder,
    rows: usize,
    bytes: usize,
}

impl Columns {
    pub(super) fn new() -> Self {
        let rows = 1 << 10;
        Self {
            event_names: StringBuilder::with_capacity(rows, rows * 16),
            event_times: TimestampMicrosecondBuilder::with_capacity(rows),
            distinct_ids: StringBuilder::with_capacity(rows, rows * 32),
            insert_ids: StringBuilder::with_capacity(rows, rows * 36),
            properties: StringBuilder::with_capacity(rows, EVENT_GROUP_BYTES),
            ingested: Int64Builder::with_capacity(rows),
            days: Date32Builder::with_capacity(rows),
            rows: 0,
            bytes: 0,
        }
    }

    /// Counts a row of which every column was appended.
    pub(super) fn row_appended(&mut self, bytes: usize) {
        self.rows += 1;
        self.bytes += bytes;
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows >= EVENT_GROUP_ROWS || self.bytes >= EVENT_GROUP_BYTES
    }

    /// Returns the rows, and begins the next row group. `None` if there are none.
    pub(super) fn take(&mut self) -> Option<RecordBatch> {
        if self.rows == 0 {
            return None;
        }
        let full = std::mem::replace(self, Self::new());
        Some(full.finish())
    }

    fn finish(mut self) -> RecordBatch {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.event_names.finish()),
            Arc::new(self.event_times.finish()),
            Arc::new(self.distinct_ids.finish()),
            Arc::new(self.insert_ids.finish()),
            Arc::new(self.properties.finish()),
            Arc::new(self.ingested.finish()),
            Arc::new(self.days.finish()),
        ];
        RecordBatch::try_new(schema(), columns).expect("the columns are built with this schema's types")
    }
}
