//! Measures `mp fetch profiles` from outside: whole processes of the release build against a simulator of their own.

mod scenario;
mod table;
mod usage;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};
use std::time::Instant;

use crate::cargo::Cargo;
use crate::failure::Failure;
use crate::places::Places;
use crate::simulator::Simulator;

pub(crate) use scenario::Extent;

use scenario::{Mode, Scenario, grouped};
use table::{Measured, Run};
use usage::Watch;

/// Builds `mp`, runs every scenario and prints the table.
pub(crate) fn bench(cargo: &Cargo<'_>, places: &Places, extent: Extent) -> Result<ExitCode, Failure> {
    let room = Room::enter(places)?;
    let bench = Bench { cargo, mp: cargo.release_mp()?, folder: &room.folder };
    let load_before = load_average();
    let mut results = Vec::new();
    for scenario in extent.scenarios() {
        results.push(bench.measure(scenario, extent.runs())?);
    }
    let load = load_before.zip(load_average());
    print!("{}\n{}", table::table(&results), table::speedups(&results));
    println!("{}", circumstances(extent.runs(), load));
    Ok(ExitCode::SUCCESS)
}

/// Says what one must know in order to compare the numbers with others.
fn circumstances(runs: usize, load: Option<(String, String)>) -> String {
    let runs = match runs {
        1 => "one run each".to_owned(),
        n => format!("the median of {n} runs each, and the greatest of their peaks"),
    };
    let cores = std::thread::available_parallelism().map_or_else(|_| "?".to_owned(), |cores| cores.to_string());
    let load =
        load.map_or_else(String::new, |(before, after)| format!("; load average {before} before, {after} after"));
    format!("{runs}; processors: {cores}, shared with the simulator{load}")
}

/// The load average of the last minute, where there is one.
fn load_average() -> Option<String> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next().map(str::to_owned)
}

/// A folder for one bench at a time, empty at the start and removed at the end.
///
/// It is in the target folder and not where temporary files go: that is often memory, and staging waits for the disk.
#[derive(Debug)]
struct Room {
    _lock: File,
    folder: PathBuf,
}

impl Room {
    fn enter(places: &Places) -> Result<Self, Failure> {
        let parent = places.target.join("bench");
        let cannot = |error: io::Error| Failure::new(format!("cannot write to {}: {error}", parent.display()));
        fs::create_dir_all(&parent).map_err(cannot)?;
        let lock = File::create(parent.join("lock")).map_err(cannot)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::new("another bench is running, and each would spoil the numbers of the other")
                    .way_out("wait until it has ended"));
            }
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
        let room = Self { _lock: lock, folder: parent.join("run") };
        // One that was killed may have left something.
        remove(&room.folder)?;
        fs::create_dir(&room.folder).map_err(cannot)?;
        Ok(room)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next bench.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn remove(folder: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Failure::new(format!("cannot remove {}: {error}", folder.display())).way_out("remove it by hand"))
        }
        _ => Ok(()),
    }
}

/// What every run needs.
struct Bench<'a> {
    cargo: &'a Cargo<'a>,
    mp: PathBuf,
    folder: &'a Path,
}

impl Bench<'_> {
    fn measure(&self, scenario: Scenario, count: usize) -> Result<Measured, Failure> {
        let simulator = Simulator::start(self.cargo, &self.mp, &scenario.server(), self.folder)?;
        let mut runs = Vec::new();
        for number in 1..=count {
            let run = self.run(&simulator, &scenario)?;
            eprintln!("bench: {scenario}: {:.2} s ({number} of {count})", run.wall.as_secs_f64());
            runs.push(run);
        }
        Ok(Measured { scenario, runs })
    }

    /// Fetches into a database that does not exist yet, and looks whether everybody is in it.
    fn run(&self, simulator: &Simulator, scenario: &Scenario) -> Result<Run, Failure> {
        let folder = self.folder.join("fetch");
        fs::create_dir(&folder).map_err(|error| Failure::new(format!("cannot make {}: {error}", folder.display())))?;
        let database = folder.join("x.db");
        let run = timed(self.fetch(simulator, scenario, &database))?;
        let counted = output(self.count(simulator, &database))?;
        check_count(&counted, scenario.profiles)?;
        let database = size(&database)?;
        remove(&folder)?;
        Ok(Run { database, ..run })
    }

    fn fetch(&self, simulator: &Simulator, scenario: &Scenario, database: &Path) -> Command {
        let mut command = self.mp(simulator, database);
        command.args(["fetch", "profiles", "--no-progress", "--quiet"]);
        if scenario.mode == Mode::Parallel {
            command.arg("--parallel");
        }
        command
    }

    fn count(&self, simulator: &Simulator, database: &Path) -> Command {
        let mut command = self.mp(simulator, database);
        command.args(["query", "sql", "select count(*) from profiles", "--scalar", "-f", "plain"]);
        command
    }

    fn mp(&self, simulator: &Simulator, database: &Path) -> Command {
        let mut command = self.cargo.linked(&self.mp);
        simulator.point(&mut command);
        // A home of its own keeps the accounts of whoever runs this out of it.
        command.env("HOME", self.folder).arg("--db").arg(database);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// Runs a command to its end and says what that took; the size of the database is not known here.
fn timed(mut command: Command) -> Result<Run, Failure> {
    let begun = Instant::now();
    let child = command.spawn().map_err(|error| cannot_run(&error))?;
    let watch = Watch::begin(child.id());
    let output = child.wait_with_output();
    let wall = begun.elapsed();
    let usage = watch.end();
    succeeded(output)?;
    Ok(Run { wall, usage, database: 0 })
}

/// Runs a command to its end and returns what it printed.
fn output(mut command: Command) -> Result<String, Failure> {
    let output = succeeded(command.output())?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn succeeded(output: io::Result<Output>) -> Result<Output, Failure> {
    let output = output.map_err(|error| cannot_run(&error))?;
    if output.status.success() {
        return Ok(output);
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("mp failed ({}): {}", output.status, words.trim()))
        .way_out("`cargo xtask demo` does the same at leisure; `cargo xtask check` may know more"))
}

fn cannot_run(error: &io::Error) -> Failure {
    Failure::new(format!("mp cannot be run: {error}")).way_out("try `cargo xtask mp --version`")
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
fn size(database: &Path) -> Result<u64, Failure> {
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

    #[test]
    fn one_bench_at_a_time_and_nothing_left_of_the_last() {
        let target = std::env::temp_dir().join(format!("xtask-bench-{}", std::process::id()));
        let places = Places { root: PathBuf::new(), target: target.clone() };
        let left_over = target.join("bench").join("run").join("old");
        fs::create_dir_all(&left_over).unwrap();
        let room = Room::enter(&places).unwrap();
        assert!(room.folder.is_dir() && !left_over.exists());
        assert!(Room::enter(&places).unwrap_err().to_string().contains("another bench"));
        drop(room);
        assert!(!target.join("bench").join("run").exists());
        assert!(Room::enter(&places).is_ok());
        fs::remove_dir_all(&target).unwrap();
    }

    #[test]
    fn the_circumstances_name_the_load_where_it_is_known() {
        let text = circumstances(3, Some(("0.50".to_owned(), "1.75".to_owned())));
        assert!(text.contains("median of 3") && text.contains("0.50 before, 1.75 after"), "{text}");
        assert!(!circumstances(1, None).contains("load"));
    }
}
