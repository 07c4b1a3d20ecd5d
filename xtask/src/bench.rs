//! Benchmarks `mp fetch profiles` and `mp fetch events` end to end: whole processes of the release build against a local simulator.
//!
//! - [`scenario`]: the matrix of fetches, and the time each one spends waiting for the server;
//! - [`fetches`]: runs `mp` against the [`simulator`]; [`run`] measures each process;
//! - [`alone`]: the baselines, DuckDB alone and the load alone;
//! - [`events`]: fetches, refreshes and a funnel of events, as [`event_scenario`] describes them;
//! - [`micro`]: single steps;
//! - [`report`]: all results as tables, [`targets`] first; [`page`] writes them into the documentation.

mod alone;
mod event_scenario;
mod events;
mod fetches;
mod micro;
mod page;
mod report;
mod results;
mod run;
mod scenario;
mod simulator;
mod table;
mod targets;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use crate::cargo::Cargo;
use crate::failure::Failure;
use crate::paths::Paths;
use crate::work_dir::WorkDir;

use alone::Alone;
use fetches::{Fetches, MEMORY};
use results::Results;
use scenario::{Extent, MILLION, SIZES};
use table::Table;

pub(crate) use simulator::forget_settings;

/// The package of the benchmark programs, and the program in it that runs DuckDB alone.
const PACKAGE: &str = "mixpanel-bench";
const DUCKDB_ALONE: &str = "duckdb-alone";

/// The options of a benchmark run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// How much to measure.
    extent: Extent,
    /// Whether to write the results into `docs/performance.md`.
    write: bool,
    /// The directory of prebuilt programs; `None` to build them.
    built: Option<PathBuf>,
}

impl Wanted {
    /// Parses the arguments of `cargo xtask bench`.
    ///
    /// # Errors
    ///
    /// Returns a message for the user.
    pub(crate) fn read(args: &[OsString]) -> Result<Self, String> {
        let mut wanted = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.to_str() {
                Some("--quick") => wanted.extent = Extent::Quick,
                Some("--write") => wanted.write = true,
                Some("--built") => {
                    let directory = args.next().ok_or("--built needs the directory of a release build")?;
                    wanted.built = Some(PathBuf::from(directory));
                }
                _ => {
                    let stray = arg.to_string_lossy();
                    return Err(format!(
                        "unexpected argument `{stray}`; the bench task takes --quick, --write and --built DIRECTORY"
                    ));
                }
            }
        }
        Ok(wanted)
    }

    /// Returns the equivalent command line, for the page. It omits `--built`, whose path is specific to this machine.
    fn command(&self) -> String {
        let quick = if self.extent == Extent::Quick { " --quick" } else { "" };
        let write = if self.write { " --write" } else { "" };
        format!("cargo xtask bench{quick}{write}")
    }
}

/// Builds the programs, measures everything, prints the tables and, if requested, writes the page.
pub(crate) fn bench(cargo: &Cargo<'_>, places: &Paths, wanted: &Wanted) -> Result<ExitCode, Failure> {
    if wanted.write {
        // Check the page first: the measurements take many minutes.
        page::with(&places.root, "")?;
    }
    let directory = WorkDir::enter(places, "bench")?;
    let programs = Programs::find(cargo, wanted.built.as_deref())?;
    let has_steps = wanted.extent == Extent::Full && wanted.built.is_none();
    if has_steps {
        micro::build(cargo)?;
    }
    let fetches = Fetches { cargo, mp: programs.mp, directory: &directory.path };
    let (begun, load_before) = (Instant::now(), page::load_average());
    let results = measure(&fetches, programs.duckdb, wanted.extent)?;
    let load = load_before.zip(page::load_average());
    let mut tables = results.tables();
    if has_steps {
        tables.push(micro::measure(cargo)?);
    }
    let seconds = begun.elapsed().as_secs();
    let mut lines = vec![
        format!("`{}`, {} min {} s once built.", wanted.command(), seconds / 60, seconds % 60),
        page::circumstances(&places.root),
        method(wanted.extent, load),
        wanted.extent.left_out(),
    ];
    lines.extend(results.speedups());
    let lines: String = lines.iter().map(|line| format!("- {line}\n")).collect();
    let text = format!("{lines}\n{}", tables.iter().map(Table::markdown).collect::<Vec<_>>().join("\n"));
    print!("{text}");
    if wanted.write {
        page::write(&places.root, &text)?;
        eprintln!("bench: {} is written", page::PAGE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Describes the number of runs and the load average, for the page.
fn method(extent: Extent, load: Option<(String, String)>) -> String {
    let runs = match extent.repeats() {
        1 => "One run each".to_owned(),
        n => format!("The median of {n} runs unless the table says 1, and the greatest of their peaks"),
    };
    let load =
        load.map_or_else(String::new, |(before, after)| format!("; load average {before} before, {after} after"));
    format!("{runs}{load}.")
}

fn measure(fetches: &Fetches<'_>, duckdb: Option<PathBuf>, extent: Extent) -> Result<Results, Failure> {
    let mut results = Results { version: fetches.version()?, ..Results::default() };
    let alone = Alone { fetches, duckdb, start: results.version };
    for profiles in SIZES {
        results.loads.push(alone.measure(profiles, extent.repeats())?);
    }
    for scenario in extent.scenarios() {
        results.fetches.push(fetches.measure(scenario, extent.runs(&scenario), &[])?);
        if scenario == MILLION {
            // Query the database of the fetch before the next one replaces it.
            results.query = Some(fetches.query(alone.duckdb.as_deref())?);
            results.limited = Some(fetches.measure(scenario, extent.repeats(), &MEMORY)?);
        }
    }
    results.events = events::measure(&alone, extent)?;
    Ok(results)
}

/// The programs to run.
struct Programs {
    mp: PathBuf,
    duckdb: Option<PathBuf>,
}

impl Programs {
    /// Finds the programs in a directory, or builds them.
    fn find(cargo: &Cargo<'_>, built: Option<&Path>) -> Result<Self, Failure> {
        let Some(directory) = built else {
            return Ok(Self { mp: cargo.release("mp", "mp")?, duckdb: Some(cargo.release(PACKAGE, DUCKDB_ALONE)?) });
        };
        let find = |name| {
            let program = directory.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
            // Absolute, because the programs run in other working directories.
            std::path::absolute(program).ok().filter(|program| program.is_file())
        };
        let mp = find("mp").ok_or_else(|| {
            Failure::new(format!("there is no mp in {}", directory.display())).hint("omit --built to build it")
        })?;
        let duckdb = find(DUCKDB_ALONE);
        if duckdb.is_none() {
            eprintln!("bench: there is no {DUCKDB_ALONE}, so DuckDB alone is not measured");
        }
        Ok(Self { mp, duckdb })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Wanted, String> {
        Wanted::read(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_bench_command_line_round_trips() {
        let built = Some(PathBuf::from("elsewhere"));
        let expected = Wanted { extent: Extent::Quick, write: true, built };
        assert_eq!(read("--write --built elsewhere --quick"), Ok(expected));
        for line in ["", " --quick", " --write", " --quick --write"] {
            assert_eq!(read(line).unwrap().command(), format!("cargo xtask bench{line}"));
        }
        for (line, stray) in [("fast", "`fast`"), ("--quick twice", "`twice`"), ("--built", "needs the directory")] {
            let message = read(line).unwrap_err();
            assert!(message.contains(stray), "{message}");
        }
    }
}
