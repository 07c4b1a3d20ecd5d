//! `mp fetch resume`. For the commands shown in hints, see `hints`.

use serde_json::{Value, json};

use crate::snapshot::assert_run;
use crate::support::{Home, Run, Simulator};

/// Leaves an unfinished run of each table, with 5 of 10 pages.
fn unfinished(simulator: &Simulator, tables: &[&str]) -> Home {
    let home = Home::new().with_server(simulator);
    for table in tables {
        home.run(&["fetch", "profiles", table, "-q"]).exits(2);
    }
    home
}

fn simulator(times: usize) -> Simulator {
    Simulator::with_faults(950, &[&format!("pages=5 status=401 times={times}")])
}

fn resume(home: &Home, more: &[&str]) -> Run {
    home.run(&[&["fetch", "resume", "--no-progress"], more].concat())
}

fn keys(run: &Run) -> Vec<String> {
    run.json().as_object().expect("an object").keys().cloned().collect()
}

#[test]
fn the_only_table_with_unfinished_runs_need_not_be_named() {
    let simulator = simulator(1);
    let home = unfinished(&simulator, &["users"]);
    let direct = home.run(&["fetch", "profiles", "others", "-q"]).exits(0);
    let run = resume(&home, &[]).exits(0);
    assert_eq!(keys(&run), keys(&direct), "the result has the same shape");
    let result = run.json();
    assert_eq!(
        (&result["table"], &result["rows"], &result["has_failures"]),
        (&json!("users"), &json!(950), &json!(false))
    );
    let query =
        "SELECT count(*) FROM ((FROM users EXCEPT ALL FROM others) UNION ALL (FROM others EXCEPT ALL FROM users))";
    assert_eq!(home.run(&["query", "sql", "-s", "-f", "plain", query]).exits(0).stdout, "0\n");
}

#[test]
fn several_tables_are_listed_and_one_has_to_be_named() {
    let simulator = simulator(2);
    let home = unfinished(&simulator, &["users", "groups"]);
    assert_run!(resume(&home, &[]).exits(3).prints_nothing());
    assert_eq!(resume(&home, &["groups"]).exits(0).json()["table"], "groups");
    assert_eq!(resume(&home, &[]).exits(0).json()["table"], "users");
    assert_run!(resume(&home, &[]).exits(4).prints_nothing());
}

#[test]
fn a_run_is_named_by_its_id() {
    let simulator = simulator(3);
    let home = unfinished(&simulator, &["users", "users", "groups"]);
    let runs = home.run(&["fetch", "status"]).exits(0).json();
    let of_users: Vec<&Value> =
        runs.as_array().expect("an array").iter().filter(|run| run["table"] == "users").collect();
    let older = of_users[1]["run_id"].as_str().expect("an id");
    assert_eq!(resume(&home, &["--run", older]).exits(0).json()["run_id"], older);
    assert_run!(resume(&home, &["--run", older]).exits(4).says(&[older]).prints_nothing());
    resume(&home, &["--run", "../../etc"]).exits(4).prints_nothing();
}

#[test]
fn resuming_without_an_unfinished_run_fails() {
    let simulator = simulator(1);
    let home = Home::new().with_server(&simulator);
    assert_run!(resume(&home, &["users"]).exits(4).prints_nothing());
    assert_eq!(simulator.stats().requests, 0);
}

#[test]
fn accept_partial_loads_the_received_pages() {
    let simulator = simulator(1);
    let home = unfinished(&simulator, &["users"]);
    let requests = simulator.stats().requests;
    let run = resume(&home, &["users", "--accept-partial"]).exits(1);
    let result = run.json();
    assert_eq!((&result["rows"], &result["failed_page_indices"]), (&json!(500), &json!([5, 6, 7, 8, 9])));
    assert_eq!(simulator.stats().requests, requests, "nothing is asked for");
}

#[test]
fn filters_are_compared_with_those_of_the_run() {
    let simulator = Simulator::with_faults(2_000, &["pages=2 status=401 times=1"]);
    let home = Home::new().with_server(&simulator);
    let filter = ["--where", "properties[\"plan\"] == \"free\""];
    home.run(&[&["fetch", "profiles", "users", "-q"], &filter[..]].concat()).exits(2);
    let requests = simulator.stats().requests;
    for other in [["--where", "properties[\"plan\"] == \"growth\""], ["--cohort", "7"], ["-o", "plan"]] {
        assert_run!(resume(&home, &[&["users"], &other[..]].concat()).exits(3).prints_nothing(), other[0]);
    }
    assert_eq!(simulator.stats().requests, requests);
    resume(&home, &[&["users"], &filter[..]].concat()).exits(0);
}

#[test]
fn resume_keeps_the_mode_unless_overridden() {
    let simulator = simulator(2);
    let home = unfinished(&simulator, &["users", "groups"]);
    assert_eq!(resume(&home, &["users"]).exits(0).json()["rows"], 950);
    let run = resume(&home, &["groups", "--parallel", "--workers", "3"]).exits(0);
    assert_eq!(run.json()["total_rows"], 950);
    assert_run!(resume(&home, &["--workers", "2"]).exits(4).prints_nothing());
}

#[test]
fn progress_counts_the_pages_on_disk() {
    let simulator = Simulator::with_faults(1_000, &["pages=5 status=401 times=1"]);
    let home = unfinished(&simulator, &["users"]);
    // One worker, because concurrent pages arrive in any order.
    let run = home.run(&["fetch", "resume", "users", "--parallel", "--workers", "1"]).exits(0);
    assert_run!(run);
}

#[test]
fn a_failed_resume_can_be_resumed_again() {
    let simulator = Simulator::with_faults(950, &["pages=5 status=401 times=1", "pages=8 status=401 times=1"]);
    let home = unfinished(&simulator, &["users"]);
    let run = assert_run!(resume(&home, &["users"]).exits(2));
    assert_eq!(home.shell(&run.resume_command()).exits(0).json()["rows"], 950);
    assert_eq!(simulator.stats().requests, 12, "each page once, and two refusals");
}
