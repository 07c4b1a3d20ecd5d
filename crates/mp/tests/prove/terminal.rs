//! A terminal, made by `script`, with the program in it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Home, check_no_secret};

/// The byte that Ctrl-C sends.
const CTRL_C: u8 = 3;

/// Time after which something that should have happened counts as hung.
const HUNG: Duration = Duration::from_secs(120);

/// The pause between two looks at something that another process does.
const LOOK: Duration = Duration::from_millis(2);

/// What runs in the terminal, which is wide enough for every line. When the terminal goes, the first shell ends, and with
/// it, as the last word of the kernel to all that is left, the program is told. The second shell stays, to tell how the
/// program ended.
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
    /// Starts a command of the program, with `nohup` before it if `prefix` says so.
    pub(crate) fn start(home: &Home, prefix: &str, arguments: &[&str]) -> Self {
        let directory = home.path().to_owned();
        let direct = home.command(arguments);
        let words = std::iter::once(direct.get_program()).chain(direct.get_args()).map(|word| word.to_string_lossy());
        // The shell splits the line again, so no word may hold what it would split or expand.
        let line = format!("{prefix} {}", words.collect::<Vec<_>>().join(" "));
        assert!(line.chars().all(|letter| letter.is_ascii_alphanumeric() || " /._-:=,+".contains(letter)), "{line}");
        let mut command = Command::new("env");
        // This process may have been started with signals ignored, as a shell does in its background; that is inherited.
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

    /// What the program has written, line by line as it was drawn, without colours and without the movements of the cursor.
    /// What `nohup` has kept from the terminal is there as well.
    pub(crate) fn screen(&self) -> String {
        drawn(&(self.text("terminal.screen") + &self.text("terminal.out")))
    }

    /// Reads a file that may not be there; bytes that are no text become marks.
    fn text(&self, name: &str) -> String {
        fs::read(self.directory.join(name))
            .map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into())
    }

    /// Waits until `seen` says so of the screen.
    pub(crate) fn wait_until(&self, what: &str, mut seen: impl FnMut(&str) -> bool) {
        let begun = Instant::now();
        while !seen(&self.screen()) {
            let hangs = self.code().is_some() || begun.elapsed() > HUNG;
            assert!(!hangs, "it did not come to {what}; on the screen is:\n{}", self.screen());
            std::thread::sleep(LOOK);
        }
    }

    /// Types Ctrl-C.
    pub(crate) fn interrupt(&mut self) {
        self.script.stdin.as_mut().expect("a pipe").write_all(&[CTRL_C]).expect("it is typed");
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
            std::thread::sleep(LOOK);
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
        // What is in a terminal that is gone ends by itself, unless it was told not to.
        if let (None, Some(pid)) = (self.code(), self.pid()) {
            let _gone = kill_process(pid, Signal::KILL);
        }
        let _gone = self.script.kill();
        let _gone = self.script.wait();
    }
}

/// Takes out what moves the cursor and colours, and all but the last of the bars that were drawn over each other.
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

/// Whether terminals can be made here.
pub(crate) fn is_possible() -> bool {
    let version = Command::new("env").args(["--default-signal=INT", "script", "--version"]).output();
    version.is_ok_and(|output| output.status.success()) && Path::new("/proc/self/fd").exists()
}

#[test]
fn of_a_bar_that_moves_the_last_state_is_shown() {
    let text =
        "\u{1b}[1mnote:\u{1b}[0m hello\r\n\r\u{1b}[2K\u{1b}[36m⠉\u{1b}[0m 0/2 pages   \r━━━ 2/2 pages\r\u{1b}[2Kdone\n";
    assert_eq!(drawn(text), "note: hello\n━━━ 2/2 pages\ndone");
}
