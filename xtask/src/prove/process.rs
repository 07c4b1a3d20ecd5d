//! A program that runs beside us, and what it said.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The pause between two looks at something that another process does.
pub(super) const LOOK: Duration = Duration::from_millis(2);

/// Time after which a process that should have ended counts as hung.
pub(super) const HUNG: Duration = Duration::from_secs(180);

/// A program that runs. Its output goes to files, so that nobody has to read it for it to go on.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    line: String,
    begun: Instant,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// A program that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// The command, as one would type it.
    pub(super) line: String,
    /// Its exit code; none if a signal ended it.
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) took: Duration,
}

impl Running {
    /// Starts it; `name` tells the files of its output from those of others in the folder.
    pub(super) fn start(mut command: Command, folder: &Path, name: &str) -> Result<Self, String> {
        let file = |ending: &str| {
            let path = folder.join(format!("{name}.{ending}"));
            File::create(&path).map(|file| (path, file)).map_err(|error| format!("cannot write in the folder: {error}"))
        };
        let ((stdout, out), (stderr, err)) = (file("out")?, file("err")?);
        let line = shown(&command);
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let child = command.spawn().map_err(|error| format!("cannot run {line}: {error}"))?;
        Ok(Self { child, line, begun: Instant::now(), stdout, stderr })
    }

    /// Returns the number of the process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as nothing can prevent, and waits for that.
    pub(super) fn kill(mut self) -> Result<Ended, String> {
        // It may have ended by itself.
        let _ = self.child.kill();
        let status = self.child.wait().map_err(|error| format!("cannot wait for {}: {error}", self.line))?;
        self.ended(status)
    }

    /// Kills it at this time after its start, unless it has ended before.
    pub(super) fn kill_at(mut self, instant: Duration) -> Result<Ended, String> {
        while let Some(left) = instant.checked_sub(self.begun.elapsed()).filter(|left| !left.is_zero()) {
            if let Some(status) = self.look()? {
                return self.ended(status);
            }
            std::thread::sleep(left.min(LOOK));
        }
        self.kill()
    }

    /// Waits for its end.
    pub(super) fn wait(mut self) -> Result<Ended, String> {
        loop {
            if let Some(status) = self.look()? {
                return self.ended(status);
            }
            if self.begun.elapsed() > HUNG {
                let line = self.line.clone();
                let ended = self.kill()?;
                return Err(format!("{line} did not end in {} s; it said:\n{}", HUNG.as_secs(), ended.stderr));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until `seen` says so. Errs if it ends before.
    pub(super) fn wait_until(&mut self, what: &str, mut seen: impl FnMut(&str) -> bool) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let words = text(&self.stderr);
            if seen(&words) {
                return Ok(());
            }
            if self.look()?.is_some() || begun.elapsed() > HUNG {
                return Err(format!("{} did not come to {what}; it said:\n{words}", self.line));
            }
            std::thread::sleep(LOOK);
        }
    }

    fn look(&mut self) -> Result<Option<ExitStatus>, String> {
        self.child.try_wait().map_err(|error| format!("cannot wait for {}: {error}", self.line))
    }

    fn ended(self, status: ExitStatus) -> Result<Ended, String> {
        let took = self.begun.elapsed();
        let (stdout, stderr) = (text(&self.stdout), text(&self.stderr));
        check_words(&self.line, &[&stdout, &stderr])?;
        Ok(Ended { line: self.line, code: status.code(), stdout, stderr, took })
    }
}

/// Nothing that runs here may panic, or say the secret of the simulator.
pub(super) fn check_words(line: &str, texts: &[&str]) -> Result<(), String> {
    for text in texts {
        if text.contains("panicked at") {
            return Err(format!("{line} panicked:\n{text}"));
        }
        if text.contains("simulator-secret") {
            return Err(format!("{line} shows the secret:\n{text}"));
        }
    }
    Ok(())
}

impl Ended {
    /// Whether a signal ended it.
    pub(super) fn was_killed(&self) -> bool {
        self.code.is_none()
    }

    /// Errs unless it ended with this exit code.
    pub(super) fn exits(&self, code: i32) -> Result<(), String> {
        if self.code == Some(code) { Ok(()) } else { Err(format!("{} instead of {code}", self.told())) }
    }

    /// What it did, with all its words.
    pub(super) fn told(&self) -> String {
        let code = self.code.map_or_else(|| "a signal".to_owned(), |code| code.to_string());
        format!(
            "{} ended with {code} after {:.2} s, saying:\n{}\n--",
            self.line,
            self.took.as_secs_f64(),
            self.stderr.trim_end()
        )
    }
}

/// Reads a file that may not be there; bytes that are no text become marks.
pub(super) fn text(path: &Path) -> String {
    fs::read(path).map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn shown(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        let name = name.to_string_lossy();
        let value = value.filter(|_| name.starts_with("MP_KILL"))?;
        Some(format!("{name}={} ", value.to_string_lossy()))
    });
    let words = std::iter::once(command.get_program()).chain(command.get_args()).map(|word| word.to_string_lossy());
    variables.chain([words.collect::<Vec<_>>().join(" ")]).collect()
}

/// Sends a signal to a process, by its name without `SIG`.
pub(super) fn send(signal: &str, pid: u32) -> Result<(), String> {
    let status = Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).stderr(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(format!("process {pid} was gone before {signal} could be sent")),
        Err(error) => Err(format!("kill cannot be run: {error}")),
    }
}
