//! What `mp auth add` and `mp auth edit` ask at a terminal, which the program `script` provides.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use mixpanel_simulator::SimulatorConfig;
use serde_json::Value;

use crate::program::MP;
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
        // A key that sends a signal ends the answer.
        let enter = if answer.ends_with(['\u{3}', '\u{1a}', '\u{1c}']) { "" } else { "\n" };
        keys.write_all(format!("{answer}{enter}").as_bytes()).expect("it is typed");
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
    format!("{} {arguments}", MP)
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

/// The line that adds an account and prompts for the secret only, and then shows the exit code and the terminal's state.
fn add_and_show_terminal() -> String {
    format!("{}; echo code=$?; stty -a", mp(&format!("auth add q -u sa -p {PROJECT} -r us --no-test")))
}

fn assert_restored(run: &Run, code: u8) {
    assert!(run.stdout.contains(&format!("code={code}\r\n")), "{}", run.stdout);
    assert_eq!(run.stdout.matches("error: the prompt was interrupted").count(), 1, "{}", run.stdout);
    let (_, state) = run.stdout.split_once("code=").expect("the code");
    let has = |flag: &str| state.split_whitespace().any(|word| word == flag);
    assert!(has("echo") && has("icanon") && has("isig"), "{state}");
}

#[test]
fn an_interrupted_prompt_leaves_the_terminal_as_it_was() {
    let home = Home::new().with("NO_COLOR", "1");
    // The shell of the terminal survives what the keys send.
    let line = format!("trap : INT QUIT; {}", add_and_show_terminal());
    for (keys, code) in [("\u{3}", 130), ("half\u{3}", 130), ("half\u{1c}", 131)] {
        let Some(run) = dialog(&home, &line, &[("Secret: ", keys)]) else { return };
        assert_restored(&run, code);
    }
    for (signal, code) in [("TERM", 143), ("HUP", 129), ("INT", 130), ("QUIT", 131)] {
        let kill = format!(
            "(until stty -a -F $(cat tty.txt) | grep -qw -e -echo; do sleep 0.05; done; kill -{signal} $(cat pid)) &"
        );
        let line = format!("{kill} sh -c 'echo $$ > pid; exec {}", add_and_show_terminal().replacen(';', "';", 1));
        assert_restored(&dialog(&home, &line, &[]).expect("a terminal"), code);
    }
    let line = format!("trap : INT; {}; echo code=$?; stty -a", mp("auth add"));
    assert_restored(&dialog(&home, &line, &[("Account name: ", "\u{3}")]).expect("a terminal"), 130);
    assert!(!home.config().exists());
}

#[test]
fn a_suspended_prompt_asks_again_without_echo() {
    let home = Home::new();
    let line = format!("set -m; {}; stty -a; fg", mp(&format!("auth add q -u sa -p {PROJECT} -r us --no-test")));
    let Some(run) = dialog(&home, &line, &[("Secret: ", "half\u{1a}"), ("Secret: ", CANARY)]) else { return };
    let run = run.exits(0);
    assert!(run.stdout.split_whitespace().any(|word| word == "echo"), "{}", run.stdout);
    assert!(!run.stdout.contains("half"), "{}", run.stdout);
    assert!(std::fs::read_to_string(home.config()).expect("the accounts").contains(&format!("\"{CANARY}\"")));
}

#[test]
fn a_typed_secret_is_refused_for_the_same_reasons_as_a_piped_one() {
    let home = Home::new();
    let long = "x".repeat(5_000);
    let refused = ["a\tb", "a\u{1}b", "a\u{1b}[Db", "a\u{200b}b", " ab", &long];
    let answers: Vec<_> = refused.into_iter().chain([CANARY]).map(|answer| ("Secret: ", answer)).collect();
    let line = mp(&format!("auth add q -u sa -p {PROJECT} -r us --no-test"));
    let Some(run) = dialog(&home, &line, &answers) else { return };
    let run = run.exits(0);
    let count = |text: &str| run.stdout.matches(text).count();
    assert_eq!(count("the secret contains a control character or an invisible one"), 4, "{}", run.stdout);
    assert_eq!((count("starts or ends with whitespace"), count("is too long")), (1, 1), "{}", run.stdout);
    assert!(std::fs::read_to_string(home.config()).expect("the accounts").contains(&format!("\"{CANARY}\"")));
}

#[test]
fn an_end_of_input_names_another_way_to_give_the_secret() {
    let home = Home::new();
    home.run_with_input(&["auth", "add", "q", "-u", "sa", "-p", "1", "--secret-stdin", "--no-test"], CANARY).exits(0);
    let add = mp("auth add other -u sa -p 1 --no-test");
    for (line, answers, way) in [
        (add, &[("Secret: ", "\u{4}")][..], "`mp auth add NAME --secret-stdin`, or set MP_SECRET"),
        (mp("auth edit q"), &[("User name", ""), ("Secret [", "\u{4}")], "`mp auth edit q --secret-stdin`"),
    ] {
        let Some(run) = dialog(&home, &line, answers) else { return };
        assert!(run.exits(1).stdout.contains(way), "{line}");
    }
}
