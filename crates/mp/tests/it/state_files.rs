//! State files that are damaged, or of another version: they are named, and nothing of them is lost.

use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::json;

use crate::process::{end, send, start};
use crate::support::{Home, Simulator};

fn ledger(home: &Home) -> PathBuf {
    let entries = std::fs::read_dir(home.path().join(".mp/state")).expect("a directory");
    let mut files = entries.map(|entry| entry.expect("an entry").path());
    files.find(|path| path.extension().is_some_and(|extension| extension == "json")).expect("a ledger")
}

const FETCH: [&str; 6] = ["fetch", "profiles", "-q", "--replace", "--db", "my.db"];

#[test]
fn a_damaged_ledger_is_told_and_kept() {
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
        let run = run.says(&["warning: ", &aside.display().to_string(), "are forgotten"]);
        assert_eq!(run.stderr.matches("are forgotten").count(), 1, "{}", run.stderr);
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
        let _told = run.says(&["warning: ", "its format is 7", "this version reads 1"]);
        assert_eq!(std::fs::read_to_string(&path).expect("the ledger"), newer);
    }
}

/// Leaves an unfinished run, and returns its directory.
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
fn a_run_that_cannot_be_read_is_listed_with_the_reason_and_can_be_discarded() {
    let simulator = Simulator::with_faults(500, &["pages=3 delay=60s"]);
    type Damage = fn(&Path);
    let damages: [(&str, Damage, &[&str]); 5] = [
        ("gone", |path| std::fs::remove_file(path).expect("a manifest"), &["cannot read"]),
        ("empty", |path| std::fs::write(path, "").expect("a manifest"), &["cannot be read as"]),
        ("cut", |path| std::fs::write(path, "{\"format\": 2, \"run").expect("a manifest"), &["cannot be read as"]),
        ("other", |path| std::fs::write(path, "{\"format\": 2}").expect("a manifest"), &["cannot be read as"]),
        (
            "newer",
            |path| std::fs::write(path, newer(path)).expect("a manifest"),
            &["its format is 9", "this version reads 2"],
        ),
    ];
    for (case, damage, reasons) in damages {
        let home = Home::new().with_server(&simulator);
        let run = unfinished(&home);
        let id = run.file_name().expect("a name").to_string_lossy().into_owned();
        damage(&run.join("manifest.json"));
        let listed = home.run(&["fetch", "status", "--db", "my.db"]).exits(0).json();
        assert_eq!(listed[0]["run_id"], json!(id), "{case}");
        let reason = listed[0]["reason"].as_str().expect("a reason").to_owned();
        assert!(reasons.iter().all(|part| reason.contains(part)), "{case}: {reason}");
        // It is not resumed, and nothing of it is touched; another fetch says that it is there.
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
        let _said = said.says(&["warning: ", &id, reasons[0]]);
        assert!(run.join("generation-0").is_dir(), "{case}");
        let _gone = home.run(&["fetch", "discard", "--run", &id, "--force", "--db", "my.db"]).exits(0);
        assert!(!run.exists(), "{case}");
    }
}
