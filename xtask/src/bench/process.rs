//! Runs a process to its end and says what that took.

use std::io;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use super::usage::{Usage, Watch};
use crate::failure::Failure;

/// A process that has ended as it should.
#[derive(Debug)]
pub(super) struct Took {
    /// From its start to its end.
    pub(super) wall: Duration,
    pub(super) usage: Usage,
    /// What it printed, if that was kept.
    pub(super) printed: String,
}

/// Runs a command that has to end with this exit code.
pub(super) fn timed(mut command: Command, exit_code: i32) -> Result<Took, Failure> {
    let begun = Instant::now();
    let child = command.spawn().map_err(|error| cannot_run(&command, &error))?;
    let watch = Watch::begin(child.id());
    let output = child.wait_with_output();
    let wall = begun.elapsed();
    let usage = watch.end();
    let printed = ended(&command, output, exit_code)?;
    Ok(Took { wall, usage, printed })
}

/// Runs a command that has to succeed, without looking at what it uses; returns the time and what it printed.
pub(super) fn quick(mut command: Command) -> Result<(Duration, String), Failure> {
    let begun = Instant::now();
    let output = command.output();
    let wall = begun.elapsed();
    Ok((wall, ended(&command, output, 0)?))
}

fn ended(command: &Command, output: io::Result<Output>, exit_code: i32) -> Result<String, Failure> {
    let output = output.map_err(|error| cannot_run(command, &error))?;
    if output.status.code() == Some(exit_code) {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let (name, status) = (name(command), output.status);
    Err(Failure::new(format!("{name} ended with {status} instead of exit code {exit_code}: {}", words.trim()))
        .way_out("`cargo xtask demo` does the same at leisure; `cargo xtask check` may know more"))
}

fn cannot_run(command: &Command, error: &io::Error) -> Failure {
    Failure::new(format!("{} cannot be run: {error}", name(command))).way_out("try `cargo xtask mp --version`")
}

fn name(command: &Command) -> String {
    Path::new(command.get_program()).file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::process::Stdio;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    #[test]
    fn what_a_process_prints_and_takes_is_known_at_its_end() {
        let took = timed(shell("echo 42; exit 2"), 2).unwrap();
        assert_eq!(took.printed, "42\n");
        assert!(!took.wall.is_zero());
        assert_eq!(quick(shell("echo 42")).unwrap().1, "42\n");
    }

    #[test]
    fn another_exit_code_is_a_failure_with_the_words_of_the_process() {
        for failure in [timed(shell("echo alas >&2"), 1).map(|_| ()), quick(shell("echo alas >&2; exit 1")).map(|_| ())]
        {
            let failure = failure.unwrap_err().to_string();
            assert!(failure.contains("sh ended with") && failure.contains("alas"), "{failure}");
        }
        let failure = quick(Command::new("no-such-program")).unwrap_err().to_string();
        assert!(failure.contains("no-such-program cannot be run"), "{failure}");
    }
}
