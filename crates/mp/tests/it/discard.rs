//! `mp fetch discard`.

use serde_json::{Value, json};

use crate::snapshot::assert_run;
use crate::support::{Home, Simulator};

/// Leaves an unfinished run of each table, the oldest first.
fn unfinished(simulator: &Simulator, tables: &[&str]) -> Home {
    let home = Home::new().with_server(simulator);
    for table in tables {
        home.run(&["fetch", "profiles", table, "-q"]).exits(2);
    }
    home
}

fn simulator() -> Simulator {
    Simulator::with_faults(950, &["pages=5 status=401"])
}

fn run_ids(home: &Home) -> Vec<Value> {
    let runs = home.run(&["fetch", "status"]).exits(0).json();
    runs.as_array().expect("an array").iter().map(|run| run["run_id"].clone()).collect()
}

fn stage_is_empty(home: &Home) -> bool {
    std::fs::read_dir(home.path().join(".mp/data")).expect("a directory").next().is_none()
}

#[test]
fn discard_removes_all_runs_of_a_table() {
    let simulator = simulator();
    let home = unfinished(&simulator, &["users", "users", "groups"]);
    let all = run_ids(&home);
    assert_eq!(all.len(), 3);
    let discarded = home.run(&["fetch", "discard", "users", "--force"]).exits(0).json();
    assert_eq!(discarded["discarded"].as_array().expect("an array").len(), 2);
    let left = run_ids(&home);
    assert_eq!(left.len(), 1);
    let discarded = home.run(&["fetch", "discard", "--all", "--force"]).exits(0).json();
    assert_eq!(discarded, json!({"discarded": left}));
    assert!(stage_is_empty(&home), "nothing is left on disk");
    assert_eq!(home.run(&["fetch", "discard", "--all"]).exits(0).json(), json!({"discarded": []}));
}

#[test]
fn discard_selects_a_run_by_id() {
    let simulator = simulator();
    let home = unfinished(&simulator, &["users"]);
    let first = run_ids(&home)[0].as_str().expect("an id").to_owned();
    home.run(&["fetch", "profiles", "groups", "-q"]).exits(2);
    let wrong = home.run(&["fetch", "discard", "groups", "--run", &first, "--force"]).exits(3).prints_nothing();
    assert_run!(wrong.exits(3));
    let discarded = home.run(&["fetch", "discard", "--run", &first, "--force"]).exits(0).json();
    assert_eq!(discarded, json!({"discarded": [first]}));
    assert_eq!(run_ids(&home).len(), 1);
}

#[test]
fn discarding_a_missing_run_fails() {
    let home = Home::new();
    for which in [&["users"][..], &["--run", "20261124T000000Z-00000000"]] {
        let arguments = [&["fetch", "discard", "--force", "--db", "data.db"], which].concat();
        assert_run!(home.run(&arguments).exits(4).prints_nothing(), which[0]);
    }
}

#[test]
fn discard_requires_confirmation() {
    let simulator = simulator();
    let home = unfinished(&simulator, &["users"]);
    let run = home.run(&["fetch", "discard", "users"]).exits(3).prints_nothing();
    assert_run!(run.exits(3));
    assert_eq!(run_ids(&home).len(), 1);
}
