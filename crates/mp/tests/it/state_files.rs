//! State files that are damaged or of another version: they are named in messages and left unchanged.

use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::json;

use crate::process::{end, send, start};
use crate::program::MP;
use crate::snapshot::assert_run;
use crate::support::{Home, Run, Simulator};

fn ledger(home: &Home) -> PathBuf {
    let entries = std::fs::read_dir(home.path().join(".mp/state")).expect("a directory");
    let mut files = entries.map(|entry| entry.expect("an entry").path());
    files.find(|path| path.extension().is_some_and(|extension| extension == "json")).expect("a ledger")
}

const FETCH: [&str; 6] = ["fetch", "profiles", "-q", "--replace", "--db", "my.db"];

#[test]
fn a_damaged_ledger_is_reported_and_kept() {
    let simulator = Simulator::with_faults(20, &[]);
    let home = Home::new().with_server(&simulator);
    let _first = home.run(&FETCH).exits(0);
    let path = ledger(&home);
    let sound = std::fs::read(&path).expect("a ledger");
    let damages = [Vec::new(), sound[..sound.len() / 2].to_vec(), b"\0".repeat(100), b"[1]".to_vec()];
    for (number, damage) in damages.iter().enumerate() {
        std::fs::write(&path, damage).expect("a ledger");
        let run = home.run(&FETCH).exits(0);
        let aside = match number {
            0 => path.with_extension("json.damaged"),
            number => path.with_extension(format!("json.damaged-{}", number + 1)),
        };
        let run = assert_run!(run.says(&[&aside.display().to_string()]));
        assert_eq!(run.stderr.matches("are lost").count(), 1, "{}", run.stderr);
        assert_eq!(&std::fs::read(aside).expect("the old ledger"), damage);
        assert_eq!(home.run(&FETCH).exits(0).stderr, "");
    }
}

#[test]
fn a_ledger_of_a_newer_version_is_named_and_left_alone() {
    let simulator = Simulator::with_faults(20, &[]);
    let home = Home::new().with_server(&simulator);
    let _first = home.run(&FETCH).exits(0);
    let path = ledger(&home);
    let newer = r#"{"format":7,"ledger":{"windows":[]}}"#;
    std::fs::write(&path, newer).expect("a ledger");
    for arguments in [&FETCH[..], &["fetch", "profiles", "--stdout", "-q"], &["fetch", "profiles", "x", "--plan", "-q"]]
    {
        let run = home.run(arguments).exits(0);
        assert_run!(run.counting_lines());
        assert_eq!(std::fs::read_to_string(&path).expect("the ledger"), newer);
    }
}

/// Leaves an unfinished run and returns its directory.
fn unfinished(home: &Home) -> PathBuf {
    let (fetch, words) = start(home, &["fetch", "profiles", "--db", "my.db"], "page 1");
    send(&fetch, Signal::KILL);
    let _killed = end(fetch, words);
    let mut runs = std::fs::read_dir(home.path().join("my.db.stage")).expect("a stage");
    runs.next().expect("a run").expect("an entry").path()
}

fn newer(manifest: &Path) -> String {
    let text = std::fs::read_to_string(manifest).expect("a manifest");
    text.replace("\"format\": 2", "\"format\": 9")
}

