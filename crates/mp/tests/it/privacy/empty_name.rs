//! A property whose name is empty can be dropped, hashed and selected.

use serde_json::json;

use super::{KEY, fetch, plain};
use crate::stream::serving;
use crate::support::Home;

const RECORDS: &str = r#"{"$distinct_id":"u1","$properties":{"":"Wq7mXk","plan":"pro","n":1}}
{"$distinct_id":"u2","$properties":{"n":2,"":null}}"#;

#[test]
fn it_is_dropped_hashed_and_selected_like_any_other() {
    let simulator = serving(RECORDS);
    let home = Home::new().with_server(&simulator).with("MP_HASH_KEY", KEY);
    let is_hash = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    for (rule, list, left, recorded) in [
        ("--drop", r#""",plan"#, json!({"n": 1}), r#"{"drop":["","plan"],"hash":[],"key_check":null}"#),
        ("--drop", r#""""#, json!({"plan": "pro", "n": 1}), r#"{"drop":[""],"hash":[],"key_check":null}"#),
        ("--drop", r#"plan , "" "#, json!({"n": 1}), r#"{"drop":["","plan"],"hash":[],"key_check":null}"#),
        (
            "--hash",
            r#""""#,
            json!({"": null, "plan": "pro", "n": 1}),
            r#"{"drop":[],"hash":[""],"key_check":"a0e1a009"}"#,
        ),
        ("-o", r#""",plan"#, json!({"": "Wq7mXk", "plan": "pro"}), ""),
        ("-o", r#""""#, json!({"": "Wq7mXk"}), ""),
    ] {
        let case = format!("{rule} {list}");
        let run = fetch(&home, &["profiles", "users", "--replace", "--no-progress", rule, list]).exits(0);
        assert!(!run.stderr.contains("warning"), "{case}: {}", run.stderr);
        let stored = plain(&home, "SELECT properties::VARCHAR FROM users WHERE distinct_id = 'u1'");
        let run = fetch(&home, &["profiles", "--stdout", "-q", rule, list]).exits(0);
        let first: serde_json::Value = serde_json::from_str(run.stdout.lines().next().expect("a line")).expect("JSON");
        let stored: serde_json::Value = serde_json::from_str(&stored).expect("JSON");
        for mut properties in [stored, first["properties"].clone()] {
            if rule == "--hash" {
                assert!(is_hash(properties[""].as_str().unwrap_or_default()), "{case}: {properties}");
                properties[""] = json!(null);
            }
            assert_eq!(properties, left, "{case}");
        }
        let rules = plain(&home, "SELECT property_rules::VARCHAR FROM _fetches WHERE table_name = 'users'");
        assert!(recorded.is_empty() || rules.lines().last() == Some(recorded), "{case}: {rules}");
    }
    home.write_config("[defaults]\ndrop = [\"\"]\n");
    let _fetched = fetch(&home, &["profiles", "users", "--replace", "-q"]).exits(0);
    assert_eq!(plain(&home, "SELECT count(*) FROM users WHERE list_contains(json_keys(properties), '')"), "0\n");
}

#[test]
fn a_missing_item_is_refused() {
    let simulator = serving(RECORDS);
    let home = Home::new().with_server(&simulator).with("MP_HASH_KEY", KEY);
    for option in ["--drop", "--hash", "-o"] {
        for list in ["a,,b", "a,", ",a", "\"\","] {
            let run = fetch(&home, &["profiles", "-q", option, list]).exits(3).prints_nothing();
            assert!(run.stderr.contains(" is missing\nhint: "), "{option} {list}: {}", run.stderr);
        }
        // One of several values.
        let _refused = fetch(&home, &["profiles", "-q", option, "a", option, ""]).exits(3).prints_nothing();
    }
    assert_eq!(simulator.stats().requests, 0);
}
