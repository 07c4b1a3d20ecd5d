//! Records that are rejected.

use mixpanel_simulator::{OddProfile, SimulatorConfig};

use crate::snapshot::assert_run;
use crate::support::{Home, Simulator};

fn simulator() -> Simulator {
    let config = SimulatorConfig {
        page_size: 100,
        odd_profiles: vec![(3, OddProfile::IdMissing), (140, OddProfile::NotAnObject)],
        ..SimulatorConfig::default()
    };
    Simulator::start(config.with_profiles(250))
}

#[test]
fn rejects_are_a_failure_after_the_load_with_the_query_that_shows_them() {
    let simulator = simulator();
    let home = Home::new().with_server(&simulator);
    for mode in [&["one"][..], &["two", "--parallel"]] {
        let run = home.run(&[&["fetch", "profiles", "-q"], mode].concat()).exits(1);
        assert_eq!((&run.json()["rejected"], &run.json()["has_failures"]), (&2.into(), &true.into()));
        assert_eq!(run.json()["failure_reasons"], serde_json::json!(["rejected_records"]));
        let run = assert_run!(run, mode[0]);
        assert!(!run.stderr.contains("fetch resume"), "nothing is missing: {}", run.stderr);
        let query = format!(
            "/mp query sql \"select * from _rejects where run_id = '{}'\"`",
            run.json()["run_id"].as_str().expect("an id")
        );
        assert!(run.stderr.contains(&query), "{}", run.stderr);
    }
}

#[test]
fn the_query_of_the_hint_shows_the_rejects() {
    let simulator = simulator();
    let home = Home::new().with_server(&simulator);
    let run = home.run(&["fetch", "profiles", "users", "-q"]).exits(1);
    let hint = run.stderr.lines().find(|line| line.contains("_rejects where")).expect("a hint");
    let query = hint.split('`').nth(1).expect("a command");
    assert_eq!(home.shell(query).exits(0).json().as_array().expect("an array").len(), 2);
}

#[test]
fn rejects_can_be_allowed() {
    let simulator = simulator();
    let home = Home::new().with_server(&simulator);
    let run = home.run(&["fetch", "profiles", "users", "--allow-rejects", "--no-progress"]).exits(0);
    assert_eq!(run.json()["rejected"], 2);
    assert_run!(run.exits(0));
    home.run(&["fetch", "profiles", "--stdout", "--allow-rejects", "-q"]).exits(0);
}

#[test]
fn rejects_of_a_stream_are_a_failure_after_the_last_record() {
    let simulator = simulator();
    let home = Home::new().with_server(&simulator);
    for form in [&["--stdout"][..], &["--stdout", "--parallel"]] {
        let run = home.run(&[&["fetch", "profiles", "-q"], form].concat()).exits(1);
        assert_eq!(run.stdout.lines().count(), 248);
        assert_run!(run.counting_lines());
    }
}
