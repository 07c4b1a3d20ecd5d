//! What `mp auth add` and `mp auth edit` ask at a terminal, which the program `script` provides.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use mixpanel_simulator::SimulatorConfig;
use serde_json::Value;

use crate::support::{CANARY, Home, PROJECT, Run, Simulator, USERNAME};
use crate::terminal::script;

/// Runs the command line in a terminal and types each answer when its prompt appears. Returns `None` without `script`.
pub(crate) fn dialog(home: &Home, line: &str, answers: &[(&str, &str)]) -> Option<Run> {
    let mut command = script(home, &format!("tty > tty.txt; {line}"))?;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let (mut keys, mut screen) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
    let mut seen = Vec::new();
    for (prompt, answer) in answers {
        let from = seen.len();
        while !String::from_utf8_lossy(&seen[from..]).contains(prompt) {
            let mut byte = [0];
            let count = screen.read(&mut byte).expect("the screen");
            assert!(count > 0, "no prompt {prompt:?} in {}", String::from_utf8_lossy(&seen));
            seen.push(byte[0]);
        }
        // The prompt for the secret may appear shortly before echo is disabled.
        while prompt.starts_with("Secret") && !is_silent(home) {
            assert!(child.try_wait().expect("a state").is_none(), "it ended without waiting for the secret");
            std::thread::yield_now();
        }
        keys.write_all(format!("{answer}\n").as_bytes()).expect("it is typed");
    }
    screen.read_to_end(&mut seen).expect("the rest");
    let status = child.wait().expect("it ends");
    drop(keys);
    Some(Run::new(std::process::Output { status, stdout: seen, stderr: Vec::new() }))
}

/// Returns whether the terminal of the dialog does not echo.
fn is_silent(home: &Home) -> bool {
    let terminal = std::fs::read_to_string(home.path().join("tty.txt")).unwrap_or_default();
    let settings = Command::new("stty").args(["-a", "-F", terminal.trim()]).output().expect("stty runs");
    String::from_utf8_lossy(&settings.stdout).split_whitespace().any(|word| word == "-echo")
}

fn mp(arguments: &str) -> String {
    format!("{} {arguments}", env!("CARGO_BIN_EXE_mp"))
}

fn home(simulator: &Simulator) -> Home {
    Home::new().with("MP_BASE_URL", &simulator.base_url())
}

fn shown(home: &Home) -> Value {
    home.run(&["auth", "show"]).exits(0).json()
}

#[test]
fn auth_add_asks_for_everything_and_asks_again_after_each_wrong_answer() {
    let simulator = Simulator::start(SimulatorConfig::default());
    let home = home(&simulator);
    let answers = [
        ("Account name: ", ""),
        ("the account name is empty", "work"),
        ("User name: ", "a:b"),
        ("colon", USERNAME),
        ("Secret: ", ""),
        ("the secret is empty", ""),
        ("Secret: ", CANARY),
        ("Project id: ", "my project"),
        ("Project id: ", PROJECT),
        ("Region (us, eu or in) [us]: ", "mars"),
        ("Region (us, eu or in) [us]: ", "EU"),
    ];
    let Some(run) = dialog(&home, &mp("auth add --format json"), &answers) else { return };
    let run = run.exits(0);
    assert!(run.stdout.contains("\"tested\": true"), "{}", run.stdout);
    let account = shown(&home);
    assert_eq!(
        (&account["name"], &account["project_id"], &account["region"]),
        (&"work".into(), &PROJECT.into(), &"eu".into())
    );
    assert!(std::fs::read_to_string(home.config()).expect("the accounts").contains(CANARY));
    // A name that is taken is noticed at once.
    let answers = [("Account name: ", "work"), ("already exists", "other"), ("User name: ", "\u{4}")];
    let Some(run) = dialog(&home, &mp("auth add"), &answers) else { return };
    assert_ne!(run.code, Some(0), "{}", run.stdout);
}

#[test]
fn auth_add_asks_only_for_what_is_missing() {
    let simulator = Simulator::start(SimulatorConfig::default());
    let options = [
        ("work", "Account name: ", "work"),
        (&format!("--username {USERNAME}")[..], "User name: ", USERNAME),
        (&format!("--project {PROJECT}"), "Project id: ", PROJECT),
        ("--region in", "Region (us, eu or in) [us]: ", "in"),
    ];
    for missing in 0..options.len() {
        let home = home(&simulator).with("MP_SECRET", CANARY);
        let given = options.iter().enumerate().filter(|(number, _)| *number != missing);
        let line = given.fold("auth add".to_owned(), |line, (_, (option, ..))| format!("{line} {option}"));
        let (_, prompt, answer) = options[missing];
        let Some(run) = dialog(&home, &mp(&line), &[(prompt, answer)]) else { return };
        let run = run.exits(0);
        for (_, other, _) in options.iter().filter(|(_, other, _)| *other != prompt) {
            assert!(!run.stdout.contains(other), "{line}: {}", run.stdout);
        }
        assert_eq!(shown(&home)["region"], "in");
    }
}

#[test]
fn auth_edit_keeps_what_is_not_answered() {
    let simulator = Simulator::start(SimulatorConfig::default());
    let home = home(&simulator);
    let add = ["auth", "add", "work", "-u", "sa.old", "-p", PROJECT, "--secret-stdin", "--no-test"];
    home.run_with_input(&add, CANARY).exits(0);
    let answers = [
        ("User name [sa.old]: ", USERNAME),
        ("Secret [unchanged]: ", ""),
        ("Project id [12345]: ", "x"),
        ("Project id [12345]: ", ""),
        ("Region (us, eu or in) [us]: ", ""),
    ];
    let Some(run) = dialog(&home, &mp("auth edit work --format json"), &answers) else { return };
    assert!(run.exits(0).stdout.contains("\"tested\": true"));
    assert_eq!(shown(&home)["username"], USERNAME);
    home.run(&["auth", "test"]).exits(0);
}
