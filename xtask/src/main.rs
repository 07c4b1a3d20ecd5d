//! Project tasks, such as `cargo xtask demo`, `cargo xtask check` and `cargo xtask prove`.
//!
//! The purpose of xtask is to avoid compiling DuckDB. [`engine`] finds or fetches a prebuilt library, and [`cargo`]
//! runs cargo with the environment to link against it. The tasks are thin wrappers around the two; only [`bench`],
//! [`prove`], [`python`] and [`wheel`] also run the resulting programs. Messages go to stderr; stdout is left to the command that is run.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "xtask is a terminal program")]

mod args;
mod bench;
mod cache;
mod cargo;
mod cargo_environment;
mod check;
mod duckdb_download;
mod engine;
mod failure;
mod npm;
mod paths;
mod platform;
mod prove;
mod python;
mod recording;
mod steps;
mod wheel;
mod work_dir;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::args::{Task, UsageError};
use crate::cargo::Cargo;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::paths::Paths;
use crate::wheel::WheelEngine;

/// Exit code for invalid arguments.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let task = match args::parse(std::env::args_os().skip(1)) {
        Ok(task) => task,
        Err(UsageError(message)) => {
            eprintln!("error: {message}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match run(task) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode, Failure> {
    if task == Task::Help {
        print!("{}", args::HELP);
        return Ok(ExitCode::SUCCESS);
    }
    let places = Paths::find()?;
    let engine = match task {
        Task::Wheel(WheelEngine::Bundled) => Engine::FromSource,
        _ => engine::find(&places)?,
    };
    if task == Task::Engine {
        return print_engine(&engine);
    }
    let cargo = Cargo::new(&places, &engine)?;
    match task {
        Task::Demo(rest) => {
            let mut mp_args = vec![OsString::from("demo")];
            mp_args.extend(rest);
            cargo.become_mp(&mp_args)
        }
        Task::Mp(mp_args) => cargo.become_mp(&mp_args),
        Task::Check { proves, filter } => check::check(&cargo, proves, &filter),
        Task::Bench(wanted) => bench::bench(&cargo, &places, &wanted),
        Task::Prove(wanted) => prove::prove(&cargo, &places, &wanted),
        Task::Python(wanted) => python::python(&cargo, &places, &wanted),
        Task::Wheel(engine) => wheel::wheel(&cargo, &places, engine),
        Task::Recording => recording::record(&cargo, &places),
        Task::Test(test_args) => check::test(&cargo, &test_args),
        Task::Help | Task::Engine => unreachable!("answered above"),
    }
}

fn print_engine(engine: &Engine) -> Result<ExitCode, Failure> {
    match engine {
        Engine::Prebuilt(directory) => {
            println!("{}", directory.display());
            Ok(ExitCode::SUCCESS)
        }
        Engine::FromSource => Err(Failure::new("no prebuilt engine is available, so there is no directory to print")
            .hint("install npm, or point DUCKDB_LIB_DIR at a directory that contains the DuckDB 1.5.5 library")),
    }
}
