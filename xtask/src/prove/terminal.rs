//! A terminal, made by `script`, with the program in it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::home::Home;
use super::process::{HUNG, LOOK, check_words, send, text};

/// The byte that Ctrl-C sends.
const CTRL_C: u8 = 3;

/// What runs in the terminal, which is wide enough for every line. When the terminal goes, the first shell ends, and with
/// it, as the last word of the kernel to all that is left, the program is told. The second shell stays, to tell how the
/// program ended.
const SHELL: &str = r#"
stty cols 1000 rows 50
trap : INT
sh -c '
  trap : HUP INT
  sh -c "echo \$\$ > \"\$MP_PLACE/pid\"; exec $MP_LINE" > "$MP_PLACE/terminal.out"
  echo $? > "$MP_PLACE/code.new"
  mv "$MP_PLACE/code.new" "$MP_PLACE/code"
'
true
"#;

/// A program in a terminal.
pub(super) struct Terminal {
    script: Child,
    folder: PathBuf,
    screen: PathBuf,
    line: String,
}

impl Terminal {
    /// Starts a command of the program, with `nohup` before it if `prefix` says so.
    pub(super) fn start(home: &Home<'_>, prefix: &str, args: &[&str]) -> Result<Self, String> {
        let folder = home.folder.clone();
        let screen = folder.join("terminal.screen");
        for old in ["pid", "code"] {
            let _ = fs::remove_file(folder.join(old));
        }
        let output = fs::File::create(&screen).map_err(|error| format!("cannot write in the folder: {error}"))?;
        let direct = home.command(args);
        let words: Vec<_> = std::iter::once(direct.get_program())
            .chain(direct.get_args())
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        // The shell splits the line again, so no word may hold what it would split or expand.
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-:=,+".contains(letter);
        if !words.iter().all(|word| word.chars().all(is_plain)) {
            return Err(format!("the words {words:?} cannot be given to a shell as they are"));
        }
        let line = format!("{prefix} {}", words.join(" "));
        let mut command = home.world.cargo.linked(Path::new("env"));
        home.dress(&mut command);
        // Whoever started us may ignore signals, as a shell makes its background do; that would be inherited.
        command.args([
            "--default-signal=HUP,INT,QUIT",
            "script",
            "--quiet",
            "--flush",
            "--command",
            SHELL,
            "/dev/null",
        ]);
        command.env("SHELL", "/bin/sh").env("TERM", "xterm").env("MP_PLACE", &folder).env("MP_LINE", &line);
        let script = command
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("script cannot be run: {error}"))?;
        Ok(Self { script, folder, screen, line })
    }

    /// What the program has written, line by line as it was drawn, without colours and without the movements of the cursor.
    /// What `nohup` has kept from the terminal is there as well.
    pub(super) fn screen(&self) -> String {
        drawn(&(text(&self.screen) + &text(&self.folder.join("terminal.out"))))
    }

    /// Waits until `seen` says so of the screen.
    pub(super) fn wait_until(&self, what: &str, mut seen: impl FnMut(&str) -> bool) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let screen = self.screen();
            if seen(&screen) {
                return Ok(());
            }
            if self.code().is_some() || begun.elapsed() > HUNG {
                return Err(format!("{} did not come to {what}; on the screen is:\n{screen}", self.line));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Types Ctrl-C.
    pub(super) fn interrupt(&mut self) -> Result<(), String> {
        let input = self.script.stdin.as_mut().expect("it was made a pipe");
        input.write_all(&[CTRL_C]).map_err(|error| format!("nothing can be typed: {error}"))
    }

    /// Sends a signal to the program alone.
    pub(super) fn send(&self, signal: &str) -> Result<(), String> {
        send(signal, self.pid()?)
    }

    /// Closes the terminal, as closing its window does.
    pub(super) fn close(&mut self) -> Result<(), String> {
        self.script.kill().and_then(|()| self.script.wait()).map(drop).map_err(|error| format!("cannot close: {error}"))
    }

    /// Waits until the program has ended and returns its exit code.
    pub(super) fn wait(&mut self) -> Result<i32, String> {
        let begun = Instant::now();
        loop {
            if let Some(code) = self.code() {
                check_words(&self.line, &[&self.screen()])?;
                return Ok(code);
            }
            if begun.elapsed() > HUNG {
                return Err(format!("{} hangs; on the screen is:\n{}", self.line, self.screen()));
            }
            std::thread::sleep(LOOK);
        }
    }

    fn code(&self) -> Option<i32> {
        text(&self.folder.join("code")).trim().parse().ok()
    }

    fn pid(&self) -> Result<u32, String> {
        text(&self.folder.join("pid")).trim().parse().map_err(|_| "the program has no number yet".to_owned())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.code().is_none() {
            // What is in a terminal that is gone ends by itself, unless it was told not to.
            let _ = self.pid().and_then(|pid| send("KILL", pid));
        }
        let _ = self.script.kill();
        let _ = self.script.wait();
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
pub(super) fn is_possible() -> bool {
    let version = Command::new("env")
        .args(["--default-signal=INT", "script", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    version.is_ok_and(|status| status.success()) && Path::new("/proc/self/fd").exists()
}

/// The longest time from a signal to the end, in a phase in which nothing but time is waited for. The promise is 250 ms;
/// the rest is for machines that are busy.
pub(super) const PROMPT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_bar_that_moves_the_last_state_is_shown() {
        let text = "\u{1b}[1mnote:\u{1b}[0m hello\r\n\r\u{1b}[2K\u{1b}[36m⠉\u{1b}[0m 0/2 pages   \r━━━ 2/2 pages\r\u{1b}[2Kdone\n";
        assert_eq!(drawn(text), "note: hello\n━━━ 2/2 pages\ndone");
    }
}
