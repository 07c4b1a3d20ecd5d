//! The members of an event's properties, and the text that remains when some of them are lifted out.

use std::fmt::{self, Write};

use crate::parse::collector::{Collector, Key};
use crate::parse::object::Cursor;
use crate::parse::role::Role;

/// The position of a member in the text of an event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) start: usize,
    pub(super) value_start: usize,
    pub(super) end: usize,
    /// The place of its property in the collector, if it has one.
    pub(super) place: Option<u32>,
    pub(super) role: Role,
}

/// Records the position of each member of the object at `start`. Returns the position after the object.
pub(super) fn read_members(text: &str, start: usize, members: &mut Vec<Member>, collector: &mut Collector) -> usize {
    members.clear();
    let mut cursor = Cursor::enter(text, start);
    collector.begin_keys();
    while cursor.seek_key() {
        let start = cursor.position();
        let Key { place, role } = collector.key(&mut cursor);
        let value_start = cursor.position();
        cursor.skip_value();
        members.push(Member { start, value_start, end: cursor.position(), place, role });
    }
    cursor.position()
}

/// Returns the index of the first member with a role.
pub(super) fn first(members: &[Member], role: Role) -> Option<usize> {
    members.iter().position(|member| member.role == role)
}

/// Writes the object from `start` to `end` without the members whose indices are in `lifted`. Everything else stays the
/// same byte for byte, including the space between members.
pub(super) fn write_rest(
    text: &str,
    (start, end): (usize, usize),
    members: &[Member],
    lifted: [Option<usize>; 3],
    out: &mut impl Write,
) -> fmt::Result {
    let Some(first) = members.first() else { return out.write_str(&text[start..end]) };
    let is_lifted = |index: &usize| lifted.contains(&Some(*index));
    let mut kept_from = None;
    let mut has_kept = false;
    let mut flush = |from: usize, to: usize| {
        // The space before the first kept member is that before the first member.
        let lead = if has_kept {
            from.checked_sub(1).map_or(start, |before| members[before].end)
        } else {
            members[from].start
        };
        if !has_kept {
            out.write_str(&text[start..first.start])?;
        }
        has_kept = true;
        out.write_str(&text[lead..members[to].end])
    };
    for index in 0..members.len() {
        match (is_lifted(&index), kept_from) {
            (false, None) => kept_from = Some(index),
            (true, Some(from)) => {
                flush(from, index - 1)?;
                kept_from = None;
            }
            _ => {}
        }
    }
    if let Some(from) = kept_from {
        flush(from, members.len() - 1)?;
    }
    let closing = members.last().map_or(end, |last| last.end);
    if has_kept { out.write_str(&text[closing..end]) } else { out.write_str("{}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rest(text: &str, lifted: [Option<usize>; 3]) -> String {
        let mut members = Vec::new();
        let end = read_members(text, 0, &mut members, &mut Collector::new());
        let mut out = String::new();
        write_rest(text, (0, end), &members, lifted, &mut out).unwrap();
        out
    }

    #[test]
    fn what_remains_is_the_same_byte_for_byte() {
        let text = r#"{ "a" : 1 , "b":[2,{"a":0}]  ,"c":"}" }"#;
        for (lifted, expected) in [
            ([None, None, None], text),
            ([Some(0), None, None], r#"{ "b":[2,{"a":0}]  ,"c":"}" }"#),
            ([Some(1), None, None], r#"{ "a" : 1  ,"c":"}" }"#),
            ([None, Some(2), None], r#"{ "a" : 1 , "b":[2,{"a":0}] }"#),
            ([Some(2), Some(0), None], r#"{ "b":[2,{"a":0}] }"#),
            ([Some(1), Some(0), None], r#"{ "c":"}" }"#),
            ([Some(2), Some(0), Some(1)], "{}"),
        ] {
            assert_eq!(rest(text, lifted), expected, "{lifted:?}");
        }
        assert_eq!(rest("{ }", [None; 3]), "{ }");
    }

    proptest! {
        #[test]
        fn only_the_lifted_members_are_missing(
            values in proptest::collection::vec(("[ab]{0,2}", prop_oneof![Just("1"), Just("{\"x\":[]}"), Just("\"\\\"\"")], " {0,2}"), 0..8),
            lifted in proptest::array::uniform3(proptest::option::of(0_usize..8)),
        ) {
            let members: Vec<String> = values.iter().map(|(key, value, space)| format!("{space}\"{key}\":{space}{value}{space}")).collect();
            let text = format!("{{{}}}", members.join(","));
            let kept: Vec<(&str, &str)> = values
                .iter()
                .enumerate()
                .filter(|(index, _)| !lifted.contains(&Some(*index)))
                .map(|(_, (key, value, _))| (key.as_str(), *value))
                .collect();
            let rest = rest(&text, lifted);
            let mut found: Vec<(String, String)> = Vec::new();
            crate::parse::for_each_member(&rest, |key, value| found.push((key.trim_matches('"').to_owned(), value.to_owned())));
            let found: Vec<(&str, &str)> = found.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            prop_assert_eq!(found, kept);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&rest).is_ok(), "{}", rest);
        }
    }
}
