//! Reads one line as an event.

use std::borrow::Cow;

use crate::limits::{JSON_DEPTH_MAX, UNSTORED_NAMES_MAX};
use crate::parse::depth::is_deeper_than;
use crate::parse::object::{Cursor, is_key};
use crate::parse::role::Role;
use crate::parse::surrogates::{HALF_A_PAIR, has_lone_surrogate};

use super::catalogs::Collectors;
use super::members::{Member, first, read_members};
use super::time::number;

/// An event as text: what becomes its columns has been found, but not converted.
#[derive(Debug)]
pub(super) struct Event<'a> {
    pub(super) name: Cow<'a, str>,
    /// Where its properties begin and end in the line.
    pub(super) properties: (usize, usize),
    /// The collector of its properties.
    pub(super) collector: usize,
    /// The names of members of the line that are not stored, up to `UNSTORED_NAMES_MAX`.
    pub(super) unknown: Vec<&'a str>,
}

/// Why a line is not a row.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is a reject, for this reason.
    Reject(String),
    /// It is an error of the server.
    Error,
}

fn reject<T>(reason: impl Into<String>) -> Result<T, Refused> {
    Err(Refused::Reject(reason.into()))
}

/// Reads a line, which must be valid JSON, and the positions of its properties.
pub(super) fn read_event<'a>(
    text: &'a str,
    members: &mut Vec<Member>,
    collectors: &mut Collectors,
) -> Result<Event<'a>, Refused> {
    if !text.starts_with('{') {
        return reject("not an event: not an object");
    }
    let mut cursor = Cursor::enter(text, 0);
    let (mut event, mut properties, mut is_error) = (None, None, false);
    // The place of the collector, once the properties were read.
    let mut read = None;
    let mut unknown = Vec::new();
    while let Some(key) = cursor.next_key() {
        if is_key(key, "event") {
            if event.replace(cursor.value()).is_some() {
                return reject("not an event: it has `event` twice");
            }
        } else if is_key(key, "properties") {
            let start = cursor.position();
            let is_object = cursor.is_at_object();
            // Mostly, the name comes first, so that the properties can be read on the way.
            if let Some(name) = event.and_then(plain).filter(|_| is_object && properties.is_none()) {
                let place = collectors.place(name);
                let end = collectors.with(place, |collector| read_members(text, start, members, collector));
                cursor.value_until(end);
                read = Some(place);
            } else {
                cursor.skip_value();
            }
            if properties.replace((start, cursor.position(), is_object)).is_some() {
                return reject("not an event: it has `properties` twice");
            }
        } else {
            cursor.skip_value();
            is_error |= is_key(key, "error");
            if unknown.len() < UNSTORED_NAMES_MAX {
                unknown.push(key);
            }
        }
    }
    let Some(raw) = event else {
        return if is_error { Err(Refused::Error) } else { reject("not an event: `event` is missing") };
    };
    let name = match raw.as_bytes().first() {
        Some(b'"') => text_of(raw).ok_or_else(|| Refused::Reject(HALF_A_PAIR.to_owned()))?,
        _ => return reject("not an event: `event` is not text"),
    };
    let (start, end) = match properties {
        Some((start, end, true)) => (start, end),
        Some(_) => return reject("`properties` is not an object"),
        None => return reject("`properties` is missing"),
    };
    if is_deeper_than(&text[start..end], JSON_DEPTH_MAX) {
        return reject(format!("`properties` is nested deeper than {JSON_DEPTH_MAX} levels"));
    }
    if has_lone_surrogate(text) {
        return reject(HALF_A_PAIR);
    }
    let collector = read.unwrap_or_else(|| {
        let place = collectors.place(&name);
        collectors.with(place, |collector| read_members(text, start, members, collector));
        place
    });
    Ok(Event { name, properties: (start, end), collector, unknown })
}

/// Returns whether a line is a JSON object with an `event`, though possibly an invalid one.
pub(super) fn has_event(line: &str) -> bool {
    let text = line.trim_ascii();
    if !text.starts_with('{') || serde_json::from_str::<&serde_json::value::RawValue>(text).is_err() {
        return false;
    }
    let mut cursor = Cursor::enter(text, 0);
    while let Some(key) = cursor.next_key() {
        if is_key(key, "event") {
            return true;
        }
        cursor.skip_value();
    }
    false
}

/// Returns the text of a JSON string without escapes.
fn plain(raw: &str) -> Option<&str> {
    raw.strip_prefix('"')?.strip_suffix('"').filter(|inner| !inner.contains('\\'))
}

/// Returns the text of a JSON string; `None` if it is not Unicode.
fn text_of(raw: &str) -> Option<Cow<'_, str>> {
    plain(raw).map(Cow::Borrowed).or_else(|| serde_json::from_str(raw).ok().map(Cow::Owned))
}

/// An id that becomes a column, and the index of its member.
pub(super) struct Id<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) index: usize,
}

/// Returns the first id with this role: text, or the digits of a number. Any other value stays in the properties.
pub(super) fn id<'a>(text: &'a str, members: &[Member], role: Role) -> Option<Id<'a>> {
    let index = first(members, role)?;
    let raw = value(text, &members[index]);
    let text = match raw.as_bytes().first()? {
        b'"' => text_of(raw)?,
        b'-' | b'0'..=b'9' => Cow::Borrowed(raw),
        _ => return None,
    };
    Some(Id { text, index })
}

/// Returns when Mixpanel received the event, in milliseconds since 1970, or else when it processed the event.
pub(super) fn ingested(text: &str, members: &[Member]) -> Option<i64> {
    let of = |role| first(members, role).and_then(|index| number(value(text, &members[index])));
    of(Role::ApiTime).or_else(|| of(Role::ProcessingTime))
}

/// Returns the value of a member as JSON.
pub(super) fn value<'a>(text: &'a str, member: &Member) -> &'a str {
    text.get(member.value_start..member.end).unwrap_or_default()
}
