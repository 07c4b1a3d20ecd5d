//! Runs whose table was loaded after they began. The order of the loads counts, not what any clock says.

use std::path::Path;
use std::time::Duration;

use mixpanel_simulator::{EventOptions, Events, ProfileSource, Records, Revision, SimulatorConfig};
use serde_json::Value;

use crate::events::{self, days};
use crate::process::{end, start};
use crate::support::{Home, Simulator};

const LAST: [&str; 2] = ["--since", "last"];

/// A project of three profiles in this version, each on a page of its own. None of them was seen again.
fn version(version: u32, faults: &[&str]) -> SimulatorConfig {
    let profile = |id: u32| {
        format!(r#"{{"$distinct_id":"u{id}","$properties":{{"v":{version},"$last_seen":"2026-11-20T00:00:00"}}}}"#)
    };
    let lines: Vec<String> = (0..3).map(profile).collect();
    SimulatorConfig {
        profiles: ProfileSource::Records(Records::read(lines.join("\n").as_bytes()).expect("records").into()),
        page_size: 1,
        faults: faults.iter().map(|fault| fault.parse().expect("a fault")).collect(),
        ..SimulatorConfig::default()
    }
}

fn rows(home: &Home, sql: &str) -> String {
    let table = home.run(&["query", "sql", "-f", "csv", sql]).exits(0).stdout;
    table.split_once('\n').map(|(_, rows)| rows.to_owned()).expect("a header")
}

fn contents(home: &Home) -> String {
    let sql = "SELECT distinct_id, properties->>'v' FROM users ORDER BY ALL";
    rows(home, sql)
}

fn fetch(home: &Home, options: &[&str]) -> crate::support::Run {
    home.run(&[&["fetch", "profiles", "users", "-q"], options].concat())
}

fn runs(home: &Home) -> Vec<Value> {
    let listed = home.run(&["fetch", "status", "-f", "json"]).exits(0).json();
    listed.as_array().expect("a list").clone()
}

/// A home whose table has version 1, and an unfinished run with a page of version 1.
fn with_older_run(options: &[&str]) -> (Home, Simulator) {
    let base = Simulator::start(version(1, &[]));
    let home = Home::new().with_server(&base);
    fetch(&home, &[]).exits(0);
    let first = Simulator::start(version(1, &["pages=1 status=401 times=1"]));
    let home = home.with_server(&first);
    fetch(&home, options).exits(2);
    assert_eq!(runs(&home)[0]["is_superseded"], false, "{options:?}");
    (home, first)
}

#[test]
fn no_way_to_resume_brings_older_profiles_without_force() {
    let older: [&[&str]; 4] = [&["--replace"], &["--upsert"], &LAST, &["--append"]];
    let newer: [&[&str]; 3] = [&["--replace"], &["--upsert"], &LAST];
    let seven_days = Duration::from_secs(7 * 86_400);
    for (case, older) in older.into_iter().enumerate() {
        for (turn, newer) in newer.into_iter().enumerate().filter(|(turn, _)| *turn != case % 3) {
            let (home, first) = with_older_run(older);
            // What the clocks say about the order of the loads does not matter.
            let (behind, ahead) = [(0, 0), (7, 0), (0, 7), (0, 0)][(case + turn) % 4];
            let (clock_behind, clock_ahead) = (seven_days * behind / 7, seven_days * ahead / 7);
            let second = Simulator::start(SimulatorConfig { clock_behind, clock_ahead, ..version(2, &[]) });
            let home = home.with_server(&second);
            fetch(&home, newer).exits(0);
            let loaded = contents(&home);
            assert_eq!(loaded, "u0,2\nu1,2\nu2,2\n", "{newer:?}");
            let requests = second.stats().requests;
            let case = format!("{older:?}, then {newer:?}");
            assert_eq!(runs(&home)[0]["is_superseded"], true, "{case}");
            for chosen in [None, Some("--upsert"), Some("--append"), Some("--replace")] {
                let options: Vec<&str> = ["fetch", "resume", "users", "-q"].into_iter().chain(chosen).collect();
                let chosen = chosen.unwrap_or_default();
                let is_part = chosen == "--replace" && older == LAST;
                let refused = home.run(&options).exits(if is_part { 3 } else { 1 });
                let reason = if is_part { "so it cannot replace the table" } else { "was loaded after this run began" };
                assert!(refused.stderr.contains(reason), "{case}, {chosen}: {}", refused.stderr);
                if !is_part {
                    let command = refused.resume_command();
                    assert!(command.contains(&format!("users {chosen} --force").replace("  ", " ")), "{command}");
                }
            }
            assert_eq!((contents(&home), second.stats().requests), (loaded, requests), "{case}: nothing happened");
            // The pages that are missing belong to the older session.
            let home = home.with_server(&first);
            let forced = home.run(&["fetch", "resume", "users", "-q"]).exits(1).resume_command();
            home.shell(&forced).exits(0);
            let keeps = older == ["--append"];
            assert_eq!(contents(&home).contains("u2,2"), keeps, "{case}: {forced}");
            assert_eq!(runs(&home), Vec::<Value>::new(), "{case}");
        }
    }
}

#[test]
fn a_run_is_resumed_if_no_other_load_came_after_its_start() {
    for older in [&["--replace"][..], &["--upsert"], &LAST, &["--append"]] {
        let (home, _first) = with_older_run(older);
        home.run(&["fetch", "resume", "users", "-q"]).exits(0);
        assert_eq!(contents(&home), "u0,1\nu1,1\nu2,1\n", "{older:?}");
    }
}

/// The rows of a session are as old as its first page, even if the session is loaded later.
#[test]
fn of_two_unfinished_runs_the_older_one_can_be_resumed_first() {
    let (home, first) = with_older_run(&["--upsert"]);
    let older = runs(&home)[0]["run_id"].as_str().expect("an id").to_owned();
    let second = Simulator::start(version(2, &["pages=1 status=401 times=1"]));
    let home = home.with_server(&second);
    fetch(&home, &["--upsert"]).exits(2);
    let home = home.with_server(&first);
    home.run(&["fetch", "resume", "users", "--run", &older, "-q"]).exits(0);
    assert_eq!(runs(&home)[0]["is_superseded"], false);
    let home = home.with_server(&second);
    home.run(&["fetch", "resume", "users", "-q"]).exits(0);
    assert_eq!(contents(&home), "u0,2\nu1,2\nu2,2\n");
}

/// The older run has lost its session, so its profiles were fetched after the newer run began.
#[test]
fn a_run_that_started_over_is_newer_than_one_that_began_in_between() {
    let (home, _first) = with_older_run(&["--upsert"]);
    let older = runs(&home)[0]["run_id"].as_str().expect("an id").to_owned();
    let second = Simulator::start(version(2, &["pages=1 status=401 times=1"]));
    let home = home.with_server(&second);
    fetch(&home, &["--upsert"]).exits(2);
    let third = Simulator::start(version(3, &[]));
    let home = home.with_server(&third);
    home.run(&["fetch", "resume", "users", "--run", &older, "-q"]).exits(0);
    assert_eq!(contents(&home), "u0,3\nu1,3\nu2,3\n");
    let home = home.with_server(&second);
    home.run(&["fetch", "resume", "users", "-q"]).exits(1).says(&["was loaded after this run began"]);
    assert_eq!(contents(&home), "u0,3\nu1,3\nu2,3\n");
}

#[test]
fn a_run_that_completes_its_own_load_brings_no_older_profiles() {
    for newer in [&["--replace"][..], &["--upsert"]] {
        let first = Simulator::start(version(1, &["pages=1 status=404 times=1"]));
        let home = Home::new().with_server(&first);
        fetch(&home, &["--upsert"]).exits(1);
        let second = Simulator::start(version(2, &[]));
        let home = home.with_server(&second);
        fetch(&home, newer).exits(0);
        let home = home.with_server(&first);
        home.run(&["fetch", "resume", "users", "-q"]).exits(1).says(&["was loaded after this run began"]);
        assert_eq!(contents(&home), "u0,2\nu1,2\nu2,2\n", "{newer:?}");
    }
}

/// An estimate keeps its page for the fetch, but not if the table was loaded in between.
#[test]
fn an_estimate_that_precedes_the_last_load_is_not_used() {
    for planned in [&["--replace"][..], &["--upsert"], &[]] {
        let first = Simulator::start(version(1, &[]));
        let home = Home::new().with_server(&first);
        fetch(&home, &[]).exits(0);
        let whole = first.stats().requests;
        fetch(&home, &[planned, &["--plan"]].concat()).exits(0);
        assert_eq!(runs(&home)[0]["is_superseded"], false, "{planned:?}");
        let second = Simulator::start(version(2, &[]));
        let home = home.with_server(&second);
        // A fetch of the same query would use the estimate.
        fetch(&home, &["--replace", "--distinct-ids", "u0,u1,u2"]).exits(0);
        assert_eq!(runs(&home)[0]["is_superseded"], true, "{planned:?}");
        let home = home.with_server(&first);
        home.run(&["fetch", "resume", "users", "-q"]).exits(1);
        assert_eq!(contents(&home), "u0,2\nu1,2\nu2,2\n", "{planned:?}");
        let requests = first.stats().requests;
        fetch(&home, &["--replace"]).exits(0);
        assert_eq!(first.stats().requests, requests + whole, "{planned:?}");
    }
}

/// A project of events with late, deleted and renamed rows, in this revision.
fn revision(revision: u32, faults: &[&str]) -> SimulatorConfig {
    let changing = EventOptions { late_rows: 0.2, deleted_rows: 0.1, rekeyed: 0.2, ..events::clean().events };
    let events = EventOptions { revision: Revision::Fixed(revision), ..changing };
    events::with_faults(SimulatorConfig { events, ..events::clean() }, faults)
}

fn days_of(home: &Home) -> String {
    let sql =
        "SELECT event_time::DATE, count(*), md5(string_agg(properties::VARCHAR, ' ' ORDER BY properties::VARCHAR))
               FROM events GROUP BY ALL ORDER BY ALL";
    rows(home, sql)
}

#[test]
fn no_way_to_resume_brings_older_events_without_force() {
    let project = Events::new(&revision(1, &[]));
    let range = |first, last| {
        let range = days(&project, first, last);
        [range.first().expect("a day").to_string(), range.last().expect("a day").to_string()]
    };
    let ([from, to], [wide_from, _]) = (range(4, 1), range(9, 0));
    let (since, before) = (range(4, 0)[0].clone(), range(6, 0)[0].clone());
    let older: [&[&str]; 3] = [
        &["--from", &from, "--to", &to, "--replace"],
        &["--from", &from, "--to", &to, "--append"],
        &["--since", &since],
    ];
    let newer: [&[&str]; 4] = [
        &["--from", &wide_from, "--to", &to, "--replace"],
        &["--from", &to, "--to", &to, "--replace"],
        &["--since", "3d"],
        &["--from", &from, "--to", &from, "--append"],
    ];
    for (case, older) in older.into_iter().enumerate() {
        for (_, newer) in newer.into_iter().enumerate().filter(|(turn, _)| (case + turn) % 2 == 0) {
            let base = Simulator::start(revision(1, &[]));
            let home = Home::new().with_server(&base);
            events::fetch(&home, &project, (9, 0), &["--parallel", "-q"]).exits(0);
            let failing = Simulator::start(revision(1, &[&format!("days={to}..{to} times=1 status=401")]));
            let home = home.with_server(&failing);
            home.run(&[&["fetch", "events", "-q", "--chunk-days", "1"], older].concat()).exits(2);
            assert_eq!(runs(&home)[0]["is_superseded"], false);
            let second = Simulator::start(revision(3, &[]));
            let home = home.with_server(&second);
            home.run(&[&["fetch", "events", "-q", "--parallel"], newer].concat()).exits(0);
            let (loaded, case) = (days_of(&home), format!("{older:?}, then {newer:?}"));
            let status = runs(&home);
            assert_eq!(
                (&status[0]["is_superseded"], &status[0]["resume_command"]),
                (&true.into(), &Value::Null),
                "{case}"
            );
            let home = home.with_server(&failing);
            for chosen in [None, Some("--append"), Some("--replace")] {
                let options: Vec<&str> = ["fetch", "resume", "events", "-q"].into_iter().chain(chosen).collect();
                let is_part = chosen == Some("--replace") && older[0] == "--since";
                let refused = home.run(&options).exits(if is_part { 3 } else { 1 });
                let reason = if is_part { "so it cannot replace the table" } else { "was loaded after this run began" };
                assert!(refused.stderr.contains(reason), "{case}, {chosen:?}: {}", refused.stderr);
            }
            assert_eq!(days_of(&home), loaded, "{case}: nothing happened");
            let forced = home.run(&["fetch", "resume", "events", "-q"]).exits(1).resume_command();
            home.shell(&forced).exits(0);
            // Only a run that replaces the table removes days that it has not fetched.
            let outside = |table: &str| table.lines().filter(|line| line[..10] < *before.as_str()).count();
            let kept = if older.contains(&"--replace") { 0 } else { outside(&loaded) };
            assert_eq!(outside(&days_of(&home)), kept, "{case}: {forced}");
        }
    }
}

/// The other days of the table, or other events of the same days, are not older.
#[test]
fn a_run_of_events_is_resumed_if_only_other_days_or_events_were_loaded_since() {
    let project = Events::new(&revision(1, &[]));
    let to = days(&project, 1, 1)[0].to_string();
    let older = ["--chunk-days", "1", "--append", "-q"];
    let some = [&older[..], &["--events", "Sign Up"]].concat();
    let (newer, others) = (["--append", "-q"], ["--append", "-q", "--events", "App Open"]);
    for (older, days_since, newer) in [(&older[..], (9, 5), &newer[..]), (&some, (4, 1), &others)] {
        let base = Simulator::start(revision(1, &[]));
        let home = Home::new().with_server(&base);
        events::fetch(&home, &project, (9, 8), &["-q"]).exits(0);
        let failing = Simulator::start(revision(1, &[&format!("days={to}..{to} times=1 status=401")]));
        let home = home.with_server(&failing);
        events::fetch(&home, &project, (4, 1), older).exits(2);
        let home = home.with_server(&base);
        events::fetch(&home, &project, days_since, newer).exits(0);
        assert_eq!(runs(&home)[0]["is_superseded"], false, "{newer:?}");
        let home = home.with_server(&failing);
        home.run(&["fetch", "resume", "events", "-q"]).exits(0);
    }
}

/// A process that is killed after its commit leaves a run that only has to be removed.
#[test]
fn a_run_that_was_loaded_brings_nothing_back_after_the_table_was_recreated() {
    for older in ["--replace", "--upsert"] {
        let first = Simulator::start(version(1, &["pages=2 delay=1s"]));
        let home = Home::new().with_server(&first);
        fetch(&home, &[]).exits(0);
        // The load fails, because the database is locked.
        let fetch_again = ["fetch", "profiles", "users", older, "--lock-wait", "1s"];
        let (child, words) = start(&home, &fetch_again, "page 1");
        let held = duckdb::Connection::open(home.database()).expect("a database");
        end(child, words).exits(1);
        drop(held);
        // The run is put back after its load, as if its removal had not begun.
        let run_id = runs(&home)[0]["run_id"].as_str().expect("an id").to_owned();
        let stage = home.path().join(".mp/data/12345.db.stage");
        let (run, aside) = (stage.join(&run_id), home.path().join("aside"));
        let copy = |from: &Path, to: &Path| {
            std::fs::create_dir_all(to.parent().expect("a directory")).expect("a directory");
            let copied = std::process::Command::new("cp").arg("-r").args([from, to]).status();
            assert!(copied.expect("a copy").success());
        };
        copy(&run, &aside);
        home.run(&["fetch", "resume", "users", "-q"]).exits(0);
        copy(&aside, &run);
        assert_eq!(runs(&home)[0]["is_superseded"], false);
        let second = Simulator::start(version(2, &[]));
        let home = home.with_server(&second);
        fetch(&home, &["--replace"]).exits(0);
        let loaded = contents(&home);
        let is_added_to = older == "--upsert";
        assert_eq!(runs(&home)[0]["is_superseded"], !is_added_to, "{older}");
        for chosen in ["--replace", "--upsert", "--append"] {
            let run = home.run(&["fetch", "resume", "users", "-q", chosen]);
            assert_eq!(contents(&home), loaded, "{older}, {chosen}: {}", run.stderr);
            if is_added_to {
                break;
            }
            run.exits(1).says(&["was loaded after this run began"]);
        }
    }
}

#[test]
fn the_command_that_adds_older_records_to_a_table_made_meanwhile_is_the_one_that_works() {
    let home = Home::new();
    let first = Simulator::start(version(1, &["pages=1 status=401 times=1"]));
    let home = home.with_server(&first);
    fetch(&home, &[]).exits(2);
    let second = Simulator::start(version(2, &[]));
    let home = home.with_server(&second);
    fetch(&home, &["--distinct-id", "u1"]).exits(0);
    let home = home.with_server(&first);
    let command = home.run(&["fetch", "resume", "users", "-q"]).exits(1).resume_command();
    home.shell(&command).exits(0);
    assert_eq!(contents(&home), "u0,1\nu1,2\nu2,1\n");
}

/// An estimate only looks at the table, so the rules for its rows do not matter.
#[test]
fn an_estimate_works_if_the_table_exists_with_other_rules() {
    let simulator = Simulator::start(version(1, &[]));
    let home = Home::new().with_server(&simulator);
    fetch(&home, &["--drop", "other"]).exits(0);
    let plan = fetch(&home, &["--plan"]).exits(0).json();
    let whole = fetch(&home, &["--replace"]).exits(0).json();
    assert_eq!(whole["run_id"], plan["run_id"], "its page is used");
}

/// Every id is in the table, so nothing was added, and the run has the newest profiles.
#[test]
fn a_load_that_wrote_nothing_supersedes_no_run() {
    let (home, _first) = with_older_run(&["--upsert"]);
    let second = Simulator::start(version(2, &[]));
    let home = home.with_server(&second);
    fetch(&home, &["--append"]).exits(0);
    assert_eq!(runs(&home)[0]["is_superseded"], false);
    home.run(&["fetch", "resume", "users", "-q"]).exits(0);
}

/// A sample does not have all events of its days, but the run could bring back those that were deleted since.
#[test]
fn a_sample_of_the_days_keeps_an_older_run_from_adding_to_them() {
    let project = Events::new(&revision(1, &[]));
    let to = days(&project, 1, 1)[0].to_string();
    let failing = Simulator::start(revision(1, &[&format!("days={to}..{to} times=1 status=401")]));
    let home = Home::new().with_server(&failing);
    events::fetch(&home, &project, (4, 1), &["--chunk-days", "1", "-q"]).exits(2);
    let second = Simulator::start(revision(3, &[]));
    let home = home.with_server(&second);
    events::fetch(&home, &project, (4, 1), &["--limit", "40", "-q"]).exits(0);
    let loaded = days_of(&home);
    let home = home.with_server(&failing);
    let command = home.run(&["fetch", "resume", "events", "-q"]).exits(1).resume_command();
    home.run(&["fetch", "resume", "events", "-q", "--append"]).exits(1).says(&["was loaded after this run began"]);
    assert_eq!(days_of(&home), loaded);
    assert!(command.contains("--append --force"), "{command}");
    home.shell(&command).exits(0);
}
