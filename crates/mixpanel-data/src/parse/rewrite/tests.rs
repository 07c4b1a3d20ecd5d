use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::parse::{PageBody, Reading, RecordForm, fingerprint, parse_page};
use crate::property_rules::rules_for_tests;

const KEY: &str = "0123456789abcdef";

/// A value that must be nowhere.
const CANARY: &str = "canary-7f3a";

/// Computes HMAC-SHA-256 by its definition in RFC 2104.
fn hash_of(text: &str) -> String {
    let pad = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(KEY.bytes()).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", hash_of(text))
}

fn rewritten(drop: &[&str], hash: &[&str], raw: &str) -> Result<String, String> {
    let mut rewriter = Rewriter::new(PROFILE, &rules_for_tests(drop, hash, KEY));
    rewriter.rewrite(raw).map(str::to_owned)
}

fn record(properties: &str) -> String {
    format!(r#"{{"$distinct_id":"a","$properties":{properties}}}"#)
}

fn page(drop: &[&str], hash: &[&str], records: &str) -> PageBody {
    let reading = Reading { form: RecordForm::Row, rules: Some(rules_for_tests(drop, hash, KEY)) };
    parse_page(format!(r#"{{"results":[{records}]}}"#).as_bytes(), reading).expect("a page")
}

#[test]
fn dropped_properties_leave_every_other_byte() {
    for (properties, expected) in [
        ("{}", "{}"),
        ("{ }", "{ }"),
        (r#"{"x":1}"#, "{}"),
        (r#"{ "x" : 1 , "y":2 }"#, "{}"),
        (r#"{"x":1,"a":2}"#, r#"{"a":2}"#),
        (r#"{"a":2,"x":1}"#, r#"{"a":2}"#),
        (r#"{"a":1, "x":{"a":[1,"}"]}, "b":2}"#, r#"{"a":1, "b":2}"#),
        (r#"{"x":1,"x":2,"a":3,"x":"4"}"#, r#"{"a":3}"#),
        (r#"{ "x":1 ,"y":2 ,  "a":3 , "y":null, "b":4 }"#, r#"{ "a":3, "b":4 }"#),
        (r#"{"\u0078":1,"a":1.50E+10}"#, r#"{"a":1.50E+10}"#),
        (r#"{"X":1,"x ":2,"nested":{"x":3},"list":[{"y":1}]}"#, r#"{"X":1,"x ":2,"nested":{"x":3},"list":[{"y":1}]}"#),
        (r#"{"a":"x","b":["x","y"]}"#, r#"{"a":"x","b":["x","y"]}"#),
        (r#"{"\ud800":1,"é":2}"#, r#"{"\ud800":1}"#),
    ] {
        assert_eq!(rewritten(&["x", "y", "é"], &[], &record(properties)), Ok(record(expected)), "{properties}");
    }
}

#[test]
fn hashed_values_have_one_form() {
    for (value, expected) in [
        (r#""alice""#, quoted("alice")),
        (r#""""#, quoted("")),
        (r#""é""#, quoted("é")),
        (r#""\u00e9""#, quoted("é")),
        (r#""a\"b\\c\/\ud83d\ude80""#, quoted("a\"b\\c/🚀")),
        (r#""null""#, quoted("null")),
        ("null", "null".to_owned()),
        ("true", quoted("true")),
        ("1E5", quoted("1E5")),
        ("-0.0", quoted("-0.0")),
        ("123456789012345678901234567890", quoted("123456789012345678901234567890")),
        ("[]", "[]".to_owned()),
        (r#"[ "a",1 ,null, true]"#, format!("[ {},{} ,null, {}]", quoted("a"), quoted("1"), quoted("true"))),
        (r#"[["a"],[],"]"]"#, format!("[[{}],[],{}]", quoted("a"), quoted("]"))),
        (r#"[{"b": "]"},2]"#, format!("[{},{}]", quoted(r#"{"b": "]"}"#), quoted("2"))),
        (r#"{"b": [1, "}"]}"#, quoted(r#"{"b": [1, "}"]}"#)),
        ("{}", quoted("{}")),
    ] {
        let with = |value: &str| record(&format!(r#"{{"a" : 1, "h" : {value}, "b":"h"}}"#));
        assert_eq!(rewritten(&[], &["h"], &with(value)), Ok(with(&expected)), "{value}");
        let twice = |value: &str| record(&format!(r#"{{"h":{value},"\u0068":{value}}}"#));
        assert_eq!(rewritten(&[], &["h"], &twice(value)), Ok(twice(&expected)), "{value}, twice");
    }
}

#[test]
fn the_id_is_hashed_as_a_text_under_both_of_its_names() {
    for name in ["$distinct_id", "distinct_id"] {
        for (id, text) in [(r#""42""#, "42"), ("42", "42"), (r#""\u00e9""#, "é"), (r#""""#, ""), ("-7", "-7")] {
            let raw = format!(r#"{{"$distinct_id":{id},"$properties":{{"distinct_id":"{CANARY}","$distinct_id":1}}}}"#);
            let rows = page(&[], &[name], &raw).rows;
            let row = rows.iter().next().expect("a row");
            let properties = format!(r#"{{"distinct_id":{},"$distinct_id":{}}}"#, quoted(CANARY), quoted("1"));
            assert_eq!((row.distinct_id, row.properties), (hash_of(text).as_str(), properties.as_str()), "{id}");
        }
        for (id, reason) in [
            ("null", "`$distinct_id` is missing".to_owned()),
            ("true", withheld("`$distinct_id` is neither text nor a number")),
            (r#"["x"]"#, withheld("`$distinct_id` is neither text nor a number")),
            (r#""\ud800""#, withheld(HALF_A_PAIR)),
        ] {
            let rows = page(&[], &[name], &format!(r#"{{"$distinct_id":{id}}}"#)).rows;
            assert_eq!(rows.rejects()[0].reason, reason, "{id}");
        }
    }
}

fn withheld(reason: &str) -> String {
    format!("{reason}; withheld, because properties are dropped or hashed")
}

#[test]
fn no_reject_keeps_a_value_that_must_not_be_stored() {
    let half = r#"{"$distinct_id":"a","$properties":{"h":"\ud800 canary-7f3a"}}"#;
    let deep = format!(
        r#"{{"$distinct_id":"a","$properties":{{"d":"canary-7f3a","n":{}1{}}}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    for (raw, reason, kept) in [
        (r#"{"$properties":{"d":"canary-7f3a","a":1}}"#, "`$distinct_id` is missing", r#"{"$properties":{"a":1}}"#),
        (
            r#"{"$distinct_id":"a","$properties":{},"d":"canary-7f3a","$properties":{"d":["canary-7f3a"],"a":1}}"#,
            "not a profile: it has `$properties` twice",
            r#"{"$distinct_id":"a","$properties":{},"$properties":{"a":1}}"#,
        ),
        (r#"{"$distinct_id":"a","$properties":["canary-7f3a"]}"#, &withheld("`$properties` is not an object"), ""),
        (r#"{"$distinct_id":"a","$properties":"canary-7f3a"}"#, &withheld("`$properties` is not an object"), ""),
        (r#""canary-7f3a""#, &withheld("not a profile: not an object"), ""),
        (r#"["canary-7f3a"]"#, &withheld("not a profile: not an object"), ""),
        (half, &withheld(HALF_A_PAIR), ""),
        (&deep, "`$properties` is nested deeper than 128 levels", &deep.replace(r#""d":"canary-7f3a","#, "")),
    ] {
        let rows = page(&["d"], &["h"], &format!(r#"{{"$distinct_id":"b"}},{raw}"#)).rows;
        let reject = &rows.rejects()[0];
        assert_eq!((reject.reason.as_str(), reject.raw.as_str(), reject.position), (reason, kept, 1), "{raw}");
        assert!(!format!("{rows:?}").contains(CANARY), "{raw}");
    }
    // A dropped value cannot make a record a reject.
    let rows = page(&["d"], &[], r#"{"$distinct_id":"a","$properties":{"d":"\ud800"}}"#).rows;
    assert_eq!(rows.iter().next().expect("a row").properties, "{}");
}

/// Records of pages that are not valid JSON.
#[test]
fn malformed_records_are_withheld() {
    for (records, rows, rejects) in [
        (r#"{"$distinct_id":"a","$properties":{"d":canary-7f3a}},{"$distinct_id":"b"}"#, 1, 1),
        (r#"{"$distinct_id":"a"} canary-7f3a,{"$distinct_id":"b"}"#, 2, 1),
        (
            r#"{"$distinct_id":"a","$properties":{"d":"canary-7f3a" "x":1}},,{"$distinct_id":"b","$properties":{"d":"canary-7f3a"}}"#,
            1,
            2,
        ),
    ] {
        let page = page(&["d"], &[], records);
        assert_eq!((page.rows.len(), page.rows.rejects().len()), (rows, rejects), "{records}");
        assert!(!format!("{:?}", page.rows).contains(CANARY), "{records}");
        assert!(page.rows.rejects().iter().all(|reject| reject.raw.is_empty()), "{records}");
    }
    let reading = Reading { form: RecordForm::Row, rules: Some(rules_for_tests(&["d"], &[], KEY)) };
    for body in [r#"{"results":"canary-7f3a"}"#, r#"{"results":["#, r#"["canary-7f3a"]"#] {
        let error = parse_page(body.as_bytes(), reading.clone()).unwrap_err();
        assert!(!error.contains(CANARY), "{error}");
    }
}

#[test]
fn pages_with_other_withheld_records_have_other_fingerprints() {
    let number = |records: &str| fingerprint(&page(&["d"], &[], records).rows);
    let (a, b) = (r#""a","b""#, r#""b","a""#);
    assert_eq!(number(a), number(b));
    assert_ne!(number(a), number(r#""a","c""#));
    assert_ne!(number(a), number(r#""a""#));
}

#[test]
fn a_dropped_last_seen_is_nowhere_and_a_hashed_one_is_only_in_the_properties() {
    let raw = record(r#"{"$last_seen":"2026-01-01T00:00:00","a":1}"#);
    for (drop, hash, expected) in [
        (&["$last_seen"][..], &[][..], r#"{"a":1}"#.to_owned()),
        (&[], &["$last_seen"], format!(r#"{{"$last_seen":{},"a":1}}"#, quoted("2026-01-01T00:00:00"))),
    ] {
        let rows = page(drop, hash, &raw).rows;
        let row = rows.iter().next().expect("a row");
        assert_eq!((row.properties, row.last_seen), (expected.as_str(), None));
    }
}

#[test]
fn properties_that_occur_are_noted_also_in_rejects() {
    let records = r#"{"$distinct_id":"a","$properties":{"\u0064":1}},{"$properties":{"h":null}}"#;
    let rows = page(&["d", "none"], &["h"], records).rows;
    let matched = ["d", "h", "none", "a"].map(|name| rows.unstored().has_matched(name));
    assert_eq!(matched, [true, true, false, false]);
}

#[test]
fn hashing_cannot_make_a_record_arbitrarily_large() {
    let list = "1,".repeat(300_000);
    let raw = record(&format!(r#"{{"h":[{list}1]}}"#));
    assert_eq!(rewritten(&[], &["h"], &raw).unwrap_err(), "with hashed values, the record is larger than 8 MiB");
    assert!(rewritten(&["h"], &[], &raw).is_ok());
}

mod reference {
    use serde::Deserialize;
    use serde::de::{Deserializer, MapAccess, Visitor};
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::*;

    /// The members of an object as serde_json reads them, in order.
    struct Members<'a>(Vec<(String, &'a RawValue)>);

    impl<'de> Deserialize<'de> for Members<'de> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct All;
            impl<'de> Visitor<'de> for All {
                type Value = Members<'de>;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                    let mut members = Vec::new();
                    while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                        members.push((key, value));
                    }
                    Ok(Members(members))
                }
            }
            deserializer.deserialize_map(All)
        }
    }

    fn members(text: &str) -> Vec<(String, &str)> {
        let members: Members<'_> = serde_json::from_str(text).expect("an object");
        members.0.into_iter().map(|(key, value)| (key, value.get())).collect()
    }

    fn hashed(value: &str) -> Value {
        match serde_json::from_str(value).expect("JSON") {
            Value::Null => Value::Null,
            Value::String(text) => hash_of(&text).into(),
            Value::Array(_) => {
                let elements: Vec<&RawValue> = serde_json::from_str(value).expect("an array");
                elements.into_iter().map(|element| hashed(element.get())).collect()
            }
            _ => hash_of(value).into(),
        }
    }

    fn value() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<bool>().prop_map(|value| value.to_string()),
            any::<i64>().prop_map(|value| value.to_string()),
            "-?[1-9][0-9]{0,2}\\.[0-9]{1,3}([eE][+-]?[0-9]{1,2})?",
            any::<String>().prop_map(|text| Value::from(text).to_string()),
            Just(r#""\u00e9\ud83d\ude80\/\u005b""#.to_owned()),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" , "))),
                prop::collection::vec((key(), inner), 0..4).prop_map(|members| object(&members, "")),
            ]
        })
    }

    /// Returns keys as JSON text; some are those of the rules, also with escapes.
    fn key() -> impl Strategy<Value = String> {
        prop_oneof![
            Just(r#""d""#.to_owned()),
            Just(r#""\u0064""#.to_owned()),
            Just(r#""h""#.to_owned()),
            Just(r#""\u0068""#.to_owned()),
            any::<String>().prop_map(|text| Value::from(text).to_string()),
        ]
    }

    fn object(members: &[(String, String)], blank: &str) -> String {
        let members: Vec<_> =
            members.iter().map(|(key, value)| format!("{blank}{key}{blank}:{blank}{value}{blank}")).collect();
        format!("{{{}}}", members.join(","))
    }

    proptest! {
        /// The result has the members that a slow implementation finds, and the text of all others is the same.
        #[test]
        fn rewriting_equals_a_slow_implementation(
            list in prop::collection::vec((key(), value()), 0..8),
            blank in prop_oneof![Just(""), Just(" "), Just("\n\t")],
        ) {
            let properties = object(&list, blank);
            let expected: Vec<_> = members(&properties).into_iter().filter(|(name, _)| name != "d").collect();
            let text = rewritten(&["d"], &["h"], &record(&properties)).expect("valid JSON");
            let record = members(&text);
            let found = members(record[1].1);
            prop_assert_eq!(found.len(), expected.len(), "{}", text);
            for ((name, found), (expected_name, value)) in found.into_iter().zip(expected) {
                prop_assert_eq!(&name, &expected_name);
                if name == "h" {
                    prop_assert_eq!(serde_json::from_str::<Value>(found).expect("JSON"), hashed(value));
                } else {
                    prop_assert_eq!(found, value);
                }
            }
        }

        /// Without a property that has a rule, the text stays the same.
        #[test]
        fn other_records_stay_the_same(
            list in prop::collection::vec((key(), value()), 0..8),
            blank in prop_oneof![Just(""), Just(" "), Just("\n\t")],
        ) {
            let raw = record(&object(&list, blank));
            prop_assert_eq!(rewritten(&["none"], &["neither"], &raw), Ok(raw));
        }
    }
}
