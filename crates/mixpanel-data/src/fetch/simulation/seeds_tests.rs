//! Runs the simulation with ranges of seeds.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Stopwatch;
use crate::error::{Error, ErrorKind};
use crate::fetch::stage_roots;
use crate::load::{self, Found, LoadKind, LoadStop, Seen};
use crate::mutant::Mutant;
use crate::profile_query::{IfExists, MissingPages};
use crate::stage::{Manifest, Stage, list};
use crate::store::{self, TableName};

use super::super::driver::Finished;
use super::super::ending::settle;
use super::super::loading::{FinishedLoad, Job, look_for_commit};
use super::super::request::Control;
use super::model::{self, Model};
use super::oracle::{Oracle, Row, Rows};
use super::scenario::{Draw, LoadFault, scenario};
use super::seeds::{assert_none_failed, run_each, seeds};
use super::world::{Ended, World};

/// Number of uninterrupted processes that a run gets after its interruptions, up to a day apart.
const LAST_PROCESSES: usize = 5;

/// What performs the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    Model,
    DuckDb,
}

/// Totals over all seeds, for the summary.
#[derive(Debug, Default)]
pub(super) struct Tally {
    processes: AtomicU64,
    steps: AtomicU64,
    faults: AtomicU64,
    complete: AtomicU64,
}

/// The table, in the model or in the database.
struct Table {
    engine: Engine,
    model: Model,
    load_faults: Vec<LoadFault>,
}

impl Table {
    fn read(&self, world: &World) -> Option<Rows> {
        if self.engine == Engine::Model {
            return self.model.rows.clone();
        }
        let sql = "SELECT distinct_id, properties::VARCHAR, epoch_us(last_seen) FROM profiles";
        let result = match store::rows(&world.database(), sql) {
            Ok(result) => result,
            Err(error) if matches!(error.kind(), ErrorKind::Query | ErrorKind::DatabaseNotFound) => return None,
            Err(error) => panic!("{error:?}"),
        };
        let count = result.rows.len();
        let rows: Rows = result
            .rows
            .into_iter()
            .map(|row| {
                let properties = serde_json::from_str(row[1].as_str().unwrap()).unwrap();
                (row[0].as_str().unwrap().to_owned(), Row { properties, last_seen: row[2].as_i64() })
            })
            .collect();
        assert_eq!(rows.len(), count, "an id is in the table twice");
        Some(rows)
    }
}

fn run_seed(seed: u64, engine: Engine, tally: &Tally) {
    let mut world = World::new(seed, scenario(seed));
    let oracle = Oracle::new(&world.scenario.config);
    world.trace(|| format!("{:#?}, {} pages", world.scenario, oracle.pages()));
    let load_faults = world.scenario.load_faults.clone();
    let mut table = Table { engine, model: Model::default(), load_faults };
    if world.scenario.has_old_table {
        make_old_table(&world, &mut table);
    }
    let mut manifest = Manifest::new("run-1".into(), world.wall(), "12345", "us");
    manifest.table = "profiles".into();
    manifest.if_exists = world.scenario.if_exists;
    let mut draw = Draw::new(seed ^ 0xA11);
    let mut interruptions: Vec<_> = world.scenario.interruptions.iter().copied().rev().collect();
    let mut next = Some(Stage::create(&stage_roots(&world.database()), manifest).unwrap());
    for _ in 0..interruptions.len() + LAST_PROCESSES {
        let Some(stage) = next.take() else { break };
        tally.processes.fetch_add(1, Ordering::Relaxed);
        let before = table.read(&world);
        match world.process(stage, interruptions.pop()) {
            Ended::Crashed => assert_eq!(table.read(&world), before, "a killed process changed the table"),
            Ended::Finished(end_of) => {
                let (stage, outcome) = *end_of;
                let finished = Finished { outcome, target: stage, writer_error: None };
                let is_complete = end(&world, &oracle, &mut table, before, finished);
                tally.complete.fetch_add(u64::from(is_complete), Ordering::Relaxed);
            }
        }
        if !list(&stage_roots(&world.database())).unwrap().is_empty() {
            let mut stage = Stage::open(&stage_roots(&world.database()), "run-1").unwrap();
            let is_loaded = |load_id: &str| match engine {
                Engine::Model => Ok(table.model.is_loaded(load_id)),
                Engine::DuckDb => load::is_loaded(&world.database(), load_id),
            };
            look_for_commit(&mut stage, is_loaded).unwrap();
            next = Some(stage);
        }
        // The user resumes the run after a second or up to a day later.
        world.now += Duration::from_secs(1 + draw.pick(&[0, 60, 7_200, 86_400]));
    }
    tally.steps.fetch_add(world.steps, Ordering::Relaxed);
    tally.faults.fetch_add(world.simulator.stats().faults_applied, Ordering::Relaxed);
}

