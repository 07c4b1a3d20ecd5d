//! Runs `mp` against a simulator, in separate directories.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::results::Measured;
use super::run::{self, Run, Runs, cpu_of};
use super::scenario::{PARALLEL, Scenario, grouped};
use super::simulator::{Simulator, forget_settings};
use crate::cargo::Cargo;
use crate::failure::Failure;

/// The number of runs of `mp --version` and of the query.
const STARTS: usize = 20;
const QUERIES: usize = 5;

/// The option that limits memory, with the limit to test.
pub(super) const MEMORY: [&str; 2] = ["--memory", "256MB"];

/// Grows the database of a million profiles to about 1 GB.
const GROW: [&str; 3] =
    ["CREATE TABLE again AS FROM profiles", "CREATE TABLE once_more AS FROM profiles", "CHECKPOINT"];

/// Runs `mp` for the benchmarks.
pub(super) struct Fetches<'a> {
    pub(super) cargo: &'a Cargo<'a>,
    pub(super) mp: PathBuf,
    /// The directory for everything that the benchmark writes.
    pub(super) directory: &'a Path,
}

impl Fetches<'_> {
    /// Runs a scenario `count` times, with extra options for `mp fetch profiles`. Leaves the database of the last run
    /// at [`Self::database`].
    pub(super) fn measure(&self, scenario: Scenario, count: usize, options: &[&str]) -> Result<Measured, Failure> {
        let simulator = self.simulator(&scenario.server())?;
        let what = format!("{scenario} {}", options.join(" "));
        let runs = Runs::of(what.trim_end(), count, || self.run(&simulator, &scenario, options))?;
        Ok(Measured { scenario, runs })
    }

    /// Fetches into a new database, and counts its rows.
    fn run(&self, simulator: &Simulator, scenario: &Scenario, options: &[&str]) -> Result<Run, Failure> {
        let database = self.database();
        make_empty(&self.directory.join("fetch"))?;
        let mut command = self.fetch(simulator, &database);
        command.arg("--quiet").args(options);
        if scenario.workers == PARALLEL {
            command.arg("--parallel");
        }
        let simulator_used = || simulator.pid().and_then(cpu_of);
        let before = simulator_used();
        let (run, _) = run::timed(command, 0)?;
        let simulator_cpu = before.zip(simulator_used()).map(|(before, after)| after.saturating_sub(before));
        self.check_count(simulator, &database, scenario.profiles)?;
        Ok(Run { simulator_cpu, database: size(&database)?, ..run })
    }

    /// Returns the median time of `mp --version`.
    pub(super) fn version(&self) -> Result<Duration, Failure> {
        run::median(STARTS, || {
            let mut command = self.bare(self.directory);
            command.arg("--version");
            command
        })
    }

    /// Measures `select 1` on the database of a million profiles, after `duckdb-alone` has enlarged it. Returns the
    /// median time and the size of the database in bytes.
    pub(super) fn query(&self, duckdb: Option<&Path>) -> Result<(Duration, u64), Failure> {
        let database = self.database();
        if let Some(program) = duckdb {
            let mut command = self.cargo.linked(program);
            command.arg(&database).args(GROW).stdin(Stdio::null());
            run::quick(command)?;
        }
        let median = run::median(QUERIES, || {
            let mut command = self.bare(self.directory);
            command.arg("--db").arg(&database).args(["query", "sql", "select 1"]);
            command
        })?;
        Ok((median, size(&database)?))
    }

    /// Returns the path of the database to fetch into.
    fn database(&self) -> PathBuf {
        self.directory.join("fetch/x.db")
    }

    /// Starts a simulator.
    pub(super) fn simulator(&self, options: &[String]) -> Result<Simulator, Failure> {
        Simulator::start(self.cargo, &self.mp, options, self.directory)
    }

    /// Returns an `mp fetch profiles` command for this database, to which the caller can add options.
    pub(super) fn fetch(&self, simulator: &Simulator, database: &Path) -> Command {
        let mut command = self.mp(simulator, database);
        command.args(["fetch", "profiles", "--no-progress"]);
        command
    }

    /// Fails unless the table has the expected number of profiles.
    pub(super) fn check_count(&self, simulator: &Simulator, database: &Path, expected: u64) -> Result<(), Failure> {
        let mut command = self.mp(simulator, database);
        command.args(["query", "sql", "select count(*) from profiles", "--scalar", "-f", "plain"]);
        let (_, printed) = run::quick(command)?;
        if printed.trim().parse() == Ok(expected) {
            return Ok(());
        }
        let problem = format!("the table should have {} profiles, but mp counts {}", grouped(expected), printed.trim());
        Err(Failure::new(problem).hint("the result is wrong; find the bug with `cargo xtask check`"))
    }

    /// Returns an `mp` command that uses this simulator and this database.
    ///
    /// The home directory is that of the database, which hides the caller's accounts and gives every run a new quota
    /// ledger.
    pub(super) fn mp(&self, simulator: &Simulator, database: &Path) -> Command {
        let mut command = self.bare(database.parent().unwrap_or(self.directory));
        simulator.point(&mut command);
        command.arg("--db").arg(database);
        command
    }

    /// Returns an `mp` command with this home directory and no account.
    fn bare(&self, home: &Path) -> Command {
        let mut command = self.cargo.linked(&self.mp);
        forget_settings(&mut command);
        command.env("HOME", home).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// Returns the size of the database in bytes, including its write-ahead log.
pub(super) fn size(database: &Path) -> Result<u64, Failure> {
    let length = |file: &Path| match fs::metadata(file) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(Failure::new(format!("cannot read {}: {error}", file.display()))),
    };
    Ok(length(database)? + length(&database.with_extension("db.wal"))?)
}

/// Creates an empty directory, removing any previous contents.
pub(super) fn make_empty(directory: &Path) -> Result<(), Failure> {
    remove(directory)?;
    fs::create_dir_all(directory)
        .map_err(|error| Failure::new(format!("cannot create {}: {error}", directory.display())))
}

/// Removes a directory with all its contents, if it exists.
pub(super) fn remove(directory: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Failure::new(format!("cannot remove {}: {error}", directory.display())).hint("remove it by hand"))
        }
        _ => Ok(()),
    }
}
