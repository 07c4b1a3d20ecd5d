//! The long proof: thousands of simulated faults, and the real program killed, starved of disk and interrupted.
//!
//! - [`simulation`]: the seeds of the library's own simulation;
//! - [`kills`]: SIGKILL at any moment and at named places, and again while going on;
//! - [`quota`]: the hourly limit over restarts and between processes;
//! - [`disks`], with [`injections`]: full and broken disks;
//! - [`terminals`]: signals, in every phase of a fetch;
//! - [`instructions`]: what parsing and staging a page costs;
//! - [`bite`]: defects planted on purpose, each of which the simulation has to find.
//!
//! What all of them need: [`build`] makes the program, [`home`] runs it, [`table`] and [`stage`] look at what it did,
//! [`traffic`] at what it asked for, [`report`] says what came of it.

mod bite;
mod build;
mod disks;
mod home;
mod injections;
mod instructions;
mod kills;
mod kills_cases;
mod options;
mod process;
mod quota;
mod random;
mod report;
mod simulation;
mod stage;
mod table;
mod terminal;
mod terminals;
mod traffic;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use crate::cargo::Cargo;
use crate::failure::Failure;
use crate::places::Places;

pub(crate) use options::{Part, Wanted};

use options::{Baseline, Length};
use report::{Report, Row};

/// What every part needs.
struct World<'a> {
    cargo: &'a Cargo<'a>,
    places: &'a Places,
    /// The program, with its kill points.
    mp: PathBuf,
    /// The library's own tests.
    library_tests: PathBuf,
    /// A folder for the parts to work in.
    folder: PathBuf,
    length: Length,
    /// How many seeds are simulated, if that was said.
    seeds: Option<u64>,
    /// What becomes of the counts that are compared with.
    baseline: Baseline,
}

/// Runs the parts that are wanted and prints what came of them.
pub(crate) fn prove(cargo: &Cargo<'_>, places: &Places, wanted: &Wanted) -> Result<ExitCode, Failure> {
    let room = Room::enter(places)?;
    let built = build::build(cargo, &places.root)?;
    let mp = room.folder.join("mp");
    fs::copy(&built.mp, &mp).map_err(|error| Failure::new(format!("cannot copy {}: {error}", built.mp.display())))?;
    let world = World {
        cargo,
        places,
        mp,
        library_tests: built.library_tests,
        folder: room.folder.clone(),
        length: wanted.length,
        seeds: wanted.seeds,
        baseline: wanted.baseline,
    };
    let rows = run_all(&world, &wanted.parts);
    print!("{}", report::table(&rows));
    let violations: usize = rows.iter().map(|row| row.report.violations.len()).sum();
    if violations == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("prove: FAILED with {violations} violations; what they left is in {}", room.kept().display());
    Ok(ExitCode::FAILURE)
}

/// Runs the parts one after the other. In the short form the quota, which does nothing but wait, is beside the others.
fn run_all(world: &World<'_>, parts: &[Part]) -> Vec<Row> {
    let is_beside = |part: &Part| world.length == Length::Quick && *part == Part::Quota;
    std::thread::scope(|scope| {
        let beside: Vec<_> =
            parts.iter().filter(|part| is_beside(part)).map(|part| scope.spawn(|| run(world, *part))).collect();
        let mut rows: Vec<Row> = parts.iter().filter(|part| !is_beside(part)).map(|part| run(world, *part)).collect();
        rows.extend(beside.into_iter().map(|thread| thread.join().expect("a part reports and does not panic")));
        rows
    })
}

fn run(world: &World<'_>, part: Part) -> Row {
    eprintln!("==> prove {}", part.name());
    let begun = Instant::now();
    let report = report(world, part);
    let row = Row { name: part.name(), report, took: begun.elapsed() };
    eprintln!("==> prove {}: {}", part.name(), row.verdict());
    row
}

fn report(world: &World<'_>, part: Part) -> Report {
    match part {
        Part::Simulation => simulation::prove(world),
        Part::Kills => kills::prove(world),
        Part::Quota => quota::prove(world),
        Part::Disks => disks::prove(world).and(injections::prove(world)),
        Part::Terminals => terminals::prove(world),
        Part::Instructions => instructions::prove(world),
        Part::Bite => bite::prove(world),
    }
}

/// A folder for one proof at a time, empty at the start and removed at the end.
///
/// It is in the target folder and not where temporary files go: that is often memory, and staging waits for the disk.
struct Room {
    _lock: File,
    parent: PathBuf,
    folder: PathBuf,
}

impl Room {
    fn enter(places: &Places) -> Result<Self, Failure> {
        let parent = places.target.join("prove");
        let cannot = |error: io::Error| Failure::new(format!("cannot use {}: {error}", parent.display()));
        fs::create_dir_all(&parent).map_err(cannot)?;
        let lock = File::create(parent.join("lock")).map_err(cannot)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(
                    Failure::new("another proof is running with this target folder").way_out("wait until it has ended")
                );
            }
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
        let folder = parent.join("run");
        let room = Self { _lock: lock, parent: parent.clone(), folder };
        for left_over in [&room.folder, &room.kept()] {
            disks::unmount_below(left_over);
            match fs::remove_dir_all(left_over) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot(error)),
                _ => {}
            }
        }
        fs::create_dir(&room.folder).map_err(cannot)?;
        Ok(room)
    }

    /// Where the folders of violations stay.
    fn kept(&self) -> PathBuf {
        self.parent.join("violations")
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        disks::unmount_below(&self.folder);
        // What cannot be removed now is removed by the next proof.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
