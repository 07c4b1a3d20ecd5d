//! Parses the command line.

use std::ffi::OsString;

use crate::bench;
use crate::prove::Wanted;
use crate::python;
use crate::wheel::WheelEngine;

/// The output of `cargo xtask --help`.
pub(crate) const HELP: &str = "\
The project's tasks

Usage: cargo xtask <TASK> [ARGS]

Tasks:
  demo [ARGS]           Build mp and run `mp demo ARGS`
  check [--prove] [-- FILTERS]
                        Check format, lints, documentation, tests, doc tests, the Python package, licences and proof; stop
                        at the first failure. --prove runs all stress tests instead of a few, as CI does. FILTERS select
                        tests
  test [ARGS]           Run the tests, and without ARGS also the doc tests; ARGS go to cargo nextest or cargo test
  mp [ARGS]             Build mp and run `mp ARGS`
  bench [--quick] [--write] [--built DIRECTORY]
                        Build mp for release and compare its fetches from a simulator with the ideal time; 20 to 25
                        minutes once built. --quick measures only the scenarios with targets, in 4 to 7 minutes; --write
                        writes the results to docs/performance.md; --built uses the programs in DIRECTORY
  prove [--quick] [--seeds N] [PARTS]
                        Run the stress tests: simulation, kills, quota, disks, terminals, instructions, python, fuzz;
                        about 30 minutes once built. PARTS select some of them. --mutants shows which seed finds which mutant;
                        `prove instructions --update` records the current cost of a page
  python [--requirements FILE] [-- ARGS]
                        Build the native module of the Python package, and run pytest, mypy and stubtest in a virtual
                        environment that is kept in the target directory (40 seconds, once). ARGS go to pytest, which
                        then runs alone. --requirements installs the packages in python/FILE instead, and runs pytest.
                        PYTHON chooses the interpreter
  wheel [--bundled]     Build the wheel of the Python package into target/wheels, check it and install it into a fresh
                        environment. Without --bundled it uses the prebuilt DuckDB, for development on this machine;
                        --bundled compiles DuckDB into it (20 minutes to an hour on 2 cores)
  recording             Record `mp demo` in a terminal and write docs/demo.svg, which the README shows
  engine                Print the directory of the DuckDB engine; fetch it if necessary
  help                  Print this help

A prebuilt DuckDB is used if there is one: from DUCKDB_LIB_DIR if set, else from the npm package of DuckDB's Node.js
bindings, else from DuckDB's releases. It is kept in the target directory.
";

/// The task names, for the error about an unknown task.
const NAMES: &str = "demo, check, test, mp, bench, prove, python, wheel, recording, engine, help";

/// The task to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Print the help text.
    Help,
    /// Build `mp` and run `mp demo` with these arguments.
    Demo(Vec<OsString>),
    /// Build `mp` and run it with these arguments.
    Mp(Vec<OsString>),
    /// Run all checks required before a commit.
    Check {
        /// Whether to run all stress tests.
        proves: bool,
        /// Test name filters for the test runner; empty runs all tests.
        filter: Vec<OsString>,
    },
    /// Run the tests, passing these arguments to the test runner.
    Test(Vec<OsString>),
    /// Run the benchmarks.
    Bench(bench::Wanted),
    /// Run the stress tests.
    Prove(Wanted),
    /// Test the Python package.
    Python(python::Wanted),
    /// Build a wheel with this engine.
    Wheel(WheelEngine),
    /// Record the demo for the README.
    Recording,
    /// Print the directory of the DuckDB library.
    Engine,
}

/// An error for an invalid command line, with the message for the user.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UsageError(pub(crate) String);

