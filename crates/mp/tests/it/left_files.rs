//! Files next to a database.

use std::fs;

use crate::process::{end, send, start};
use crate::support::{Home, Simulator};

#[test]
fn a_run_without_its_stage_is_not_called_resumable() {
    let simulator = Simulator::with_faults(300, &["pages=2 delay=1s"]);
    let home = Home::new().with_server(&simulator);
    let (child, words) = start(&home, &["fetch", "profiles", "users", "--db", "my.db"], "page 1");
    fs::rename(home.path().join("my.db.stage"), home.path().join("aside")).expect("renamed");
    let run = end(child, words);
    assert_ne!(run.code, Some(0));
    assert!(!run.stderr.contains("kept") && !run.stderr.contains("fetch resume"), "{}", run.stderr);
}

#[test]
fn a_resumed_run_that_still_has_no_page_is_not_called_resumable() {
    let slow = Simulator::with_faults(300, &["pages=0 delay=20s"]);
    let home = Home::new().with_server(&slow);
    let (child, words) = start(&home, &["fetch", "profiles", "users", "--db", "my.db"], "note:");
    // Until then, the run does not exist yet, or its manifest is incomplete.
    let status = || home.run(&["fetch", "status", "-f", "json", "--db", "my.db"]).exits(0).json();
    while !status()[0]["held_by"].is_number() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    send(&child, rustix::process::Signal::KILL);
    drop(end(child, words));
    let refusing = Simulator::with_faults(300, &["pages=0 status=401 times=9"]);
    let home = home.with_server(&refusing);
    let run = home.run(&["fetch", "resume", "users", "--db", "my.db"]).exits(2);
    assert!(!run.stderr.contains("kept") && !run.stderr.contains("fetch resume"), "{}", run.stderr);
}
