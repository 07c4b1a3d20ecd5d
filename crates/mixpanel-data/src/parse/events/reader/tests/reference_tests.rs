//! Compares with a parser that shares no code with the reader.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::*;

/// The members of an object, in order, with repeated keys.
#[derive(Debug)]
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

fn text_or_digits(value: &str) -> Option<String> {
    match serde_json::from_str(value).ok()? {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Number(_) => Some(value.to_owned()),
        _ => None,
    }
}

/// Parses a line with an integral time in milliseconds. The properties are compared as text, which requires that the
/// line has no space between tokens and no escapes in keys.
fn reference(line: &str) -> Option<Row> {
    let Members(top) = serde_json::from_str(line).ok()?;
    let of = |name: &str| top.iter().find(|(key, _)| key == name).map(|(_, value)| value.get());
    let event: String = serde_json::from_str(of("event")?).ok()?;
    let Members(mut members) = serde_json::from_str(of("properties")?).ok()?;
    let position = |members: &[(String, Box<RawValue>)], name: &str| members.iter().position(|(key, _)| key == name);
    let time: i64 = members.remove(position(&members, "time")?).1.get().parse().ok()?;
    let number = |name: &str| members[position(&members, name)?].1.get().parse::<i64>().ok();
    let ingested = number("$mp_api_timestamp_ms").or_else(|| number("mp_processing_time_ms"));
    let mut lift = |name: &str, accepts: fn(&str) -> bool| {
        let at = position(&members, name)?;
        let text = text_or_digits(members[at].1.get()).filter(|text| accepts(text))?;
        members.remove(at);
        Some(text)
    };
    let distinct_id = lift("distinct_id", |_| true).unwrap_or_default();
    let insert_id = lift("$insert_id", |id| !id.is_empty()).unwrap_or_else(|| format!("gen-{}", &sha256(line)[..32]));
    let members: Vec<String> = members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
    let properties = format!("{{{}}}", members.join(","));
    let day = i32::try_from(time.div_euclid(86_400_000)).ok()?;
    Some(Row { event, micros: time * 1_000, distinct_id, insert_id, properties, ingested, day })
}

/// The lines of a specification of odd cases, with times in milliseconds.
const ODD: [&str; 5] = [
    r#"{"event":"Signed up","properties":{"time":1767225600000,"distinct_id":"u-17","$device_id":"5f1c","$user_id":"u-17","$insert_id":"0c9e2a51-77aa","$import":true,"$mp_api_endpoint":"api.mixpanel.com","$mp_api_timestamp_ms":1767225601234,"$mp_event_size":412,"mp_processing_time_ms":1767225602001,"mp_country_code":"PT","$city":"Lisboa","plan":"pro"}}"#,
    r#"{"event":"Signed up","properties":{"time":1767225600000,"distinct_id":"u-17","$device_id":"5f1c","$user_id":"u-17","$insert_id":"0c9e2a51-77aa","$import":true,"$mp_api_endpoint":"api.mixpanel.com","$mp_api_timestamp_ms":1767239999000,"$mp_event_size":412,"mp_processing_time_ms":1767240000450,"mp_country_code":"PT","$city":"Porto","plan":"pro"}}"#,
    r#"{"event":"Page View","properties":{"time":1767225600123,"distinct_id":"","order":9007199254740993,"big":1e21,"note":"a\u2028b\"c\\n","tags":["x",{"k":null}],"id":1,"Id":"1","flag":"undefined","mp_processing_time_ms":1767225700000}}"#,
    r#"{"event":"$identify","properties":{"time":1767225601000,"distinct_id":"5f1c","$distinct_id_before_identity":0,"$identified_id":"u-17","$anon_id":"5f1c","$is_reshuffled":true,"$insert_id":"AbCdEfGhIjKlMnOp","mp_processing_time_ms":1767225602222}}"#,
    r#"{"event":"Bücher 🚀 \"x\"","properties":{"time":-86400,"distinct_id":"$device:5f1c","insert_id":"not the dollar one","event":"nested","properties":{"time":"2025-12-31"},"distinct_id_":"y","$insert_id":"p q/é","mp_processing_time_ms":1767225603333}}"#,
];

