//! The program is killed, as nothing can prevent, and gone on with.
//!
//! After every kill the table has to be the old one or the new one; a page that is staged must never be asked for again;
//! and in the end the table has to be the one that an undisturbed fetch makes.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::simulator::Simulator;

use super::World;
use super::home::{Home, TABLE, serve};
use super::kills_cases::{Case, Kill, Kind, Leaves, case};
use super::process::Ended;
use super::report::Report;
use super::table::Table;
use super::traffic::{self, Traffic};

/// Kills in the long and in the short form.
const KILLS: (u64, u64) = (300, 12);

/// Cases that are tried at the same time.
const WORKERS: u64 = 2;

/// A fetch of this takes about half a second: 24 pages, the last one of half the size.
pub(super) const SERVER: &str = "--quota off --profiles 2350 --page-size 100 --latency 15ms";

/// The profiles that are in the table before, where there is one.
const SOME: &str = r#"properties["plan"] == "enterprise""#;

/// What a fetch that nobody disturbs makes of each kind of table.
pub(super) struct Undisturbed {
    /// A database with the table before.
    pub(super) old_database: PathBuf,
    old: Table,
    new: Vec<(Kind, Table)>,
    takes: Duration,
}

impl Undisturbed {
    pub(super) fn before(&self, kind: Kind) -> Table {
        if kind == Kind::New { Table::Absent } else { self.old.clone() }
    }

    pub(super) fn after(&self, kind: Kind) -> &Table {
        let (_, table) = self.new.iter().find(|(found, _)| *found == kind).expect("every kind was fetched");
        table
    }

    /// The database that a fetch of this kind begins with.
    pub(super) fn database(&self, kind: Kind) -> Option<&PathBuf> {
        (kind != Kind::New).then_some(&self.old_database)
    }

    /// Fetches once for every kind, in folders that have this name.
    pub(super) fn fetch(world: &World<'_>, server: &Simulator, name: &str) -> Result<Self, String> {
        let home = Home::new(world, server, name)?;
        home.run(&["fetch", "profiles", "--parallel", "--where", SOME])?.exits(0)?;
        let old_database = home.folder.join("old.db");
        fs::copy(&home.database, &old_database).map_err(|error| format!("cannot copy a database: {error}"))?;
        let old = home.table()?;
        let (mut new, mut takes) = (Vec::new(), Duration::ZERO);
        for kind in Kind::ALL {
            let home = Home::new(world, server, &format!("{name}-{kind:?}"))?
                .with_database((kind != Kind::New).then_some(old_database.as_path()))?;
            let ended = home.run(&fetch(kind))?;
            ended.exits(0)?;
            takes = takes.max(ended.took);
            new.push((kind, home.table()?));
        }
        Ok(Self { old_database, old, new, takes })
    }
}

/// The arguments of a fetch.
pub(super) fn fetch(kind: Kind) -> Vec<&'static str> {
    ["fetch", "profiles", TABLE, "--parallel"].into_iter().chain(kind.option()).collect()
}

/// Runs the part.
pub(super) fn prove(world: &World<'_>) -> Report {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = u64::from(since.subsec_nanos());
    let target = world.length.pick(KILLS.0, KILLS.1);
    let (next, killed) = (AtomicU64::new(0), Killed::default());
    let report = Mutex::new(Report::default());
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (next, killed, report) = (&next, &killed, &report);
            scope.spawn(move || {
                let add = |case: &str, outcome| report.lock().expect("no thread panics with it").add(case, outcome);
                let name = format!("kills-{worker}");
                let begun = serve(world, SERVER, &name)
                    .and_then(|server| Ok((Undisturbed::fetch(world, &server, &name)?, server)));
                let (undisturbed, server) = match begun {
                    Ok(begun) => begun,
                    Err(problem) => return add("the undisturbed fetch", Err(problem)),
                };
                while killed.total() < target {
                    let case = case(next.fetch_add(1, Ordering::SeqCst), seed, world.length);
                    add(&format!("{case} (seed {seed})"), run(world, &server, &undisturbed, &case, killed));
                }
            });
        }
    });
    let mut report = report.into_inner().expect("no thread panics with it");
    let cases = next.into_inner();
    let [once, twice, thrice] = killed.0.map(AtomicU64::into_inner);
    report.counts.push(format!(
        "{} kills in {cases} fetches, {twice} of them while going on and {thrice} while going on after that (seed {seed})",
        once + twice + thrice
    ));
    report
}

/// Kills by depth: of a fetch, of one that goes on with it, of one that goes on with that.
#[derive(Default)]
struct Killed([AtomicU64; 3]);

