//! Concurrent fetches, and fetches into one database by different names.

use std::os::unix::fs::symlink;
use std::process::{Child, Stdio};

use rustix::process::Signal;
use serde_json::json;

use crate::process::{end, send, start};
use crate::snapshot::assert_run;
use crate::support::{Home, Run, Simulator};

fn launch(home: &Home, arguments: &[&str]) -> Child {
    home.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

#[test]
fn a22_only_one_of_several_concurrent_fetches_proceeds() {
    for round in 0..4 {
        let simulator = Simulator::with_faults(300, &["pages=1 delay=400ms"]);
        let home = Home::new().with_server(&simulator);
        if round % 2 == 1 {
            let _another = home.run(&["fetch", "profiles", "another", "-q", "--db", "my.db"]).exits(0);
        }
        let alone = simulator.stats().requests;
        let names = ["profiles", "Profiles", "PROFILES", "profiles", "profiles"];
        let fetches: Vec<Child> =
            names.iter().map(|name| launch(&home, &["fetch", "profiles", name, "-q", "--db", "my.db"])).collect();
        let runs: Vec<Run> =
            fetches.into_iter().map(|child| Run::new(child.wait_with_output().expect("it ends"))).collect();
        let (done, refused): (Vec<&Run>, Vec<&Run>) = runs.iter().partition(|run| run.code == Some(0));
        assert_eq!(done.len(), 1, "round {round}: {runs:?}");
        for run in refused {
            assert_eq!(run.code, Some(1), "{run:?}");
            let is_told = ["is already fetching into table", "exists", "is locked by process"]
                .iter()
                .any(|said| run.stderr.contains(said));
            assert!(is_told, "{}", run.stderr);
            assert!(!run.stderr.contains("fetch resume"), "it left a stage: {}", run.stderr);
        }
        let asked = simulator.stats().requests - alone;
        assert!(asked <= 4, "round {round}: {asked} requests for 3 pages");
        assert!(!home.path().join("my.db.stage").exists(), "round {round}");
    }
}

#[test]
fn a22_two_runs_of_a_table_are_not_resumed_at_once() {
    let simulator = Simulator::with_faults(500, &["pages=4 delay=5s"]);
    let home = Home::new().with_server(&simulator);
    for _ in 0..2 {
        let (fetch, words) = start(&home, &["fetch", "profiles", "--db", "my.db"], "page 2");
        send(&fetch, Signal::KILL);
        let _killed = end(fetch, words);
    }
    let runs = home.run(&["fetch", "status", "--db", "my.db"]).exits(0).json();
    let id = |index: usize| runs[index]["run_id"].as_str().expect("a run").to_owned();
    // It holds the run from here on. Its first page may be the delayed one, if page 3 was staged before the kill.
    let (first, words) = start(&home, &["fetch", "resume", "--run", &id(1), "--db", "my.db"], "fetching ");
    for arguments in [&["fetch", "resume", "--run", &id(0), "-q"][..], &["fetch", "profiles", "-q"]] {
        let run = home.run(&[arguments, &["--db", "my.db"]].concat()).exits(1).prints_nothing();
        assert_run!(run, arguments[1]);
    }
    assert_eq!(end(first, words).exits(0).json()["rows"], json!(500));
}

#[test]
fn a22_killed_fetch_does_not_lock_out_others() {
    let simulator = Simulator::with_faults(300, &["pages=2 delay=60s times=1"]);
    let home = Home::new().with_server(&simulator);
    let (fetch, words) = start(&home, &["fetch", "profiles", "--db", "my.db"], "page 1");
    send(&fetch, Signal::KILL);
    let _killed = end(fetch, words);
    std::fs::write(home.path().join("my.db.stage/.turn"), "").expect("what a killed process leaves");
    let _resumed = home.run(&["fetch", "resume", "-q", "--db", "my.db"]).exits(0);
    assert!(!home.path().join("my.db.stage").exists());
}

/// Paths of one database, relative to the home.
const NAMES: [&str; 6] = ["real/my.db", "link.db", "linked/my.db", "real/../real/my.db", "./link.db", "second.db"];

fn linked_home(simulator: &Simulator) -> Home {
    let home = Home::new().with_server(simulator);
    std::fs::create_dir(home.path().join("real")).expect("a directory");
    symlink("real", home.path().join("linked")).expect("a link");
    home
}

/// Creates the database and two links to it.
fn make_linked(home: &Home) {
    let connection = duckdb::Connection::open(home.path().join("real/my.db")).expect("a database");
    connection.execute_batch("CREATE TABLE another (a INTEGER)").expect("a table");
    symlink("real/my.db", home.path().join("link.db")).expect("a link");
    symlink("link.db", home.path().join("second.db")).expect("a link");
}

#[test]
fn a22_all_paths_to_a_database_share_one_stage() {
    for exists in [true, false] {
        for name in NAMES {
            if !exists && !name.ends_with("/my.db") {
                continue;
            }
            let simulator = Simulator::with_faults(500, &["pages=4 delay=10s times=1"]);
            let home = linked_home(&simulator);
            if exists {
                make_linked(&home);
            }
            let (fetch, words) = start(&home, &["fetch", "profiles", "--db", name], "page 2");
            for other in NAMES.iter().filter(|other| exists || other.ends_with("/my.db")).take(2) {
                let run = home.run(&["fetch", "profiles", "-q", "--append", "--db", other]).exits(1);
                assert_run!(run.prints_nothing(), other);
            }
            send(&fetch, Signal::KILL);
            let _killed = end(fetch, words);
            let other = if name == "real/my.db" { "linked/my.db" } else { "real/my.db" };
            let runs = home.run(&["fetch", "status", "--db", other]).exits(0).json();
            assert_eq!(runs.as_array().map(Vec::len), Some(1), "{name}: {runs}");
            let _resumed = home.run(&["fetch", "resume", "-q", "--db", other]).exits(0);
        }
    }
}

#[test]
fn a22_stage_next_to_a_symlink_is_found() {
    for command in ["resume", "discard"] {
        let simulator = Simulator::with_faults(500, &["pages=4 delay=10s times=1"]);
        let home = linked_home(&simulator);
        make_linked(&home);
        let (fetch, words) = start(&home, &["fetch", "profiles", "--append", "--db", "real/my.db"], "page 2");
        send(&fetch, Signal::KILL);
        let _killed = end(fetch, words);
        // Earlier versions created the stage next to the link.
        std::fs::rename(home.path().join("real/my.db.stage"), home.path().join("link.db.stage")).expect("a stage");
        let runs = home.run(&["fetch", "status", "--db", "link.db"]).exits(0).json();
        assert_eq!(runs.as_array().map(Vec::len), Some(1), "{runs}");
        let force: &[&str] = if command == "discard" { &["--all", "--force"] } else { &[] };
        let _done = home.run(&[&["fetch", command, "-q", "--db", "link.db"], force].concat()).exits(0);
        assert!(!home.path().join("link.db.stage").exists());
    }
}
