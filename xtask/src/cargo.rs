//! Runs cargo so that builds link against the DuckDB library and programs find it at run time.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};

use crate::cargo_environment::{program, set_environment};
use crate::engine::Engine;
use crate::failure::Failure;
use crate::paths::Paths;

/// The variable that holds the search path of the dynamic linker.
const LIBRARY_PATH: &str = if cfg!(target_os = "macos") {
    "DYLD_LIBRARY_PATH"
} else if cfg!(windows) {
    "PATH"
} else {
    "LD_LIBRARY_PATH"
};

/// The feature flags for test builds: the points at which [`prove`](crate::prove) kills the program.
pub(crate) const KILL_POINTS: [&str; 2] = ["--features", "mp/kill-points"];

/// Builds cargo commands with the environment for the DuckDB library.
#[derive(Debug)]
pub(crate) struct Cargo<'a> {
    places: &'a Paths,
    engine: &'a Engine,
    library_path: Option<OsString>,
}

impl<'a> Cargo<'a> {
    /// Prepares the environment for this library.
    pub(crate) fn new(places: &'a Paths, engine: &'a Engine) -> Result<Self, Failure> {
        let library_path = match engine {
            Engine::Prebuilt(directory) => Some(prefixed(directory, env::var_os(LIBRARY_PATH).as_deref())?),
            Engine::FromSource => None,
        };
        Ok(Self { places, engine, library_path })
    }

    /// Returns a cargo command that does not need the library, to run in the workspace root.
    pub(crate) fn plain(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(args).current_dir(&self.places.root);
        set_environment(&mut command, self.places);
        command
    }

    /// Returns a cargo command that builds, and possibly runs, workspace crates, with `--locked`.
    pub(crate) fn building(&self, args: &[&str]) -> Command {
        let mut command = self.unlocked(args);
        command.arg("--locked");
        command
    }

    /// Returns the same command without `--locked`.
    pub(crate) fn unlocked(&self, args: &[&str]) -> Command {
        let mut command = self.plain(args);
        if let Engine::Prebuilt(directory) = self.engine {
            command.arg("--no-default-features").env("DUCKDB_LIB_DIR", directory);
        }
        self.show_engine(&mut command);
        command
    }

    /// Returns a command for a program that is linked against the library, or that runs such a program.
    pub(crate) fn linked(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        self.show_engine(&mut command);
        command
    }

    /// Returns a command for a program that runs cargo, and chooses features and PyO3's settings, itself.
    pub(crate) fn for_builder(&self, program: &Path) -> Command {
        let mut command = self.linked(program);
        set_environment(&mut command, self.places);
        for name in ["PYO3_BUILD_EXTENSION_MODULE", "PYO3_NO_PYTHON", "DUCKDB_DOWNLOAD_LIB"] {
            command.env_remove(name);
        }
        match self.engine {
            Engine::Prebuilt(directory) => command.env("DUCKDB_LIB_DIR", directory),
            Engine::FromSource => command.env_remove("DUCKDB_LIB_DIR"),
        };
        command
    }

    /// Adds the library to the search path of the dynamic linker.
    fn show_engine(&self, command: &mut Command) {
        if let Some(library_path) = &self.library_path {
            command.env(LIBRARY_PATH, library_path);
        }
    }

    /// Returns whether a cargo subcommand is installed.
    pub(crate) fn has(&self, subcommand: &str) -> bool {
        self.plain(&[subcommand, "--version"]).output().is_ok_and(|output| output.status.success())
    }

    /// Builds a program in release mode and returns its path. Unlike a shipped build, it links DuckDB dynamically.
    pub(crate) fn release(&self, package: &str, program: &str) -> Result<PathBuf, Failure> {
        let status = self.building(&["build", "--release", "--package", package, "--bin", program]).status();
        let status = status.map_err(|error| cannot_run(&error))?;
        if !status.success() {
            return Err(Failure::new(format!("could not build {program} ({status})")).hint("fix the errors above"));
        }
        let built = self.places.target.join("release").join(format!("{program}{}", env::consts::EXE_SUFFIX));
        if built.is_file() {
            return Ok(built);
        }
        Err(Failure::new(format!("cargo built {program}, but not at {}", built.display()))
            .hint("unset CARGO_BUILD_TARGET, and `build.target` in cargo's configuration files"))
    }

    /// Builds `mp` and runs it in the caller's working directory.
    ///
    /// On Unix, `cargo run` replaces this process, so that Ctrl-C does not reach xtask and the caller gets the exit
    /// code of `mp`.
    pub(crate) fn become_mp(&self, mp_args: &[OsString]) -> Result<ExitCode, Failure> {
        let mut command = self.building(&["run", "--package", "mp"]);
        let here =
            env::current_dir().map_err(|error| Failure::new(format!("cannot read the current directory: {error}")))?;
        command.arg("--manifest-path").arg(self.places.root.join("Cargo.toml")).current_dir(here);
        command.arg("--").args(mp_args);
        replace_process(command)
    }
}

#[cfg(unix)]
fn replace_process(mut command: Command) -> Result<ExitCode, Failure> {
    use std::os::unix::process::CommandExt as _;
    Err(cannot_run(&command.exec()))
}

#[cfg(not(unix))]
fn replace_process(mut command: Command) -> Result<ExitCode, Failure> {
    command.status().map(exit_code).map_err(|error| cannot_run(&error))
}

/// Returns the failure for a cargo command that cannot be started.
pub(crate) fn cannot_run(error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot run cargo: {error}"))
}

/// Converts `status` to an exit code. For a killed process this is 128 plus the signal number, as in shells.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    #[cfg(unix)]
    let killed_by = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let killed_by: Option<i32> = None;
    let code = status.code().or(killed_by.map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// Prepends `directory` to a search path.
fn prefixed(directory: &Path, path: Option<&OsStr>) -> Result<OsString, Failure> {
    let rest = path.filter(|path| !path.is_empty()).map(|path| env::split_paths(path).collect()).unwrap_or_default();
    let rest: Vec<PathBuf> = rest;
    let directories =
        std::iter::once(directory).chain(rest.iter().map(PathBuf::as_path).filter(|other| *other != directory));
    env::join_paths(directories).map_err(|error| {
        Failure::new(format!("{} cannot be added to {LIBRARY_PATH}: {error}", directory.display()))
            .hint("use a target directory without that character in its name (CARGO_TARGET_DIR)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_first_in_the_search_path_exactly_once() {
        let joined = |directories: &[&str]| env::join_paths(directories).unwrap();
        let before = |path: &OsStr| prefixed(Path::new("engine"), Some(path)).unwrap();
        assert_eq!(before(&joined(&["a", "b"])), joined(&["engine", "a", "b"]));
        assert_eq!(before(&joined(&["a", "engine"])), joined(&["engine", "a"]));
        // An empty search path does not become the current directory.
        assert_eq!(before(OsStr::new("")), "engine");
        assert_eq!(prefixed(Path::new("engine"), None).unwrap(), "engine");
        #[cfg(unix)]
        assert!(prefixed(Path::new("a:b"), None).unwrap_err().to_string().contains("a:b"));
    }
}
