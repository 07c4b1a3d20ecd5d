//! Whatever ends a fetch while pages are on disk, one hint shows the command that resumes it, and that command works.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::json;

use crate::process::{end, send, start};
use crate::snapshot::assert_run;
use crate::support::{CANARY, Home, PROJECT, Run, Simulator, USERNAME};

/// Ten pages; the last one is short.
const PROFILES: u64 = 950;

fn rows(home: &Home, table: &str) -> String {
    home.run(&["query", "sql", "-s", "-f", "plain", &format!("select count(*) from {table}")]).exits(0).stdout
}

/// Runs the command from the hint, and checks that it requests only the missing pages and completes the table.
fn go_on(home: &Home, simulator: &Simulator, run: &Run, is_missing: impl Fn(u64) -> bool) {
    let before = simulator.stats().hits_per_page;
    let resumed = home.shell(&run.resume_command()).exits(0);
    assert_eq!(resumed.json()["has_failures"], json!(false));
    assert_eq!(rows(home, "users"), format!("{PROFILES}\n"));
    for (page, hits) in simulator.stats().hits_per_page {
        let new = hits - before.get(&page).copied().unwrap_or(0);
        assert_eq!(new, u64::from(is_missing(page)), "page {page}");
    }
    assert_eq!(home.run(&["fetch", "status"]).exits(0).json(), json!([]));
}

