//! The library's own simulation, with many seeds.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};

use super::World;
use super::report::Report;

/// Seeds in the long and in the short form, where the load is computed.
const SEEDS: (u64, u64) = (20_000, 300);

/// Seeds where DuckDB does the load.
const DUCKDB_SEEDS: (u64, u64) = (1_500, 20);

/// The tests that read the seeds from the environment.
const TESTS: [&str; 2] =
    ["fetch::simulation::seeds_tests::seeds_hold", "fetch::simulation::seeds_tests::seeds_hold_with_duckdb"];

/// Seeds that failed once, and are tried for ever.
const KEPT_SEEDS: &str = "crates/mixpanel-data/src/fetch/simulation/seeds.txt";

/// Runs the part.
pub(super) fn prove(world: &World<'_>) -> Report {
    let seeds = world.seeds.unwrap_or(world.length.pick(SEEDS.0, SEEDS.1));
    let duckdb_seeds = world.length.pick(DUCKDB_SEEDS.0, DUCKDB_SEEDS.1).min(seeds);
    let mut report = Report::default();
    for test in TESTS {
        let command = simulation(world, &world.library_tests, test, 0..seeds, 0..duckdb_seeds);
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

/// A test of the library's simulation with these seeds.
fn simulation(world: &World<'_>, tests: &Path, test: &str, seeds: Range<u64>, duckdb_seeds: Range<u64>) -> Command {
    let mut command = world.cargo.linked(tests);
    command.args(["--exact", test, "--nocapture"]).current_dir(world.places.root.join("crates/mixpanel-data"));
    command.env("MP_SIM_SEEDS", format!("{seeds:?}")).env("MP_SIM_DUCKDB_SEEDS", format!("{duckdb_seeds:?}"));
    command
}

/// What a simulation came to.
pub(super) struct Simulated {
    pub(super) passed: bool,
    /// Its own words about how much it did.
    counts: Option<String>,
    failing: Vec<u64>,
}

/// Runs a simulation.
pub(super) fn run(mut command: Command) -> Result<Simulated, String> {
    // The test runner's own words go to stdout, those of a panic to stderr; both may name a seed.
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("the library's tests cannot be run: {error}"))?;
    let (out, err) = (child.stdout.take().expect("a pipe"), child.stderr.take().expect("a pipe"));
    let reader = std::thread::spawn(move || lines(err));
    let mut words = lines(out);
    words.extend(reader.join().unwrap_or_default());
    let status = child.wait().map_err(|error| format!("the library's tests cannot be waited for: {error}"))?;
    let mut failing: Vec<u64> = words.iter().filter_map(|line| failing_seed(line)).collect();
    failing.sort_unstable();
    failing.dedup();
    let counts = words.iter().find_map(|line| line.strip_prefix("simulation: ").map(str::to_owned));
    if status.success() && !words.iter().any(|line| line.contains(" 1 passed;")) {
        return Err("there is no such test in the library".to_owned());
    }
    Ok(Simulated { passed: status.success(), counts, failing })
}

fn lines(output: impl std::io::Read) -> Vec<String> {
    let lines = BufReader::new(output).lines().map_while(Result::ok);
    lines.inspect(|line| eprintln!("{line}")).collect()
}

fn failing_seed(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once("failing seed: ")?;
    rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

/// Says which seeds failed, and keeps them.
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
