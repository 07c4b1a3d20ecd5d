//! Delivers records to the caller in page order, regardless of the order in which the pages arrive.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use arrow::array::RecordBatch;
use jiff::tz::TimeZone;

use crate::error::Result;
use crate::overlap::{Overlap, Repeats};
use crate::parse::{ProfileRow, ProfileRows, RecordForm};
use crate::stage::Stage;
use crate::types::ProfileWriteTask;

use super::unmatched::Unmatched;
use super::writer::{Message, Report, part_of, read_page};

/// Receives one record per call, as JSON without line breaks.
type LineSink = Box<dyn FnMut(&str) -> ControlFlow<()> + Send>;

/// Receives rows as they would be in the table.
type BatchSink = Box<dyn FnMut(RecordBatch) -> ControlFlow<()> + Send>;

/// Receives the records of a stream. Returning `Break` ends it.
pub(crate) enum RecordSink {
    Lines(LineSink),
    Batches(BatchSink),
}

/// Delivers pages to the sink in order. Pages that arrive early wait in a stage on disk, so that memory stays bounded
/// while an earlier page is retried.
pub(super) struct StreamOutput {
    stage: Stage,
    form: RecordForm,
    sink: RecordSink,
    next: u32,
    waiting: BTreeSet<u32>,
    missing: BTreeSet<u32>,
    line: String,
    handed_over: u64,
    overlap: Overlap,
    repeats: Repeats,
    unmatched: Unmatched,
    ended: bool,
}

/// The summary of a stream.
pub(super) struct Streamed {
    /// Number of records delivered to the receiver.
    pub(super) rows: u64,
    /// How many of them were repeated because pages overlap.
    pub(super) overlapping: u64,
    /// How many of them had an id that was delivered before.
    pub(super) repeated: u64,
    /// What was asked for by name and is in no page.
    pub(super) unmatched: Unmatched,
    /// Whether the receiver ended the stream.
    pub(super) ended: bool,
}

impl StreamOutput {
    pub(super) fn new(stage: Stage, form: RecordForm, sink: RecordSink) -> Self {
        Self {
            unmatched: Unmatched::of(&stage.manifest().query, &stage.manifest().property_rules),
            stage,
            form,
            sink,
            next: 0,
            waiting: BTreeSet::new(),
            missing: BTreeSet::new(),
            line: String::new(),
            handed_over: 0,
            overlap: Overlap::default(),
            repeats: Repeats::default(),
            ended: false,
        }
    }

    /// Accepts a page. The next page in order is delivered at once; any other is stored until its turn.
    pub(super) fn accept(&mut self, task: &ProfileWriteTask) -> Result<ControlFlow<()>> {
        self.unmatched.remove_page(&task.rows, self.form);
        if task.page_index != self.next {
            self.stage.write_part(&part_of(task))?;
            self.waiting.insert(task.page_index);
            return Ok(ControlFlow::Continue(()));
        }
        self.next += 1;
        if self.hand_over(std::slice::from_ref(&task.rows)).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        self.hand_over_waiting()
    }

    /// Records that a page will not arrive.
    pub(super) fn skip(&mut self, page: u32) -> Result<ControlFlow<()>> {
        self.missing.insert(page);
        self.hand_over_waiting()
    }

    /// Returns the summary. Discards pages that are still waiting for an earlier page, which happens if the fetch was
    /// stopped or failed.
    pub(super) fn finish(self) -> Streamed {
        let (overlapping, repeated) = (self.overlap.repeated(), self.repeats.repeated());
        let (rows, unmatched, ended) = (self.handed_over, self.unmatched, self.ended);
        let summary = Streamed { rows, overlapping, repeated, unmatched, ended };
        if let Err(error) = self.stage.remove() {
            tracing::warn!("{error}");
        }
        summary
    }