#[test]
fn odd_lines_are_stored_byte_for_byte() {
    let expected: Vec<Row> = ODD.iter().map(|line| reference(line).unwrap()).collect();
    assert_eq!(
        expected[2].properties,
        r#"{"order":9007199254740993,"big":1e21,"note":"a\u2028b\"c\\n","tags":["x",{"k":null}],"id":1,"Id":"1","flag":"undefined","mp_processing_time_ms":1767225700000}"#
    );
    let body = ODD.join("\n");
    for chunk in 1..=body.len() + 1 {
        let outcome = read_with(body.as_bytes(), chunk, january(), &EventReading::default()).unwrap();
        assert_eq!(outcome.rows, expected, "in chunks of {chunk}");
    }
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        Just("1e21".to_owned()),
        Just("9007199254740993".to_owned()),
        Just("[1,{\"k\":[]}]".to_owned()),
        Just("\"\"".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        "[a-c\u{2028}\u{85}\u{7f}é🚀{}\\[\\],: ]{0,8}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        Just(r#""\u00e9\"\\n\ud83d\ude80""#.to_owned()),
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("distinct_id".to_owned()),
        Just("$insert_id".to_owned()),
        Just("time".to_owned()),
        Just("$mp_api_timestamp_ms".to_owned()),
        Just("mp_processing_time_ms".to_owned()),
        Just("$last_seen".to_owned()),
        Just(String::new()),
        "[a-cA-C$.é ]{1,3}",
    ]
}

prop_compose! {
    fn line()(
        event in prop_oneof![Just("\"A\"".to_owned()), Just("\"b \\u00e9 \\\"\"".to_owned()), Just("\"\"".to_owned())],
        mut members in proptest::collection::vec((key(), value()), 0..8),
        time in 1_767_225_600_000_i64..1_769_904_000_000,
        at in any::<prop::sample::Index>(),
        swapped in any::<bool>(),
    ) -> String {
        members.insert(at.index(members.len() + 1), ("time".to_owned(), time.to_string()));
        let first = members.iter().position(|(key, _)| key == "time").unwrap();
        members[first].1 = time.to_string();
        let members: Vec<String> = members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        let properties = members.join(",");
        if swapped {
            format!("{{\"properties\":{{{properties}}},\"event\":{event}}}")
        } else {
            format!("{{\"event\":{event},\"properties\":{{{properties}}}}}")
        }
    }
}

const PIECES: [&[u8]; 14] = [
    b"{\"event\":\"A\",\"properties\":{",
    b"\"time\":1767225600123",
    b"}}",
    b"\n",
    b",",
    b"\"x\":",
    b"\xff",
    b"\"",
    b"\\",
    b"{",
    b"[",
    b"\xe2\x80\xa8",
    b"error",
    b"\0",
];

proptest! {
    #[test]
    fn any_lines_are_read_as_the_reference_reads_them(
        lines in proptest::collection::vec(line(), 1..12),
        chunk in 1_usize..200,
        is_ended in any::<bool>(),
    ) {
        let body = lines.join("\n") + if is_ended { "\n" } else { "" };
        let outcome = read_with(body.as_bytes(), chunk, january(), &EventReading::default()).unwrap();
        prop_assert_eq!(&outcome.rejects, &[]);
        let expected: Vec<Row> = lines.iter().map(|line| reference(line).unwrap()).collect();
        prop_assert_eq!(&outcome.rows, &expected);
        // The catalogs are those of the stored rows.
        let mut collectors: std::collections::BTreeMap<&str, crate::parse::Collector> = std::collections::BTreeMap::new();
        for row in &outcome.rows {
            collectors.entry(&row.event).or_insert_with(crate::parse::Collector::new).profile(&row.properties);
        }
        let mut expected: Vec<_> = collectors.into_iter().map(|(name, collector)| (Some(name.to_owned()), collector.finish())).collect();
        let mut found = outcome.end.catalogs.0;
        for (_, catalog) in expected.iter_mut().chain(&mut found) {
            catalog.properties.sort_by(|one, other| one.name.cmp(&other.name));
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(body in proptest::collection::vec(
        proptest::sample::select(PIECES.to_vec()), 0..30), chunk in 1_usize..40) {
        let body = body.concat();
        let whole = read_with(&body, 1 << 12, january(), &EventReading::default());
        let chunked = read_with(&body, chunk, january(), &EventReading::default());
        prop_assert_eq!(whole.map(|outcome| (outcome.rows, outcome.rejects)), chunked.map(|outcome| (outcome.rows, outcome.rejects)));
    }
}
