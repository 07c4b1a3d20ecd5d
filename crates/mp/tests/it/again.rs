//! Fetching into a table that exists: `--upsert` and `--since last`.

use serde_json::json;

use crate::support::{Home, Simulator};

fn rows(home: &Home) -> String {
    home.run(&["query", "sql", "-s", "-f", "plain", "select count(*) from users"]).exits(0).stdout
}

#[test]
fn an_upsert_replaces_what_is_there_and_adds_what_is_not() {
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
fn since_last_asks_for_what_was_seen_since_and_upserts() {
    let simulator = Simulator::with_faults(500, &[]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users", "-q"]).exits(0);
    let result = home.run(&["fetch", "profiles", "users", "-q", "--since", "last"]).exits(0).json();
    assert_eq!((&result["has_failures"], rows(&home).as_str()), (&json!(false), "500\n"));
    let stats = simulator.stats();
    let request = stats.recent_requests.iter().max_by_key(|request| request.number).expect("a request");
    assert!(request.params.get("where").is_some_and(|filter| filter.contains("last_seen")), "{:?}", request.params);
    // A table without a load has no last one.
    let run = home.run(&["fetch", "profiles", "people", "-q", "--since", "last"]).prints_nothing();
    assert!(matches!(run.code, Some(3 | 4)) && run.stderr.contains("error: "), "{run:?}");
}
