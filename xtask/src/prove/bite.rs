//! Checks that the simulation finds mutants: a test of the library activates them one at a time, and reports the seed
//! that finds each.

use super::World;
use super::build::library_tests;
use super::report::Report;
use super::simulation::run;

/// The test that activates the mutants.
const TEST: &str = "fetch::simulation::mutants_test::every_planted_defect_is_found";

/// Runs the part.
pub(super) fn prove(world: &World<'_>) -> Report {
    let tests = match library_tests(world.cargo, &world.places.root) {
        Ok(tests) => tests,
        Err(failure) => return Report::violated(failure.to_string()),
    };
    let mut command = world.cargo.linked(&tests);
    command.args(["--exact", TEST, "--nocapture"]).current_dir(world.places.root.join("crates/mixpanel-data"));
    let mut report = Report::default();
    let result = run(command).and_then(|simulated| match simulated.passed {
        true => Ok(()),
        false => Err("a planted defect is not found".to_owned()),
    });
    report.add(TEST, result);
    report
}
