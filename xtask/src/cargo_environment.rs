//! The cargo program to run, and its environment.

use std::env;
use std::ffi::{OsStr, OsString};
use std::process::Command;

use crate::paths::Paths;

/// Returns the cargo program that runs xtask, so that the toolchain stays the same.
pub(crate) fn program() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"))
}

/// Gives `command` the environment of a cargo process started from a shell.
///
/// `cargo run` sets environment variables that describe xtask. Some build scripts rerun when those change, so a cargo
/// that inherits them rebuilds what a cargo started from a shell has just built.
pub(crate) fn set_environment(command: &mut Command, places: &Paths) {
    for (name, _) in env::vars_os().filter(|(name, _)| describes_xtask(name)) {
        command.env_remove(name);
    }
    // Absolute, because the command may run in another working directory.
    command.env("CARGO_TARGET_DIR", &places.target);
    command.envs(PYO3);
    command.env_remove("PYO3_PYTHON");
}

/// The variables for PyO3, which are part of every build: a change of one rebuilds PyO3 and all that depends on it.
///
/// The module is not linked to a Python library, because the interpreter that loads it has the symbols. PyO3 does not
/// look for an interpreter, because the result would depend on PATH and the active virtual environment.
const PYO3: [(&str, &str); 2] = [("PYO3_BUILD_EXTENSION_MODULE", "1"), ("PYO3_NO_PYTHON", "1")];

fn describes_xtask(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| {
        name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_MANIFEST_")
            || matches!(name, "CARGO_BIN_NAME" | "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE" | "OUT_DIR")
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn every_cargo_builds_pyo3_in_the_same_way() {
        let mut command = Command::new("cargo");
        set_environment(&mut command, &Paths { root: PathBuf::from("r"), target: PathBuf::from("t") });
        let value = |name| command.get_envs().find(|(key, _)| *key == name).map(|(_, value)| value);
        assert_eq!(value("PYO3_BUILD_EXTENSION_MODULE"), Some(Some(OsStr::new("1"))));
        assert_eq!(value("PYO3_NO_PYTHON"), Some(Some(OsStr::new("1"))));
        assert_eq!(value("PYO3_PYTHON"), Some(None));
    }

    #[test]
    fn only_variables_describing_xtask_are_removed() {
        for name in ["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_CRATE_NAME"] {
            assert!(describes_xtask(OsStr::new(name)), "{name}");
        }
        for name in ["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_TERM_COLOR", "CARGO_INCREMENTAL", "CARGO", "PATH"] {
            assert!(!describes_xtask(OsStr::new(name)), "{name}");
        }
    }
}
