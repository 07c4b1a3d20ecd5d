//! Turns one record of a page into a row, or into a reject with a reason.

use std::borrow::Cow;

use super::collector::{Collector, Key};
use super::depth::is_deeper_than;
use super::last_seen::{parse_canonical, parse_lenient};
use super::object::{Cursor, is_key, text_end};
use super::reading::Reading;
use super::rewrite::{PROFILE, Rewriter};
use super::role::Role;
use super::rows::RowsBuilder;
use super::surrogates::{HALF_A_PAIR, has_lone_surrogate};
use super::{DISTINCT_ID, PROPERTIES};
use crate::limits::{JSON_DEPTH_MAX, PROFILE_BYTES_MAX, UNSTORED_NAMES_MAX};

/// The members of a record that make up a row, as raw text.
#[derive(Default)]
struct Record<'a> {
    distinct_id: Option<&'a str>,
    properties: Option<&'a str>,
    /// The names of other members, up to `UNSTORED_NAMES_MAX`.
    unknown: Vec<&'a str>,
}

/// Buffers reused across records.
#[derive(Default)]
pub(super) struct Scratch {
    members: Vec<Member>,
    text: String,
    /// Drops and hashes properties, if there are such rules.
    rewriter: Option<Box<Rewriter>>,
}

impl Scratch {
    pub(super) fn new(reading: &Reading) -> Self {
        Self {
            rewriter: reading.rules.as_ref().map(|rules| Box::new(Rewriter::new(PROFILE, rules))),
            ..Self::default()
        }
    }

    /// Notes which of the rules' properties occurred.
    pub(super) fn note_matched(&self, rows: &mut RowsBuilder) {
        if let Some(rewriter) = &self.rewriter {
            rewriter.note_matched(rows.unstored());
        }
    }
}

/// The position of a member in the text of the properties object.
struct Member {
    start: usize,
    value_start: usize,
    end: usize,
    /// The place of its property in the collector, if it has one.
    place: Option<u32>,
    role: Role,
}

/// Appends a record to `rows`: as a row if possible, otherwise as a reject. An invalid record does not affect the
/// others.
pub(super) fn push_record(rows: &mut RowsBuilder, raw: &str, scratch: &mut Scratch) {
    let Some(mut rewriter) = scratch.rewriter.take() else { return push(rows, raw, scratch) };
    match rewriter.rewrite(raw) {
        Ok(text) => push(rows, text, scratch),
        Err(reason) => rows.reject_as_received(reason, raw.as_bytes()),
    }
    scratch.rewriter = Some(rewriter);
}

fn push(rows: &mut RowsBuilder, raw: &str, scratch: &mut Scratch) {
    match try_push(rows, raw, scratch) {
        Ok(unknown) if unknown.is_empty() => {}
        Ok(unknown) => rows.note_unstored(&unknown),
        // A reject is stored whole, so none of its members are lost.
        Err(reason) => rows.reject(reason, raw.as_bytes()),
    }
}

/// Appends a row. Returns the names of the members that are not stored.
fn try_push<'a>(rows: &mut RowsBuilder, raw: &'a str, scratch: &mut Scratch) -> Result<Vec<&'a str>, String> {
    if !raw.starts_with('{') {
        return Err("not a profile: not an object".to_owned());
    }
    let record = read_record(raw, &mut scratch.members, rows.collector())?;
    let distinct_id = read_distinct_id(record.distinct_id.filter(|value| *value != "null"))?;
    let properties = record.properties.filter(|value| *value != "null").unwrap_or("{}");
    if !properties.starts_with('{') {
        return Err("`$properties` is not an object".to_owned());
    }
    if is_deeper_than(properties, JSON_DEPTH_MAX) {
        return Err(format!("`$properties` is nested deeper than {JSON_DEPTH_MAX} levels"));
    }
    if properties.len() > PROFILE_BYTES_MAX {
        return Err(format!("`$properties` is larger than {} MiB", PROFILE_BYTES_MAX >> 20));
    }
    if has_lone_surrogate(properties) {
        return Err(HALF_A_PAIR.to_owned());
    }
    let (last_seen, kept, cut) = lift_last_seen(properties, scratch);
    rows.push(&distinct_id, kept, last_seen);
    collect(rows, properties, &scratch.members, cut);
    Ok(record.unknown)
}

