//! Virtual environments with pinned packages, kept in the target directory.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use super::interpreter::{self, Interpreter};
use crate::failure::Failure;
use crate::paths::Paths;

/// A file that is written last, so that a half-made environment is never used, and again whenever it is used.
const COMPLETE: &str = "complete";

/// How long an unused environment is kept. One takes up to 1.2 GB.
const UNUSED: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// A virtual environment.
#[derive(Debug)]
pub(crate) struct Environment {
    directory: PathBuf,
}

impl Environment {
    /// Returns the environment with the packages in `python/<requirements>`, and makes it if necessary.
    ///
    /// Its path contains a hash of the pins and of the interpreter, so that a change of either makes a new one.
    pub(crate) fn ready(
        paths: &Paths,
        interpreter: &Interpreter,
        requirements: impl AsRef<Path>,
    ) -> Result<Self, Failure> {
        let requirements = paths.root.join("python").join(requirements);
        let pins = fs::read_to_string(&requirements)
            .map_err(|error| Failure::new(format!("cannot read {}: {error}", requirements.display())))?;
        let program = interpreter.program.display().to_string();
        let name = format!("venv-{}", short_hash(&[&pins, &interpreter.version, &program]));
        let environment = Self { directory: paths.python().join(name) };
        let cannot = |error: io::Error| Failure::new(format!("cannot write to {}: {error}", paths.python().display()));
        fs::create_dir_all(paths.python()).map_err(cannot)?;
        // Two tasks started together make it once.
        let lock = File::create(paths.python().join("venv.lock")).map_err(cannot)?;
        lock.lock().map_err(cannot)?;
        let complete = environment.directory.join(COMPLETE);
        if environment.is_usable(interpreter) {
            fs::write(complete, "").map_err(cannot)?;
            return Ok(environment);
        }
        remove_unused(&paths.python(), SystemTime::now());
        eprintln!("python: making a virtual environment for {} (once for these pins)", requirements.display());
        environment.make(interpreter)?;
        let mut pip = environment.pip_install();
        // A build from source would need compilers and take long.
        pip.args(["--only-binary", ":all:", "--requirement"]).arg(&requirements);
        run(pip, "pip").map_err(|problem| {
            Failure::new(problem).hint("check the connection to the package index (pip's messages are above)")
        })?;
        fs::write(complete, "").map_err(cannot)?;
        Ok(environment)
    }

    /// Makes an empty environment in a directory, which is emptied first.
    pub(crate) fn empty(interpreter: &Interpreter, directory: PathBuf) -> Result<Self, Failure> {
        let environment = Self { directory };
        environment.make(interpreter)?;
        Ok(environment)
    }

    /// Returns the path of a program of the environment.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        let directory = if cfg!(windows) { "Scripts" } else { "bin" };
        self.directory.join(directory).join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    }

    /// Returns a command for the environment's Python.
    pub(crate) fn python<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = interpreter::command(self.program("python"));
        command.args(args);
        command
    }

    /// Returns a command that installs packages into the environment.
    pub(crate) fn pip_install(&self) -> Command {
        self.python(["-m", "pip", "--disable-pip-version-check", "install", "--quiet"])
    }

    fn make(&self, interpreter: &Interpreter) -> Result<(), Failure> {
        let mut command = interpreter::command(&interpreter.program);
        command.args(["-m", "venv", "--clear"]).arg(&self.directory);
        run(command, "python -m venv").map_err(Failure::new)
    }

    /// Returns whether the environment is complete and its Python still exists, with the same version.
    fn is_usable(&self, interpreter: &Interpreter) -> bool {
        let version = ["-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"];
        self.directory.join(COMPLETE).is_file()
            && self.python(version).output().is_ok_and(|output| {
                output.status.success() && String::from_utf8_lossy(&output.stdout).trim() == interpreter.version
            })
    }
}

fn run(mut command: Command, name: &str) -> Result<(), String> {
    // The output of the task is that of the program it runs.
    let status = command.stdout(io::stderr()).status();
    let status = status.map_err(|error| format!("cannot run {name}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{name} failed ({status})")) }
}

/// Removes the environments that have not been used for long, and half-made ones. The caller holds the lock.
fn remove_unused(directory: &Path, now: SystemTime) {
    for entry in fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok) {
        let is_environment = entry.file_name().to_string_lossy().starts_with("venv-") && entry.path().is_dir();
        let used = fs::metadata(entry.path().join(COMPLETE)).and_then(|found| found.modified());
        let is_unused = used.map_or(true, |used| now.duration_since(used).is_ok_and(|age| age > UNUSED));
        if is_environment && is_unused {
            // The next task removes what cannot be removed now.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Returns a short hash of texts, for the name of a directory.
pub(super) fn short_hash(texts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update(text.len().to_le_bytes());
        hasher.update(text);
    }
    format!("{:x}", hasher.finalize())[..12].to_owned()
}

/// Returns the directory in which a clone keeps what it builds for Python. Clones may share a target directory.
pub(crate) fn clone_directory(paths: &Paths) -> PathBuf {
    paths.python().join(format!("clone-{}", short_hash(&[&path_text(&paths.root)])))
}

fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_depend_on_every_text_and_its_bounds() {
        let hash = short_hash(&["ab", "c"]);
        assert_eq!(hash.len(), 12);
        for other in [["a", "bc"], ["ab", "d"], ["abc", ""]] {
            assert_ne!(short_hash(&other), hash);
        }
    }

    #[test]
    fn only_unused_and_half_made_environments_are_removed() {
        let directory = std::env::temp_dir().join(format!("xtask-venvs-{}", std::process::id()));
        for name in ["venv-complete", "venv-half", "clone-1"] {
            fs::create_dir_all(directory.join(name)).unwrap();
        }
        fs::write(directory.join("venv-complete").join(COMPLETE), "").unwrap();
        fs::write(directory.join("venv.lock"), "").unwrap();
        let left = || {
            let mut names: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        remove_unused(&directory, SystemTime::now());
        assert_eq!(left(), ["clone-1", "venv-complete", "venv.lock"]);
        remove_unused(&directory, SystemTime::now() + UNUSED + Duration::from_secs(60));
        assert_eq!(left(), ["clone-1", "venv.lock"]);
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn clones_with_one_target_directory_have_directories_of_their_own() {
        let clone = |root: &str| Paths { root: PathBuf::from(root), target: PathBuf::from("t") };
        let (first, second) = (clone_directory(&clone("/first")), clone_directory(&clone("/second")));
        assert_ne!(first, second);
        assert!(first.starts_with("t/python"), "{}", first.display());
    }
}
