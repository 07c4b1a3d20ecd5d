//! Failing disks and file systems that lack features, simulated by injecting failures of system calls with strace.

use std::path::Path;

use serde_json::json;

use super::tools::{all_but_state, finish, has_program, skip_unless, started_by};
use crate::config_file::account;
use crate::snapshot::assert_run;
use crate::support::{Home, Run, Simulator};

const ROWS: u64 = 300;
const FETCH: [&str; 6] = ["fetch", "profiles", "-q", "--replace", "--db", "my.db"];

/// Returns whether strace can inject failures here.
fn can_inject() -> bool {
    if !has_program("strace") {
        return false;
    }
    let works = std::process::Command::new("strace").args(["-qq", "-e", "trace=none", "true"]).status();
    skip_unless(works.is_ok_and(|status| status.success()), "strace may not trace")
}

/// Runs the command while these calls fail, or only those on `path` if it is given. Returns the outcome and the number
/// of failed calls.
fn with_faults(home: &Home, path: Option<&Path>, faults: &[&str], arguments: &[&str]) -> (Run, usize) {
    let log = home.path().join("strace.log");
    let calls: Vec<&str> = faults.iter().map(|fault| fault.split(':').next().expect("a call")).collect();
    let (trace, log_name) = (format!("trace={}", calls.join(",")), log.display().to_string());
    let injections: Vec<String> = faults.iter().map(|fault| format!("inject={fault}")).collect();
    let mut launcher = vec!["strace", "-f", "--seccomp-bpf", "-qq", "-o", &log_name, "-e", &trace];
    injections.iter().for_each(|injection| launcher.extend(["-e", injection]));
    let path = path.map(|path| path.display().to_string());
    path.iter().for_each(|path| launcher.extend(["-P", path]));
    let run = finish(started_by(&launcher, &home.command(arguments)));
    let log_text = std::fs::read_to_string(&log).expect("a log");
    std::fs::remove_file(log).expect("a log");
    (run, log_text.matches("(INJECTED)").count())
}

fn home(simulator: &Simulator) -> Home {
    Home::new().with_server(simulator)
}

/// Checks that all rows are in the table and no other files are left.
fn check_whole(home: &Home, case: &str) {
    let verify = home.run(&["verify", "profiles", "--db", "my.db"]);
    assert_eq!((verify.code, &verify.json()["rows"]), (Some(0), &json!(ROWS)), "{case}: {verify:?}");
    let left: Vec<_> = all_but_state(home.path()).into_iter().filter(|path| !path.ends_with("my.db")).collect();
    assert!(left.iter().all(|path| path.is_dir() && !path.ends_with("my.db.stage")), "{case}: {left:?}");
}

/// Checks that a fetch either reports success and is complete, or fails, keeps its pages and can be resumed.
fn check_fault(simulator: &Simulator, path: Option<&str>, fault: &str, before: Option<&Home>) -> (bool, usize) {
    let home = home(simulator);
    if let Some(before) = before {
        std::fs::copy(before.path().join("my.db"), home.path().join("my.db")).expect("a copy");
    }
    let case = format!("{fault} on {path:?}, {}", before.is_some());
    let path = path.map(|name| home.path().join(name));
    let (run, injected) = with_faults(&home, path.as_deref(), &[fault], &FETCH);
    if run.code == Some(0) {
        if run.stderr.contains("warning: the rows are in the table, but") {
            let _discarded = home.run(&["fetch", "discard", "--all", "--force", "-q", "--db", "my.db"]).exits(0);
        }
        check_whole(&home, &case);
        return (true, injected);
    }
    let run = run.exits(1).says(&["error: ", "caused by: "]).prints_nothing();
    assert!(injected > 0, "{case}: {run:?}");
    // With pages on disk, a hint shows the command to resume; without, the same command is run again.
    if run.stderr.contains(" fetch resume ") {
        assert!(home.path().join("my.db.stage").exists(), "{case}: the stage is gone\n{}", run.stderr);
        let asked = simulator.stats().requests;
        let _resumed = home.shell(&run.resume_command()).exits(0);
        let staged_all = run.stderr.contains("the 3 pages");
        assert!(!staged_all || simulator.stats().requests == asked, "{case}: pages were asked for again");
    } else {
        let _discarded = home.run(&["fetch", "discard", "--all", "--force", "-q", "--db", "my.db"]).exits(0);
        let _again = home.run(&FETCH).exits(0);
    }
    check_whole(&home, &case);
    (false, injected)
}

fn check_faults(path: Option<&str>, faults: &[&str], before: bool) {
    if !can_inject() {
        return;
    }
    let simulator = Simulator::with_faults(ROWS, &[]);
    let made = before.then(|| home(&simulator));
    if let Some(home) = &made {
        let _first = home.run(&FETCH).exits(0);
    }
    let came: Vec<_> = faults.iter().map(|fault| check_fault(&simulator, path, fault, made.as_ref())).collect();
    assert!(came.iter().any(|(_, injected)| *injected > 0), "no call failed: {faults:?}");
    assert!(came.iter().any(|(survived, _)| !survived), "every failure was survived: {faults:?}");
}

