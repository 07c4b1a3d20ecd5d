//! What a person at a terminal of 80 columns sees. The terminal is made by `script`.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::{Home, Run, Simulator};

/// Runs the command with a terminal for standard error, and for standard output unless that goes to a file.
pub(crate) fn in_terminal(home: &Home, command: &str) -> Option<Run> {
    let direct = home.command(&[]);
    let line = format!("stty cols 80 rows 24; {} {command}", env!("CARGO_BIN_EXE_mp"));
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env_clear().current_dir(home.path());
    script.envs(direct.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("PATH", "/usr/bin:/bin");
    match script.stdin(Stdio::null()).output() {
        Ok(output) => Some(Run::new(output)),
        Err(error) if std::env::var_os("CI").is_none() => {
            let _unseen = writeln!(std::io::stderr(), "skipped: `script` is needed for a terminal: {error}");
            None
        }
        Err(error) => panic!("`script` is needed for a terminal: {error}"),
    }
}

/// What was on the screen, line by line as it was drawn, without colours and without the movements of the cursor.
fn drawn(text: &str) -> Vec<String> {
    let mut visible = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            characters.by_ref().skip(1).find(char::is_ascii_alphabetic);
        } else {
            visible.push(character);
        }
    }
    visible.split(['\r', '\n']).map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()).collect()
}

#[test]
fn there_is_one_bar_with_everything_on_it_and_it_is_gone_at_the_end() {
    let wait = "pages=2 status=429 header=Retry-After:1 times=1";
    // The last page takes its time, so that there is a moment at which the others are on the bar.
    let slow = "pages=9 delay=2s times=1";
    let simulator = Simulator::with_faults(1_000, &[wait, "pages=4 status=503 times=1", "pages=7 status=404", slow]);
    let home = Home::new().with_server(&simulator);
    let Some(run) = in_terminal(&home, "fetch profiles users --parallel > result.json") else { return };
    let run = run.exits(1);
    let lines = drawn(&run.stdout);
    let has = |text: &str| assert!(lines.iter().any(|line| line.contains(text)), "no {text:?} in {lines:#?}");
    for text in ["/10 pages", " profiles", "/s", " retr", " waiting ", "429", "loading 900 profiles into `users`"] {
        has(text);
    }
    has("warning: 1 page failed, so `users` lacks the profiles of page 7");
    let bars = lines.iter().filter(|line| line.contains("/10 pages"));
    assert!(bars.clone().all(|line| line.chars().count() <= 80), "{lines:#?}");
    // The last thing that is done to the bar's line is to clear it.
    let last = run.stdout.rfind(" pages").expect("a bar");
    assert!(run.stdout[last..].contains("\u{1b}[2K"), "{:?}", &run.stdout[last..]);
    let result = std::fs::read_to_string(home.path().join("result.json")).expect("the result");
    assert!(serde_json::from_str::<serde_json::Value>(&result).is_ok(), "{result}");
    assert!(!result.contains('\u{1b}'));
}

#[test]
fn colour_and_movement_can_be_turned_off() {
    let simulator = Simulator::with_faults(300, &[]);
    let home = Home::new().with_server(&simulator).with("NO_COLOR", "1");
    let Some(run) = in_terminal(&home, "fetch profiles > result.json") else { return };
    assert!(!run.exits(0).stdout.contains("\u{1b}[36m"));
    let home = Home::new().with_server(&simulator).with("TERM", "dumb");
    let Some(run) = in_terminal(&home, "fetch profiles > result.json") else { return };
    let run = run.exits(0);
    assert!(!run.stdout.contains('\u{1b}'), "{:?}", run.stdout);
    assert!(run.stdout.contains("page 2: 100 profiles"));
}

#[test]
fn data_on_a_terminal_cannot_disturb_it_and_fit_its_width() {
    let simulator = Simulator::with_faults(10, &[]);
    let home = Home::new().with_server(&simulator);
    home.run(&["fetch", "profiles", "-q"]).exits(0);
    let query = "query sql \"SELECT chr(27) || '[31m' || chr(155) || repeat('wide ', 40) AS v, 1 AS n\"";
    for format in ["json", "jsonl", "table", "csv", "plain"] {
        let Some(run) = in_terminal(&home, &format!("{query} --format {format}")) else { return };
        let run = run.exits(0);
        assert!(!run.stdout.contains(['\u{1b}', '\u{9b}']), "{format}: {:?}", run.stdout);
        if format == "table" {
            assert!(run.stdout.lines().all(|line| line.trim_end().chars().count() <= 80), "{}", run.stdout);
        }
    }
}