#[test]
fn status_explains_an_unreadable_run_and_discard_removes_it() {
    let simulator = Simulator::with_faults(500, &["pages=3 delay=60s"]);
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 5] = [
        ("gone", |path| std::fs::remove_file(path).expect("a manifest")),
        ("empty", |path| std::fs::write(path, "").expect("a manifest")),
        ("cut", |path| std::fs::write(path, "{\"format\": 2, \"run").expect("a manifest")),
        ("other", |path| std::fs::write(path, "{\"format\": 2}").expect("a manifest")),
        ("newer", |path| std::fs::write(path, newer(path)).expect("a manifest")),
    ];
    for (case, damage) in damages {
        let home = Home::new().with_server(&simulator);
        let run = unfinished(&home);
        let id = run.file_name().expect("a name").to_string_lossy().into_owned();
        damage(&run.join("manifest.json"));
        let listed = home.run(&["fetch", "status", "--db", "my.db"]).exits(0);
        let run_of = listed.json()[0].clone();
        assert_eq!(run_of["run_id"], json!(id), "{case}");
        // The number of pages depends on when the signal arrives.
        let reason = format!("{}\n", run_of["reason"]);
        assert_run!(Run { stdout: reason, ..listed }, format!("{case} status"));
        // The run is not resumed and stays unchanged; another fetch warns about it.
        let _resume = home.run(&["fetch", "resume", "--run", &id, "--db", "my.db"]).prints_nothing();
        let said = home.run(&[
            "fetch",
            "profiles",
            "-q",
            "--where",
            "1 == 2",
            "--db",
            "my.db",
            "--quota",
            "1/h",
            "--max-wait",
            "0s",
        ]);
        assert_run!(said.says(&[&id]), case);
        assert!(run.join("generation-0").is_dir(), "{case}");
        let _gone = home.run(&["fetch", "discard", "--run", &id, "--force", "--db", "my.db"]).exits(0);
        assert!(!run.exists(), "{case}");
    }
}

/// Leaves unfinished runs of `users` and returns their directories, the oldest first.
fn runs_of(home: &Home, count: usize) -> Vec<PathBuf> {
    for _ in 0..count {
        let _refused = home.run(&["fetch", "profiles", "users", "-q", "--db", "my.db"]).exits(2);
    }
    let entries = std::fs::read_dir(home.path().join("my.db.stage")).into_iter().flatten();
    let mut runs: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    runs.sort();
    runs
}

#[test]
fn every_command_that_selects_a_run_reports_unreadable_ones() {
    let simulator = Simulator::with_faults(300, &["pages=1 status=401"]);
    for (readable, unreadable) in [(0, 0), (1, 0), (2, 0), (0, 1), (0, 2), (1, 1), (2, 2)] {
        let case = format!("{readable} readable, {unreadable} not");
        let home = Home::new().with_server(&simulator);
        let runs = runs_of(&home, readable + unreadable);
        let damaged: Vec<String> = runs[..unreadable]
            .iter()
            .map(|run| {
                std::fs::write(run.join("manifest.json"), "{").expect("a manifest");
                run.file_name().expect("a name").to_string_lossy().into_owned()
            })
            .collect();
        let named: Vec<&str> = damaged.iter().map(String::as_str).collect();
        let run = |arguments: &[&str]| home.run(&[arguments, &["--db", "my.db"]].concat());

        let listed = run(&["fetch", "status"]).exits(0).json();
        let listed = listed.as_array().expect("an array");
        assert_eq!(listed.len(), readable + unreadable, "{case}");
        for run in listed.iter().filter(|run| damaged.iter().any(|id| run["run_id"] == *id)) {
            assert_eq!((&run["table"], &run["resume_command"]), (&json!(null), &json!(null)), "{case}");
            assert_eq!(run["pages_done"], json!(1), "{case}");
            assert!(run["age_seconds"].as_u64().expect("an age") < 600, "{case}: {run}");
        }

        // The server rejects the credentials (2); without a readable run, no request is sent.
        let expected = if readable > 0 {
            2
        } else if unreadable > 0 {
            1
        } else {
            4
        };
        for arguments in [&["fetch", "resume", "-q"][..], &["fetch", "resume", "users", "-q"]] {
            let requests = simulator.stats().requests;
            assert_run!(
                run(arguments).exits(expected).says(&named).prints_nothing(),
                format!("{case} {}", arguments.join(" "))
            );
            assert_eq!(simulator.stats().requests > requests, readable > 0, "{case}");
        }
        let exit = if unreadable > 0 { 1 } else { 4 };
        assert_run!(
            run(&["fetch", "resume", "others"]).exits(exit).says(&named).prints_nothing(),
            format!("{case} resume others")
        );
        assert_run!(
            run(&["fetch", "discard", "others", "--force"]).exits(exit).says(&named).prints_nothing(),
            format!("{case} discard others")
        );
        for id in damaged.iter().take(1) {
            for arguments in [
                &["fetch", "resume", "--run", id][..],
                &["fetch", "resume", "users", "--run", id],
                &["fetch", "discard", "users", "--run", id, "--force"],
            ] {
                let run = assert_run!(
                    run(arguments).exits(1).says(&[id]).prints_nothing(),
                    format!("{case} damaged run {} {}", arguments[1], arguments.len())
                );
                assert!(!run.stderr.contains("``"), "{case}: {}", run.stderr);
            }
        }
        assert_run!(
            run(&["fetch", "profiles", "planned", "--plan", "-q"]).exits(0).says(&named),
            format!("{case} plan")
        );
        assert_run!(run(&["fetch", "profiles", "users", "-q"]).exits(2).says(&named), format!("{case} fetch"));
        for run in &runs[..unreadable] {
            assert!(run.join("generation-0").is_dir(), "{case}: nothing of it is touched");
        }
    }
}

