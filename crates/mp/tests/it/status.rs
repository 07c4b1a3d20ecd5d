//! `mp fetch status`.

use serde_json::{Value, json};

use crate::process::{end, send, start};
use crate::snapshot::assert_run;
use crate::support::{Home, Simulator};

fn runs(home: &Home, options: &[&str]) -> Vec<Value> {
    let run = home.run(&[&["fetch", "status"], options].concat()).exits(0);
    run.json().as_array().expect("an array").clone()
}

#[test]
fn unfinished_runs_are_listed_newest_first_with_resume_commands() {
    let simulator = Simulator::with_faults(950, &["pages=5 status=401 times=2"]);
    let home = Home::new().with_server(&simulator);
    for table in ["users", "groups"] {
        home.run(&["fetch", "profiles", table, "-q"]).exits(2);
    }
    let runs = runs(&home, &["--base-url", &simulator.base_url()]);
    let ids: Vec<&str> = runs.iter().map(|run| run["run_id"].as_str().expect("an id")).collect();
    assert!(ids.len() == 2 && ids[0] > ids[1], "names begin with the moment of the beginning: {ids:?}");
    let run = runs.iter().find(|run| run["table"] == "groups").expect("the second one");
    let fields: Vec<&String> = run.as_object().expect("an object").keys().collect();
    let expected = [
        "run_id",
        "table",
        "pages_done",
        "pages_total",
        "age_seconds",
        "bytes",
        "reason",
        "is_loaded_in_part",
        "is_superseded",
        "held_by",
        "resume_command",
    ];
    assert_eq!(fields, expected);
    assert_eq!((&run["pages_done"], &run["pages_total"]), (&json!(5), &json!(10)));
    assert_eq!((&run["is_loaded_in_part"], &run["held_by"]), (&json!(false), &Value::Null));
    assert!(run["bytes"].as_u64().expect("bytes") > 1_000 && run["age_seconds"].as_u64().expect("an age") < 600);
    assert!(run["reason"].as_str().expect("a reason").contains("401"), "{}", run["reason"]);
    let command = run["resume_command"].as_str().expect("a command");
    let expected = format!("/mp fetch resume groups --base-url {}", simulator.base_url());
    assert!(command.ends_with(&expected), "{command}");
    home.shell(command).exits(0);
    assert_eq!(self::runs(&home, &[]).len(), 1);
}

#[test]
fn an_older_run_of_a_table_is_named_in_its_command() {
    let simulator = Simulator::with_faults(950, &["pages=5 status=401 times=2"]);
    let home = Home::new().with_server(&simulator);
    for _ in 0..2 {
        home.run(&["fetch", "profiles", "users", "-q"]).exits(2);
    }
    let runs = runs(&home, &[]);
    let command = |number: usize| runs[number]["resume_command"].as_str().expect("a command").to_owned();
    let older = runs[1]["run_id"].as_str().expect("an id");
    assert!(command(0).ends_with("/mp fetch resume users"), "{}", command(0));
    assert!(command(1).ends_with(&format!("/mp fetch resume users --run {older}")), "{}", command(1));
    assert_eq!(home.shell(&command(1)).exits(0).json()["run_id"], older);
}

#[test]
fn no_unfinished_runs_print_an_empty_list() {
    let home = Home::new();
    let database = ["--db", "data.db"];
    for (format, printed) in [("json", "[]\n"), ("jsonl", ""), ("plain", "")] {
        let run = home.run(&[&["fetch", "status", "-f", format], &database[..]].concat()).exits(0);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), (printed, ""));
    }
    assert!(!home.path().join("data.db").exists());
}

#[test]
fn status_prints_a_table_and_the_next_command() {
    let simulator = Simulator::with_faults(950, &["pages=5 status=401 times=1"]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "users", "-q"]).exits(2);
    let run = assert_run!(home.run(&["fetch", "status", "-f", "table"]).exits(0));
    for text in ["RUN ID", "TABLE", "FETCHED", "AGE", "SIZE", "STATE", "users", "5/10 pages", " kB"] {
        assert!(run.stdout.contains(text), "no {text:?} in {}", run.stdout);
    }
}

#[test]
fn an_active_run_shows_its_process_and_is_left_alone() {
    let simulator = Simulator::with_faults(950, &["pages=5 delay=300s"]);
    let home = Home::new().with_server(&simulator);
    let (child, stderr) = start(&home, &["fetch", "profiles", "users"], "page 4");
    let pid = child.id();
    let runs = runs(&home, &[]);
    assert_eq!((&runs[0]["held_by"], &runs[0]["pages_done"]), (&json!(pid), &json!(5)));
    let process = format!("process {pid}");
    assert_run!(home.run(&["fetch", "resume", "users"]).exits(1).says(&[&process]).prints_nothing());
    assert_run!(home.run(&["fetch", "discard", "users", "--force"]).exits(1).says(&[&process]).prints_nothing());
    assert_run!(home.run(&["fetch", "discard", "--all", "--force"]).exits(1).says(&[&process]).prints_nothing());
    send(&child, rustix::process::Signal::KILL);
    drop(end(child, stderr));
    assert_eq!(self::runs(&home, &[])[0]["held_by"], Value::Null);
    home.run(&["fetch", "discard", "users", "--force"]).exits(0);
}

