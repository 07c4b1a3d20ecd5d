//! The server that [`bench`](crate::bench) and [`prove`](crate::prove) fetch from: `mp simulate` as a process of its own.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::cargo::Cargo;
use crate::failure::Failure;

/// Runs a command until nobody holds the other end of the standard input any more.
///
/// A guard in this process would not outlive a SIGTERM; a shell that waits for the end of a pipe does, whatever ended
/// us. It says which process the command is, and lets go of the standard output so that the end of that is the end of
/// the command.
const UNTIL_INPUT_ENDS: &str = r#"
trap '' HUP INT TERM
"$@" &
echo "export SIMULATOR_PID=$!"
exec >&-
read -r _
kill -KILL $!
wait
"#;

/// The variables that `mp simulate` prints and `mp fetch` needs.
const VARIABLES: [&str; 5] = ["MP_BASE_URL", "MP_USERNAME", "MP_SECRET", "MP_PROJECT_ID", "MP_REGION"];

/// The variable in which [`UNTIL_INPUT_ENDS`] says which process the simulator is.
const PID: &str = "SIMULATOR_PID";

/// A simulator. It ends with this value, and with this process.
#[derive(Debug)]
pub(crate) struct Simulator {
    shell: Child,
    /// What it printed, with [`PID`].
    variables: Vec<(String, String)>,
}

impl Simulator {
    /// Starts it at a free port, with these options, and waits until it says which. Its words go to a file in `folder`.
    pub(crate) fn start(cargo: &Cargo<'_>, mp: &Path, options: &[String], folder: &Path) -> Result<Self, Failure> {
        let log = folder.join("simulator.log");
        let log_file =
            File::create(&log).map_err(|error| Failure::new(format!("cannot write to {}: {error}", log.display())))?;
        let mut command = cargo.linked(Path::new("sh"));
        command.arg("-c").arg(UNTIL_INPUT_ENDS).arg("sh").arg(mp);
        command.args(["simulate", "--quiet", "--addr", "127.0.0.1:0"]).args(options);
        forget_settings(&mut command);
        let mut shell =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log_file).spawn().map_err(|error| {
                Failure::new(format!("sh cannot be run: {error}")).way_out("see that sh is in PATH")
            })?;
        let output = shell.stdout.take().expect("it was made a pipe");
        // A value from here on, so that the shell is ended if the simulator did not start.
        let mut simulator = Self { shell, variables: Vec::new() };
        simulator.variables = read_variables(output).map_err(|problem| {
            let words = fs::read_to_string(&log).unwrap_or_default();
            Failure::new(format!("the simulator did not start: {problem}; it said: {}", words.trim()))
                .way_out("try `cargo xtask mp simulate --addr 127.0.0.1:0`")
        })?;
        Ok(simulator)
    }

    /// Makes `command`, an `mp`, talk to this simulator and to nothing else.
    pub(crate) fn point(&self, command: &mut Command) {
        forget_settings(command);
        command.envs(self.variables.iter().filter(|(name, _)| name != PID).map(|(name, value)| (name, value)));
    }

    /// Returns the process that it is.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.variables.iter().find(|(name, _)| name == PID)?.1.parse().ok()
    }

    /// Returns the host and port that it listens at.
    pub(crate) fn address(&self) -> &str {
        let url = self.variables.iter().find(|(name, _)| name == "MP_BASE_URL");
        let (_, url) = url.expect("a simulator that has started has said all variables");
        url.strip_prefix("http://").unwrap_or(url)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // There is nobody to tell, and nothing more that could be done.
        let _ = self.shell.wait();
    }
}

/// Withholds the caller's own account and settings from an `mp`.
pub(crate) fn forget_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MP_")) {
        command.env_remove(name);
    }
}

/// Reads `export NAME=VALUE` lines until every variable is there, and the process.
fn read_variables(output: impl Read) -> Result<Vec<(String, String)>, String> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line.map_err(|error| format!("its output is unreadable: {error}"))?;
        if let Some((name, value)) = exported(&line) {
            found.push((name.to_owned(), value.to_owned()));
        }
        if missing(&found).is_empty() {
            return Ok(found);
        }
    }
    Err(format!("it ended without saying {}", missing(&found).join(", ")))
}

fn missing(found: &[(String, String)]) -> Vec<&'static str> {
    VARIABLES.into_iter().chain([PID]).filter(|wanted| !found.iter().any(|(name, _)| name == wanted)).collect()
}

/// Reads one line that a shell would understand. The values are plain or in single quotes.
fn exported(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
    Some((name, value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')).unwrap_or(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "\
export SIMULATOR_PID=4242
export MP_BASE_URL=http://127.0.0.1:42731
export MP_USERNAME=simulator
export MP_SECRET='a secret'
export MP_PROJECT_ID=12345
export MP_REGION=us
";

    #[test]
    fn the_variables_are_read_as_a_shell_would() {
        let variables = read_variables(PRINTED.as_bytes()).unwrap();
        let value = |wanted: &str| variables.iter().find(|(name, _)| name == wanted).unwrap().1.as_str();
        assert_eq!(value("MP_BASE_URL"), "http://127.0.0.1:42731");
        assert_eq!(value("MP_SECRET"), "a secret");
        assert_eq!(value(PID), "4242");
        assert_eq!(variables.len(), VARIABLES.len() + 1);
    }

    #[test]
    fn reading_ends_with_the_last_variable_and_not_with_the_output() {
        struct Hanging;
        impl Read for Hanging {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                panic!("a simulator that runs says nothing more");
            }
        }
        assert!(read_variables(PRINTED.as_bytes().chain(Hanging)).is_ok());
    }

    #[test]
    fn an_output_that_ends_early_says_what_is_missing() {
        let problem = read_variables("export MP_BASE_URL=http://127.0.0.1:1\nnonsense\n".as_bytes()).unwrap_err();
        assert!(problem.contains("MP_SECRET") && !problem.contains("MP_BASE_URL"), "{problem}");
    }

    #[cfg(unix)]
    #[test]
    fn a_simulator_that_does_not_start_is_a_failure_and_not_a_wait_for_ever() {
        use crate::engine::Engine;
        use crate::places::Places;

        let folder = std::env::temp_dir().join(format!("xtask-simulator-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let places = Places { root: folder.clone(), target: folder.clone() };
        let cargo = Cargo::new(&places, &Engine::FromSource).unwrap();
        let failure = Simulator::start(&cargo, Path::new("false"), &[], &folder).unwrap_err().to_string();
        assert!(failure.contains("did not start") && failure.contains("hint: "), "{failure}");
        let failure = Simulator::start(&cargo, Path::new("no-such-program"), &[], &folder).unwrap_err();
        assert!(failure.to_string().contains("no-such-program"), "{failure}");
        fs::remove_dir_all(&folder).unwrap();
    }
}
