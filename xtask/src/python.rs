//! The task `python`: builds the native module, and tests the Python package with it.

mod environment;
mod interpreter;
mod package;

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::bench::forget_settings;
use crate::cargo::{Cargo, KILL_POINTS, cannot_run, exit_code};
use crate::failure::Failure;
use crate::paths::Paths;
use crate::steps::{Step, run_all};

pub(crate) use environment::{Environment, clone_directory};
pub(crate) use interpreter::{Interpreter, find};

/// The packages that the tests need, if the caller names no others.
const REQUIREMENTS: &str = "requirements-dev.txt";

/// The packages for the sources for dlt and Spark, and those for the tests with another version of DuckDB.
pub(crate) const SOURCES: &str = "requirements-sources.txt";
pub(crate) const DUCKDB_2: &str = "requirements-duckdb-2.txt";

/// The variable with which tests that take minutes run too.
pub(crate) const SLOW: &str = "MP_SLOW";

/// What to test.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The file in `python` with the packages to install, instead of [`REQUIREMENTS`].
    requirements: Option<OsString>,
    /// Which tests of the command `mp` to run with the script of the package, by name, instead of those of the package;
    /// all if there is no name.
    command: Option<Vec<OsString>>,
    /// Arguments for pytest.
    pytest_args: Vec<OsString>,
}

impl Wanted {
    /// Parses the arguments of `cargo xtask python`.
    ///
    /// # Errors
    ///
    /// Returns a message for the user.
    pub(crate) fn read(args: &[OsString]) -> Result<Self, String> {
        let (own, pytest_args) = match args.iter().position(|arg| arg == "--") {
            Some(at) => (&args[..at], &args[at + 1..]),
            None => (args, [].as_slice()),
        };
        let (command, requirements) = match own {
            [] => (None, None),
            [option, names @ ..] if option == "--command" && pytest_args.is_empty() => (Some(names.to_vec()), None),
            [option, file] if option == "--requirements" => (None, Some(file.clone())),
            [stray, ..] => {
                let stray = stray.to_string_lossy();
                return Err(format!(
                    "unexpected argument `{stray}`; the python task takes --command [NAME...], or --requirements FILE and \
                     arguments for pytest after `--`: cargo xtask python -- {stray}"
                ));
            }
        };
        Ok(Self { requirements, command, pytest_args: pytest_args.to_vec() })
    }

    /// Returns whether only some tests run, and no type checks.
    fn is_partial(&self) -> bool {
        self.requirements.is_some() || !self.pytest_args.is_empty()
    }
}

/// Arguments that build the module and `mp`.
///
/// The test is named so that cargo enables the features that it enables for tests, and `cargo xtask check` does not
/// build everything twice.
const BUILD: [&str; 7] = ["build", "--workspace", "--lib", "--bin", "mp", "--test", "python_sources"];

/// Builds the module, and runs the tests and type checks of the package.
pub(crate) fn python(cargo: &Cargo<'_>, paths: &Paths, wanted: &Wanted) -> Result<ExitCode, Failure> {
    let interpreter = find()?;
    let requirements = wanted.requirements.as_deref().unwrap_or(REQUIREMENTS.as_ref());
    let environment = Environment::ready(paths, &interpreter, requirements)?;
    let mut build = cargo.building(&BUILD);
    let status = build.args(KILL_POINTS).status().map_err(|error| cannot_run(&error))?;
    if !status.success() {
        return Ok(exit_code(status));
    }
    let package = package::assemble(paths)?;
    eprintln!("python: PYTHONPATH={} {}", package.display(), environment.program("python").display());
    if let Some(names) = &wanted.command {
        let script = package::script(paths, &environment, &package)?;
        return run_all("python", vec![Step::run("command", command_tests(cargo, &script, names))]);
    }
    let task = Package { environment: &environment, path: &package, paths };
    let mut steps = vec![Step::run("tests", task.pytest(&wanted.pytest_args)?)];
    if !wanted.is_partial() {
        steps.push(Step::run("types", task.command(&["-m", "mypy"])));
        steps.push(Step::run("stubs", task.stubtest()));
    }
    run_all("python", steps)
}