/// Makes an unfinished run of `users` with 9 of 10 pages on disk.
fn unfinished(home: &Home, option: &str) -> String {
    home.run(&["fetch", "profiles", "users", option, "-q"]).exits(2);
    let runs = runs(home, &[]);
    runs[0]["run_id"].as_str().expect("an id").to_owned()
}

#[test]
fn a_run_older_than_a_complete_load_is_superseded_and_replaces_it_only_by_force() {
    for option in ["--quiet", "--replace"] {
        let simulator = Simulator::with_faults(950, &["pages=5 status=401 times=1"]);
        let home = Home::new().with_server(&simulator);
        let run_id = unfinished(&home, option);
        assert_eq!(runs(&home, &[])[0]["is_superseded"], false, "there is no load yet");
        home.run(&["fetch", "profiles", "users", "-q"]).exits(0);
        let requests = simulator.stats().requests;
        let listed = runs(&home, &[]);
        assert_eq!((&listed[0]["run_id"], &listed[0]["is_superseded"]), (&json!(run_id), &json!(true)));
        assert_eq!(listed[0]["resume_command"], Value::Null);
        assert_run!(home.run(&["fetch", "status", "--format", "table"]).exits(0), "superseded");
        let plain_resume = home.run(&["fetch", "resume", "users"]).exits(1);
        let first_hint = plain_resume.stderr.lines().find(|line| line.starts_with("hint: ")).expect("a hint");
        assert!(first_hint.contains("fetch discard users` discards the run"), "{}", plain_resume.stderr);
        // A new fetch does not suggest to resume it.
        let again = home.run(&["fetch", "profiles", "users", "--append", "--no-progress"]).exits(0);
        assert!(!again.stderr.contains("fetch resume"), "{}", again.stderr);
        let loaded = simulator.stats().requests;
        assert!(loaded > requests);
        let run = assert_run!(home.run(&["fetch", "resume", "users", "--replace"]).exits(1), "refused");
        assert_eq!(simulator.stats().requests, loaded, "nothing is requested");
        assert_eq!(runs(&home, &[])[0]["run_id"], json!(run_id), "the run is still there");
        assert_eq!(run.resume_command().matches("--force").count(), 1);
        home.shell(&run.resume_command()).exits(0);
        assert_eq!(runs(&home, &[]), Vec::<Value>::new());
    }
}

#[test]
fn a_resume_that_replaces_needs_force_after_a_load_of_other_profiles() {
    for option in ["--append", "--replace"] {
        let simulator = Simulator::with_faults(950, &["pages=5 status=401 times=1"]);
        let home = Home::new().with_server(&simulator);
        unfinished(&home, option);
        home.run(&["fetch", "profiles", "users", "--append", "-q", "--distinct-id", "nobody"]).exits(0);
        let run = home.run(&["fetch", "resume", "users", "--replace"]).exits(1);
        assert!(run.stderr.contains("was loaded after this run began"), "{option}: {}", run.stderr);
        home.shell(&run.resume_command()).exits(0);
    }
}

#[test]
fn a_superseded_run_is_discarded_with_the_command_that_is_shown() {
    let simulator = Simulator::with_faults(950, &["pages=5 status=401 times=2"]);
    let home = Home::new().with_server(&simulator);
    let first = unfinished(&home, "--quiet");
    unfinished(&home, "--quiet");
    home.run(&["fetch", "profiles", "users", "-q"]).exits(0);
    let shown = |home: &Home| home.run(&["fetch", "status", "--format", "table"]).exits(0).stderr;
    for (left, run) in [(2, " --run "), (1, "")] {
        let note = shown(&home);
        let (_, command) = note.split_once('`').unwrap_or_else(|| panic!("no command: {note}"));
        let command = command.split('`').next().unwrap_or_default();
        assert!(command.contains(&format!("fetch discard users{run}")), "{note}");
        assert_eq!(runs(&home, &[]).len(), left);
        home.shell(&format!("{command} --force")).exits(0);
    }
    assert!(!shown(&home).contains(&first));
    assert_eq!(runs(&home, &[]), Vec::<Value>::new());
}

#[test]
fn other_filters_and_partial_loads_do_not_supersede_a_run() {
    let simulator = Simulator::with_faults(950, &["pages=5 status=401 times=1", "pages=7 status=404 times=1"]);
    let home = Home::new().with_server(&simulator);
    unfinished(&home, "--append");
    // A partial load: page 7 is missing.
    home.run(&["fetch", "profiles", "users", "-q"]).exits(1);
    assert!(runs(&home, &[]).iter().all(|run| run["is_superseded"] == false));
    home.run(&["fetch", "profiles", "users", "--append", "-q", "--distinct-id", "nobody"]).exits(0);
    let first = runs(&home, &[]).pop().expect("a run");
    assert_eq!(first["is_superseded"], false, "an append of other profiles does not cover the run");
    // Another table of the same database.
    home.run(&["fetch", "profiles", "others", "-q"]).exits(0);
    assert_eq!(runs(&home, &[]).pop().expect("a run")["is_superseded"], false);
}
