//! The stress tests: thousands of simulated faults, and the real program killed, starved of disk space and
//! interrupted.
//!
//! There are two kinds. [`simulation`] runs the library's own simulation with many seeds, and [`bite`] checks that it
//! finds mutants. All others are tests of `mp`, in `crates/mp/tests/prove`, which are run here with the nextest
//! profile `prove`.

mod bite;
mod build;
mod options;
mod report;
mod simulation;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::cargo::{Cargo, KILL_POINTS, cannot_run};
use crate::failure::Failure;
use crate::places::Places;
use crate::workplace::Workplace;

pub(crate) use options::Wanted;

/// What the parts that are not tests need.
struct World<'a> {
    cargo: &'a Cargo<'a>,
    places: &'a Places,
    /// The working directory of the parts.
    folder: PathBuf,
    wanted: &'a Wanted,
}

/// Runs the selected parts and reports their outcome.
pub(crate) fn prove(cargo: &Cargo<'_>, places: &Places, wanted: &Wanted) -> Result<ExitCode, Failure> {
    let mut workplace = Workplace::enter(places, "prove")?;
    let world = World { cargo, places, folder: workplace.path.clone(), wanted };
    let mut failed = Vec::new();
    for part in wanted.parts.iter().filter(|part| part.tests.is_none()) {
        let (name, begun) = (part.name, Instant::now());
        eprintln!("==> prove {name}");
        let report = if name == "bite" { bite::prove(&world) } else { simulation::prove(&world) };
        println!("prove {name}: {} in {:.1} s", report.counts.join(", "), begun.elapsed().as_secs_f64());
        if !report.violations.is_empty() {
            failed.push(name);
        }
    }
    let tests: Vec<&str> = wanted.parts.iter().filter_map(|part| part.tests).collect();
    if !tests.is_empty() {
        let mut command = stress_tests(&world, &tests);
        if !command.status().map_err(|error| cannot_run(&error))?.success() {
            failed.push("stress tests");
        }
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    workplace.is_kept = true;
    eprintln!("prove: FAILED: {}; what was left is in {}", failed.join(", "), world.folder.display());
    Ok(ExitCode::FAILURE)
}

/// Returns the command that runs the tests of `mp` in these modules.
fn stress_tests(world: &World<'_>, modules: &[&str]) -> Command {
    let cargo = world.cargo;
    let mut command = if cargo.has("nextest") {
        let filter = format!("binary(prove) and test(/^({})::/)", modules.join("|"));
        let mut command = cargo.building(&["nextest", "run", "--workspace", "--test", "prove", "--profile", "prove"]);
        command.args(KILL_POINTS).args(["-E", &filter]);
        command
    } else {
        let mut command = cargo.building(&["test", "--workspace", "--test", "prove"]);
        command.args(KILL_POINTS).args(["--", "--nocapture", "--test-threads=1"]);
        command.args(modules.join("|").split('|').map(|module| format!("{module}::")));
        command
    };
    command.env("MP_PROVE", world.wanted.length.pick("long", "quick"));
    if world.wanted.update {
        command.env("MP_PROVE_UPDATE", "1");
    }
    // Use the target directory: the temporary directory is often in memory, and staging waits for the disk.
    command.env("TMPDIR", &world.folder).env("MP_TEST_KEEP", "1");
    command
}
