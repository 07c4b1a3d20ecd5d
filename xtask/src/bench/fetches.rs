//! Runs `mp` against a simulator, in folders of its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::process::{self, Took};
use super::room;
use super::run::{Measured, Run, Runs};
use super::scenario::{Mode, Scenario, grouped};
use super::usage::cpu_of;
use crate::cargo::Cargo;
use crate::failure::Failure;
use crate::simulator::{Simulator, forget_settings};

/// What every run of `mp` needs.
pub(super) struct Fetches<'a> {
    pub(super) cargo: &'a Cargo<'a>,
    pub(super) mp: PathBuf,
    /// For everything that the bench writes.
    pub(super) folder: &'a Path,
}

impl Fetches<'_> {
    /// Runs a scenario so many times, with options of `mp fetch profiles` added. What the last run left stays at
    /// [`Self::database`].
    pub(super) fn measure(&self, scenario: Scenario, count: usize, options: &[&str]) -> Result<Measured, Failure> {
        let simulator = self.simulator(&scenario.server())?;
        let runs = Runs::of(count, |number| {
            let run = self.run(&simulator, &scenario, options)?;
            let with = if options.is_empty() { String::new() } else { format!(" with {}", options.join(" ")) };
            eprintln!("bench: {scenario}{with}: {:.2} s ({number} of {count})", run.wall.as_secs_f64());
            Ok(run)
        })?;
        Ok(Measured { scenario, runs })
    }

    /// Fetches into a database that does not exist yet, and looks whether everybody is in it.
    fn run(&self, simulator: &Simulator, scenario: &Scenario, options: &[&str]) -> Result<Run, Failure> {
        let database = self.database();
        room::empty(&self.fetched())?;
        let mut command = self.fetch(simulator, &database);
        command.arg("--quiet").args(options);
        if scenario.mode == Mode::Parallel {
            command.arg("--parallel");
        }
        let simulator_used = || simulator.pid().and_then(cpu_of);
        let before = simulator_used();
        let Took { wall, usage, .. } = process::timed(command, 0)?;
        let simulator_cpu = before.zip(simulator_used()).map(|(before, after)| after.saturating_sub(before));
        self.check_count(simulator, &database, scenario.profiles)?;
        Ok(Run { wall, usage, simulator_cpu, database: size(&database)? })
    }

    /// Where fetches put what they fetch.
    pub(super) fn database(&self) -> PathBuf {
        self.fetched().join("x.db")
    }

    fn fetched(&self) -> PathBuf {
        self.folder.join("fetch")
    }

    /// Starts a server.
    pub(super) fn simulator(&self, options: &[String]) -> Result<Simulator, Failure> {
        Simulator::start(self.cargo, &self.mp, options, self.folder)
    }

    /// A fetch into this database, to which options can be added.
    pub(super) fn fetch(&self, simulator: &Simulator, database: &Path) -> Command {
        let mut command = self.mp(simulator, database);
        command.args(["fetch", "profiles", "--no-progress"]);
        command
    }

    /// Fails if there are not as many profiles in the table as there should be.
    pub(super) fn check_count(&self, simulator: &Simulator, database: &Path, expected: u64) -> Result<(), Failure> {
        let mut command = self.mp(simulator, database);
        command.args(["query", "sql", "select count(*) from profiles", "--scalar", "-f", "plain"]);
        check_count(&process::quick(command)?.1, expected)
    }

    /// An `mp` that talks to this simulator and has this database.
    ///
    /// Its home is the database's folder: accounts of whoever runs this stay out of it, and no run has the quota of
    /// another.
    pub(super) fn mp(&self, simulator: &Simulator, database: &Path) -> Command {
        let mut command = self.bare(database.parent().unwrap_or(self.folder));
        simulator.point(&mut command);
        command.arg("--db").arg(database);
        command
    }

    /// An `mp` with this home and no account.
    pub(super) fn bare(&self, home: &Path) -> Command {
        let mut command = self.cargo.linked(&self.mp);
        forget_settings(&mut command);
        command.env("HOME", home).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// Compares the number that `mp query sql` printed with the one that the simulator serves.
fn check_count(printed: &str, expected: u64) -> Result<(), Failure> {
    if printed.trim().parse() == Ok(expected) {
        return Ok(());
    }
    let problem = format!("the table should have {} profiles, but mp counts: {}", grouped(expected), printed.trim());
    Err(Failure::new(problem).way_out("a wrong result has no speed; find the defect with `cargo xtask check`"))
}

/// The size of the database in bytes, with what is still in its write-ahead log.
pub(super) fn size(database: &Path) -> Result<u64, Failure> {
    let length = |file: &Path| match fs::metadata(file) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(Failure::new(format!("cannot look at {}: {error}", file.display()))),
    };
    Ok(length(database)? + length(&database.with_extension("db.wal"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_must_be_exact() {
        assert!(check_count("24600\n", 24_600).is_ok());
        for printed in ["24599\n", "", "error", "24600 24600"] {
            let failure = check_count(printed, 24_600).unwrap_err().to_string();
            assert!(failure.contains("24,600") && failure.contains("hint: "), "{failure}");
        }
    }
}
