//! The baselines for the fetches: DuckDB alone loading the same profiles, and the load of `mp` without the fetch.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use super::fetches::{Fetches, make_empty, remove, size};
use super::results::Loads;
use super::run::{self, Run, Runs};
use super::scenario::{PAGE_SIZE, Scenario, grouped};
use super::simulator::Simulator;
use crate::failure::Failure;

/// The first statement of every load. `CREATE TABLE AS` would not return the number of rows.
const TABLE: &str = "CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)";

/// Loads the server's records from a JSONL file. `mp` also removes `$last_seen` from the properties; this SQL only
/// copies it.
const FROM_JSONL: [&str; 3] = [
    TABLE,
    r#"INSERT INTO profiles SELECT json->>'$."$distinct_id"', json->'$."$properties"',
       try_cast(json->>'$."$properties"."$last_seen"' AS TIMESTAMP)
       FROM read_json_objects('profiles.jsonl', format = 'newline_delimited')"#,
    "CHECKPOINT",
];

/// Loads the pages staged by `mp`, with the statement that `mp` uses.
const FROM_PAGES: [&str; 3] = [
    TABLE,
    "INSERT INTO profiles SELECT distinct_id, properties::JSON, last_seen FROM read_parquet('page-*.parquet')",
    "CHECKPOINT",
];

/// The exit code of a fetch with rejected credentials.
const EXIT_REFUSED: i32 = 2;
/// The exit code of a load with missing pages.
const EXIT_PARTIAL: i32 = 1;

/// Measures the baselines.
pub(super) struct Alone<'a> {
    pub(super) fetches: &'a Fetches<'a>,
    /// The program `duckdb-alone`, if it was built.
    pub(super) duckdb: Option<PathBuf>,
    /// The startup time of `mp`, which is not part of a load.
    pub(super) start: Duration,
}

impl Alone<'_> {
    /// Loads `profiles` profiles in each way, `count` times.
    pub(super) fn measure(&self, profiles: u64, count: usize) -> Result<Loads, Failure> {
        let duckdb = self.duckdb.as_deref();
        let jsonl = duckdb.map(|program| self.lines_alone(program, profiles, count)).transpose()?;
        let staged = profiles.next_multiple_of(PAGE_SIZE);
        let stage = Stage::make(self, staged)?;
        let what = format!("DuckDB alone, {} staged profiles", grouped(staged));
        let pages =
            duckdb.map(|program| Runs::of(&what, count, || self.by_duckdb(program, &FROM_PAGES, &stage.pages, staged)));
        let what = format!("mp alone, {} staged profiles", grouped(staged));
        let ours = Runs::of(&what, count, || self.by_mp(&stage, staged))?;
        for name in ["duckdb", "load", "staged"] {
            remove(&self.directory(name))?;
        }
        Ok(Loads { profiles, staged, jsonl, pages: pages.transpose()?, ours })
    }

    fn lines_alone(&self, program: &Path, profiles: u64, count: usize) -> Result<Runs, Failure> {
        let directory = self.directory("jsonl");
        make_empty(&directory)?;
        let simulator = self.fetches.simulator(&Scenario::typical(profiles, Duration::ZERO).server())?;
        let file = directory.join("profiles.jsonl");
        let cannot = |error| Failure::new(format!("cannot write {}: {error}", file.display()));
        let lines = File::create(&file).map_err(cannot)?;
        let mut command = self.fetches.fetch(&simulator, &directory.join("x.db"));
        command.args(["--quiet", "--parallel", "--stdout", "--raw"]).stdout(lines.try_clone().map_err(cannot)?);
        run::timed(command, 0)?;
        // Otherwise the kernel may still be writing the file to disk while DuckDB is measured.
        lines.sync_all().map_err(cannot)?;
        drop(simulator);
        let what = format!("DuckDB alone, {} profiles from JSONL", grouped(profiles));
        let runs = Runs::of(&what, count, || self.by_duckdb(program, &FROM_JSONL, &directory, profiles))?;
        remove(&directory)?;
        Ok(runs)
    }

    /// Runs SQL statements on a new database, with `directory` as the working directory.
    pub(super) fn by_duckdb(
        &self,
        program: &Path,
        sql: &[&str],
        directory: &Path,
        expected: u64,
    ) -> Result<Run, Failure> {
        let target = self.directory("duckdb");
        make_empty(&target)?;
        let database = target.join("x.db");
        let mut command = self.fetches.cargo.linked(program);
        command.current_dir(directory).arg(&database).args(sql);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (run, printed) = run::timed(command, 0)?;
        Ok(Run { wall: statements(&printed, expected)?, database: size(&database)?, ..run })
    }

    /// Loads a copy of the stage.
    fn by_mp(&self, stage: &Stage, expected: u64) -> Result<Run, Failure> {
        let directory = self.directory("load");
        remove(&directory)?;
        copy(&stage.directory, &directory)
            .map_err(|error| Failure::new(format!("cannot copy {}: {error}", stage.directory.display())))?;
        let database = directory.join("x.db");
        let mut command = self.fetches.mp(&stage.simulator, &database);
        command.args(["fetch", "resume", "--accept-partial", "--no-progress"]);
        let (run, _) = run::timed(command, EXIT_PARTIAL)?;
        self.fetches.check_count(&stage.simulator, &database, expected)?;
        Ok(Run { wall: run.wall.saturating_sub(self.start), database: size(&database)?, ..run })
    }

    fn directory(&self, name: &str) -> PathBuf {
        self.fetches.directory.join(name)
    }
}