impl Killed {
    fn total(&self) -> u64 {
        self.0.iter().map(|count| count.load(Ordering::SeqCst)).sum()
    }
}

fn run(
    world: &World<'_>,
    server: &Simulator,
    undisturbed: &Undisturbed,
    case: &Case,
    killed: &Killed,
) -> Result<(), String> {
    let home = Home::new(world, server, &format!("kill-{}", case.number))?;
    let home = home.with_database(undisturbed.database(case.kind).map(PathBuf::as_path))?;
    let outcome = kill_and_complete(&home, undisturbed, case, killed);
    if outcome.is_err() {
        home.keep(&format!("kill-{}", case.number));
    } else {
        let _ = fs::remove_dir_all(&home.folder);
    }
    outcome
}

fn kill_and_complete(home: &Home<'_>, undisturbed: &Undisturbed, case: &Case, killed: &Killed) -> Result<(), String> {
    let (before, after) = (undisturbed.before(case.kind), undisturbed.after(case.kind));
    for (depth, kill) in case.kills.iter().enumerate() {
        if home.table()? == *after && !can_go_on(home)? {
            break;
        }
        let staged = home.staged().pages();
        traffic::reset(home.server)?;
        let ended = run_and_kill(home, case.kind, *kill, undisturbed.takes)?;
        Traffic::of(home.server)?.check(&staged).map_err(|problem| format!("{kill}: {problem}"))?;
        let table = home.table()?;
        if !ended.was_killed() {
            // It was quicker than the kill, or never comes to that place.
            ended.exits(0)?;
            expect(kill, &table, &[after])?;
            break;
        }
        killed.0[depth.min(killed.0.len() - 1)].fetch_add(1, Ordering::SeqCst);
        let allowed = match kill {
            // When an earlier kill came after the commit, the table was new before this one.
            Kill::Place { leaves: Leaves::Old, .. } if depth == 0 => vec![&before],
            Kill::Place { leaves: Leaves::New, .. } => vec![after],
            _ => vec![&before, after],
        };
        expect(kill, &table, &allowed)?;
        home.expect_private()?;
        home.unfinished().map_err(|problem| format!("{kill}: {problem}"))?;
    }
    complete(home, case.kind, after)
}

fn expect(kill: &Kill, table: &Table, allowed: &[&Table]) -> Result<(), String> {
    if allowed.contains(&table) {
        return Ok(());
    }
    Err(format!("{kill}: the table is {table:?}, and only {allowed:?} may be"))
}

fn can_go_on(home: &Home<'_>) -> Result<bool, String> {
    Ok(home.unfinished()?.iter().any(|run| run.resume_command.is_some()))
}

/// Begins a fetch, or goes on with it where there is something to go on with, and kills it.
fn run_and_kill(home: &Home<'_>, kind: Kind, kill: Kill, takes: Duration) -> Result<Ended, String> {
    let args = if can_go_on(home)? { vec!["fetch", "resume", TABLE, "--parallel"] } else { fetch(kind) };
    let mut command = home.command(&args);
    match kill {
        Kill::At(part) => home.start(command)?.kill_at(takes.mul_f64(part)),
        Kill::Place { name, passed, .. } => {
            command.env("MP_KILL_POINT", format!("{name}:{passed}"));
            home.start(command)?.wait()
        }
    }
}

/// Goes on to the end, and looks at what is left.
fn complete(home: &Home<'_>, kind: Kind, after: &Table) -> Result<(), String> {
    let runs = home.unfinished()?;
    for run in runs.iter().filter(|run| run.resume_command.is_none()) {
        // It was killed before it had written what it is about.
        if run.pages_done > 0 {
            return Err(format!("run {} has pages and nobody can go on with it", run.run_id));
        }
        home.run(&["fetch", "discard", "--run", &run.run_id, "--force"])?.exits(0)?;
    }
    if runs.iter().any(|run| run.resume_command.is_some()) {
        home.complete(|| home.run(&["fetch", "resume"]), after)?;
    } else if home.table()? != *after {
        home.complete(|| home.run(&fetch(kind)), after)?;
    }
    if home.staged().has_remains {
        // The next fetch cleans up after one that was killed while it did. All kinds of fetch end with the same rows, since
        // the old ones are among the new ones.
        home.complete(|| home.run(&fetch(Kind::Replace)), after)?;
        if super::stage::root(&home.database).exists() {
            return Err("what a killed process was removing is still there after another fetch".to_owned());
        }
    }
    Ok(())
}
