//! `mp fetch profiles --plan`.

use serde_json::json;

use crate::snapshot::assert_run;
use crate::support::{Home, Simulator};

#[test]
fn an_estimate_costs_one_request_and_the_fetch_reuses_page_0() {
    let simulator = Simulator::with_faults(950, &[]);
    let home = Home::new().with_server(&simulator);
    let run = home.run(&["fetch", "profiles", "users", "--plan"]).exits(0);
    let plan = run.json();
    let fields: Vec<&String> = plan.as_object().expect("an object").keys().collect();
    let expected = [
        "table",
        "run_id",
        "expected_rows",
        "page_size",
        "pages",
        "requests",
        "counted_requests",
        "expected_seconds",
        "expected_bytes",
        "quota_used",
        "quota_limit",
        "advice",
    ];
    assert_eq!(fields, expected);
    assert_eq!((&plan["table"], &plan["expected_rows"], &plan["pages"]), (&json!("users"), &json!(950), &json!(10)));
    assert_eq!((&plan["page_size"], &plan["requests"], &plan["quota_limit"]), (&json!(100), &json!(9), &json!(60)));
    assert_run!(run);
    assert_eq!(simulator.stats().requests, 1);
    let fetch = home.run(&["fetch", "profiles", "users", "--no-progress"]).exits(0);
    assert!(!fetch.stderr.contains("unfinished"), "a plan is no unfinished run: {}", fetch.stderr);
    assert_eq!((&fetch.json()["rows"], &fetch.json()["run_id"]), (&json!(950), &plan["run_id"]));
    assert_eq!(simulator.stats().requests, 10);
    assert_eq!(home.run(&["fetch", "status"]).exits(0).json(), json!([]));
}

#[test]
fn progress_includes_the_page_of_the_estimate() {
    let simulator = Simulator::with_faults(950, &[]);
    let home = Home::new().with_server(&simulator);
    for mode in [&[][..], &["--parallel"]] {
        let arguments = [&["fetch", "profiles", "users", "--replace"], mode].concat();
        let _planned = home.run(&[&arguments[..], &["--plan", "-q"]].concat()).exits(0);
        let run = home.run(&arguments).exits(0);
        let pages = run.stderr.lines().filter(|line| line.starts_with("page "));
        let counts: Vec<&str> =
            pages.filter_map(|line| Some(line.split_once('(')?.1.split_once(" pages")?.0)).collect();
        let expected: Vec<String> = (2..=10).map(|page| format!("{page} of 10")).collect();
        assert_eq!(counts, expected, "{mode:?}");
    }
}

#[test]
fn a_quiet_estimate_prints_only_its_table() {
    let simulator = Simulator::with_faults(950, &[]);
    let home = Home::new().with_server(&simulator);
    let run = home.run(&["fetch", "profiles", "users", "--plan", "-f", "table", "-q"]).exits(0);
    assert!(run.stdout.contains("expected_rows") && run.stdout.contains("950"), "{}", run.stdout);
    assert!(!run.stderr.contains("note:"), "{}", run.stderr);
}

#[test]
fn an_estimate_fails_like_the_fetch_would() {
    let simulator = Simulator::with_faults(950, &["pages=0 status=401"]);
    let home = Home::new().with_server(&simulator);
    let run = home.run(&["fetch", "profiles", "users", "--plan", "-q"]).exits(2).prints_nothing();
    assert_run!(run.exits(2));
}

#[test]
fn an_estimate_does_not_need_to_know_what_happens_to_the_table() {
    let simulator = Simulator::with_faults(950, &[]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users", "-q"]).exits(0);
    let run = home.run(&["fetch", "profiles", "users", "--plan"]).exits(0);
    assert!(run.json()["advice"][0].as_str().is_some_and(|advice| advice.starts_with("table `users` exists")));
    let requests = simulator.stats().requests;
    home.run(&["fetch", "profiles", "users", "-q"]).exits(1).says(&["table `users` already exists"]);
    for option in ["--append", "--upsert", "--replace"] {
        let advice = home.run(&["fetch", "profiles", "users", "--plan", option]).exits(0).json()["advice"].clone();
        assert!(!advice[0].as_str().is_some_and(|advice| advice.contains("exists")), "{advice}");
    }
    home.run(&["fetch", "profiles", "users", "--replace", "-q"]).exits(0);
    assert_eq!(simulator.stats().requests, requests + 3 + 9, "page 0 of the last estimate is reused");
}
