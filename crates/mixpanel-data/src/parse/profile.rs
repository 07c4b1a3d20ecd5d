//! One record of a page: what of it becomes a row, and why not.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::depth::is_deeper_than;
use super::last_seen::parse_last_seen;
use super::rows::RowsBuilder;
use crate::limits::{JSON_DEPTH_MAX, PROFILE_BYTES_MAX};

/// The two keys of a record that matter. Unknown keys are ignored; `null` counts as missing.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(rename = "$distinct_id", borrow, default)]
    distinct_id: Option<&'a RawValue>,
    #[serde(rename = "$properties", borrow, default)]
    properties: Option<&'a RawValue>,
}

/// Space that is used again for every record.
#[derive(Default)]
pub(super) struct Scratch {
    members: Vec<Member>,
    text: String,
}

/// Where a member of the properties object stands in its text.
struct Member {
    start: usize,
    end: usize,
    is_last_seen: bool,
}

/// Appends a record to `rows`, as a row if it can be one, else as a reject. A record never takes another one along.
pub(super) fn push_record(rows: &mut RowsBuilder, raw: &str, scratch: &mut Scratch) {
    if let Err(reason) = try_push(rows, raw, scratch) {
        rows.reject(reason, raw);
    }
}

fn try_push(rows: &mut RowsBuilder, raw: &str, scratch: &mut Scratch) -> Result<(), String> {
    if !raw.starts_with('{') {
        return Err("not a profile: not an object".to_owned());
    }
    let record: Record<'_> = serde_json::from_str(raw).map_err(|error| format!("not a profile: {error}"))?;
    let distinct_id = read_distinct_id(record.distinct_id.map(RawValue::get))?;
    let properties = record.properties.map_or("{}", RawValue::get);
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
        return Err("a string holds half a surrogate pair, which is not Unicode".to_owned());
    }
    let last_seen = lift_last_seen(properties, scratch)?;
    let kept = if last_seen.is_some() { scratch.text.as_str() } else { properties };
    rows.push(&distinct_id, kept, last_seen);
    Ok(())
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

/// Reads `$last_seen` and writes the properties without it to `scratch.text`, every other byte as it was. `None` when it
/// is missing or cannot be read as a time; then it stays where it is. Of several, the last one counts.
fn lift_last_seen(properties: &str, scratch: &mut Scratch) -> Result<Option<i64>, String> {
    scratch.members.clear();
    let mut last_seen = None;
    let mut deserializer = serde_json::Deserializer::from_str(properties);
    let visitor = Members { text: properties, members: &mut scratch.members, last_seen: &mut last_seen };
    deserializer.deserialize_map(visitor).map_err(|error| format!("`$properties` cannot be read: {error}"))?;
    let Some(micros) = last_seen.and_then(read_time) else { return Ok(None) };
    remove_last_seen(properties, scratch);
    Ok(Some(micros))
}

fn read_time(raw: &str) -> Option<i64> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return parse_last_seen(&serde_json::from_str::<String>(raw).ok()?);
    }
    parse_last_seen(inner)
}

/// Copies all but the marked members. A member goes with the separator before it, or, when nothing before it stays,
/// with the one after it.
fn remove_last_seen(properties: &str, scratch: &mut Scratch) {
    let Scratch { members, text } = scratch;
    text.clear();
    if members.iter().all(|member| member.is_last_seen) {
        text.push_str("{}");
        return;
    }
    let mut copied_to = 0;
    let mut kept_before = false;
    for (index, member) in members.iter().enumerate() {
        if !member.is_last_seen {
            kept_before = true;
            continue;
        }
        let (cut_from, cut_to) =
            if kept_before { (members[index - 1].end, member.end) } else { (member.start, members[index + 1].start) };
        text.push_str(&properties[copied_to..cut_from]);
        copied_to = cut_to;
    }
    text.push_str(&properties[copied_to..]);
}

/// Notes where the members of an object are. Keys and values are raw, so nothing in them can fail.
struct Members<'a, 'text> {
    text: &'text str,
    members: &'a mut Vec<Member>,
    last_seen: &'a mut Option<&'text str>,
}

impl<'text> Visitor<'text> for Members<'_, 'text> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'text>>(self, mut map: A) -> Result<(), A::Error> {
        let origin = self.text.as_ptr().addr();
        while let Some(key) = map.next_key::<&'text RawValue>()? {
            let value = map.next_value::<&'text RawValue>()?.get();
            let is_last_seen = is_last_seen_key(key.get());
            if is_last_seen {
                *self.last_seen = Some(value);
            }
            let start = key.get().as_ptr().addr() - origin;
            let end = value.as_ptr().addr() - origin + value.len();
            self.members.push(Member { start, end, is_last_seen });
        }
        Ok(())
    }
}

/// Compares a key as it stands in the text; one with escapes, such as `"\u0024last_seen"`, is decoded first.
fn is_last_seen_key(raw: &str) -> bool {
    const KEY: &str = "$last_seen";
    if raw.contains('\\') {
        return serde_json::from_str::<String>(raw).is_ok_and(|key| key == KEY);
    }
    raw.len() == KEY.len() + 2 && &raw[1..raw.len() - 1] == KEY
}

/// Looks for an escape such as `\ud83d` that is not followed by its other half, or precedes none.
fn has_lone_surrogate(json: &str) -> bool {
    let bytes = json.as_bytes();
    let mut at = 0;
    let mut high_ends_at = None;
    while let Some(found) = memchr::memchr(b'\\', &bytes[at..]) {
        let escape = at + found;
        if bytes.get(escape + 1) != Some(&b'u') {
            at = escape + 2;
            continue;
        }
        let unit = json.get(escape + 2..escape + 6).and_then(|hex| u16::from_str_radix(hex, 16).ok()).unwrap_or(0);
        let follows_high = high_ends_at == Some(escape);
        match unit {
            0xDC00..=0xDFFF if follows_high => high_ends_at = None,
            0xDC00..=0xDFFF => return true,
            _ if high_ends_at.is_some() => return true,
            0xD800..=0xDBFF => high_ends_at = Some(escape + 6),
            _ => {}
        }
        at = escape + 6;
    }
    high_ends_at.is_some()
}

#[cfg(test)]
#[path = "profile_test.rs"]
mod tests;