#[test]
fn an_active_run_of_another_version_blocks_the_table() {
    let simulator = Simulator::with_faults(300, &["pages=1 delay=60s"]);
    let home = Home::new().with_server(&simulator);
    let (fetch, words) = start(&home, &["fetch", "profiles", "users", "--db", "my.db"], "page 0");
    let mut runs = std::fs::read_dir(home.path().join("my.db.stage")).expect("a stage");
    let manifest = runs.next().expect("a run").expect("an entry").path().join("manifest.json");
    std::fs::write(&manifest, newer(&manifest)).expect("a manifest");
    // Its request for page 1 may still be in flight.
    while simulator.stats().requests < 2 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let requests = simulator.stats().requests;
    let pid = format!("process {}", fetch.id());
    for arguments in [["fetch", "profiles", "users", "-q"], ["fetch", "resume", "users", "-q"]] {
        let run = home.run(&[&arguments[..], &["--db", "my.db"]].concat()).exits(1).prints_nothing();
        let run = assert_run!(run);
        assert_eq!(run.stderr.contains(&pid), arguments[1] == "profiles", "{}", run.stderr);
    }
    assert_eq!(simulator.stats().requests, requests);
    send(&fetch, Signal::KILL);
    let _killed = end(fetch, words);
}

/// FIFOs, directories and huge files in place of state files: the command neither blocks on them nor reads them into
/// memory.
#[test]
fn state_files_that_are_no_files_or_enormous_are_named_at_once() {
    let simulator = Simulator::with_faults(300, &["pages=1 status=401"]);
    let home = Home::new().with_server(&simulator);
    let run = runs_of(&home, 1).remove(0);
    let page = std::fs::read_dir(run.join("generation-0")).expect("pages").next().expect("a page").expect("an entry");
    let pipe =
        |path: &Path| assert!(std::process::Command::new("mkfifo").arg(path).status().expect("mkfifo").success());
    let sparse = |path: &Path| std::fs::File::create(path).and_then(|file| file.set_len(1 << 30)).expect("a file");
    let directory = |path: &Path| std::fs::create_dir(path).expect("a directory");
    type Make<'a> = &'a dyn Fn(&Path);
    let manifest = run.join("manifest.json");
    let cases: [(&str, &Path, Make<'_>); 6] = [
        ("manifest pipe", &manifest, &pipe),
        ("manifest directory", &manifest, &directory),
        ("manifest sparse", &manifest, &sparse),
        ("lock pipe", &run.join("lock"), &pipe),
        ("page pipe", &page.path(), &pipe),
        ("turn pipe", &home.path().join("my.db.stage/.turn"), &pipe),
    ];
    for (case, path, make) in cases {
        let aside = home.path().join("aside");
        let is_there = std::fs::rename(path, &aside).is_ok();
        make(path);
        let shown = path.display().to_string();
        // Far less memory than reading the file would need.
        let line = format!("ulimit -v 900000; exec {} fetch resume -q --db my.db", MP);
        assert_run!(home.shell(&line).exits(1).says(&[&shown]).prints_nothing(), case);
        let listed = home.run(&["fetch", "status", "--db", "my.db"]).exits(0).json();
        assert_eq!(listed.as_array().map(Vec::len), Some(1), "{shown}");
        let _gone = if path.is_dir() { std::fs::remove_dir(path) } else { std::fs::remove_file(path) };
        if is_there {
            std::fs::rename(&aside, path).expect("it was there");
        }
    }
    let _resume = home.run(&["fetch", "resume", "-q", "--db", "my.db"]).exits(2);
}
