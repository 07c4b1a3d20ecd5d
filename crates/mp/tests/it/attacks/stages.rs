//! Attacks on the stage: two fetches into one table, a directory created by another user, and files left on disk.

use rustix::process::Signal;
use serde_json::json;

use super::tools::all_but_state;
use crate::process::{end, send, start};
use crate::snapshot::assert_run;
use crate::support::{Home, Simulator};

#[test]
fn a22_a_second_fetch_into_the_table_is_refused_with_the_process() {
    let simulator = Simulator::with_faults(1_000, &["pages=5 delay=3s"]);
    let home = Home::new().with_server(&simulator);
    let (first, words) = start(&home, &["fetch", "profiles", "--parallel"], "page ");
    let asked = simulator.stats().requests;
    let named = format!("process {}", first.id());
    for arguments in
        [&["fetch", "profiles", "-q"][..], &["fetch", "profiles", "-q", "--replace"], &["fetch", "resume", "-q"]]
    {
        assert_run!(home.run(arguments).exits(1).prints_nothing().says(&[&named]));
    }
    assert!(simulator.stats().requests <= asked + 10, "a refused fetch sent requests");
    assert_eq!(end(first, words).exits(0).json()["total_rows"], json!(1_000));
}

#[test]
fn a22_symlinked_stage_is_refused() {
    let simulator = Simulator::with_faults(100, &[]);
    let home = Home::new().with_server(&simulator);
    std::fs::create_dir(home.path().join("elsewhere")).expect("a directory");
    std::os::unix::fs::symlink("elsewhere", home.path().join("my.db.stage")).expect("a link");
    let run = home.run(&["fetch", "profiles", "-q", "--db", "my.db"]).exits(1).prints_nothing();
    assert_run!(run);
    assert_eq!(std::fs::read_dir(home.path().join("elsewhere")).expect("the directory").count(), 0);
    assert_eq!(simulator.stats().requests, 0);
}

#[test]
fn a25_discarded_and_half_removed_runs_leave_no_profiles() {
    let simulator = Simulator::with_faults(1_000, &["pages=5 delay=300s"]);
    let home = Home::new().with_server(&simulator);
    let (first, words) = start(&home, &["fetch", "profiles", "--parallel"], "page ");
    send(&first, Signal::KILL);
    let _killed = end(first, words);
    let stage = home.database().with_extension("db.stage");
    // As left by a process that is killed while it removes a run.
    let left_over = stage.join(".removed-x/generation-0");
    std::fs::create_dir_all(&left_over).expect("a directory");
    std::fs::write(left_over.join("page-000000-00000000.parquet"), "profiles").expect("a file");
    assert_eq!(home.run(&["fetch", "status"]).exits(0).json()[0]["table"], "profiles");
    home.run(&["fetch", "discard", "--all", "--force", "-q"]).exits(0);
    let left = all_but_state(home.path());
    assert!(left.iter().all(|path| path.is_dir()), "{left:?}");
    assert!(!stage.exists());
}
