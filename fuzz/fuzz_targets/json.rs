//! Runs the JSON scanners on arbitrary text, and compares their results for valid JSON with those of serde_json.
//!
//! The scanners are compiled from the library's sources, but without the library, on which they do not depend.
#![no_main]

use std::fmt;

use libfuzzer_sys::fuzz_target;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use object::Cursor;
use scan::Scanner;

#[path = "../../crates/mixpanel-data/src/parse/depth.rs"]
mod depth;
#[path = "../../crates/mixpanel-data/src/parse/object.rs"]
mod object;
#[expect(dead_code, reason = "the library recovers records with the rest")]
#[path = "../../crates/mixpanel-data/src/parse/scan.rs"]
mod scan;

fuzz_target!(|bytes: &[u8]| {
    check_elements(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        check_members(text);
        check_depth(text);
    }
});

/// The members of an object, in order, with the exact text of the values.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut json = serde_json::Deserializer::from_str(text);
        let members = json.deserialize_map(MembersVisitor).ok()?;
        json.end().ok()?;
        Some(members)
    }
}

struct MembersVisitor;

impl<'a> Visitor<'a> for MembersVisitor {
    type Value = Members<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Members<'a>, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

/// Checks that the cursor finds the same members as serde_json in an object, and terminates on any other text.
fn check_members(text: &str) {
    let mut cursor = Cursor::enter(text, text.find('{').unwrap_or_default());
    let mut found = Vec::new();
    while let Some(key) = cursor.next_key() {
        let is_object = cursor.is_at_object();
        let value = cursor.value();
        assert_eq!(is_object, value.starts_with('{'));
        found.push((key, value));
    }
    let Some(Members(members)) = Members::parse(text) else { return };
    assert_eq!(cursor.position(), text.trim_end().len());
    assert_eq!(found.len(), members.len());
    for ((key, value), (expected_key, expected)) in found.into_iter().zip(members) {
        assert_eq!(serde_json::from_str::<String>(key).ok(), Some(expected_key));
        assert_eq!(value, expected.get());
    }
}

/// Checks that the scanner finds the same elements as serde_json in an array, and makes progress on any other text.
fn check_elements(bytes: &[u8]) {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\t' | b'\r');
    let trimmed = bytes.trim_ascii_start();
    let end = trimmed.len() - trimmed.iter().rev().take_while(|byte| is_blank(byte)).count();
    let inner = trimmed[..end].strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
    let text = inner.unwrap_or(bytes);
    let mut scanner = Scanner::new(text);
    let mut found = Vec::new();
    let mut at = scanner.skip_blank(0);
    while at < text.len() {
        if text[at] == b',' {
            at = scanner.skip_blank(at + 1);
            continue;
        }
        let element = scanner.element(at);
        assert!(element.end > at && element.end <= text.len(), "no progress at {at}");
        assert!(element.object_end.is_none_or(|end| end > at && end <= text.len()));
        found.push(&text[at..element.end]);
        at = scanner.skip_blank(element.end);
    }
    let Some(expected) = inner.and_then(|_| serde_json::from_slice::<Vec<&RawValue>>(bytes).ok()) else { return };
    let expected: Vec<&[u8]> = expected.iter().map(|value| value.get().as_bytes()).collect();
    assert_eq!(found.iter().map(|element| element.trim_ascii_end()).collect::<Vec<_>>(), expected);
}

/// Checks the depth against that counted by a parser.
fn check_depth(text: &str) {
    let Ok(Depth(depth)) = serde_json::from_str(text) else { return };
    assert!(!depth::is_deeper_than(text, depth));
    assert!(depth == 0 || depth::is_deeper_than(text, depth - 1));
}

/// The nesting depth of a value. `serde_json::Value` drops repeated keys.
struct Depth(usize);

impl<'de> Deserialize<'de> for Depth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DepthVisitor)
    }
}

struct DepthVisitor;

impl<'de> Visitor<'de> for DepthVisitor {
    type Value = Depth;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Depth, E> {
        Ok(Depth(0))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Depth, E> {
        Ok(Depth(0))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Depth, E> {
        Ok(Depth(0))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Depth, E> {
        Ok(Depth(0))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Depth, E> {
        Ok(Depth(0))
    }

    fn visit_str<E>(self, _: &str) -> Result<Depth, E> {
        Ok(Depth(0))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Depth, A::Error> {
        let mut deepest = 0;
        while let Some(Depth(depth)) = elements.next_element()? {
            deepest = deepest.max(depth);
        }
        Ok(Depth(1 + deepest))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Depth, A::Error> {
        let mut deepest = 0;
        while let Some((_, Depth(depth))) = members.next_entry::<IgnoredAny, Depth>()? {
            deepest = deepest.max(depth);
        }
        Ok(Depth(1 + deepest))
    }
}
