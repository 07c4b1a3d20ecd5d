//! Reads the lines of an export into row groups.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::RecordBatch;
use sha2::{Digest as _, Sha256};

use crate::limits::{EVENT_LINE_BYTES_MAX, PAGE_BYTES_MAX, REJECT_BYTES_MAX, REJECTS_HELD_BYTES, SLICE_DAYS_MAX};
use crate::parse::object::text_end;
use crate::parse::rewrite::{EVENT, Rewriter};
use crate::parse::role::Role;
use crate::parse::rows::{RecordForm, Reject};
use crate::parse::unstored::Unstored;
use crate::project_time_zone::{ProjectTimeZone, Shift};
use crate::property_rules::ActiveRules;
use crate::slice::{DayFacts, Slice, SliceFacts};
use crate::text::{excerpt, hexadecimal};

use super::catalogs::{Collectors, EventCatalogs};
use super::columns::Columns;
use super::event::{Event, Refused, has_event, id, ingested, read_event, value};
use super::fault::{BodyFault, is_terminated_early};
use super::lines::Line;
use super::members::{Member, first, write_rest};
use super::moment::{Moment, Moments, date_of};

/// How the events of a response are read.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventReading {
    /// In the form [`RecordForm::Raw`], the properties of a row are the whole line as received.
    pub(crate) form: RecordForm,
    /// Which properties to drop or hash; only in the form [`RecordForm::Row`].
    pub(crate) rules: Option<Arc<ActiveRules>>,
    /// The time zone of the project, in which an old project records times.
    pub(crate) timezone: ProjectTimeZone,
}

/// Turns the lines of a slice into rows and rejects.
pub(crate) struct EventReader {
    slice: Slice,
    form: RecordForm,
    moments: Moments,
    rewriter: Option<Box<Rewriter>>,
    /// Whether only the reasons of rejects are kept, because the rules cannot be applied to them.
    withholds: bool,
    columns: Columns,
    collectors: Collectors,
    members: Vec<Member>,
    rejects: Vec<Reject>,
    rejects_held: usize,
    reject_room: usize,
    by_day: BTreeMap<i32, (u64, u64)>,
    facts: SliceFacts,
    unstored: Unstored,
    /// How the body begins, until a line has an event.
    beginning: Option<String>,
    /// The beginning of the last line that is not blank, if it is not an event.
    message: Option<String>,
}

/// What is known at the end of a slice.
#[derive(Debug)]
pub(crate) struct SliceEnd {
    pub(crate) facts: SliceFacts,
    pub(crate) catalogs: EventCatalogs,
    pub(crate) unstored: Unstored,
}

/// The characters of a body without events that are kept for an error message.
const BEGINNING_CHARS: usize = 300;

impl EventReader {
    pub(crate) fn new(part: u32, slice: Slice, reading: &EventReading) -> Self {
        let facts = SliceFacts::empty(part, slice.clone());
        let rewriter = reading.rules.as_ref().map(|rules| Box::new(Rewriter::new(EVENT, rules)));
        Self {
            moments: Moments::new(&slice, reading.timezone.clone()),
            slice,
            form: reading.form,
            withholds: rewriter.is_some(),
            rewriter,
            columns: Columns::new(),
            collectors: Collectors::new(),
            members: Vec::new(),
            rejects: Vec::new(),
            rejects_held: 0,
            reject_room: PAGE_BYTES_MAX,
            by_day: BTreeMap::new(),
            facts,
            unstored: Unstored::of_events(),
            beginning: Some(String::new()),
            message: None,
        }
    }

    /// Reads a line.
    ///
    /// # Errors
    /// What shows that the body is not complete; nothing of it may then be stored.
    pub(crate) fn line(&mut self, line: Line<'_>) -> Result<(), BodyFault> {
        let mut bytes = line.text;
        if self.received() == 0 {
            bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        }
        if line.last.is_none() || bytes.is_empty() {
            return Ok(());
        }
        self.message = None;
        if line.is_too_long() {
            if !line.is_ended && line.last != Some(b'}') {
                return Err(BodyFault::Cut);
            }
            if bytes.trim_ascii_start().starts_with(b"{") && line.last == Some(b'}') {
                self.beginning = None;
            } else {
                self.note_message(&String::from_utf8_lossy(bytes));
            }
            let reason = format!("larger than {} MiB", EVENT_LINE_BYTES_MAX >> 20);
            self.reject_as_received(reason, bytes, line.bytes);
            return Ok(());
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => return self.not_json(line, bytes, format!("not UTF-8 at byte {}", error.valid_up_to())),
        };
        if let Err(error) = serde_json::from_str::<&serde_json::value::RawValue>(text) {
            return self.not_json(line, bytes, reason_of(&error, self.withholds));
        }
        self.json(text.trim_ascii())
    }

