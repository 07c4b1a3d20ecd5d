//! `mp verify`.

use serde_json::json;

use crate::snapshot::assert_run;
use crate::support::{Home, Simulator};

#[test]
fn a_table_as_it_was_loaded_is_intact() {
    let simulator = Simulator::with_faults(250, &[]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users", "-q"]).exits(0);
    let report = home.run(&["verify", "users"]).exits(0).json();
    assert_eq!((&report["rows"], &report["distinct_ids"], &report["problems"]), (&json!(250), &json!(250), &json!([])));
    assert_eq!((&report["expected_rows"], &report["digest"]), (&json!(250), &report["expected_digest"]));
    assert_run!(home.run(&["verify", "USERS", "-f", "table"]).exits(0));
}

#[test]
fn verify_reports_a_partial_table() {
    let simulator = Simulator::with_faults(250, &["pages=1 status=404"]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users", "-q"]).exits(1);
    let run = home.run(&["verify", "users"]);
    let report = run.json();
    assert_eq!((&report["partial"], &report["rows"]), (&json!(true), &json!(150)));
    // The library decides whether a partial table is a problem; the exit code follows its report.
    let is_intact = report["problems"] == json!([]);
    assert_eq!(run.code, Some(i32::from(!is_intact)));
    assert_run!(run);
}

#[test]
fn verifying_a_missing_table_fails() {
    let simulator = Simulator::with_faults(50, &[]);
    let home = Home::new().with_server(&simulator);
    assert_run!(home.run(&["verify", "users"]).exits(4).prints_nothing());
    home.run(&["fetch", "profiles", "users", "-q"]).exits(0);
    assert_run!(home.run(&["verify", "people"]).exits(4).prints_nothing());
}
