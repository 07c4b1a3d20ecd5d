//! The library's own simulation, with many seeds.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};

use super::World;
use super::build::library_tests;
use super::report::Report;

/// Seeds in the long and in the quick form, with a simulated load.
const SEEDS: (u64, u64) = (20_000, 300);

/// Seeds with a load by DuckDB.
const DUCKDB_SEEDS: (u64, u64) = (1_500, 20);

/// The tests that read the seeds from the environment.
const TESTS: [&str; 2] =
    ["fetch::simulation::seeds_tests::seeds_hold", "fetch::simulation::seeds_tests::seeds_hold_with_duckdb"];

/// Seeds that failed once, and are now always run.
const KEPT_SEEDS: &str = "crates/mixpanel-data/src/fetch/simulation/seeds.txt";

/// Runs the part.
pub(super) fn prove(world: &World<'_>) -> Report {
    let length = world.wanted.length;
    let seeds = world.wanted.seeds.unwrap_or(length.pick(SEEDS.0, SEEDS.1));
    let duckdb_seeds = length.pick(DUCKDB_SEEDS.0, DUCKDB_SEEDS.1).min(seeds);
    let tests = match library_tests(world.cargo, &world.places.root) {
        Ok(tests) => tests,
        Err(failure) => return Report::violated(failure.to_string()),
    };
    let mut report = Report::default();
    for test in TESTS {
        let command = simulation(world, &tests, test, 0..seeds, 0..duckdb_seeds);
        match run(command) {
            Ok(simulated) => {
                if !simulated.passed {
                    report.add(test, Err(told(world, test, &simulated)));
                }
                report.counts.extend(simulated.counts);
            }
            Err(problem) => report.add(test, Err(problem)),
        }
    }
    report
}

/// Returns the command of a simulation test of the library with these seeds.
fn simulation(world: &World<'_>, tests: &Path, test: &str, seeds: Range<u64>, duckdb_seeds: Range<u64>) -> Command {
    let mut command = world.cargo.linked(tests);
    command.args(["--exact", test, "--nocapture"]).current_dir(world.places.root.join("crates/mixpanel-data"));
    command.env("MP_SIM_SEEDS", format!("{seeds:?}")).env("MP_SIM_DUCKDB_SEEDS", format!("{duckdb_seeds:?}"));
    command
}

/// The outcome of a simulation.
pub(super) struct Simulated {
    pub(super) passed: bool,
    /// The simulation's own summary of how much it did.
    counts: Option<String>,
    failing: Vec<u64>,
}

/// Runs a simulation.
pub(super) fn run(mut command: Command) -> Result<Simulated, String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("the library's tests cannot be run: {error}"))?;
    // The test runner prints to stdout, a panic to stderr; both may name a seed.
    let words = [output.stdout, output.stderr].map(|words| String::from_utf8_lossy(&words).into_owned()).concat();
    eprint!("{words}");
    let passed = output.status.success();
    if passed && !words.contains(" 1 passed;") {
        return Err("there is no such test in the library".to_owned());
    }
    let failing: BTreeSet<u64> = words.lines().filter_map(failing_seed).collect();
    let counts = words.lines().find_map(|line| line.strip_prefix("simulation: ").map(str::to_owned));
    Ok(Simulated { passed, counts, failing: failing.into_iter().collect() })
}

fn failing_seed(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once("failing seed: ")?;
    rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

/// Reports which seeds failed, and records them.
fn told(world: &World<'_>, test: &str, simulated: &Simulated) -> String {
    let failing = &simulated.failing;
    let (Some(first), true) = (failing.first(), !failing.is_empty()) else {
        return "it failed without naming a seed".to_owned();
    };
    let kept = match keep(&world.places.root.join(KEPT_SEEDS), failing) {
        Ok(()) => format!("added to {KEPT_SEEDS}"),
        Err(error) => format!("could not be added to {KEPT_SEEDS}: {error}"),
    };
    let variable = if test.ends_with("duckdb") { "MP_SIM_DUCKDB_SEEDS" } else { "MP_SIM_SEEDS" };
    format!("seeds {failing:?} failed, {kept}; again with: {variable}={first}..{} cargo xtask test {test}", first + 1)
}

fn keep(file: &Path, seeds: &[u64]) -> std::io::Result<()> {
    let known = std::fs::read_to_string(file).unwrap_or_default();
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    for seed in seeds {
        if !known.lines().any(|line| line.trim() == seed.to_string()) {
            writeln!(file, "{seed}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_read_wherever_it_is_named() {
        assert_eq!(failing_seed("failing seed: 4711"), Some(4711));
        assert_eq!(failing_seed("thread panicked: failing seed: 12, after 7 faults"), Some(12));
        assert_eq!(failing_seed("simulation: 300 seeds"), None);
    }

    #[test]
    fn a_seed_is_kept_once() {
        let file = std::env::temp_dir().join(format!("xtask-seeds-{}", std::process::id()));
        keep(&file, &[3, 12]).unwrap();
        keep(&file, &[12, 1]).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "3\n12\n1\n");
        std::fs::remove_file(&file).unwrap();
    }
}
