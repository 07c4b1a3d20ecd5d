//! Measures `mp fetch profiles` from outside: whole processes of the release build against a simulator of their own.
//!
//! - [`scenario`]: what is fetched, and how long the waiting alone takes;
//! - [`fetches`]: runs it, in [`room`], with [`process`] and [`usage`] looking at what it takes;
//! - [`alone`]: what it is compared with, DuckDB alone and the load alone;
//! - [`startup`]: what `mp` needs before it does anything;
//! - [`micro`]: single steps;
//! - [`report`]: everything in tables, [`targets`] first; [`page`] and [`plot`] put it into the documentation.

mod alone;
mod fetches;
mod machine;
mod micro;
mod options;
mod page;
mod plot;
mod process;
mod report;
mod room;
mod run;
mod scenario;
mod startup;
mod table;
mod targets;
mod usage;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use crate::cargo::Cargo;
use crate::failure::Failure;
use crate::places::Places;

pub(crate) use options::Wanted;

use alone::Alone;
use fetches::Fetches;
use machine::{Machine, load_average};
use options::Page;
use report::Results;
use room::Room;
use scenario::{Extent, Scenario};

/// The package of what is measured with, and its program that runs DuckDB alone.
const PACKAGE: &str = "mixpanel-bench";
const DUCKDB_ALONE: &str = "duckdb-alone";

/// Builds the programs, measures everything, prints the tables and, if that is wanted, writes the page.
pub(crate) fn bench(cargo: &Cargo<'_>, places: &Places, wanted: &Wanted) -> Result<ExitCode, Failure> {
    if wanted.page == Page::Write {
        page::check(&places.root)?;
    }
    let room = Room::enter(places)?;
    let programs = Programs::find(cargo, &places.root, wanted.built.as_deref())?;
    let has_steps = wanted.extent == Extent::Full && programs.can_be_built;
    if has_steps {
        micro::build(cargo)?;
    }
    let fetches = Fetches { cargo, mp: programs.mp, folder: &room.folder };
    let machine = Machine::look(&places.root);
    let (begun, load_before) = (Instant::now(), load_average());
    let results = measure(&fetches, programs.duckdb, wanted.extent)?;
    let load = load_before.zip(load_average());
    let mut tables = results.tables();
    for table in &tables {
        println!("{}", table.text());
    }
    if has_steps {
        let steps = micro::measure(cargo)?;
        println!("{}", steps.text());
        tables.push(steps);
    }
    let seconds = begun.elapsed().as_secs();
    let mut lines =
        vec![format!("`{}`, {} min {} s once built.", wanted.command(), seconds / 60, seconds % 60), machine.line()];
    lines.push(method(wanted.extent, load));
    lines.push(wanted.extent.left_out());
    lines.extend(results.speedups());
    for line in &lines {
        println!("{line}");
    }
    if wanted.page == Page::Write {
        page::write(&places.root, &lines, &tables, &results.bars())?;
        eprintln!("bench: {} is written", page::PAGE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Says how the numbers came about.
fn method(extent: Extent, load: Option<(String, String)>) -> String {
    let runs = match extent.repeats() {
        1 => "One run each".to_owned(),
        n => format!("The median of {n} runs unless the table says 1, and the greatest of their peaks"),
    };
    let load =
        load.map_or_else(String::new, |(before, after)| format!("; load average {before} before, {after} after"));
    format!("{runs}{load}.")
}

/// The programs that are run.
struct Programs {
    mp: PathBuf,
    duckdb: Option<PathBuf>,
    /// Whether the benches of single steps are here, and may be built.
    can_be_built: bool,
}

impl Programs {
    /// Takes them from a folder, or builds them.
    fn find(cargo: &Cargo<'_>, root: &Path, built: Option<&Path>) -> Result<Self, Failure> {
        let programs = match built {
            Some(folder) => {
                let named = |name| folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
                let find = |name| Some(named(name)).filter(|program| program.is_file());
                let mp = find("mp").ok_or_else(|| {
                    Failure::new(format!("there is no mp in {}", folder.display()))
                        .way_out("leave --built out to have it built")
                })?;
                Self { mp: absolute(mp)?, duckdb: find(DUCKDB_ALONE).map(absolute).transpose()?, can_be_built: false }
            }
            None => {
                let can_be_built = root.join("crates").join(PACKAGE).is_dir();
                let duckdb = can_be_built.then(|| cargo.release(PACKAGE, DUCKDB_ALONE)).transpose()?;
                Self { mp: cargo.release("mp", "mp")?, duckdb, can_be_built }
            }
        };
        if programs.duckdb.is_none() {
            eprintln!("bench: there is no {DUCKDB_ALONE}, so nothing is compared with DuckDB alone");
        }
        Ok(programs)
    }
}

/// Programs are run in other folders than this one.
fn absolute(program: PathBuf) -> Result<PathBuf, Failure> {
    std::path::absolute(&program)
        .map_err(|error| Failure::new(format!("{} cannot be found: {error}", program.display())))
}

fn measure(fetches: &Fetches<'_>, duckdb: Option<PathBuf>, extent: Extent) -> Result<Results, Failure> {
    let mut results = Results { version: startup::version(fetches)?, ..Results::default() };
    let alone = Alone { fetches, duckdb, start: results.version };
    for profiles in extent.sizes() {
        results.loads.push(alone.measure(profiles, extent.repeats())?);
    }
    for scenario in extent.scenarios() {
        results.fetches.push(fetches.measure(scenario, extent.runs(&scenario), &[])?);
        if scenario == Scenario::million() {
            // Its database is still there.
            results.query = Some(startup::query(fetches, &fetches.database(), alone.duckdb.as_deref())?);
            results.limited = startup::limited(fetches, extent.repeats())?;
        }
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_method_names_the_load_where_it_is_known() {
        let text = method(Extent::Full, Some(("0.50".to_owned(), "1.75".to_owned())));
        assert!(text.contains("The median of 3") && text.contains("0.50 before, 1.75 after"), "{text}");
        assert_eq!(method(Extent::Quick, None), "One run each.");
    }

    #[test]
    fn a_folder_without_the_program_is_refused_by_name() {
        let places = Places { root: PathBuf::new(), target: PathBuf::new() };
        let cargo = Cargo::new(&places, &crate::engine::Engine::FromSource).unwrap();
        let Err(failure) = Programs::find(&cargo, &places.root, Some(Path::new("no-such-folder"))) else {
            panic!("there is no such folder");
        };
        assert!(failure.to_string().contains("no-such-folder"), "{failure}");
    }
}