#[test]
fn a26_a_failed_sync_of_a_new_database_keeps_the_stage() {
    check_faults(
        Some("my.db"),
        &["1", "2", "3", "1+", "2+", "3+"].map(failed_sync).each_ref().map(String::as_str),
        false,
    );
}

#[test]
fn a26_a_failed_sync_of_a_database_keeps_the_stage() {
    check_faults(Some("my.db"), &["1", "2", "3", "4", "3+"].map(failed_sync).each_ref().map(String::as_str), true);
}

fn failed_sync(when: &str) -> String {
    format!("fsync,fdatasync:error=EIO:when={when}")
}

#[test]
fn a26_failure_of_the_second_sync_is_reported() {
    if !can_inject() {
        return;
    }
    let simulator = Simulator::with_faults(ROWS, &[]);
    let home = home(&simulator);
    let fetch = ["fetch", "profiles", "-q", "--db", "my.db"];
    let path = home.path().join("my.db");
    let (run, injected) = with_faults(&home, Some(&path), &["fsync:error=EIO:when=2"], &fetch);
    // In one thread or in several: DuckDB's threads and this program's have a second sync of their own.
    assert!(injected >= 1, "{injected} of the syncs failed");
    let run = assert_run!(run.exits(1));
    let _resumed = home.shell(&run.resume_command()).exits(0);
    check_whole(&home, "resumed");
}

#[test]
fn a26_a_failed_write_of_the_database_keeps_the_stage() {
    for (error, whens) in [("ENOSPC", ["1", "3", "7", "8"]), ("EIO", ["2", "5", "8", "3+"])] {
        let faults = whens.map(|when| format!("pwrite64:error={error}:when={when}"));
        check_faults(Some("my.db"), &faults.each_ref().map(String::as_str), error == "EIO");
    }
}

/// strace counts the calls of each thread separately.
fn check_anywhere(calls: &str, whens: &[&str]) {
    let faults: Vec<String> = whens.iter().map(|when| format!("{calls}:error=EIO:when={when}")).collect();
    check_faults(None, &faults.iter().map(String::as_str).collect::<Vec<_>>(), false);
}

#[test]
fn a26_a_failed_sync_anywhere_loses_nothing() {
    check_anywhere("fsync,fdatasync", &["1", "2", "4", "6", "7", "9", "10", "9+"]);
}

#[test]
fn a26_a_failed_rename_anywhere_loses_nothing() {
    check_anywhere("rename,renameat,renameat2", &["1", "2", "3", "4", "5", "6", "4+"]);
}

#[test]
fn a26_a_failed_truncate_anywhere_loses_nothing() {
    check_anywhere("ftruncate", &["1", "2", "3"]);
}

#[test]
fn a26_a_directory_that_fails_is_an_error() {
    for error in ["EIO", "ENOSPC", "EROFS"] {
        check_faults(Some(""), &[&format!("fsync:error={error}")], false);
    }
}

/// A missing feature of a file system: the path, the calls, the errors they return, and the warning.
type Lack<'a> = (Option<&'a str>, &'a [&'a str], &'a [&'a str], &'a str);

#[test]
fn a27_fetch_works_without_optional_file_system_features() {
    if !can_inject() {
        return;
    }
    let simulator = Simulator::with_faults(ROWS, &[]);
    let directory = "cannot sync directories";
    let cases: [Lack; 6] = [
        (Some(""), &["fsync"], &["EINVAL", "EOPNOTSUPP", "EPERM", "EACCES", "EBADF", "ENOSYS"], directory),
        (None, &["chmod,fchmod,fchmodat"], &["EPERM", "EOPNOTSUPP"], "does not support permissions"),
        (None, &["flock"], &["ENOLCK", "ENOSYS"], "does not support file locks"),
        (None, &["renameat2"], &["EINVAL", "ENOSYS", "EPERM"], ""),
        (None, &["link,linkat", "renameat2"], &["EPERM"], ""),
        (None, &["link,linkat", "renameat2"], &["EINVAL"], ""),
    ];
    for (path, calls, errors, warning) in cases {
        for error in errors {
            let home = home(&simulator);
            let faults: Vec<String> = calls.iter().map(|call| format!("{call}:error={error}")).collect();
            let faults: Vec<&str> = faults.iter().map(String::as_str).collect();
            let path = path.map(|name| home.path().join(name));
            let fetch = ["fetch", "profiles", "-q", "--db", "my.db"];
            let (run, injected) = with_faults(&home, path.as_deref(), &faults, &fetch);
            let run = run.exits(0);
            assert!(injected > 0 || calls[0].starts_with("link"), "{faults:?}");
            let said = run.stderr.lines().filter(|line| line.contains("lacks some features")).count();
            assert_eq!(said, usize::from(!warning.is_empty()), "{faults:?}: {}", run.stderr);
            check_whole(&home, &format!("{faults:?}"));
            assert_run!(run.counting_lines(), format!("{} {error}", calls.join(" ")));
        }
    }
}