/// The stage of a fetch whose last page request was rejected after all full pages were staged.
struct Stage {
    simulator: Simulator,
    directory: PathBuf,
    /// The directory of the pages.
    pages: PathBuf,
}

impl Stage {
    fn make(alone: &Alone<'_>, staged: u64) -> Result<Self, Failure> {
        let directory = alone.directory("staged");
        make_empty(&directory)?;
        let mut options = Scenario::typical(staged + 1, Duration::ZERO).server();
        let wanted = staged / PAGE_SIZE;
        options.extend(["--fault".to_owned(), format!("pages={wanted} status=401 times=always")]);
        let simulator = alone.fetches.simulator(&options)?;
        // The fetch is sequential, so all other pages are staged when the last one is requested.
        run::timed(alone.fetches.fetch(&simulator, &directory.join("x.db")), EXIT_REFUSED)?;
        // A stage has a directory for each run, which has one for each session.
        let newest = |path: PathBuf| entries(&path).into_iter().filter(|path| path.is_dir()).max().unwrap_or(path);
        let pages = newest(newest(directory.join("x.db.stage")));
        let found = entries(&pages).iter().filter(|path| is_page(path)).count() as u64;
        if found == wanted {
            return Ok(Self { simulator, directory, pages });
        }
        Err(Failure::new(format!("{} has {found} staged pages instead of {wanted}", pages.display()))
            .hint("if the layout of a stage has changed, update `Stage::make` in xtask/src/bench/alone.rs"))
    }
}

fn is_page(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str);
    name.is_some_and(|name| name.starts_with("page-") && name.ends_with(".parquet"))
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Copies a directory. Pages are never modified, so the copy shares them through hard links.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for path in entries(from) {
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &target)?;
        } else if is_page(&path) {
            fs::hard_link(&path, &target)?;
        } else {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

/// Returns the total time of the statements, one of which must report the expected number of rows.
fn statements(printed: &str, expected: u64) -> Result<Duration, Failure> {
    let unreadable = || {
        Failure::new(format!("duckdb-alone printed unexpected output: {}", printed.trim()))
            .hint("it must print {\"seconds\": 0.1, \"rows\": 1} for each statement")
    };
    let (mut seconds, mut rows) = (0.0, 0);
    for line in printed.lines() {
        let line: Value = serde_json::from_str(line).map_err(|_| unreadable())?;
        seconds += line["seconds"].as_f64().ok_or_else(unreadable)?;
        rows = rows.max(line["rows"].as_u64().ok_or_else(unreadable)?);
    }
    if rows == expected {
        return Duration::try_from_secs_f64(seconds).map_err(|_| unreadable());
    }
    let problem = format!("DuckDB alone should have loaded {} rows, but reports {}", grouped(expected), grouped(rows));
    Err(Failure::new(problem).hint("the result is wrong; check the statements in xtask/src/bench/alone.rs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statement_times_are_summed_and_row_counts_checked() {
        let printed =
            "{\"seconds\": 0.5, \"rows\": 0}\n{\"seconds\": 1.25, \"rows\": 7}\n{\"seconds\":0.25,\"rows\":0}\n";
        assert_eq!(statements(printed, 7).unwrap(), Duration::from_secs(2));
        assert!(statements(printed, 8).unwrap_err().to_string().contains("reports 7"));
        for printed in ["nonsense", "{\"rows\": 7}", "{\"seconds\": -1, \"rows\": 7}"] {
            assert!(statements(printed, 7).unwrap_err().to_string().contains("unexpected output"), "{printed}");
        }
    }

    #[test]
    fn load_time_is_scaled_to_the_scenario() {
        let ours = Runs(vec![Run { wall: Duration::from_millis(250), ..Run::default() }]);
        let loads = Loads { profiles: 24_600, staged: 25_000, jsonl: None, pages: None, ours };
        assert_eq!(loads.load(), Duration::from_millis(246));
    }
}
