//! Steps of a task, which run one after another until one fails.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::cargo::exit_code;
use crate::failure::Failure;

/// A step of a task.
pub(crate) struct Step {
    name: &'static str,
    action: Action,
}

/// What to do in a step.
pub(crate) enum Action {
    Run(Command),
    /// Skip the step, for this reason.
    Skip(String),
}

impl Step {
    /// Creates a step that may be skipped.
    pub(crate) fn new(name: &'static str, action: Action) -> Self {
        Self { name, action }
    }

    /// Creates a step that runs a command.
    pub(crate) fn run(name: &'static str, command: Command) -> Self {
        Self::new(name, Action::Run(command))
    }
}

/// Runs the steps of a task, and prints which passed, failed or were skipped.
pub(crate) fn run_all(task: &str, steps: Vec<Step>) -> Result<ExitCode, Failure> {
    let begun = Instant::now();
    let count = steps.len();
    let mut passed: Vec<&str> = Vec::new();
    let mut skipped: Vec<&str> = Vec::new();
    for Step { name, action } in steps {
        let mut command = match action {
            Action::Run(command) => command,
            Action::Skip(reason) => {
                eprintln!("==> {name}\nskipped: {reason}");
                skipped.push(name);
                continue;
            }
        };
        eprintln!("==> {name}: {}", shown(&command));
        let step_begun = Instant::now();
        let status = command
            .status()
            .map_err(|error| Failure::new(format!("cannot run {}: {error}", command.get_program().display())))?;
        let seconds = step_begun.elapsed().as_secs_f64();
        if !status.success() {
            eprintln!("==> {name}: failed after {seconds:.1} s ({status})");
            eprintln!(
                "{task}: FAILED at {name}; passed before it: {}; {} of {count} steps not run",
                listed(&passed),
                count - passed.len() - skipped.len() - 1
            );
            return Ok(exit_code(status));
        }
        eprintln!("==> {name}: passed in {seconds:.1} s");
        passed.push(name);
    }
    eprintln!(
        "{task}: passed in {:.1} s: {}; skipped: {}",
        begun.elapsed().as_secs_f64(),
        listed(&passed),
        listed(&skipped)
    );
    Ok(ExitCode::SUCCESS)
}

/// Formats a command as typed in a shell, without the path of the program.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_stem().unwrap_or(program.as_os_str()).to_string_lossy();
    let args = command.get_args().map(|arg| arg.to_string_lossy());
    std::iter::once(program).chain(args).collect::<Vec<_>>().join(" ")
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_shown_without_the_path_of_the_program() {
        let mut command = Command::new("/toolchain/bin/cargo");
        command.args(["fmt", "--all"]);
        assert_eq!(shown(&command), "cargo fmt --all");
    }
}
