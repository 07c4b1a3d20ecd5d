//! `mp fetch profiles --refresh`.

use serde_json::json;

use crate::process::{end, start};
use crate::snapshot::assert_run;
use crate::support::{Home, Run, Simulator};

fn refresh(home: &Home, options: &[&str]) -> Run {
    home.run(&[&["fetch", "profiles", "users", "--refresh", "--no-progress"], options].concat())
}

fn count(home: &Home) -> String {
    home.run(&["query", "sql", "-s", "-f", "plain", "select count(*) from users"]).exits(0).stdout
}

/// Returns the filter of the last request.
fn filter(simulator: &Simulator) -> Option<String> {
    let stats = simulator.stats();
    let request = stats.recent_requests.iter().max_by_key(|request| request.number).expect("a request");
    request.params.get("where").cloned()
}

fn execute(home: &Home, sql: &str) {
    duckdb::Connection::open(home.database()).expect("a database").execute_batch(sql).expect(sql);
}

#[test]
fn the_first_refresh_fetches_everything_and_the_next_ones_what_changed() {
    let simulator = Simulator::with_faults(300, &[]);
    let home = Home::new().with_server(&simulator);
    let run = refresh(&home, &["--full-every", "30d"]).exits(0);
    assert_eq!((run.json()["rows"].clone(), filter(&simulator)), (json!(300), None));
    for _ in 0..2 {
        let run = refresh(&home, &["--full-every", "30d"]).exits(0);
        assert_eq!(count(&home), "300\n");
        assert!(filter(&simulator).is_some_and(|filter| filter.contains("last_seen")), "{}", run.stderr);
    }
    let older =
        "UPDATE _fetches SET started_at = '2026-02-20', run_id = '20260220T000000000Z-00000000' WHERE made_table";
    execute(&home, older);
    refresh(&home, &["--full-every", "30d"]).exits(0).says(&["the last full load of `users` began at"]);
    assert_eq!((filter(&simulator), count(&home).as_str()), (None, "300\n"));
}

#[test]
fn an_unfinished_run_is_resumed_first() {
    // Before the table exists, and while it is replaced.
    for replaces in [false, true] {
        let simulator = Simulator::with_faults(450, &["pages=2 status=401 times=1"]);
        let home = Home::new().with_server(&simulator);
        if replaces {
            let calm = Simulator::with_faults(400, &[]);
            home.run(&["fetch", "profiles", "users", "-q", "--base-url", &calm.base_url()]).exits(0);
            home.run(&["fetch", "profiles", "users", "-q", "--replace"]).exits(2);
        } else {
            refresh(&home, &[]).exits(2);
        }
        let requests = simulator.stats().requests;
        let run = assert_run!(refresh(&home, &[]).exits(0), format!("replaces {replaces}"));
        assert_eq!((count(&home).as_str(), simulator.stats().requests), ("450\n", requests + 3), "{}", run.stderr);
        assert_eq!(home.run(&["fetch", "status"]).exits(0).json(), json!([]));
        refresh(&home, &[]).exits(0);
        assert!(filter(&simulator).is_some(), "then, an update");
    }
}

#[test]
fn a_partial_load_is_completed() {
    let simulator = Simulator::with_faults(500, &["pages=2 status=404 times=1"]);
    let home = Home::new().with_server(&simulator);
    refresh(&home, &[]).exits(1);
    assert_eq!(count(&home), "400\n");
    refresh(&home, &[]).exits(0).says(&["resuming run"]);
    assert_eq!(count(&home), "500\n");
}

#[test]
fn runs_that_cannot_bring_the_table_up_to_date_are_passed_over() {
    let free = r#"properties["plan"] == "free""#;
    let calm = Simulator::with_faults(500, &[]);
    let url = calm.base_url();
    for (case, options) in [
        ("other filters", &["-w", free][..]),
        ("a sample", &["--limit", "450"]),
        ("a start time", &["--since", "2020-01-01"]),
        ("superseded", &[]),
    ] {
        let simulator = Simulator::with_faults(500, &["pages=1 status=401 times=1"]);
        let home = Home::new().with_server(&simulator);
        home.run(&[&["fetch", "profiles", "users", "-q", "--page-size", "50"], options].concat()).exits(2);
        if case == "superseded" {
            home.run(&["fetch", "profiles", "users", "-q", "--base-url", &url]).exits(0);
        }
        let run = refresh(&home, &[]).exits(0);
        assert!(!run.stderr.contains("resuming"), "{case}: {}", run.stderr);
        assert_eq!(count(&home), "500\n", "{case}");
    }
}

#[test]
fn an_update_whose_rows_are_gone_is_passed_over() {
    let simulator = Simulator::with_faults(500, &["pages=1 status=401 times=1"]);
    let calm = Simulator::with_faults(500, &[]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users", "-q", "--base-url", &calm.base_url()]).exits(0);
    // The update has several pages.
    execute(&home, "UPDATE users SET last_seen = (SELECT min(last_seen) FROM users)");
    refresh(&home, &["-q"]).exits(2);
    execute(&home, "DROP TABLE users");
    let run = refresh(&home, &[]).exits(0);
    assert!(!run.stderr.contains("resuming"), "{}", run.stderr);
    assert_eq!(count(&home), "500\n");
}

#[test]
fn other_tables_are_left_unchanged() {
    let simulator = Simulator::with_faults(300, &[]);
    let home = Home::new().with_server(&simulator);
    let columns = "(distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)";
    home.run(&["fetch", "profiles", "others", "-q"]).exits(0);
    for (case, sql, options) in [
        ("foreign", format!("CREATE TABLE users {columns}"), &[][..]),
        ("view", "CREATE VIEW users AS FROM others".to_owned(), &[]),
        ("other filters", "SELECT 1".to_owned(), &["--cohort", "1"]),
    ] {
        execute(&home, &sql);
        if case == "other filters" {
            execute(&home, "DROP VIEW users");
            home.run(&["fetch", "profiles", "users", "-q"]).exits(0);
        }
        let (requests, before) = (simulator.stats().requests, count(&home));
        assert_run!(refresh(&home, options).exits(3).prints_nothing(), case);
        assert_eq!((simulator.stats().requests, count(&home)), (requests, before), "{case}");
        if case == "foreign" {
            execute(&home, "DROP TABLE users");
        }
    }
    for options in [&["--since", "7d"][..], &["--replace"], &["--limit", "5"], &["--stdout"], &["--plan"]] {
        refresh(&home, options).exits(3);
    }
}

#[test]
fn a_second_refresh_ends_at_once() {
    let simulator = Simulator::with_faults(300, &["pages=1 delay=2s"]);
    let home = Home::new().with_server(&simulator);
    let (child, words) = start(&home, &["fetch", "profiles", "users", "--refresh"], "page 0");
    assert_run!(refresh(&home, &[]).exits(1).prints_nothing());
    end(child, words).exits(0);
    refresh(&home, &[]).exits(0);
    assert_eq!(count(&home), "300\n");
}