fn make_old_table(world: &World, table: &mut Table) {
    let old = Row { properties: serde_json::json!({"old": true}), last_seen: None };
    table.model.rows = Some(Rows::from([("old".to_owned(), old)]));
    if table.engine == Engine::DuckDb {
        let sql = "CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP);
                   INSERT INTO profiles VALUES ('old', '{\"old\":true}', NULL)";
        duckdb::Connection::open(world.database()).unwrap().execute_batch(sql).unwrap();
    }
}

/// Handles the end of a process that was not killed: records the ending, loads the table and compares it with the
/// oracle. Returns whether the table is complete.
fn end(world: &World, oracle: &Oracle, table: &mut Table, before: Option<Rows>, finished: Finished<Stage>) -> bool {
    let (stage, outcome) = match settle(finished) {
        Ok(settled) => settled,
        Err(error) => {
            world.trace(|| format!("ended: {error:?}"));
            check_error(world, &error);
            assert_eq!(table.read(world), before, "a failed run changed the table");
            return false;
        }
    };
    let is_first = stage.manifest().loaded.is_none();
    let found = if before.is_some() { Found::Table } else { Found::Nothing };
    let job = Job {
        database: world.database(),
        table: TableName::parse("profiles").unwrap(),
        seen: Seen::assumed(found),
        stage,
        outcome,
        missing: MissingPages::Fetch,
        control: Control::default(),
        watch: Stopwatch::start(),
        clock_ahead: None,
        engine: None,
    };
    if let Err(error) = job.check_whole() {
        assert_eq!(error.kind(), ErrorKind::Incomplete);
        assert_eq!(table.read(world), before, "a replacement that is not whole changed the table");
        return false;
    }
    let (sender, _receiver) = tokio::sync::mpsc::channel(1);
    let (engine, fault) = (table.engine, table.load_faults.pop());
    let (staged, expected_rows) = (job.outcome.staged.clone(), job.outcome.counts.expected_rows.unwrap_or(0));
    let model = &mut table.model;
    let loaded = job.run(world.wall(), &sender, &LoadStop::default(), |request, on_wait| {
        if fault == Some(LoadFault::Before) {
            return Err(Error::new(ErrorKind::DiskFull, "no space left"));
        }
        let report = match engine {
            Engine::Model => model::load(model, request),
            Engine::DuckDb => {
                let kind = if is_first { LoadKind::First } else { LoadKind::Completing };
                load::look(
                    &request.database,
                    request.package.run.dataset,
                    &request.options.table,
                    request.options.if_exists,
                    kind,
                    request.options.lock_wait,
                )
                .and_then(|_| load::load(request, None, on_wait))
            }
        };
        match report {
            Ok(_) if fault == Some(LoadFault::After) => Err(Error::new(ErrorKind::Storage, "unplugged")),
            Err(error) if error.kind() != ErrorKind::Incomplete => panic!("the load failed: {error:?}"),
            report => report,
        }
    });
    let FinishedLoad { report, outcome, .. } = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            assert!(
                !list(&stage_roots(&world.database())).unwrap().is_empty(),
                "the stage is gone and the load has failed"
            );
            if error.kind() == ErrorKind::Incomplete {
                let new = oracle.rows(staged.into_iter());
                check_refusal(&error, before.as_ref().expect("there is a table"), &new, expected_rows);
            }
            if fault == Some(LoadFault::Before) || error.kind() == ErrorKind::Incomplete {
                assert_eq!(table.read(world), before, "a failed load changed the table");
            }
            return false;
        }
    };
    let staged = || outcome.staged.iter().copied();
    world.trace(|| format!("table: {:?}", table.read(world).map(|rows| rows.into_keys().collect::<Vec<_>>())));
    world.trace(|| format!("expected: {:?}", oracle.rows(staged()).into_keys().collect::<Vec<_>>()));
    world.trace(|| format!("loaded {report:?} from {:?}, missing {:?}", outcome.staged, outcome.failed.keys()));
    assert_eq!(
        report.rows + report.duplicates + outcome.counts.rejected,
        outcome.counts.received,
        "records are not conserved"
    );
    assert_eq!(outcome.counts.received, oracle.received(staged()), "not the records of the staged pages");
    assert_eq!(outcome.counts.rejected, oracle.rejected(staged()), "not the rejects of the staged pages");
    check_rows(table.read(world), &oracle.rows(staged()));
    let missing: Vec<u32> = (0..oracle.pages()).filter(|page| !outcome.staged.contains(page)).collect();
    let unlisted: Vec<u32> = missing.into_iter().filter(|page| !outcome.failed.contains_key(page)).collect();
    // Without a correct total, it is unknown what follows a last page that cannot be fetched; only that page is listed.
    let last_listed = outcome.failed.keys().next_back();
    let may_lack = last_listed.is_some_and(|last| unlisted.iter().all(|page| page > last));
    assert!(unlisted.is_empty() || may_lack, "pages {unlisted:?} are neither here nor listed as failed");
    let remains = !list(&stage_roots(&world.database())).unwrap().is_empty();
    assert_eq!(remains, !outcome.is_whole(), "the stage stays exactly while profiles are missing");
    let missing = outcome.counts.expected_rows.unwrap_or(0).saturating_sub(outcome.counts.received);
    assert!(!outcome.is_whole() || missing <= 1, "{missing} missing profiles are not reported");
    outcome.is_whole()
}