/// Returns the command that runs the tests of `mp` with another program than the binary.
fn command_tests(cargo: &Cargo<'_>, program: &Path, names: &[OsString]) -> Command {
    let mut command = if cargo.has("nextest") {
        cargo.building(&["nextest", "run", "--workspace", "--test", "it", "-E", "package(mp)"])
    } else {
        cargo.building(&["test", "--package", "mp", "--test", "it"])
    };
    command.args(KILL_POINTS).args(["--no-fail-fast", "--"]).args(names).env("MP_TEST_PROGRAM", program);
    command
}

/// The assembled package and the environment to run it in.
struct Package<'a> {
    environment: &'a Environment,
    path: &'a Path,
    paths: &'a Paths,
}

impl Package<'_> {
    /// Returns a Python command that imports the assembled package and runs in `python`.
    fn command(&self, args: &[&str]) -> Command {
        // With `-P`, the sources in the working directory do not hide the package.
        let mut command = self.environment.python(["-P"]);
        command.args(args).current_dir(self.paths.root.join("python")).env("PYTHONPATH", self.path);
        command.env("MYPY_CACHE_DIR", clone_directory(self.paths).join("mypy"));
        forget_settings(&mut command);
        command
    }

    /// Returns the command for the tests, which find `mp` in PATH.
    fn pytest(&self, args: &[OsString]) -> Result<Command, Failure> {
        let cache = clone_directory(self.paths).join("pytest");
        let mut command = self.command(&["-m", "pytest", "-q", "-o"]);
        command.arg(format!("cache_dir={}", cache.display()));
        let own = [self.paths.target.join("debug")];
        let rest = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(own.into_iter().chain(std::env::split_paths(&rest)))
            .map_err(|error| Failure::new(format!("the target directory cannot be added to PATH: {error}")))?;
        command.env("PATH", path);
        if let Some(value) = std::env::var_os(SLOW) {
            command.env(SLOW, value);
            // Replaces the selection in `pyproject.toml`.
            command.args(["-m", "not optimized"]);
        }
        command.args(args);
        Ok(command)
    }

    /// Returns the command that compares the stub of the module with the module.
    fn stubtest(&self) -> Command {
        self.command(&["-m", "mypy.stubtest", "--mypy-config-file", "pyproject.toml", "mixpanel_data._core"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Wanted, String> {
        Wanted::read(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_for_pytest_follow_two_dashes() {
        assert_eq!(read(""), Ok(Wanted::default()));
        assert!(!read("--").unwrap().is_partial());
        let partial = read("-- -k fetch").unwrap();
        assert_eq!(partial.pytest_args, ["-k", "fetch"]);
        assert!(partial.is_partial());
        let message = read("-k fetch").unwrap_err();
        assert!(message.contains("cargo xtask python -- -k"), "{message}");
    }

    #[test]
    fn other_packages_run_the_tests_alone() {
        let wanted = read("--requirements requirements-sources.txt -- tests/sources").unwrap();
        assert_eq!(wanted.requirements.as_deref(), Some(SOURCES.as_ref()));
        assert_eq!(wanted.pytest_args, ["tests/sources"]);
        assert!(read("--requirements x.txt").unwrap().is_partial());
        assert!(read("--requirements").unwrap_err().contains("--requirements FILE"));
    }

    #[test]
    fn the_command_is_tested_alone() {
        assert_eq!(read("--command").unwrap().command, Some(Vec::new()));
        assert_eq!(read("--command signals usage").unwrap().command.unwrap(), ["signals", "usage"]);
        assert!(read("--command -- -k fetch").is_err());
    }

    #[test]
    fn the_files_of_requirements_exist() {
        let python = Paths::find().unwrap().root.join("python");
        for file in [REQUIREMENTS, SOURCES, DUCKDB_2] {
            assert!(python.join(file).is_file(), "{file}");
        }
    }
}
