//! Fetches into an existing table: `--upsert` and `--since last`.

use std::time::Duration;

use mixpanel_simulator::SimulatorConfig;
use serde_json::json;

use crate::snapshot::assert_run;
use crate::stream::serving;
use crate::support::{Home, Simulator};

fn rows(home: &Home) -> String {
    home.run(&["query", "sql", "-s", "-f", "plain", "select count(*) from users"]).exits(0).stdout
}

#[test]
fn upsert_replaces_existing_rows_and_adds_new_ones() {
    let simulator = Simulator::with_faults(500, &[]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users", "-q", "-w", "properties[\"plan\"] == \"free\""]).exits(0);
    let before: u64 = rows(&home).trim().parse().expect("a number");
    assert!(before > 0 && before < 500);
    let result = home.run(&["fetch", "profiles", "users", "-q", "--upsert"]).exits(0).json();
    assert_eq!(rows(&home), "500\n");
    assert_eq!(result["received"], 500);
    home.run(&["fetch", "profiles", "users", "-q", "--upsert"]).exits(0);
    assert_eq!(rows(&home), "500\n");
}

#[test]
fn since_last_fetches_recent_profiles_and_upserts() {
    let simulator = Simulator::with_faults(500, &[]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users", "-q"]).exits(0);
    let result = home.run(&["fetch", "profiles", "users", "-q", "--since", "last"]).exits(0).json();
    assert_eq!((&result["has_failures"], rows(&home).as_str()), (&json!(false), "500\n"));
    let stats = simulator.stats();
    let request = stats.recent_requests.iter().max_by_key(|request| request.number).expect("a request");
    assert!(request.params.get("where").is_some_and(|filter| filter.contains("last_seen")), "{:?}", request.params);
    // A table that was never loaded has no last load.
    let run = home.run(&["fetch", "profiles", "people", "-q", "--since", "last"]).prints_nothing();
    assert_run!(run);
}

#[test]
fn since_last_skips_nothing_after_the_clock_was_fast() {
    let days = |days: u64| Duration::from_secs(days * 86_400);
    let since = |simulator: &Simulator| {
        let stats = simulator.stats();
        let request = stats.recent_requests.iter().max_by_key(|request| request.number).expect("a request");
        request.params.get("where").cloned()
    };
    // The server's clock is five days behind.
    let config = SimulatorConfig { clock_behind: days(5), ..SimulatorConfig::default() };
    let simulator = Simulator::start(config.with_profiles(300));
    let home = Home::new().with_server(&simulator);
    let run = home.run(&["fetch", "profiles", "users"]).exits(0);
    assert_run!(run);
    let recorded =
        "SELECT (now() AT TIME ZONE 'UTC') - started_at BETWEEN INTERVAL 119 HOUR AND INTERVAL 121 HOUR FROM _fetches";
    assert_eq!(home.run(&["query", "sql", "-s", "-f", "plain", recorded]).exits(0).stdout, "true\n");
    // A load that an older version recorded with a time a year ahead: the newest profile of the table counts instead.
    let change = |sql: &str| duckdb::Connection::open(home.database()).expect("it").execute_batch(sql).expect("SQL");
    change(
        "UPDATE _fetches SET started_at = started_at + INTERVAL 1 YEAR, finished_at = finished_at + INTERVAL 1 YEAR",
    );
    change("UPDATE users SET last_seen = '2026-03-02 10:00:00'");
    let run = home.run(&["fetch", "profiles", "users", "--since", "last"]).exits(0);
    assert_run!(run);
    assert!(since(&simulator).is_some_and(|filter| filter.contains("2026-03-01T10:00:00")), "{:?}", since(&simulator));
    // Without any `last_seen`, everything is fetched.
    change("UPDATE _fetches SET started_at = '2090-01-01'; UPDATE users SET last_seen = NULL");
    let run = home.run(&["fetch", "profiles", "users", "--since", "last"]).exits(0);
    assert_run!(run);
    assert_eq!(since(&simulator), None);
}

#[test]
fn upsert_takes_the_server_version_unless_it_is_older() {
    let record = |version: u32, seen: &str| {
        format!(r#"{{"$distinct_id":"a","$properties":{{"v":{version},"$last_seen":{seen}}}}}"#)
    };
    let first = serving(&record(1, r#""2026-01-01T00:00:00""#));
    for (seen, version) in [
        (r#""2026-01-01T00:00:01""#, "2\n"),
        (r#""2026-01-01T00:00:00""#, "2\n"),
        (r#""2025-12-31T23:59:59""#, "1\n"),
        (r#""soon""#, "2\n"),
        ("null", "2\n"),
        ("1700000000", "2\n"),
    ] {
        let second = serving(&record(2, seen));
        let home = Home::new().with_server(&second);
        let url = first.base_url();
        let _made = home.run(&["fetch", "profiles", "users", "-q", "--base-url", &url]).exits(0);
        let _upserted = home.run(&["fetch", "profiles", "users", "-q", "--upsert"]).exits(0);
        let found = home.run(&["query", "sql", "-s", "-f", "plain", "select properties->>'v' from users"]).exits(0);
        assert_eq!(found.stdout, version, "{seen}");
    }
}

#[test]
fn upsert_mentions_extra_columns_before_the_first_request() {
    let simulator = Simulator::with_faults(100, &["pages=0 status=401"]);
    let home = Home::new().with_server(&simulator);
    let path = home.path().join("my.db");
    let table = "CREATE TABLE users (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP, \"Note\" VARCHAR)";
    duckdb::Connection::open(path).expect("a database").execute_batch(table).expect("SQL");
    let upsert = ["fetch", "profiles", "users", "-q", "--upsert", "--db", "my.db"];
    assert_run!(home.run(&upsert).exits(2));
}
