use super::*;

/// Parses one record and compares it with `expected`: the row as `id|properties|last_seen`, or the reject's reason.
fn check(raw: &str, expected: &str) {
    let mut rows = RowsBuilder::with_capacity(raw.len());
    push_record(&mut rows, raw, &mut Scratch::default());
    let rows = rows.finish();
    let shown = match (rows.iter().next(), rows.rejects().first()) {
        (Some(row), None) => format!("{}|{}|{:?}", row.distinct_id, row.properties, row.last_seen),
        (None, Some(reject)) => {
            assert_eq!(reject.raw, raw);
            format!("reject: {}", reject.reason)
        }
        other => panic!("neither one row nor one reject: {other:?}"),
    };
    assert_eq!(shown, expected, "{raw}");
}

#[test]
fn keeps_properties_byte_for_byte() {
    for properties in [
        r"{}",
        r#"{"a":1}"#,
        r#"{ "a" : 1 , "b":[ 1, 2 ] }"#,
        r#"{"big":9223372036854775808,"huge":1e300,"zero":0.10,"exp":1.50E+10,"minus":-0.0,"digits":123456789012345678901234567890}"#,
        r#"{"x":1,"x":2,"X":3}"#,
        r#"{"e":"\u00e9\/\ud83d\ude00","raw":"é😀\u2028"}"#,
        r#"{"n":null,"o":{},"nested":{"a":{"b":[null,{}]}}}"#,
        r#"{"$last_seen_at":"2026-01-01T00:00:00","last_seen":1}"#,
        r#"{"inner":{"$last_seen":"2026-01-01T00:00:00"}}"#,
        r#"{"back":"\\ud83d"}"#,
    ] {
        check(&format!(r#"{{"$distinct_id":"a","$properties":{properties}}}"#), &format!("a|{properties}|None"));
    }
}

#[test]
fn lifts_last_seen_and_leaves_every_other_byte() {
    let time = "1970-01-01T00:00:01";
    for (properties, rest) in [
        (r#"{"$last_seen":"T"}"#, "{}"),
        (r#"{ "$last_seen" : "T" }"#, "{}"),
        (r#"{"$last_seen":"T","a":1}"#, r#"{"a":1}"#),
        (r#"{"a":1,"$last_seen":"T"}"#, r#"{"a":1}"#),
        (r#"{"a": 1, "$last_seen": "T", "b": 2}"#, r#"{"a": 1, "b": 2}"#),
        (r#"{"\u0024last_seen":"T","a":1}"#, r#"{"a":1}"#),
    ] {
        let properties = properties.replace('T', time);
        check(&format!(r#"{{"$distinct_id":"a","$properties":{properties}}}"#), &format!("a|{rest}|Some(1000000)"));
    }
}

/// A value that the column cannot reproduce exactly stays in the properties, whether or not it is a valid time.
#[test]
fn keeps_a_last_seen_that_does_not_round_trip() {
    const AT: i64 = 1_767_225_599_000_000;
    for (value, moment) in [
        (r#""2025-12-31T23:59:60""#, Some(AT)),
        (r#""2025-12-31T23:59:59.0""#, Some(AT)),
        (r#""2025-12-31T23:59:59.000000""#, Some(AT)),
        (r#""2025-12-31T23:59:59.123456""#, Some(AT + 123_456)),
        (r#""2025-12-31T23:59:59.1234567""#, Some(AT + 123_456)),
        (r#""2025-12-31T23:59:59.123456789""#, Some(AT + 123_456)),
        (r#""2025-12-31T23:59:59Z""#, Some(AT)),
        (r#""2025-12-31T23:59:59+00:00""#, Some(AT)),
        (r#""2026-01-01T01:59:59+02:00""#, Some(AT)),
        (r#""2025-12-31T23:59:59-00:00""#, Some(AT)),
        (r#""2025-12-31 23:59:59""#, Some(AT)),
        (r#""2025-12-31t23:59:59""#, Some(AT)),
        (r#""20251231T235959""#, Some(AT)),
        (r#""2025-12-31T23:59""#, Some(AT - 59_000_000)),
        (r#""2025-12-31""#, Some(AT - 86_399_000_000)),
        (r#""2025\u002d12-31T23:59:59""#, Some(AT)),
        (r#""0000-01-01T00:00:00""#, Some(-62_167_219_200_000_000)),
        (r#"" 2025-12-31T23:59:59""#, None),
        (r#""2025-12-31T24:00:00""#, None),
        ("1767225599", None),
        ("1767225599.5", None),
        ("true", None),
        (r#"["2025-12-31T23:59:59"]"#, None),
    ] {
        let properties = format!(r#"{{"a":1,"$last_seen":{value}}}"#);
        check(&format!(r#"{{"$distinct_id":"a","$properties":{properties}}}"#), &format!("a|{properties}|{moment:?}"));
    }
    for properties in [
        r#"{"$last_seen":"x","a":1,"$last_seen":"T","b":2}"#,
        r#"{"$last_seen":"T","$last_seen":"T"}"#,
        r#"{"a":1,"$last_seen":null,"\u0024last_seen":"T"}"#,
    ] {
        let properties = properties.replace('T', "2025-12-31T23:59:59");
        let expected = format!("a|{properties}|{:?}", Some(AT));
        check(&format!(r#"{{"$distinct_id":"a","$properties":{properties}}}"#), &expected);
    }
}

#[test]
fn keeps_an_invalid_last_seen_in_properties() {
    for value in [r#""soon""#, "null", "1790000123", "{}", r#""2026-01-01T25:00:00""#, r#""""#] {
        let properties = format!(r#"{{"a":1,"$last_seen":{value}}}"#);
        check(&format!(r#"{{"$distinct_id":"a","$properties":{properties}}}"#), &format!("a|{properties}|None"));
    }
}

#[test]
fn reads_ids() {
    check(r#"{"$distinct_id":12345678901234567890,"$properties":{}}"#, "12345678901234567890|{}|None");
    check(r#"{"$distinct_id":-7,"$properties":{}}"#, "-7|{}|None");
    check(r#"{"$distinct_id":"","$properties":{}}"#, "|{}|None");
    check(r#"{"$distinct_id":"a\"\u00e9\\","$properties":{}}"#, "a\"é\\|{}|None");
    check(r#"{"$properties":{},"other":[1],"$distinct_id":"x"}"#, "x|{}|None");
}

#[test]
fn takes_missing_properties_for_empty_ones() {
    check(r#"{"$distinct_id":"a","$properties":null}"#, "a|{}|None");
    check(r#"{"$distinct_id":"a"}"#, "a|{}|None");
}

#[test]
fn rejects_invalid_records() {
    check(r#"{"$properties":{}}"#, "reject: `$distinct_id` is missing");
    check(r#"{"$distinct_id":null,"$properties":{}}"#, "reject: `$distinct_id` is missing");
    check(r#"{"$distinct_id":true,"$properties":{}}"#, "reject: `$distinct_id` is neither text nor a number");
    check(r#"{"$distinct_id":"\ud800","$properties":{}}"#, "reject: `$distinct_id` is not Unicode text");
    check(r#"{"$distinct_id":"a","$properties":[1]}"#, "reject: `$properties` is not an object");
    let half = "reject: a string holds half a surrogate pair, which is not Unicode";
    for text in
        [r"\ud83d", r"\ude00", r"\ude00\ud83d", r"\ud83d\ud83d\ude00", r"\ud83dx", r"\ud83d \ude00", r"x\\\ud83d"]
    {
        check(&format!(r#"{{"$distinct_id":"a","$properties":{{"k":"{text}"}}}}"#), half);
        check(&format!(r#"{{"$distinct_id":"a","$properties":{{"{text}":1}}}}"#), half);
    }
}

#[test]
fn rejects_non_objects() {
    for raw in ["null", "7", r#""text""#, "[]", r#"["a",{"k":1}]"#] {
        let mut rows = RowsBuilder::with_capacity(0);
        push_record(&mut rows, raw, &mut Scratch::default());
        assert_eq!(rows.finish().rejects().len(), 1, "{raw}");
    }
}

mod properties_of_any_shape {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    fn any_value() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<bool>().prop_map(|value| value.to_string()),
            any::<i64>().prop_map(|value| value.to_string()),
            "[0-9]{1,3}\\.[0-9]{1,3}([eE][+-]?[0-9]{1,2})?"
                .prop_map(|text| text.trim_start_matches('0').to_owned())
                .prop_map(|text| if text.starts_with('.') { format!("0{text}") } else { text }),
            any::<String>().prop_map(|text| Value::from(text).to_string()),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" , "))),
                prop::collection::vec((any::<String>(), inner), 0..4).prop_map(|members| object(&members, "")),
            ]
        })
    }

    fn object(members: &[(String, String)], blank: &str) -> String {
        let members: Vec<_> = members
            .iter()
            .map(|(key, value)| format!("{blank}{}{blank}:{blank}{value}{blank}", Value::from(key.as_str())))
            .collect();
        format!("{{{}}}", members.join(","))
    }

    proptest! {
        /// The result is the same object without `$last_seen`, and every other member keeps its text.
        #[test]
        fn only_last_seen_is_removed(
            members in prop::collection::vec((any::<String>(), any_value()), 0..6),
            place in any::<prop::sample::Index>(),
            blank in prop_oneof![Just(""), Just(" "), Just("\n\t")],
        ) {
            let members: Vec<_> = members.into_iter().filter(|(key, _)| key != "$last_seen").collect();
            let mut with = members.clone();
            with.insert(place.index(members.len() + 1), ("$last_seen".to_owned(), "\"2026-01-01T00:00:00\"".to_owned()));
            let raw = format!("{{\"$distinct_id\":\"a\",\"$properties\":{}}}", object(&with, blank));
            let mut rows = RowsBuilder::with_capacity(0);
            push_record(&mut rows, &raw, &mut Scratch::default());
            let rows = rows.finish();
            let row = rows.iter().next().expect("a row");
            prop_assert_eq!(row.last_seen, Some(1_767_225_600_000_000));
            let left: Map<String, Value> = serde_json::from_str(row.properties).expect("still an object");
            let expected: Map<String, Value> = serde_json::from_str(&object(&members, blank)).expect("an object");
            prop_assert_eq!(left, expected);
            for (_, value) in &members {
                prop_assert!(row.properties.contains(value.as_str()));
            }
        }

        /// No record causes a panic, and every element of the array becomes a row or a reject.
        #[test]
        fn every_record_becomes_a_row_or_a_reject(records in prop::collection::vec(any_value(), 0..20)) {
            let body = format!("{{\"results\":[{}]}}", records.join(","));
            let page = crate::parse::parse_page(body.as_bytes(), crate::parse::RecordForm::Row).expect("JSON");
            prop_assert_eq!(page.rows.received(), records.len());
        }
    }
}
