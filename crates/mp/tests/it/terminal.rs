//! The output on a terminal of 80 columns, which the program `script` provides.

use std::io::{Read, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::program::MP;
use crate::support::{Home, Run, Simulator};

/// Runs the command with standard error on a terminal, and standard output too unless it is redirected.
pub(crate) fn in_terminal(home: &Home, command: &str) -> Option<Run> {
    let line = format!("stty cols 80 rows 24; {} {command}", MP);
    let mut script = script(home, &line)?;
    Some(Run::new(script.stdin(Stdio::null()).output().expect("it runs")))
}

/// Returns a command that runs a shell command line in a terminal, or `None` if `script` is not installed.
pub(crate) fn script(home: &Home, line: &str) -> Option<Command> {
    let direct = home.command(&[]);
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", line, "/dev/null"]).env_clear().current_dir(home.path());
    script.envs(direct.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("PATH", "/usr/bin:/bin");
    match Command::new("script").arg("--version").output() {
        Ok(_) => Some(script),
        Err(error) if std::env::var_os("CI").is_none() => {
            let _unseen = writeln!(std::io::stderr(), "skipped: `script` is needed for a terminal: {error}");
            None
        }
        Err(error) => panic!("`script` is needed for a terminal: {error}"),
    }
}

/// Returns the lines in the order in which they were drawn, without colors and cursor movements.
pub(crate) fn drawn(text: &str) -> Vec<String> {
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

/// Returns the rows of the drawn bars on a screen. A line that is too long continues in the next row, which must not be
/// within a word.
fn rows(lines: &[String], columns: usize) -> Vec<String> {
    let mut rows = Vec::new();
    for line in lines.iter().filter(|line| line.contains("/10 pages")) {
        let line: Vec<char> = line.chars().collect();
        for at in (columns..line.len()).step_by(columns) {
            assert!(line[at - 1] == ' ' || line[at] == ' ', "a word is cut after {columns} columns: {lines:#?}");
        }
        rows.extend(line.chunks(columns).map(|row| row.iter().collect::<String>().trim_end().to_owned()));
    }
    rows
}

#[test]
fn one_progress_bar_shows_everything_and_disappears() {
    let wait = "pages=2 status=429 header=Retry-After:1 times=1";
    // The last page is slow, so that the bar shows the other pages for a while.
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
    let rows = rows(&lines, 80);
    assert!(
        rows.iter().any(|row| row.starts_with("  the server answered 429 ") || row.starts_with("the server")),
        "{rows:#?}"
    );
    // At the end, the line of the bar is cleared.
    let last = run.stdout.rfind("loading 900").expect("a bar");
    assert!(run.stdout[last..].contains("\u{1b}[2K"), "{:?}", &run.stdout[last..]);
    let result = std::fs::read_to_string(home.path().join("result.json")).expect("the result");
    assert!(serde_json::from_str::<serde_json::Value>(&result).is_ok(), "{result}");
    assert!(!result.contains('\u{1b}'));
}

#[test]
fn a_wait_shows_its_whole_reason_at_every_width() {
    for columns in [40, 60, 80, 200] {
        let simulator = Simulator::with_faults(1_000, &["pages=2 status=429 header=Retry-After:1 times=1"]);
        let home = Home::new().with_server(&simulator);
        let fetch = format!("{} fetch profiles users --parallel > result.json", MP);
        let line = format!("stty cols {columns} rows 24; unset COLUMNS; {fetch}");
        let Some(mut script) = script(&home, &line) else { return };
        let run = Run::new(script.stdin(Stdio::null()).output().expect("it runs")).exits(0);
        let lines = rows(&drawn(&run.stdout), columns);
        let words = lines.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
        let reason = "the server answered 429 Too Many Requests: Too Many Requests (Retry-After: 1s)";
        assert!(words.contains(reason), "{columns}: {lines:#?}");
        assert_eq!(words.contains('━'), columns >= 50, "{columns}: {lines:#?}");
    }
}

#[test]
fn the_progress_follows_a_terminal_that_is_resized() {
    let simulator = Simulator::with_faults(1_000, &["pages=9 delay=3s times=1"]);
    let home = Home::new().with_server(&simulator);
    let fetch = format!("{} fetch profiles users --parallel > result.json", MP);
    let Some(mut script) = script(&home, &format!("tty > tty.txt; stty cols 200 rows 24; unset COLUMNS; {fetch}"))
    else {
        return;
    };
    let mut child = script.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut screen = child.stdout.take().expect("a pipe");
    let mut seen = String::new();
    read_until(&mut screen, &mut seen, "9/10 pages");
    let wide = drawn(&seen);
    assert!(wide.iter().any(|line| line.chars().count() > 80), "{wide:#?}");
    let terminal = std::fs::read_to_string(home.path().join("tty.txt")).expect("its name");
    let resized = Command::new("stty").args(["-F", terminal.trim(), "cols", "40"]).status().expect("stty runs");
    assert!(resized.success());
    let from = seen.len();
    screen.read_to_string(&mut seen).expect("the rest");
    assert_eq!(child.wait().expect("it ends").code(), Some(0), "{seen:?}");
    // The first lines may have been drawn before.
    let lines = drawn(&seen[from..]);
    let narrow: Vec<&String> = lines.iter().skip(4).collect();
    assert!(narrow.len() > 4 && narrow.iter().all(|line| line.chars().count() <= 40), "{lines:#?}");
}

#[test]
fn the_second_ctrl_c_clears_the_progress_bar() {
    let simulator = Simulator::with_faults(1_000, &["pages=1 delay=300s"]);
    let home = Home::new().with_server(&simulator);
    let line = format!("stty cols 80 rows 24; {} fetch profiles users", MP);
    let Some(mut script) = script(&home, &line) else { return };
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let (mut keys, mut screen) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
    let mut seen = String::new();
    read_until(&mut screen, &mut seen, "1/10 pages");
    keys.write_all(b"\x03").expect("Ctrl-C");
    read_until(&mut screen, &mut seen, "signal again to stop at once");
    keys.write_all(b"\x03").expect("Ctrl-C");
    screen.read_to_string(&mut seen).expect("the rest");
    assert_eq!(child.wait().expect("it ends").code(), Some(130), "{seen:?}");
    let hint = seen.rfind("hint:").expect("the command that goes on");
    assert!(seen[hint..].contains("fetch resume users"), "{seen:?}");
    let last = seen.rfind(" pages, ").expect("a bar");
    assert!(last < hint && seen[last..hint].contains("\u{1b}[2K"), "{:?}", &seen[last..]);
    assert!(seen.ends_with("\r\n"), "the shell goes on at the beginning of a line: {:?}", &seen[hint..]);
    // A hidden cursor is shown again.
    assert!(seen.rfind("\u{1b}[?25l") <= seen.rfind("\u{1b}[?25h"), "{seen:?}");
}

/// Writing to a terminal fails after its window is closed. A process that ignores SIGHUP, as here, must continue.
#[test]
fn a_terminal_that_goes_away_does_not_stop_a_fetch() {
    let simulator = Simulator::with_faults(1_000, &["pages=3 status=503 times=2", "pages=5 status=404"]);
    let home = Home::new().with_server(&simulator);
    let fetch = format!("{} fetch profiles users -v > result.json; echo $? > code", MP);
    let Some(mut script) = script(&home, &format!("trap '' HUP; {fetch}; mv code done")) else { return };
    let mut child = script.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut screen = child.stdout.take().expect("a pipe");
    read_until(&mut screen, &mut String::new(), "/10 pages");
    child.kill().expect("it lives");
    child.wait().expect("it ends");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !home.path().join("done").exists() {
        assert!(Instant::now() < deadline, "it hangs");
        std::thread::sleep(Duration::from_millis(20));
    }
    let code = std::fs::read_to_string(home.path().join("done")).expect("the exit code");
    assert_eq!(code.trim(), "1", "a page failed, and nothing else went wrong");
    let result = std::fs::read_to_string(home.path().join("result.json")).expect("the result");
    assert!(result.contains("\"rows\": 900"), "{result}");
}

/// Reads what is shown until it contains the text.
pub(crate) fn read_until(screen: &mut impl Read, seen: &mut String, text: &str) {
    let mut bytes = [0; 1_024];
    let from = seen.len();
    while !seen[from..].contains(text) {
        let count = screen.read(&mut bytes).expect("the screen");
        assert!(count > 0, "no {text:?} in {seen:?}");
        seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
}

#[test]
fn colour_and_animation_can_be_turned_off() {
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

#[test]
fn a_terminal_of_unknown_width_gets_the_default() {
    let home = Home::new();
    home.write_config(&crate::config_file::account("production"));
    let mp = &*MP;
    let longest = "Read the secret from standard input, which must be a pipe or a file";
    for size in ["rows 0 cols 0", "rows 1 cols 1", "rows 24 cols 5", "rows 0 cols 19"] {
        for columns in ["unset COLUMNS", "COLUMNS=0", "COLUMNS=1", "COLUMNS=x"] {
            let line = format!("stty {size}; {columns}; export COLUMNS; {mp} auth list -f table; {mp} auth add --help");
            let Some(mut script) = script(&home, &line) else { return };
            let run = Run::new(script.stdin(Stdio::null()).output().expect("it runs")).exits(0);
            for text in ["production ", "PROJECT ID", longest] {
                assert!(run.stdout.contains(text), "{size}, {columns}: no {text:?} in\n{}", run.stdout);
            }
        }
    }
    let help = home.shell(&format!("COLUMNS=0 {mp} auth add --help")).exits(0).stdout;
    assert!(help.contains(longest), "{help}");
}
