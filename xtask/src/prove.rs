//! The stress tests: thousands of simulated faults, and the real program killed, starved of disk space and
//! interrupted.
//!
//! All are tests: of the library (the simulation) and of `mp`, in `crates/mp/tests/prove`. The nextest profile `prove`
//! selects them; this module adds the number of cases and what they need to run.

mod options;

use std::process::{Command, ExitCode};

use crate::cargo::{Cargo, KILL_POINTS, cannot_run, exit_code};
use crate::failure::Failure;
use crate::places::Places;
use crate::workplace::Workplace;

use options::Program;
pub(crate) use options::Wanted;

/// Runs the selected parts.
pub(crate) fn prove(cargo: &Cargo<'_>, places: &Places, wanted: &Wanted) -> Result<ExitCode, Failure> {
    let mut workplace = Workplace::enter(places, "prove")?;
    let commands = if cargo.has("nextest") { vec![nextest(cargo, wanted)] } else { cargo_test(cargo, wanted) };
    let mut failed = None;
    for mut command in commands {
        let (seeds, duckdb_seeds) = wanted.seeds();
        command
            .env("MP_SIM_SEEDS", format!("0..{seeds}"))
            .env("MP_SIM_DUCKDB_SEEDS", format!("0..{duckdb_seeds}"))
            .env("MP_PROVE", wanted.length.pick("long", "quick"))
            // Use the target directory: the temporary directory is often in memory, and staging waits for the disk.
            .env("TMPDIR", &workplace.path)
            .env("MP_TEST_KEEP", "1");
        if wanted.update {
            command.env("MP_PROVE_UPDATE", "1");
        }
        let status = command.status().map_err(|error| cannot_run(&error))?;
        failed = failed.or((!status.success()).then_some(status));
    }
    let Some(status) = failed else { return Ok(ExitCode::SUCCESS) };
    workplace.is_kept = true;
    eprintln!("prove: FAILED; what was left is in {}", workplace.path.display());
    Ok(exit_code(status))
}

/// Returns the command that runs the parts with nextest.
fn nextest(cargo: &Cargo<'_>, wanted: &Wanted) -> Command {
    let filters = wanted.parts.iter().map(|part| match part.program {
        Program::Library => format!("(package(mixpanel-data) and test(/^({})$/))", part.tests),
        Program::Mp => format!("(binary(prove) and test(/^({})::/))", part.tests),
    });
    let filter = filters.collect::<Vec<_>>().join(" or ");
    let mut command = cargo.building(&["nextest", "run", "--workspace", "--lib", "--test", "prove"]);
    command.args(KILL_POINTS).args(["--profile", "prove", "-E", &filter]);
    command
}

/// Returns the commands that run the parts without nextest, one for each program of tests.
fn cargo_test(cargo: &Cargo<'_>, wanted: &Wanted) -> Vec<Command> {
    let programs = [(Program::Library, ["--lib"].as_slice()), (Program::Mp, &["--test", "prove"])];
    let of = |(program, target): (Program, &[&str])| {
        let names: Vec<&str> =
            wanted.parts.iter().filter(|part| part.program == program).flat_map(|part| part.names()).collect();
        let mut command = cargo.building(&["test", "--workspace"]);
        command.args(target).args(KILL_POINTS).args(["--", "--nocapture", "--test-threads=1"]).args(&names);
        (!names.is_empty()).then_some(command)
    };
    programs.into_iter().filter_map(of).collect()
}