/// Locates the members of a record and of its properties.
fn read_record<'a>(raw: &'a str, members: &mut Vec<Member>, collector: &mut Collector) -> Result<Record<'a>, String> {
    members.clear();
    let mut record = Record::default();
    let mut cursor = Cursor::enter(raw, 0);
    while let Some(key) = cursor.next_key() {
        if is_key(key, DISTINCT_ID) {
            set_once(&mut record.distinct_id, cursor.value(), DISTINCT_ID)?;
        } else if is_key(key, PROPERTIES) {
            let value = if cursor.is_at_object() {
                let end = read_properties(raw, cursor.position(), members, collector);
                cursor.value_until(end)
            } else {
                cursor.value()
            };
            set_once(&mut record.properties, value, PROPERTIES)?;
        } else {
            cursor.value();
            if record.unknown.len() < UNSTORED_NAMES_MAX {
                record.unknown.push(key);
            }
        }
    }
    Ok(record)
}

fn set_once<'a>(field: &mut Option<&'a str>, value: &'a str, key: &str) -> Result<(), String> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("not a profile: it has `{key}` twice")),
    }
}

/// Records the position of each property, relative to the start of the properties object. Returns the position after
/// the object, relative to `raw`.
fn read_properties(raw: &str, start: usize, members: &mut Vec<Member>, collector: &mut Collector) -> usize {
    let mut cursor = Cursor::enter(raw, start);
    collector.begin_keys();
    while cursor.seek_key() {
        let key_start = cursor.position() - start;
        let Key { place, role } = collector.key(&mut cursor);
        let value_start = cursor.position() - start;
        cursor.skip_value();
        let end = cursor.position() - start;
        members.push(Member { start: key_start, value_start, end, place, role });
    }
    cursor.position()
}

fn read_distinct_id(raw: Option<&str>) -> Result<Cow<'_, str>, String> {
    let raw = raw.ok_or("`$distinct_id` is missing")?;
    match raw.as_bytes().first() {
        Some(b'"') => match raw.get(1..raw.len() - 1) {
            Some(inner) if !inner.contains('\\') => Ok(Cow::Borrowed(inner)),
            _ => serde_json::from_str(raw).map(Cow::Owned).map_err(|_| "`$distinct_id` is not Unicode text".to_owned()),
        },
        Some(b'-' | b'0'..=b'9') => Ok(Cow::Borrowed(raw)),
        _ => Err("`$distinct_id` is neither text nor a number".to_owned()),
    }
}

/// Adds the properties of a row to the catalog, except the one that is cut out of them.
fn collect(rows: &mut RowsBuilder, properties: &str, members: &[Member], cut: Option<usize>) {
    let collector = rows.collector();
    collector.begin();
    for (index, Member { start, value_start, end, place, .. }) in members.iter().enumerate() {
        if cut == Some(index) {
            continue;
        }
        let value = properties.as_bytes().get(*value_start..*end).unwrap_or_default();
        let key = || properties.get(*start..text_end(properties.as_bytes(), *start)).unwrap_or_default();
        collector.count(*place, key, value);
    }
}

/// Parses `$last_seen`. Returns the time, the properties to store, and the index of the member that they lack.
///
/// If `$last_seen` occurs once and in the usual form, which the time reproduces exactly, it is cut out of the
/// properties; the rest stays the same byte for byte. Otherwise the properties are kept whole. If it occurs more than
/// once, the last one counts.
fn lift_last_seen<'a>(properties: &'a str, scratch: &'a mut Scratch) -> (Option<i64>, &'a str, Option<usize>) {
    let Scratch { members, text, .. } = scratch;
    let mut found = members.iter().enumerate().rev().filter(|(_, member)| member.role == Role::LastSeen);
    let Some((index, last)) = found.next() else { return (None, properties, None) };
    let raw = &properties[last.value_start..last.end];
    let inner = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"'));
    match inner.and_then(|inner| parse_canonical(inner.as_bytes())) {
        Some(micros) if found.next().is_none() => {
            write_without(properties, members, index, text);
            (Some(micros), text, Some(index))
        }
        Some(micros) => (Some(micros), properties, None),
        None => {
            let other = inner.and_then(|_| serde_json::from_str::<String>(raw).ok());
            let micros = other.and_then(|other| parse_canonical(other.as_bytes()).or_else(|| parse_lenient(&other)));
            (micros, properties, None)
        }
    }
}

/// Copies the properties to `text`, without one member and the separator before it (for the first member, the separator
/// after it).
fn write_without(properties: &str, members: &[Member], index: usize, text: &mut String) {
    text.clear();
    let member = &members[index];
    let (cut_from, cut_to) = match (index.checked_sub(1), members.get(index + 1)) {
        (Some(before), _) => (members[before].end, member.end),
        (None, Some(after)) => (member.start, after.start),
        (None, None) => return text.push_str("{}"),
    };
    text.push_str(&properties[..cut_from]);
    text.push_str(&properties[cut_to..]);
}

#[cfg(test)]
mod tests;
