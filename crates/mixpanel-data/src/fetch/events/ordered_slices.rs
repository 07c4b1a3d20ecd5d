//! Delivers events to the caller in the order of the days, regardless of the order in which the slices arrive.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;

use arrow::array::{AsArray as _, PrimitiveArray, RecordBatch, StringArray};
use arrow::datatypes::TimestampMicrosecondType;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::error::Result;
use crate::parse::{EVENT_COLUMNS, RecordForm};
use crate::slice::SliceFacts;
use crate::stage::{self, SliceRecord, SliceState, Stage};
use crate::types::EventCounts;

use super::super::ordered_output::RecordSink;
use super::super::writer::{Message, Report};

/// Delivers slices to the sink in order. Each waits in a stage on disk until it is complete and its turn.
pub(in crate::fetch) struct EventStream {
    stage: Stage,
    form: RecordForm,
    sink: RecordSink,
    /// Parts that are on disk and not yet delivered.
    waiting: BTreeSet<u32>,
    /// Parts that were delivered, or will not arrive.
    done: BTreeSet<u32>,
    line: String,
    rows: u64,
    batches: u32,
    events: EventCounts,
    ended: bool,
}

/// The summary of a stream.
pub(in crate::fetch) struct Streamed {
    /// Number of events delivered.
    pub(in crate::fetch) rows: u64,
    /// Number of slices delivered.
    pub(in crate::fetch) batches: u32,
    /// The slices, by part number.
    pub(in crate::fetch) slices: Vec<SliceRecord>,
    pub(in crate::fetch) events: EventCounts,
    /// Whether the receiver ended the stream.
    pub(in crate::fetch) ended: bool,
}

impl EventStream {
    pub(in crate::fetch) fn new(stage: Stage, form: RecordForm, sink: RecordSink) -> Self {
        Self {
            stage,
            form,
            sink,
            waiting: BTreeSet::new(),
            done: BTreeSet::new(),
            line: String::new(),
            rows: 0,
            batches: 0,
            events: EventCounts::default(),
            ended: false,
        }
    }

    /// Returns the summary and removes the stage, with slices that still wait for an earlier one.
    pub(in crate::fetch) fn finish(self) -> Streamed {
        let slices = self.stage.manifest().slices.clone();
        let summary =
            Streamed { rows: self.rows, batches: self.batches, slices, events: self.events, ended: self.ended };
        if let Err(error) = self.stage.remove() {
            tracing::warn!("{error}");
        }
        summary
    }

    fn add(&mut self, facts: &SliceFacts) {
        self.waiting.insert(facts.part);
        self.events.without_insert_id += facts.without_insert_id;
        self.events.without_distinct_id += facts.without_distinct_id;
        self.events.outside_range += facts.outside;
        self.events.repeated_hour += facts.repeated_hour;
        self.events.skipped_hour += facts.skipped_hour;
        self.events.received_bytes += facts.bytes;
    }

    /// Returns the slice whose turn it is, if there is one.
    fn next(&self) -> Option<u32> {
        let records = (0..).zip(&self.stage.manifest().slices);
        let left = records.filter(|(part, record)| record.state == SliceState::Planned && !self.done.contains(part));
        left.min_by_key(|(_, record)| (record.slice.from, &record.slice.events)).map(|(part, _)| part)
    }

    /// Delivers the slices whose turn it is.
    fn deliver(&mut self) -> Result<ControlFlow<()>> {
        while let Some(part) = self.next().filter(|part| self.waiting.remove(part)) {
            self.done.insert(part);
            let path = self.stage.page_path(part);
            if self.deliver_slice(&path)?.is_break() {
                self.ended = true;
                return Ok(ControlFlow::Break(()));
            }
            self.batches += 1;
            // Best effort: the whole directory is removed at the end.
            let _ = std::fs::remove_file(&path);
        }
        Ok(ControlFlow::Continue(()))
    }

    fn deliver_slice(&mut self, path: &Path) -> Result<ControlFlow<()>> {
        for batch in stage::part_batches(path)? {
            let batch = batch?;
            let rows = Rows::of(&batch).ok_or_else(|| stage::damaged(path))?;
            match &mut self.sink {
                RecordSink::Lines(sink) => {
                    for row in 0..batch.num_rows() {
                        self.line.clear();
                        rows.write(row, self.form, &mut self.line);
                        if sink(&self.line).is_break() {
                            return Ok(ControlFlow::Break(()));
                        }
                        self.rows += 1;
                    }
                }
                RecordSink::Batches(sink) => {
                    if sink(table_columns(&batch).ok_or_else(|| stage::damaged(path))?).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                    self.rows += batch.num_rows() as u64;
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// Returns the columns of staged rows that a table has, in its order.
fn table_columns(batch: &RecordBatch) -> Option<RecordBatch> {
    let schema = batch.schema();
    let index = |name: &&str| schema.index_of(name).ok();
    let columns: Vec<usize> = EVENT_COLUMNS.iter().map(index).collect::<Option<_>>()?;
    batch.project(&columns).ok()
}

/// The columns of staged rows.
struct Rows<'a> {
    texts: [&'a StringArray; 4],
    times: &'a PrimitiveArray<TimestampMicrosecondType>,
}

impl<'a> Rows<'a> {
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        let text = |name| batch.column_by_name(name)?.as_string_opt::<i32>();
        let texts = [text("event_name")?, text("distinct_id")?, text("insert_id")?, text("properties")?];
        let times = batch.column_by_name("event_time")?.as_primitive_opt()?;
        Some(Self { texts, times })
    }

    /// Writes an event as one line of JSON. A staged line has no line breaks.
    fn write(&self, row: usize, form: RecordForm, line: &mut String) {
        let [event, distinct_id, insert_id, properties] = self.texts.map(|column| column.value(row));
        if form == RecordForm::Raw {
            line.push_str(properties);
            return;
        }
        let time = Timestamp::from_microsecond(self.times.value(row)).ok();
        let time = time.map(|time| TimeZone::UTC.to_datetime(time).to_string());
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        for part in [
            "{\"event_name\":",
            &quoted(event),
            ",\"event_time\":",
            &time.map_or_else(|| "null".to_owned(), |time| quoted(&time)),
            ",\"distinct_id\":",
            &quoted(distinct_id),
            ",\"insert_id\":",
            &quoted(insert_id),
            ",\"properties\":",
            properties,
            "}",
        ] {
            line.push_str(part);
        }
    }
}

/// Applies a message to the stream.
pub(in crate::fetch) fn into_stream(stream: &mut EventStream, message: Message) -> Result<Option<Report>> {
    match message {
        Message::Slice(slice) => {
            let (part, rows) = (slice.facts.part, slice.facts.rows);
            stream.stage.commit_slice(slice.file)?;
            stream.add(&slice.facts);
            let flow = stream.deliver()?;
            Ok(Some(if flow.is_break() { Report::Ended } else { Report::Staged { epoch: 0, part, rows } }))
        }
        Message::Plan(slices) => {
            stream.stage.record_plan(slices)?;
            Ok(stream.deliver()?.is_break().then_some(Report::Ended))
        }
        Message::Missing(part) => {
            stream.done.insert(part);
            Ok(stream.deliver()?.is_break().then_some(Report::Ended))
        }
        Message::Page(_) | Message::Session(_) | Message::Restart(_) => Ok(None),
    }
}
