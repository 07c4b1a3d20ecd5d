use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Filter, Subject};

fn parse(text: &str) -> Result<Filter, String> {
    Filter::parse(text, &BTreeSet::from(["bought".to_owned()]))
}

fn fits(text: &str, properties: &Value) -> bool {
    let filter = parse(text).expect("an expression");
    let values: Vec<_> = filter.property_names().iter().map(|name| properties.get(name).cloned()).collect();
    filter.matches(&Subject { values: &values, seed: 1, index: 1 })
}

#[test]
fn expressions_select_matching_profiles() {
    let person = json!({
        "plan": "pro", "n": 10, "ratio": 2.5, "paying": true, "nothing": null, "list": ["a", "ß", 3],
        "big": 9_007_199_254_740_993_u64, "$last_seen": "2026-05-01T10:00:00", "say \"hi\"": "yes", "and": 1
    });
    let table = [
        (r#"properties["plan"] == "pro""#, true),
        (r#"user["plan"] == 'pro'"#, true),
        (r#"properties["plan"] != "pro""#, false),
        (r#"properties["n"] < 10"#, false),
        (r#"properties["n"] <= 10 and properties["n"] >= 1e1 and properties["n"] > -3"#, true),
        (r#"properties["ratio"] > 2 and 2.6 > properties["ratio"]"#, true),
        (r#"properties["n"] == 10.0"#, true),
        // Integers beyond 2^53 are compared exactly.
        (r#"properties["big"] == 9007199254740993"#, true),
        (r#"properties["big"] == 9007199254740992"#, false),
        (r#"properties["big"] > 9007199254740992"#, true),
        // Values of different types are unequal and unordered.
        (r#"properties["n"] == "10""#, false),
        (r#"properties["n"] != "10""#, true),
        (r#"properties["plan"] > 5 or properties["plan"] <= 5"#, false),
        // A missing property equals null and nothing else.
        (r#"properties["absent"] == "x" or properties["absent"] < 1"#, false),
        (r#"properties["absent"] == null and properties["nothing"] == null"#, true),
        (r#"properties["plan"] == null"#, false),
        (r#"defined(properties["plan"]) and not defined(properties["absent"])"#, true),
        (r#"defined(properties["nothing"])"#, false),
        (r#"properties["paying"]"#, true),
        (r#"properties["n"]"#, false),
        (r#"not properties["paying"] or false"#, false),
        // `and` binds tighter than `or`, `not` tighter than both.
        (r#"true or true and false"#, true),
        (r#"(true or true) and false"#, false),
        (r#"not true or true"#, true),
        (r#"not (true or true)"#, false),
        (r#"TRUE AND NOT FALSE"#, true),
        (r#""ß" in properties["list"] and 3 in properties["list"]"#, true),
        (r#""b" in properties["list"] or "3" in properties["list"]"#, false),
        (r#"properties["plan"] in ["free", "pro"]"#, true),
        (r#"properties["plan"] not in ["free", "pro"]"#, false),
        (r#"properties["plan"] in []"#, false),
        (r#""ro" in properties["plan"]"#, true),
        (r#""a" in properties["absent"]"#, false),
        (r#"properties["$last_seen"] >= datetime("2026-05-01T00:00:00")"#, true),
        // 2026-05-01T10:00:01Z in seconds.
        (
            r#"properties["$last_seen"] < datetime(1777629601) and properties["$last_seen"] >= datetime(1777629600)"#,
            true,
        ),
        (r#"properties["say \"hi\""] == "yes" and properties["and"] == 1"#, true),
    ];
    for (text, expected) in table {
        assert_eq!(fits(text, &person), expected, "{text}");
    }
}

#[test]
fn syntax_errors_name_the_position() {
    let table = [
        (r#"properties["a"] = 1"#, "unexpected `=` at character 17"),
        (r#"properties["ä"] ? 1"#, "unexpected `?` at character 17"),
        (r#"properties["a"] == "x"#, "the string at character 20 is not closed"),
        (r#"properties["a"] == "#, "unexpected the end at character 20, expected properties"),
        (r#"properties.a == 1"#, "unexpected `.a` at character 11, expected `[`"),
        (r#"properties[a] == 1"#, "unexpected `a` at character 12, expected a name in quotes"),
        (r#"plan == "x""#, "unexpected `plan` at character 1"),
        (r#"(true"#, "unexpected the end at character 6, expected `)`"),
        (r#"true false"#, "unexpected `false` at character 6, expected `and`, `or` or the end"),
        (r#"1 == 2x"#, "unexpected `2x` at character 6, expected a number"),
        (r#"properties["a"] not 1"#, "unexpected `1` at character 21, expected `in`"),
        (r#"1 in [[1]]"#, "unexpected `[` at character 7"),
        (r#"defined("a")"#, "defined() takes properties"),
        (r#"datetime(true) == 1"#, "datetime() takes a time"),
        (r#"behaviors["sold"] > 1"#, "behaviors[\"sold\"] is not among"),
        ("", "unexpected the end at character 1"),
    ];
    for (text, message) in table {
        let error = parse(text).expect_err(text);
        assert!(error.strip_prefix("where: ").is_some_and(|error| error.starts_with(message)), "{text}: {error}");
    }
}

#[test]
fn nesting_has_a_limit_and_breadth_has_none() {
    let nested = |depth: usize| format!("{}true{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&nested(60)).is_ok());
    assert!(parse(&nested(100_000)).expect_err("too deep").contains("nested deeper"));
    assert!(parse(&"not ".repeat(100_000)).expect_err("too deep").contains("nested deeper"));
    assert!(fits(&vec!["true"; 5_000].join(" and "), &json!({})));
}

#[test]
fn behaviors_match_some_profiles() {
    let filter = parse(r#"behaviors["bought"] >= 5"#).expect("an expression");
    let matching = (0..1_000).filter(|index| filter.matches(&Subject { values: &[], seed: 1, index: *index })).count();
    assert!((400..=600).contains(&matching), "{matching}");
}
