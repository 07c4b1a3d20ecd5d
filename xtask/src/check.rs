//! The tasks `check` and `test`.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use crate::cargo::{Cargo, KILL_POINTS};
use crate::failure::Failure;
use crate::python;
use crate::steps::{Action, Step, run_all};

/// Runs all checks. `proves` is whether these include all stress tests; `filter` selects tests by name.
pub(crate) fn check(cargo: &Cargo<'_>, proves: bool, filter: &[OsString]) -> Result<ExitCode, Failure> {
    let mut test_args = Vec::new();
    if !filter.is_empty() {
        // After `--`, both test runners accept any number of names.
        test_args.push(OsString::from("--"));
        test_args.extend_from_slice(filter);
    }
    let steps = vec![
        Step::run("format", cargo.plain(&["fmt", "--all", "--check"])),
        Step::run(
            "lints",
            with(cargo.building(&["clippy", "--workspace", "--all-targets"]), &["--", "-D", "warnings"]),
        ),
        Step::run("documentation", documentation(cargo)),
        Step::run("tests", tests(cargo, &test_args)),
        Step::run("doc tests", doc_tests(cargo)),
        Step::new("python", python(cargo, filter)),
        Step::new("licences", licences(cargo)),
        Step::new("proof", proof(cargo, proves, filter)),
    ];
    run_all("check", steps)
}

/// Runs only the tests, and the doc tests unless there are arguments.
pub(crate) fn test(cargo: &Cargo<'_>, test_args: &[OsString]) -> Result<ExitCode, Failure> {
    let mut steps = vec![Step::run("tests", tests(cargo, test_args))];
    if test_args.is_empty() {
        steps.push(Step::run("doc tests", doc_tests(cargo)));
    }
    run_all("test", steps)
}

fn with(mut command: Command, args: &[&str]) -> Command {
    command.args(args);
    command
}

fn documentation(cargo: &Cargo<'_>) -> Command {
    let mut command = cargo.building(&["doc", "--workspace", "--lib", "--no-deps"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    command
}

fn tests(cargo: &Cargo<'_>, test_args: &[OsString]) -> Command {
    let mut command = if cargo.has("nextest") {
        cargo.building(&["nextest", "run"])
    } else {
        with(cargo.building(&["test", "--tests"]), &["--no-fail-fast"])
    };
    if !names_a_package(test_args) {
        command.arg("--workspace").args(KILL_POINTS);
    }
    command.args(test_args);
    command
}

/// Returns the command for the doc tests. It uses the same features as the tests, so that nothing is built twice.
fn doc_tests(cargo: &Cargo<'_>) -> Command {
    with(cargo.building(&["test", "--workspace", "--doc"]), &KILL_POINTS)
}

/// Returns the command for the stress tests: all, or the quick ones without the simulation, of which the tests already
/// run some seeds.
fn proof(cargo: &Cargo<'_>, proves: bool, filter: &[OsString]) -> Action {
    match (proves, filter) {
        (true, _) => Action::Run(cargo.plain(&["xtask", "prove"])),
        (false, []) => Action::Run(cargo.plain(&["xtask", "prove", "--quick", "kills", "quota", "disks", "terminals"])),
        (false, _) => Action::Skip("only some tests were chosen".to_owned()),
    }
}

/// Returns the command for the checks of the Python package.
fn python(cargo: &Cargo<'_>, filter: &[OsString]) -> Action {
    if !filter.is_empty() {
        return Action::Skip("only some tests were chosen".to_owned());
    }
    match python::find() {
        Ok(_) => Action::Run(cargo.plain(&["xtask", "python"])),
        Err(reason) => Action::Skip(reason.to_string()),
    }
}

/// Returns whether the caller has selected packages, so that `--workspace` must not be added.
fn names_a_package(test_args: &[OsString]) -> bool {
    let options = test_args.iter().filter_map(|arg| arg.to_str()).take_while(|arg| *arg != "--");
    options.into_iter().any(|arg| {
        arg == "--package" || arg.starts_with("--package=") || (arg.starts_with("-p") && !arg.starts_with("--"))
    })
}

fn licences(cargo: &Cargo<'_>) -> Action {
    if cargo.has("deny") {
        Action::Run(cargo.plain(&[
            "deny",
            "--locked",
            "check",
            "--hide-inclusion-graph",
            "licenses",
            "bans",
            "sources",
        ]))
    } else {
        Action::Skip("cargo-deny is not installed (cargo install cargo-deny)".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_options_are_distinguished_from_filters() {
        let named = |line: &str| names_a_package(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>());
        assert!(["-p xtask", "quota --package xtask", "--package=xtask", "-pxtask"].into_iter().all(named));
        assert!(!["", "page --no-capture --profile ci", "-- -p"].into_iter().any(named));
    }
}
