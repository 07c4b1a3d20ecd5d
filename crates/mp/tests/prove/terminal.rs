//! A terminal, provided by `script`, that runs the program.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Home, check_no_secret};

/// The byte sent by Ctrl-C.
const CTRL_C: u8 = 3;

/// Time after which the program counts as hung.
const HUNG: Duration = Duration::from_secs(120);

/// Interval for polling the state of another process.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// The script that runs in the terminal, which is wide enough for every line. When the terminal is closed, the first
/// shell ends, and the kernel sends SIGHUP to the remaining processes, including the program. The second shell ignores
/// it and records the exit code.
const SHELL: &str = r#"
stty cols 1000 rows 50
trap : INT
sh -c '
  trap : HUP INT
  sh -c "echo \$\$ > pid; exec $MP_LINE" > terminal.out
  echo $? > code.new
  mv code.new code
'
true
"#;

/// A program in a terminal.
pub(crate) struct Terminal {
    script: Child,
    directory: PathBuf,
}

impl Terminal {
    /// Starts the program with these arguments. `prefix` may be `nohup`.
    pub(crate) fn start(home: &Home, prefix: &str, arguments: &[&str]) -> Self {
        let directory = home.path().to_owned();
        let direct = home.command(arguments);
        let words = std::iter::once(direct.get_program()).chain(direct.get_args()).map(|word| word.to_string_lossy());
        // The shell splits the line again, so no word may contain characters that it splits or expands.
        let line = format!("{prefix} {}", words.collect::<Vec<_>>().join(" "));
        assert!(line.chars().all(|letter| letter.is_ascii_alphanumeric() || " /._-:=,+".contains(letter)), "{line}");
        let mut command = Command::new("env");
        // This process may have inherited ignored signals, for example as a background job of a shell.
        command.args([
            "--default-signal=HUP,INT,QUIT",
            "script",
            "--quiet",
            "--flush",
            "--command",
            SHELL,
            "/dev/null",
        ]);
        command.env_clear().envs(direct.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("PATH", "/usr/bin:/bin").env("SHELL", "/bin/sh").env("MP_LINE", &line).current_dir(&directory);
        let screen = fs::File::create(directory.join("terminal.screen")).expect("a file");
        let script = command.stdin(Stdio::piped()).stdout(screen).stderr(Stdio::null()).spawn().expect("it starts");
        Self { script, directory }
    }

    /// Returns the program's output, line by line as drawn, without colors and cursor movements. Includes output that
    /// `nohup` redirected to a file.
    pub(crate) fn screen(&self) -> String {
        drawn(&(self.text("terminal.screen") + &self.text("terminal.out")))
    }

    /// Reads a file that may not exist; invalid UTF-8 is replaced.
    fn text(&self, name: &str) -> String {
        fs::read(self.directory.join(name))
            .map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into())
    }

    /// Waits until `seen` returns true for the screen.
    pub(crate) fn wait_until(&self, what: &str, mut seen: impl FnMut(&str) -> bool) {
        let begun = Instant::now();
        while !seen(&self.screen()) {
            let hangs = self.code().is_some() || begun.elapsed() > HUNG;
            assert!(!hangs, "it did not come to {what}; on the screen is:\n{}", self.screen());
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Types Ctrl-C, unless the program has just ended.
    pub(crate) fn interrupt(&mut self) {
        let typed = self.script.stdin.as_mut().expect("a pipe").write_all(&[CTRL_C]);
        assert!(typed.is_ok() || self.code().is_some(), "Ctrl-C cannot be typed: {typed:?}");
    }

    /// Sends a signal to the program alone.
    pub(crate) fn send(&self, signal: Signal) {
        kill_process(self.pid().expect("a process number"), signal).expect("it lives");
    }

    /// Closes the terminal, as closing its window does.
    pub(crate) fn close(&mut self) {
        self.script.kill().and_then(|()| self.script.wait()).expect("it closes");
    }

    /// Waits until the program has ended and returns its exit code.
    pub(crate) fn wait(&self) -> i32 {
        let begun = Instant::now();
        loop {
            if let Some(code) = self.code() {
                check_no_secret(&self.screen());
                assert!(!self.screen().contains("panicked at"), "{}", self.screen());
                return code;
            }
            assert!(begun.elapsed() < HUNG, "it hangs; on the screen is:\n{}", self.screen());
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    fn code(&self) -> Option<i32> {
        self.text("code").trim().parse().ok()
    }

    fn pid(&self) -> Option<Pid> {
        self.text("pid").trim().parse().ok().and_then(Pid::from_raw)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The program ends with its terminal, unless it was started with `nohup`.
        if let (None, Some(pid)) = (self.code(), self.pid()) {
            let _gone = kill_process(pid, Signal::KILL);
        }
        let _gone = self.script.kill();
        let _gone = self.script.wait();
    }
}

/// Removes cursor movements and colors, and all but the last of the bars drawn on one line.
fn drawn(text: &str) -> String {
    let mut visible = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            characters.by_ref().skip(1).find(char::is_ascii_alphabetic);
        } else {
            visible.push(character);
        }
    }
    let mut lines: Vec<&str> = Vec::new();
    for line in visible.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty()) {
        let is_bar = |line: &str| line.starts_with(|first: char| !first.is_ascii() && !first.is_alphanumeric());
        if is_bar(line) && lines.last().is_some_and(|last| is_bar(last)) {
            lines.pop();
        }
        lines.push(line);
    }
    lines.join("\n")
}

/// Returns whether terminals can be created here.
pub(crate) fn terminals_available() -> bool {
    let version = Command::new("env").args(["--default-signal=INT", "script", "--version"]).output();
    version.is_ok_and(|output| output.status.success()) && Path::new("/proc/self/fd").exists()
}

#[test]
fn only_the_final_state_of_a_moving_bar_is_kept() {
    let text =
        "\u{1b}[1mnote:\u{1b}[0m hello\r\n\r\u{1b}[2K\u{1b}[36m⠉\u{1b}[0m 0/2 pages   \r━━━ 2/2 pages\r\u{1b}[2Kdone\n";
    assert_eq!(drawn(text), "note: hello\n━━━ 2/2 pages\ndone");
}
