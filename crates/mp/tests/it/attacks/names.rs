//! A14 and A15: table names and hostile profiles.

use std::sync::Arc;

use mixpanel_simulator::{ProfileSource, Records, SimulatorConfig};
use serde_json::{Value, json};

use crate::snapshot::assert_run;
use crate::support::{Home, Simulator};

#[test]
fn a14_invalid_table_names_are_refused_before_any_request() {
    let simulator = Simulator::with_faults(10, &[]);
    let home = Home::new().with_server(&simulator);
    let long = "x".repeat(300);
    let names = [
        "x\"; DROP TABLE t; --",
        "x'; DROP TABLE t; --",
        "main.t",
        "a.b.c",
        "_fetches",
        "_metadata",
        "_MP_page",
        "_",
        "pg_catalog.t",
        "a b",
        " a",
        "a\nb",
        "a\u{1b}[2J",
        "\u{202e}x",
        "é",
        "x\u{200b}",
        "а",
        "*",
        "(SELECT 1)",
        "",
        &long,
    ];
    for name in names {
        let run = home.run(&["fetch", "profiles", name, "--replace"]).exits(3).prints_nothing();
        assert!(run.stderr.lines().count() < 8 && !run.stderr.contains(['\u{1b}', '\u{202e}', '\u{200b}']));
        assert!(run.stderr.len() < 800, "{}", run.stderr);
    }
    for name in ["-rf", "--drop", "-"] {
        let _refused = home.run(&["fetch", "profiles", name]).exits(3).prints_nothing();
        home.run(&["fetch", "profiles", "--", name]).exits(3).prints_nothing();
    }
    assert!(home.run(&["fetch", "profiles", "--help"]).exits(0).stdout.contains("Usage: mp fetch profiles"));
    home.run(&["fetch", "profiles", "--", "--help"]).exits(3).prints_nothing();
    assert_eq!(simulator.stats().requests, 0);
    assert!(!home.database().exists());
}

#[test]
fn a14_sql_keywords_are_valid_table_names() {
    let simulator = Simulator::with_faults(10, &[]);
    let home = Home::new().with_server(&simulator);
    let names = ["select", "TABLE", "range", "glob", "main", "x_"];
    for (name, mode) in names.into_iter().zip(["--append", "--replace"].into_iter().cycle()) {
        home.run(&["fetch", "profiles", name, mode, "-q"]).exits(0);
        assert_eq!(home.run(&["inspect", "sample", "-t", name]).exits(0).json().as_array().map(Vec::len), Some(10));
    }
    let tables = home.run(&["inspect", "tables"]).exits(0).json();
    let found: Vec<&str> =
        tables.as_array().expect("a list").iter().filter_map(|table| table["name"].as_str()).collect();
    let mut expected = names.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected);
    for table in tables.as_array().expect("a list") {
        assert_eq!((&table["type"], &table["row_count"]), (&json!("profiles"), &json!(10)));
    }
    // Table names are case-insensitive.
    assert_run!(home.run(&["fetch", "profiles", "SELECT"]).exits(1).prints_nothing());
    for name in names {
        home.run(&["inspect", "drop", "-t", name, "--force"]).exits(0);
    }
    assert_eq!(home.run(&["inspect", "tables"]).exits(0).stdout, "[]\n");
}

#[test]
fn a15_hostile_profile_values_are_stored_verbatim() {
    let texts = [
        "'); DROP TABLE users; --",
        "\"); DROP TABLE users; --",
        "$$; DROP TABLE users; $$",
        "%s %n {} {0} ${HOME} $(id) `id`",
        "../../etc/passwd",
        "a\u{0}b",
        "\u{1b}]52;c;aGk=\u{7}",
        "\u{202e}evil",
        "line\r\nline\t",
        "{\"$distinct_id\": \"x\"}",
        "NULL",
        "=cmd|' /C calc'!A1",
        "\u{feff}",
        "\u{10ffff}",
    ];
    let properties =
        |text: &str| json!({text: text, "nested": {text: [text, {"$last_seen": text}]}, "__proto__": text});
    let records: Vec<String> =
        texts.iter().map(|text| json!({"$distinct_id": text, "$properties": properties(text)}).to_string()).collect();
    let records = Records::read(records.join("\n").as_bytes()).expect("records");
    let profiles = ProfileSource::Records(Arc::new(records));
    let simulator = Simulator::start(SimulatorConfig { profiles, ..SimulatorConfig::default() });
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users"]).exits(0);
    home.run(&["fetch", "profiles", "users", "--append", "--parallel"]).exits(0);
    let rows = home.run(&["query", "sql", "SELECT distinct_id, properties FROM users"]).exits(0).json();
    let rows = rows.as_array().expect("rows");
    assert_eq!(rows.len(), texts.len());
    for text in texts {
        let row = rows.iter().find(|row| row["distinct_id"] == text).unwrap_or_else(|| panic!("no row of {text:?}"));
        assert_eq!(row["properties"], properties(text), "{text:?}");
    }
    let streamed = home.run(&["fetch", "profiles", "--stdout", "-q"]).exits(0).stdout;
    let streamed: Vec<Value> = streamed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(streamed.len(), texts.len(), "no text makes a line of its own");
}

#[test]
fn a15_filters_are_parameters_and_nothing_else() {
    let simulator = Simulator::with_faults(10, &[]);
    let home = Home::new().with_server(&simulator);
    let id = "x&project_id=666\r\nX-Header: y #%00";
    home.run(&["fetch", "profiles", "users", "--distinct-id", id, "-q"]).exits(0);
    let request = simulator.stats().recent_requests.front().expect("a request").clone();
    assert_eq!(request.params["distinct_id"], id);
    assert_eq!(request.params["project_id"], crate::support::PROJECT);
    assert_eq!(request.path, "/api/query/engage");
}