    /// Handles a line that is not valid JSON.
    fn not_json(&mut self, line: Line<'_>, bytes: &[u8], reason: String) -> Result<(), BodyFault> {
        if let Some(fault) = BodyFault::reported_in(bytes) {
            return Err(fault);
        }
        // Invalid UTF-8 does not show that a line is cut, unless it is the cut that makes it invalid.
        let repaired = String::from_utf8_lossy(bytes);
        if !line.is_ended && serde_json::from_str::<&serde_json::value::RawValue>(&repaired).is_err() {
            return match &self.beginning {
                Some(beginning) if !bytes.trim_ascii_start().starts_with(b"{") => {
                    Err(BodyFault::NotAnExport(self.joined(beginning, &repaired)))
                }
                _ => Err(BodyFault::Cut),
            };
        }
        self.note_refused(&repaired);
        self.reject_as_received(reason, bytes, line.bytes);
        Ok(())
    }

    /// Handles a line that is valid JSON.
    fn json(&mut self, text: &str) -> Result<(), BodyFault> {
        let Some(mut rewriter) = self.rewriter.take() else { return self.event(text) };
        rewriter.begin();
        let result = match rewriter.rewrite(text) {
            Ok(rewritten) => self.event(rewritten),
            Err(reason) => {
                self.note_refused(text);
                self.reject_as_received(reason, text.as_bytes(), text.len() as u64);
                Ok(())
            }
        };
        self.rewriter = Some(rewriter);
        result
    }

    fn event(&mut self, text: &str) -> Result<(), BodyFault> {
        let mut members = std::mem::take(&mut self.members);
        let result = match read_event(text, &mut members, &mut self.collectors) {
            Ok(event) => {
                self.beginning = None;
                self.row(text, &event, &members).map_err(Refused::Reject)
            }
            Err(refused) => Err(refused),
        };
        self.members = members;
        let reason = match result {
            Ok(()) => return Ok(()),
            Err(Refused::Error) => return Err(error_of(text)),
            Err(Refused::Reject(reason)) => reason,
        };
        self.note_refused(text);
        self.reject(reason, text.as_bytes(), text.len() as u64);
        Ok(())
    }

    /// Notes a line that becomes a reject: an event shows that the body is an export, anything else may be a message.
    fn note_refused(&mut self, line: &str) {
        if has_event(line) {
            self.beginning = None;
        } else {
            self.beginning = self.beginning.take().map(|beginning| self.joined(&beginning, line));
            self.note_message(line);
        }
    }

    /// Notes a line that is not an event, in case that it is the last one.
    fn note_message(&mut self, line: &str) {
        self.message = Some(self.joined("", line));
    }

    /// Adds a line to the beginning of a body.
    fn joined(&self, beginning: &str, line: &str) -> String {
        if self.withholds {
            return "(withheld, because properties are dropped or hashed)".to_owned();
        }
        let room = BEGINNING_CHARS.saturating_sub(beginning.chars().count());
        let separator = if beginning.is_empty() { "" } else { "\n" };
        format!("{beginning}{separator}{}", excerpt(line, room))
    }

    /// Appends a row.
    fn row(&mut self, text: &str, event: &Event<'_>, members: &[Member]) -> Result<(), String> {
        let time = first(members, Role::Time);
        let received = time.ok_or("`time` is missing")?;
        let moment = self.moments.convert(value(text, &members[received]))?;
        if self.by_day.len() >= SLICE_DAYS_MAX && !self.by_day.contains_key(&moment.day) {
            return Err(format!("the response already has rows of {SLICE_DAYS_MAX} other days"));
        }
        let distinct_id = id(text, members, Role::DistinctId);
        let insert_id = id(text, members, Role::InsertId).filter(|id| !id.text.is_empty());
        let lifted = match self.form {
            RecordForm::Row => [time, distinct_id.as_ref().map(|id| id.index), insert_id.as_ref().map(|id| id.index)],
            RecordForm::Raw => [None; 3],
        };
        let columns = &mut self.columns;
        let written = match self.form {
            RecordForm::Row => write_rest(text, event.properties, members, lifted, &mut columns.properties),
            RecordForm::Raw => columns.properties.write_str(text),
        };
        written.expect("a text builder takes any text");
        columns.properties.append_value("");
        columns.event_names.append_value(&event.name);
        columns.event_times.append_value(moment.micros);
        columns.distinct_ids.append_value(distinct_id.as_ref().map_or("", |id| id.text.as_ref()));
        match &insert_id {
            Some(id) => columns.insert_ids.append_value(&id.text),
            None => columns.insert_ids.append_value(generated_id(text)),
        }
        columns.ingested.append_option(ingested(text, members));
        columns.days.append_value(moment.day);
        columns.row_appended(text.len());
        self.count(text.len() as u64, &moment, distinct_id.is_none(), insert_id.is_none());
        if self.form == RecordForm::Row && !event.unknown.is_empty() {
            self.unstored.note_record(&event.unknown);
        }
        self.collectors.with(event.collector, |collector| {
            collector.begin();
            for (index, member) in members.iter().enumerate() {
                if !lifted.contains(&Some(index)) {
                    let key = || text.get(member.start..text_end(text.as_bytes(), member.start)).unwrap_or_default();
                    collector.count(member.place, key, value(text, member).as_bytes());
                }
            }
        });
        Ok(())
    }