/// Checks that a load had a valid reason not to replace the old rows.
fn check_refusal(error: &Error, old: &Rows, new: &Rows, announced: u64) {
    let emptied = new.is_empty() && !old.is_empty();
    let lost = announced > new.len() as u64 + 1;
    let reasons = (error.detail("emptied_rows").is_some(), error.detail("shortfall").is_some());
    assert!(reasons == (emptied, false) || (reasons == (false, true) && lost), "{error:?}, {} rows", new.len());
}

/// Checks that the table has exactly these rows. A failure message names only the first wrong row.
fn check_rows(table: Option<Rows>, expected: &Rows) {
    let table = table.expect("there is no table after the load");
    for (id, row) in &table {
        let wanted = expected.get(id).unwrap_or_else(|| panic!("the table has `{id}`, which is in no staged page"));
        assert!(
            row == wanted,
            "the row of `{id}` is not the one to keep: seen {:?}, not {:?}",
            row.last_seen,
            wanted.last_seen
        );
    }
    let missing = expected.keys().find(|id| !table.contains_key(*id));
    assert!(missing.is_none(), "the table lacks `{}`", missing.map_or("", String::as_str));
}

/// Checks that an error has a run id if and only if the run remains on disk.
fn check_error(world: &World, error: &Error) {
    let remains = !list(&stage_roots(&world.database())).unwrap().is_empty();
    assert_eq!(error.run_id().is_some(), remains, "{error:?}");
}

/// Runs seeds. Returns the totals, and each failed seed with its message.
pub(super) fn run_seeds(seeds: &[u64], engine: Engine, mutant: Option<Mutant>) -> (Tally, Vec<(u64, String)>) {
    let tally = Tally::default();
    let failed = run_each(seeds, mutant, |seed| run_seed(seed, engine, &tally));
    (tally, failed)
}

fn hold(variable: &str, default: Range<u64>, engine: Engine) {
    let seeds = seeds(variable, default, include_str!("seeds.txt"));
    let count = seeds.len();
    let (tally, failed) = run_seeds(&seeds, engine, None);
    let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
    println!(
        "simulation: {count} seeds, {} processes, {} steps, {} faults, {} whole tables",
        read(&tally.processes),
        read(&tally.steps),
        read(&tally.faults),
        read(&tally.complete)
    );
    assert_none_failed(&failed, count, variable);
}

#[test]
fn seeds_hold() {
    hold("MP_SIM_SEEDS", 0..300, Engine::Model);
}

#[test]
fn seeds_hold_with_duckdb() {
    hold("MP_SIM_DUCKDB_SEEDS", 0..20, Engine::DuckDb);
}

/// A seed determines the whole world: two runs of it must be identical, step for step.
#[test]
fn a_seed_is_always_the_same() {
    for seed in 0..20 {
        let steps = || {
            let tally = Tally::default();
            run_seed(seed, Engine::Model, &tally);
            (tally.steps.into_inner(), tally.faults.into_inner())
        };
        assert_eq!(steps(), steps(), "seed {seed}");
    }
}

#[test]
fn some_seeds_replace_a_table() {
    assert!((0..50).any(|seed| scenario(seed).if_exists == IfExists::Replace));
}
