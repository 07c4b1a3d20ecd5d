//! `mp simulate -- COMMAND`.

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Stdio};

use rustix::process::Signal;

use crate::process::{is_ignored, send};
use crate::program::MP;
use crate::snapshot::assert_run;
use crate::support::{Home, Run};

fn simulate(home: &Home, command: &[&str]) -> Run {
    home.run(&[&["simulate", "--"], command].concat())
}

/// Returns the names of the files in the home directory.
fn files(home: &Home) -> Vec<String> {
    let entries = std::fs::read_dir(home.path()).expect("the home");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn the_exit_code_is_that_of_the_command() {
    let home = Home::new();
    for (script, code) in
        [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -KILL $$", 137)]
    {
        let run = simulate(&home, &["sh", "-c", script]).exits(code);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""), "{script}");
    }
    // A parent that ignores SIGCHLD never sees an exit code of its own children.
    let run = home.shell(&format!("trap '' CHLD; exec '{MP}' simulate -- sh -c 'exit 7'"));
    assert_eq!(run.exits(7).stderr, "");
    let run = home.shell(&format!("'{MP}' simulate -q -- sh -c 'exit 3' >&-"));
    assert_eq!(run.code, Some(3), "{run:?}");
    assert_eq!(files(&home), [""; 0]);
}

#[test]
fn a_command_that_cannot_be_run_exits_with_126_or_127() {
    let home = Home::new();
    let write = |name: &str, mode: u32, text: &str| {
        std::fs::write(home.path().join(name), text).expect("a file");
        std::fs::set_permissions(home.path().join(name), std::fs::Permissions::from_mode(mode)).expect("a mode");
    };
    write("plain.sh", 0o600, "#!/bin/sh\n");
    write("orphan.sh", 0o700, "#!/no/such/interpreter\n");
    for (program, code) in [
        ("no-such-program", 127),
        ("./no-such-file", 127),
        ("mp fetch profiles", 127),
        ("./orphan.sh", 127),
        ("./plain.sh", 126),
        ("/", 126),
    ] {
        assert_run!(simulate(&home, &[program]).exits(code).prints_nothing(), program);
    }
}

#[test]
fn wrong_arguments_are_refused_before_the_command_runs() {
    let home = Home::new();
    let touch = ["--", "touch", "it-ran"];
    for (options, case) in [
        (&["--format", "json"][..], "format"),
        (&["--jq", ".", "--format", "json"], "jq"),
        (&["--addr", "0.0.0.0:0"], "addr"),
        (&["--today", "2026-02-30"], "today"),
        (&["--active", "10001"], "active"),
        (&["--events", "late=2"], "events"),
        (&["--export-fault", "days=2026-01-05 lost-session"], "export-fault"),
    ] {
        let run = home.run(&[&["simulate"], options, &touch].concat()).prints_nothing();
        assert_ne!(run.code, Some(0), "{run:?}");
        assert_run!(run, case);
    }
    assert_run!(home.run(&["simulate", "touch", "it-ran"]).exits(3).prints_nothing());
    assert_eq!(files(&home), [""; 0]);
}

#[test]
fn the_command_gets_its_words_unchanged_and_the_variables() {
    let home = Home::new()
        .with("MP_ACCOUNT", "mine")
        .with("MP_DB", "mine.db")
        .with("MP_CONFIG_PATH", "mine.toml")
        .with("MP_PROJECT_ID", "999")
        .with("MP_HOME", "mine")
        .with("OTHER", "kept");
    let words = ["$HOME", "a b", "*", "", "--format", "-x", "--", "it's"];
    let run = simulate(&home, &[&["printf", "[%s]"], &words[..]].concat()).exits(0);
    assert_eq!(run.stdout, "[$HOME][a b][*][][--format][-x][--][it's]");
    let run = simulate(&home, &["env"]).exits(0);
    let value = |name: &str| run.stdout.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
    assert!(value("MP_BASE_URL").is_some_and(|url| url.starts_with("http://127.0.0.1:")), "{}", run.stdout);
    for (name, expected) in [
        ("MP_USERNAME", Some("simulator")),
        ("MP_SECRET", Some("simulator-secret")),
        ("MP_PROJECT_ID", Some("12345")),
        ("MP_REGION", Some("us")),
        ("MP_ACCOUNT", None),
        ("MP_DB", None),
        ("MP_CONFIG_PATH", None),
        ("OTHER", Some("kept")),
        ("HOME", home.path().to_str()),
    ] {
        assert_eq!(value(name), expected, "{name}");
    }
    let own = value("MP_HOME").expect("a directory");
    assert!(own.contains("/mp-simulate-") && !std::path::Path::new(own).exists(), "{own}");
    assert_eq!(run.stderr, "");
}