#[test]
fn a27_missing_required_file_system_features_fail_before_any_request() {
    if !can_inject() {
        return;
    }
    let simulator = Simulator::with_faults(ROWS, &[]);
    let cases = [
        "fsync:error=EINVAL",
        "fsync:error=EIO",
        "ftruncate:error=EOPNOTSUPP",
        "mkdir,mkdirat:error=EROFS",
        "flock:error=EIO",
        "rename:error=EIO",
        "chmod,fchmod,fchmodat:error=EIO",
    ];
    for fault in cases {
        let home = home(&simulator);
        let fetch = ["fetch", "profiles", "-q", "--db", "my.db"];
        let (run, injected) = with_faults(&home, None, &[fault], &fetch);
        assert!(injected > 0, "{fault}");
        assert_run!(run.exits(1).prints_nothing(), fault);
        assert!(!home.path().join("my.db").exists() && !home.path().join("my.db.stage").exists(), "{fault}");
    }
    assert_eq!(simulator.stats().requests, 0);
}

#[test]
fn a27_failed_database_lock_does_not_blame_another_process() {
    if !can_inject() {
        return;
    }
    let simulator = Simulator::with_faults(ROWS, &[]);
    let home = home(&simulator);
    let _made = home.run(&["fetch", "profiles", "-q", "--db", "my.db"]).exits(0);
    let asked = simulator.stats().requests;
    let path = home.path().join("my.db");
    for error in ["ENOLCK", "ENOSYS", "EINVAL"] {
        for arguments in [&["inspect", "tables"][..], &["fetch", "profiles", "--append", "-q", "--lock-wait", "5s"]] {
            let arguments = [arguments, &["--db", "my.db"]].concat();
            let (run, injected) = with_faults(&home, Some(&path), &[&format!("fcntl:error={error}")], &arguments);
            assert!(injected > 0, "{error}");
            let run = assert_run!(run.exits(1).prints_nothing(), format!("{error} {}", arguments[..2].join(" ")));
            assert!(!run.stderr.contains("is locked by"), "{}", run.stderr);
        }
    }
    assert_eq!(simulator.stats().requests, asked);
}

#[test]
fn a27_second_fetch_is_detected_without_file_locks() {
    if !can_inject() {
        return;
    }
    let simulator = Simulator::with_faults(1_000, &["pages=5 delay=3s"]);
    let home = home(&simulator);
    let log = home.path().join("first.log").display().to_string();
    let launcher =
        ["strace", "-f", "--seccomp-bpf", "-qq", "-o", &log, "-e", "trace=flock", "-e", "inject=flock:error=ENOLCK"];
    let first = started_by(&launcher, &home.command(&["fetch", "profiles", "--db", "my.db"]));
    let running = super::tools::Running::until(first, "page ");
    let fetch = ["fetch", "profiles", "-q", "--db", "my.db"];
    let (second, _) = with_faults(&home, None, &["flock:error=ENOLCK"], &fetch);
    assert_run!(second.exits(1));
    let (_, first) = running.end();
    assert_eq!(first.exits(0).json()["rows"], json!(1_000));
}

/// Accounts can be changed on a file system without locks or directory syncs; a failing disk is an error.
#[test]
fn accounts_can_be_changed_without_locks_or_directory_syncs() {
    if !can_inject() {
        return;
    }
    let unlocked =
        ["ENOLCK", "EINVAL", "EOPNOTSUPP", "ENOSYS", "EBADF"].map(|error| (format!("flock:error={error}"), 0));
    let unsynced = ["EINVAL", "EOPNOTSUPP", "ENOSYS", "EBADF"].map(|error| (format!("fsync:error={error}:when=2"), 0));
    let failing =
        ["flock:error=EIO", "fsync:error=EIO:when=1", "fsync:error=EIO:when=2"].map(|fault| (fault.to_owned(), 1));
    for (fault, code) in unlocked.into_iter().chain(unsynced).chain(failing) {
        let home = Home::new();
        home.write_config(&format!("default = \"a\"\n{}{}", account("a"), account("b")));
        let (run, injected) = with_faults(&home, None, &[&fault], &["auth", "switch", "b"]);
        let run = run.exits(code);
        assert!(injected > 0, "{fault}");
        let warnings = run.stderr.matches("warning: the file system of `").count();
        assert_eq!(warnings, usize::from(code == 0), "{fault}: {}", run.stderr);
        let text = std::fs::read_to_string(home.config()).expect("the file");
        assert!(text.contains("default = \"b\"") || code == 1, "{fault}: {text}");
    }
}
