//! Does the simulation find anything? A test of the library plants defects, one after the other, and says which seed finds it.

use super::World;
use super::report::Report;
use super::simulation::run;

/// The test that plants them.
const TEST: &str = "fetch::simulation::mutants_test::every_planted_defect_is_found";

/// Runs the part.
pub(super) fn prove(world: &World<'_>) -> Report {
    let mut report = Report::default();
    let mut command = world.cargo.linked(&world.library_tests);
    command.args(["--exact", TEST, "--nocapture"]).current_dir(world.places.root.join("crates/mixpanel-data"));
    let result = match run(command) {
        Ok(simulated) if simulated.passed => Ok(()),
        Ok(_) => Err("a planted defect is not found".to_owned()),
        Err(problem) => Err(problem),
    };
    report.add(TEST, result);
    report
}