/// Parses the arguments that follow `cargo xtask`.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Task, UsageError> {
    let mut args = args.into_iter();
    let Some(name) = args.next() else { return Ok(Task::Help) };
    let rest: Vec<OsString> = args.collect();
    match name.to_str() {
        Some("help" | "--help" | "-h") => Ok(Task::Help),
        Some("demo") => Ok(Task::Demo(rest)),
        Some("mp") => Ok(Task::Mp(rest)),
        Some("test") => Ok(Task::Test(rest)),
        Some("check") => check(rest),
        Some("python") => python::Wanted::read(&rest).map(Task::Python).map_err(UsageError),
        Some("wheel") => wheel(&rest),
        Some("bench") => bench::Wanted::read(&rest).map(Task::Bench).map_err(UsageError),
        Some("prove") => Wanted::read(&rest).map(Task::Prove).map_err(UsageError),
        Some("engine") if rest.is_empty() => Ok(Task::Engine),
        Some("recording") if rest.is_empty() => Ok(Task::Recording),
        Some(name @ ("engine" | "recording")) => Err(UsageError(format!("the {name} task takes no arguments"))),
        _ => Err(UsageError(format!("unknown task `{}`; the tasks are {NAMES}", name.to_string_lossy()))),
    }
}

fn check(mut rest: Vec<OsString>) -> Result<Task, UsageError> {
    let proves = rest.first().is_some_and(|first| first == "--prove");
    if proves {
        rest.remove(0);
    }
    if rest.first().is_some_and(|first| first != "--") {
        let stray = rest[0].to_string_lossy();
        return Err(UsageError(format!("unexpected argument `{stray}`; try: cargo xtask check -- {stray}")));
    }
    if !rest.is_empty() {
        rest.remove(0);
    }
    if proves && !rest.is_empty() {
        return Err(UsageError("--prove runs all tests, so it takes no FILTERS".to_owned()));
    }
    Ok(Task::Check { proves, filter: rest })
}

fn wheel(rest: &[OsString]) -> Result<Task, UsageError> {
    match rest {
        [] => Ok(Task::Wheel(WheelEngine::Linked)),
        [option] if option == "--bundled" => Ok(Task::Wheel(WheelEngine::Bundled)),
        _ => Err(UsageError("the wheel task takes only --bundled".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn parse_line(line: &str) -> Result<Task, UsageError> {
        parse(words(line))
    }

    fn complaint(line: &str) -> String {
        parse_line(line).unwrap_err().0
    }

    #[test]
    fn arguments_for_other_programs_are_passed_through() {
        assert_eq!(parse_line("demo --profiles 5000 --help"), Ok(Task::Demo(words("--profiles 5000 --help"))));
        assert_eq!(parse_line("mp auth test"), Ok(Task::Mp(words("auth test"))));
        assert_eq!(parse_line("test -p xtask -- args"), Ok(Task::Test(words("-p xtask -- args"))));
    }

    #[test]
    fn check_takes_filters_behind_two_dashes_only() {
        for (line, proves, filter) in [
            ("check", false, ""),
            ("check --", false, ""),
            ("check -- quota retry", false, "quota retry"),
            ("check --prove", true, ""),
            ("check --prove --", true, ""),
        ] {
            assert_eq!(parse_line(line), Ok(Task::Check { proves, filter: words(filter) }), "{line}");
        }
        assert!(complaint("check --prove -- quota").contains("FILTERS"));
        let message = complaint("check quota");
        assert!(message.contains("cargo xtask check -- quota"), "{message}");
    }

    #[test]
    fn a_wheel_has_one_of_two_engines() {
        assert_eq!(parse_line("wheel"), Ok(Task::Wheel(WheelEngine::Linked)));
        assert_eq!(parse_line("wheel --bundled"), Ok(Task::Wheel(WheelEngine::Bundled)));
        for line in ["wheel --release", "wheel --bundled --bundled"] {
            assert!(complaint(line).contains("--bundled"), "{line}");
        }
    }

    #[test]
    fn an_unknown_task_lists_the_available_tasks() {
        for line in ["", "help", "--help", "-h"] {
            assert_eq!(parse_line(line), Ok(Task::Help), "{line}");
        }
        let message = complaint("chekc");
        assert!(message.contains("`chekc`"), "{message}");
        for name in message.rsplit("are ").next().unwrap().split(", ") {
            assert!(parse_line(name).is_ok(), "{name} is listed but not understood");
            assert!(HELP.contains(&format!("\n  {name} ")), "{name} is missing in the help text");
        }
    }
}
