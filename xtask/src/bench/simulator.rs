//! The benchmark's server: `mp simulate` in a separate process.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::cargo::Cargo;
use crate::failure::Failure;

/// A shell script that runs a command until its standard input is closed.
///
/// A drop guard does not run if xtask is killed by a signal. The shell reads from a pipe, so it sees the end of input
/// however xtask ends, and then kills the command. It prints the command's process ID, and closes its own standard
/// output so that the output ends when the command does.
const UNTIL_INPUT_ENDS: &str = r#"
trap '' HUP INT TERM
"$@" &
echo "export SIMULATOR_PID=$!"
exec >&-
read -r _
kill -KILL $!
wait
"#;

/// The variables to read from the output: [`PID`], and those that `mp fetch` needs.
const VARIABLES: [&str; 6] = [PID, "MP_BASE_URL", "MP_USERNAME", "MP_SECRET", "MP_PROJECT_ID", "MP_REGION"];

/// The variable in which [`UNTIL_INPUT_ENDS`] prints the process ID of the simulator.
const PID: &str = "SIMULATOR_PID";

/// A running simulator. It stops when this value is dropped or xtask ends.
#[derive(Debug)]
pub(crate) struct Simulator {
    shell: Child,
    /// The variables it printed, including [`PID`].
    variables: Vec<(String, String)>,
}

impl Simulator {
    /// Starts a simulator on a free port and waits until it prints its address. Its standard error goes to a file in
    /// `directory`.
    pub(crate) fn start(cargo: &Cargo<'_>, mp: &Path, options: &[String], directory: &Path) -> Result<Self, Failure> {
        let log = directory.join("simulator.log");
        let log_file =
            File::create(&log).map_err(|error| Failure::new(format!("cannot write to {}: {error}", log.display())))?;
        let mut command = cargo.linked(Path::new("sh"));
        command.arg("-c").arg(UNTIL_INPUT_ENDS).arg("sh").arg(mp);
        command.args(["simulate", "--quiet", "--addr", "127.0.0.1:0"]).args(options);
        // The simulator is killed, so it cannot remove its own directory.
        command.env("TMPDIR", directory);
        forget_settings(&mut command);
        let mut shell = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .spawn()
            .map_err(|error| Failure::new(format!("cannot run sh: {error}")).hint("check that sh is in PATH"))?;
        let output = shell.stdout.take().expect("it was made a pipe");
        // Created before the variables are read, so that dropping it stops the shell if the simulator did not start.
        let mut simulator = Self { shell, variables: Vec::new() };
        simulator.variables = read_variables(output).map_err(|problem| {
            let words = fs::read_to_string(&log).unwrap_or_default();
            Failure::new(format!("the simulator did not start: {problem}; it printed: {}", words.trim()))
                .hint("try `cargo xtask mp simulate --addr 127.0.0.1:0`")
        })?;
        Ok(simulator)
    }

    /// Configures an `mp` command to use this simulator and ignore the caller's settings.
    pub(crate) fn point(&self, command: &mut Command) {
        forget_settings(command);
        command.envs(self.variables.iter().filter(|(name, _)| name != PID).map(|(name, value)| (name, value)));
    }

    /// Returns the process ID of the simulator.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.variables.iter().find(|(name, _)| name == PID)?.1.parse().ok()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // A failure can be neither reported nor handled here.
        let _ = self.shell.wait();
    }
}

/// Hides the caller's account and settings from an `mp` command by removing all `MP_*` variables.
pub(crate) fn forget_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MP_")) {
        command.env_remove(name);
    }
}

/// Reads `export NAME=VALUE` lines until all of [`VARIABLES`] are set. Values may be in single quotes.
fn read_variables(output: impl Read) -> Result<Vec<(String, String)>, String> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line.map_err(|error| format!("cannot read its output: {error}"))?;
        if let Some((name, value)) = line.strip_prefix("export ").and_then(|line| line.split_once('=')) {
            found.push((name.to_owned(), value.trim_matches('\'').to_owned()));
        }
        if VARIABLES.iter().all(|wanted| found.iter().any(|(name, _)| name == wanted)) {
            return Ok(found);
        }
    }
    Err(format!("it exited after printing only these variables: {found:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_ends_with_the_last_variable_and_not_with_the_output() {
        struct Hanging;
        impl Read for Hanging {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                panic!("a simulator that runs says nothing more");
            }
        }
        let printed: String = VARIABLES.iter().map(|name| format!("export {name}='a value'\n")).collect();
        let variables = read_variables(printed.as_bytes().chain(Hanging)).unwrap();
        assert_eq!(variables, VARIABLES.map(|name| (name.to_owned(), "a value".to_owned())));
        let problem = read_variables("export MP_REGION=us\nnonsense\n".as_bytes()).unwrap_err();
        assert!(problem.contains("MP_REGION"), "{problem}");
    }
}