#[test]
fn nothing_is_mixed_with_the_data_of_the_user() {
    let home = Home::new();
    home.write_config(&crate::config_file::account("mine"));
    let script = "mp fetch profiles -q && mp auth list --format csv && mp fetch profiles --db kept.db -q --format json";
    let run = home.shell_with_mp(&format!("mp simulate --profiles 250 --page-size 100 -- sh -c '{script}'")).exits(0);
    assert!(!run.stdout.contains("mine"), "{}", run.stdout);
    let entries = std::fs::read_dir(home.path().join(".mp")).expect("the directory");
    assert_eq!(entries.count(), 1, "only the accounts are there");
    // A database is kept if its file is named.
    let count = ["query", "sql", "select count(*) from profiles", "-s", "-f", "plain", "--db", "kept.db"];
    assert_eq!(home.run(&count).exits(0).stdout, "250\n");
}

#[test]
fn since_last_finds_users_who_were_seen_again() {
    let home = Home::new();
    let script = "mp fetch profiles -q > all.json && mp fetch profiles --since last -q --format json";
    let run = home.shell_with_mp(&format!("mp simulate --active 600 -- sh -c '{script}'")).exits(0);
    let received = run.json()["received"].as_u64().expect("a number");
    assert!((1..10_000).contains(&received), "{received}");
}

#[test]
fn standard_input_goes_to_the_command() {
    let home = Home::new();
    let text = "one\ntwo\n";
    assert_eq!(home.run_with_input(&["simulate", "--", "cat"], text).exits(0).stdout, text);
    let records = r#"{"$distinct_id":"a","$properties":{"k":1}}"#;
    let arguments = ["simulate", "--file", "-", "--", &*MP, "fetch", "profiles", "--stdout", "--raw", "-q"];
    assert_eq!(home.run_with_input(&arguments, records).exits(0).stdout, format!("{records}\n"));
}

/// Starts a script under the simulator, and returns once it prints the address of the simulator.
fn start(home: &Home, script: &str) -> (Child, BufReader<std::process::ChildStdout>, String) {
    let mut command = home.command(&["simulate", "--", "sh", "-c", script]);
    // In its own process group, so never in the foreground of a terminal from which the tests may be run.
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().expect("it starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a line");
    let address = line.trim().strip_prefix("http://").expect("a base URL").to_owned();
    (child, stdout, address)
}

#[test]
fn signals_are_passed_on_and_the_command_decides() {
    let loops = "echo $MP_BASE_URL; while :; do sleep 0.02; done";
    for (signal, name) in [(Signal::TERM, "TERM"), (Signal::HUP, "HUP"), (Signal::INT, "INT"), (Signal::QUIT, "QUIT")] {
        if is_ignored(signal) {
            continue;
        }
        let home = Home::new();
        let (child, mut stdout, address) = start(&home, &format!("trap 'echo got {name}; exit 5' {name}; {loops}"));
        assert!(TcpStream::connect(&address).is_ok());
        send(&child, signal);
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        assert_eq!(line, format!("got {name}\n"));
        let run = Run::new(child.wait_with_output().expect("it ends"));
        assert_eq!((run.code, run.stderr.as_str()), (Some(5), ""), "{name}");
        assert!(TcpStream::connect(&address).is_err(), "the simulator is gone");
        assert_eq!(files(&home), [""; 0]);
        // Without a trap, the signal ends the command, and the exit code says so.
        let (child, _stdout, _) = start(&home, loops);
        send(&child, signal);
        let code = child.wait_with_output().expect("it ends").status.code();
        assert_eq!(code, Some(128 + signal.as_raw()), "{name}");
    }
}

/// Ctrl-C reaches every process in the foreground, so it must not be passed on: a second one often means something
/// else.
#[cfg(target_os = "linux")]
#[test]
fn ctrl_c_reaches_the_command_once() {
    use std::io::{Read as _, Write as _};

    let home = Home::new();
    let script =
        "n=0\ntrap 'n=$((n+1))' INT\necho ready\nwhile [ $n = 0 ]; do sleep 0.05; done\nsleep 0.3\nexit $((40+n))\n";
    std::fs::write(home.path().join("child.sh"), script).expect("a file");
    let Some(mut terminal) = crate::terminal::script(&home, &format!("exec {MP} simulate -- sh child.sh")) else {
        return;
    };
    let mut child = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let (mut keys, mut screen) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
    let mut seen = String::new();
    crate::terminal::read_until(&mut screen, &mut seen, "ready");
    keys.write_all(b"\x03").expect("Ctrl-C");
    screen.read_to_string(&mut seen).expect("the rest");
    assert_eq!(child.wait().expect("it ends").code(), Some(41), "{seen:?}");
}