    fn count(&mut self, bytes: u64, moment: &Moment, is_without_user: bool, is_without_id: bool) {
        let (rows, day_bytes) = self.by_day.entry(moment.day).or_default();
        (*rows, *day_bytes) = (*rows + 1, *day_bytes + bytes);
        let facts = &mut self.facts;
        facts.rows += 1;
        facts.without_distinct_id += u64::from(is_without_user);
        facts.without_insert_id += u64::from(is_without_id);
        facts.outside += u64::from(!self.moments.contains(moment.day));
        facts.repeated_hour += u64::from(moment.shift == Shift::Repeated);
        facts.skipped_hour += u64::from(moment.shift == Shift::Skipped);
        facts.in_seconds += u64::from(moment.is_in_seconds);
    }

    /// Returns the number of records so far: rows and rejects.
    pub(crate) fn received(&self) -> u64 {
        self.facts.rows + self.facts.rejected
    }

    /// Adds a reject, given as received. If properties are dropped or hashed, only the reason is kept.
    fn reject_as_received(&mut self, reason: String, raw: &[u8], bytes: u64) {
        if self.withholds {
            self.reject(format!("{reason}; withheld, because properties are dropped or hashed"), b"", 0);
        } else {
            self.reject(reason, raw, bytes);
        }
    }

    fn reject(&mut self, reason: String, raw: &[u8], bytes: u64) {
        let position = u32::try_from(self.received()).unwrap_or(u32::MAX);
        let reject = Reject::of_part(position, reason, raw, bytes, self.reject_room.min(REJECT_BYTES_MAX));
        self.reject_room -= reject.raw.len();
        self.rejects_held += reject.raw.len() + reject.reason.len() + size_of::<Reject>();
        self.rejects.push(reject);
        self.facts.rejected += 1;
    }

    /// Returns the rows of the next row group, if there are enough of them.
    pub(crate) fn take_full_group(&mut self) -> Option<RecordBatch> {
        if self.columns.is_full() { self.columns.take() } else { None }
    }

    /// Returns the rejects, if there are many.
    pub(crate) fn take_many_rejects(&mut self) -> Option<Vec<Reject>> {
        if self.rejects_held < REJECTS_HELD_BYTES {
            return None;
        }
        self.rejects_held = 0;
        Some(std::mem::take(&mut self.rejects))
    }

    /// Returns the remaining rows and rejects.
    pub(crate) fn take_rest(&mut self) -> (Option<RecordBatch>, Vec<Reject>) {
        (self.columns.take(), std::mem::take(&mut self.rejects))
    }

    /// Returns what is known at the end of a complete body of `bytes` bytes, `received_bytes` as transferred.
    ///
    /// # Errors
    /// `NotAnExport` if there is text but no event; `EndsWithMessage` if the last line is not an event.
    pub(crate) fn finish(mut self, bytes: u64, received_bytes: u64) -> Result<SliceEnd, BodyFault> {
        if let Some(beginning) = self.beginning.take().filter(|beginning| !beginning.is_empty()) {
            return Err(BodyFault::NotAnExport(beginning));
        }
        if let Some(message) = self.message.take() {
            return Err(BodyFault::EndsWithMessage(message));
        }
        if let Some(rewriter) = &self.rewriter {
            rewriter.note_matched(&mut self.unstored);
        }
        let days = self.by_day.into_iter();
        let days = days.filter_map(|(day, (rows, bytes))| Some(DayFacts { day: date_of(day)?, rows, bytes }));
        let facts = SliceFacts { bytes, received_bytes, days: days.collect(), slice: self.slice, ..self.facts };
        Ok(SliceEnd { facts, catalogs: self.collectors.finish(), unstored: self.unstored })
    }
}

/// Returns what a valid JSON object with an error says.
fn error_of(text: &str) -> BodyFault {
    let said = error_member(text);
    if is_terminated_early(said.as_bytes()) { BodyFault::TerminatedEarly } else { BodyFault::Error(said) }
}

fn error_member(text: &str) -> String {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap_or_default();
    match object.get("error") {
        Some(serde_json::Value::String(said)) => said.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

/// Returns why a line is not JSON. The message of the parser never quotes the text, but may name a position.
fn reason_of(error: &serde_json::Error, is_withheld: bool) -> String {
    if is_withheld { "not JSON".to_owned() } else { format!("not JSON: {error}") }
}

/// Returns the insert id for an event without one, which depends only on its text.
fn generated_id(text: &str) -> String {
    format!("gen-{}", hexadecimal(&Sha256::digest(text.as_bytes())[..16]))
}

#[cfg(test)]
mod tests;