    fn hand_over_waiting(&mut self) -> Result<ControlFlow<()>> {
        loop {
            if self.missing.remove(&self.next) {
                self.next += 1;
                self.overlap.gap();
            } else if self.waiting.remove(&self.next) {
                let path = self.stage.page_path(self.next);
                self.next += 1;
                if self.hand_over(&read_page(&path)?).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                // Best effort: the whole directory is removed at the end.
                let _ = std::fs::remove_file(&path);
            } else {
                return Ok(ControlFlow::Continue(()));
            }
        }
    }

    /// Delivers the records of a page.
    fn hand_over(&mut self, page: &[ProfileRows]) -> ControlFlow<()> {
        self.overlap.page(page.iter().flat_map(|rows| rows.iter().map(ProfileRow::identity)));
        let flow = page.iter().try_for_each(|rows| self.hand_over_rows(rows));
        self.ended |= flow.is_break();
        flow
    }

    fn hand_over_rows(&mut self, rows: &ProfileRows) -> ControlFlow<()> {
        if let RecordSink::Batches(sink) = &mut self.sink {
            if !rows.is_empty() {
                sink(rows.to_record_batch())?;
            }
            self.handed_over += rows.len() as u64;
            rows.iter().for_each(|row| self.repeats.add(row.identity()));
            return ControlFlow::Continue(());
        }
        for row in rows.iter() {
            self.line.clear();
            write_record(&mut self.line, row, self.form);
            if let RecordSink::Lines(sink) = &mut self.sink {
                sink(&self.line)?;
            }
            self.handed_over += 1;
            self.repeats.add(row.identity());
        }
        ControlFlow::Continue(())
    }
}

/// Applies a message to the stream.
pub(super) fn into_stream(stream: &mut StreamOutput, message: Message) -> Result<Option<Report>> {
    match message {
        Message::Page(task) => {
            let (page, rows) = (task.page_index, task.rows.len() as u64);
            let flow = stream.accept(&task)?;
            // A stream has only one session, because delivered records cannot be taken back.
            Ok(Some(if flow.is_break() { Report::Ended } else { Report::Staged { epoch: 0, part: page, rows } }))
        }
        Message::Missing(page) => Ok(stream.skip(page)?.is_break().then_some(Report::Ended)),
        Message::Session(_) | Message::Restart(_) | Message::Slice(_) | Message::Plan(_) => Ok(None),
    }
}

/// Writes a record as one line. Line breaks can occur only between JSON tokens, where a space is equivalent.
fn write_record(line: &mut String, row: ProfileRow<'_>, form: RecordForm) {
    let start = line.len();
    if form == RecordForm::Raw {
        line.push_str(row.properties);
    } else {
        line.push_str("{\"distinct_id\":");
        line.push_str(&serde_json::Value::from(row.distinct_id).to_string());
        line.push_str(",\"last_seen\":");
        match row.last_seen.and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok()) {
            Some(moment) => {
                line.push('"');
                line.push_str(&TimeZone::UTC.to_datetime(moment).to_string());
                line.push('"');
            }
            None => line.push_str("null"),
        }
        line.push_str(",\"properties\":");
        line.push_str(row.properties);
        line.push('}');
    }
    if line[start..].contains(['\n', '\r']) {
        let one_line = line[start..].replace(['\n', '\r'], " ");
        line.replace_range(start.., &one_line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line() {
        let row = ProfileRow { distinct_id: "a\"b", properties: "{\n\"k\": 1.50E+10\r\n}", last_seen: Some(1_500_000) };
        let mut line = String::new();
        write_record(&mut line, row, RecordForm::Row);
        assert_eq!(
            line,
            r#"{"distinct_id":"a\"b","last_seen":"1970-01-01T00:00:01.5","properties":{ "k": 1.50E+10  }}"#
        );
        line.clear();
        write_record(&mut line, ProfileRow { last_seen: None, ..row }, RecordForm::Raw);
        assert_eq!(line, r#"{ "k": 1.50E+10  }"#);
    }
}