/// A fault, further options, the exit code, and which pages are missing.
type Case = (&'static str, &'static [&'static str], i32, fn(u64) -> bool);

#[test]
fn every_failure_prints_a_working_resume_command() {
    let limit = "pages=4 status=429 header=Retry-After:3000 times=1";
    let table: [Case; 5] = [
        ("pages=5 status=401 times=1", &[], 2, |page| page >= 5),
        ("pages=6 status=403 times=1", &[], 2, |page| page >= 6),
        ("pages=3,7 status=404 times=1", &[], 1, |page| page == 3 || page == 7),
        // With more workers, page 3 may fail last, and then nothing shows that the session still exists.
        ("pages=3,7 status=404 times=1", &["-p", "--workers", "1"], 1, |page| page == 3 || page == 7),
        (limit, &["--max-wait", "2s"], 1, |page| page >= 4),
    ];
    for (fault, options, code, is_missing) in table {
        let simulator = Simulator::with_faults(PROFILES, &[fault]);
        let home = Home::new().with_server(&simulator);
        let run = home.run(&[&["fetch", "profiles", "users", "-q"], options].concat()).exits(code);
        let run = assert_run!(run, format!("{fault} {options:?}"));
        go_on(&home, &simulator, &run, is_missing);
    }
}

#[test]
fn an_incomplete_replacement_can_be_resumed() {
    let simulator = Simulator::with_faults(PROFILES, &["pages=4 status=404 times=1"]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users", "-q", "-w", "properties[\"plan\"] == \"enterprise\""]).exits(0);
    let run = home.run(&["fetch", "profiles", "users", "-q", "--replace"]).exits(1).prints_nothing();
    go_on(&home, &simulator, &run, |page| page == 4);
}

#[test]
fn a_run_that_keeps_losing_its_session_can_be_resumed() {
    // Three times: once more than a fetch restarts.
    let simulator = Simulator::with_faults(PROFILES, &["pages=4 lost-session times=3"]);
    let home = Home::new().with_server(&simulator);
    let run = home.run(&["fetch", "profiles", "users", "--no-progress"]).exits(1).prints_nothing();
    let run = assert_run!(run);
    assert_eq!(run.stderr.matches("restarting from page 0 in a new session").count(), 2, "{}", run.stderr);
    home.shell(&run.resume_command()).exits(0);
    assert_eq!(rows(&home, "users"), format!("{PROFILES}\n"));
}

#[test]
fn the_command_repeats_the_global_options_that_were_given_and_no_others() {
    let simulator = Simulator::with_faults(PROFILES, &["pages=5 status=401 times=1"]);
    let home = Home::new().with_server(&simulator).with("MP_BASE_URL", "http://127.0.0.1:1");
    let base_url = simulator.base_url();
    let options = ["--db", "my data/it's.db", "--base-url", &base_url];
    let run = home.run(&[&["fetch", "profiles", "users", "-q", "--no-progress"], &options[..]].concat()).exits(2);
    let command = run.resume_command();
    let expected = format!(" fetch resume users --db \"my data/it's.db\" --base-url {base_url}");
    assert!(command.ends_with(&expected), "{command}");
    home.shell(&command).exits(0);
    assert!(home.path().join("my data/it's.db").exists());
}

#[test]
fn the_resume_command_names_the_account() {
    let simulator = Simulator::with_faults(PROFILES, &["pages=5 status=401 times=1"]);
    let home = Home::new().with("MP_BASE_URL", &simulator.base_url());
    let account = ["auth", "add", "work", "-u", USERNAME, "-p", PROJECT, "-r", "us", "--secret-stdin", "--no-test"];
    home.run_with_input(&account, CANARY).exits(0);
    let run = home.run(&["fetch", "profiles", "-q", "--account", "work"]).exits(2);
    assert!(run.resume_command().ends_with(" fetch resume profiles --account work"), "{}", run.stderr);
}

#[test]
fn a_failure_without_staged_pages_shows_no_resume_command() {
    for fault in ["pages=0 status=401", "pages=0 hourly-limit", "pages=0 html"] {
        let simulator = Simulator::with_faults(300, &[fault]);
        let home = Home::new().with_server(&simulator);
        let run = home.run(&["fetch", "profiles", "-q", "--max-wait", "1s"]);
        assert!(run.code != Some(0) && !run.stderr.contains("fetch resume"), "{run:?}");
        assert_eq!(home.run(&["fetch", "status"]).exits(0).json(), json!([]));
    }
}

#[test]
fn a_locked_database_is_waited_for_and_the_pages_are_safe() {
    let simulator = Simulator::with_faults(PROFILES, &[]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "before", "-q"]).exits(0);
    let (fetch, stderr) = start(&home, &["fetch", "profiles", "users", "--lock-wait", "1s"], "page 0");
    send(&fetch, Signal::STOP);
    // It holds the database open until its output is read.
    let mut command = home.command(&["query", "sql", "select * from range(100000000)", "-f", "jsonl"]);
    let mut holder = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut rows_of_holder = BufReader::new(holder.stdout.take().expect("a pipe"));
    rows_of_holder.read_line(&mut String::new()).expect("a row");
    send(&fetch, Signal::CONT);
    let run = end(fetch, stderr).exits(1).prints_nothing();
    let process = format!("process {}", holder.id());
    let run = run.says(&[
        "waiting up to 1s for the database: ",
        &process,
        "all pages are on disk",
        "the 10 pages fetched so far",
    ]);
    drop(rows_of_holder);
    holder.wait().expect("it ends");
    let requests = simulator.stats().requests;
    home.shell(&run.resume_command()).exits(0);
    assert_eq!(rows(&home, "users"), format!("{PROFILES}\n"));
    assert_eq!(simulator.stats().requests, requests, "nothing is asked for again");
}

#[test]
fn a_new_fetch_mentions_an_unfinished_run_and_starts_fresh() {
    let simulator = Simulator::with_faults(PROFILES, &["pages=5 status=401 times=1"]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users", "-q"]).exits(2);
    home.run(&["fetch", "profiles", "others", "-q"]).exits(0);
    let run = home.run(&["fetch", "profiles", "users", "--no-progress"]).exits(0);
    let run = assert_run!(run);
    assert_eq!(run.json()["rows"], 950);
    let home_run = home.run(&["fetch", "profiles", "another", "--no-progress"]).exits(0);
    assert!(!home_run.stderr.contains("unfinished"), "{}", home_run.stderr);
}
