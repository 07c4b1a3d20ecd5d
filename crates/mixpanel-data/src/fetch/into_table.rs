//! Runs a fetch into a table, or resumes one: validates the arguments, stages the pages and loads them.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use crate::api::ApiClient;
use crate::blocking::{begin_blocking, blocking};
use crate::clock::{Stopwatch, wall_clock};
use crate::dataset::{Dataset, PROFILES};
use crate::drift::allowed_drift;
use crate::error::{Error, ErrorKind, Result};
use crate::hash_key::HashKey;
use crate::limits::{PREFLIGHT_LOCK_WAIT, SECOND_CHECK_LOCK_WAIT};
use crate::load::{self, Checked, LoadKind, Seen};
use crate::profile_query::{FetchMode, IfExists, MissingPages};
use crate::property_rules::ActiveRules;
use crate::stage::{self, KnownLoads, Manifest, Over, Progress, Stage};
use crate::store::TableName;

use super::core::Outcome;
use super::driver::Finished;
use super::ending::{RunOnDisk, settle};
use super::events::ValidEvents;
use super::identity::{check_base, check_same_run};
use super::loading::{Job, check_table_owner, look_for_commit};
use super::progress::FetchEvent;
use super::report::TableReport;
use super::request::{Control, ProfileFetch, ResumeFetch};
use super::same_rules::check_same_rules;
use super::selection::Selection;
use super::source::PriorRun;
use super::stage_roots::stage_roots;
use super::start::{check_sample, new_manifest, preflight, repair, tell, validate_for_table};
use super::superseded::{check_not_superseded, check_replaces_no_more_than_fetched, note_if_superseded};
use super::unfinished::{check_alone, open_run};
use super::unmatched::events_of_stage;
use super::validate::{Validated, validate};
use super::waiting::waiting;
use super::writer::into_stage;

/// Fetches profiles into a table of `database`.
pub(super) async fn fetch_into_table(
    client: &ApiClient,
    database: &Path,
    mut fetch: ProfileFetch,
) -> Result<TableReport> {
    let watch = Stopwatch::start();
    let (table, valid) = validate_for_table(client, database, &mut fetch).await?;
    let if_exists = fetch.if_exists;
    let rules = valid.recorded_rules();
    let known_loads = preflight(&mut fetch.control, database, &PROFILES, &table, if_exists, &rules).await?;
    let manifest = new_manifest(client, &fetch, &valid);
    let run = NewRun { client, database, table, if_exists, watch, known_loads };
    run.fetch(manifest, Selection::Profiles(Box::new(valid)), fetch.control).await
}

/// A validated fetch into a table, before its stage exists.
pub(super) struct NewRun<'a> {
    pub(super) client: &'a ApiClient,
    pub(super) database: &'a Path,
    pub(super) table: TableName,
    pub(super) if_exists: IfExists,
    pub(super) watch: Stopwatch,
    /// The loads of the table that precede the run.
    pub(super) known_loads: KnownLoads,
}

impl NewRun<'_> {
    /// Creates the stage, fetches everything and loads it.
    pub(super) async fn fetch(
        self,
        mut manifest: Manifest,
        selection: Selection,
        control: Control,
    ) -> Result<TableReport> {
        let Self { client, database, table, if_exists, watch, known_loads } = self;
        manifest.known_loads = Some(known_loads);
        let (path, name) = (database.to_owned(), table.clone());
        let (stage, seen) = blocking(move || {
            let dataset = manifest.dataset();
            let stage = new_or_planned(&path, manifest)?;
            // Another fetch may have created the table since the preflight. The short wait is for the preflights of
            // other fetches, which also open the database.
            match load::look(&path, dataset, &name, if_exists, LoadKind::First, SECOND_CHECK_LOCK_WAIT) {
                Ok(seen) => Ok((stage, seen)),
                Err(error) => Err(undo(stage, error)),
            }
        })
        .await?;
        let run = TableRun { client, database, stage, table, seen, selection, missing: MissingPages::Fetch, watch };
        run.finish(control).await
    }
}

/// Resumes an unfinished run of a dataset.
pub(super) async fn resume_into_table(
    client: &ApiClient,
    database: &Path,
    dataset: &'static Dataset,
    mut resume: ResumeFetch,
) -> Result<(FetchMode, TableReport)> {
    let watch = Stopwatch::start();
    repair(&mut resume.control, database).await?;
    let (path, name, run_id) = (database.to_owned(), resume.table.clone(), resume.run_id.clone());
    let stage = blocking(move || open_run(&path, &name, run_id.as_deref())).await?;
    let run = RunOnDisk::of(&stage);
    check_dataset(stage.manifest(), dataset)?;
    let manifest = stage.manifest().clone();
    match resume_stage(client, database, stage, resume, watch).await {
        Err(error) if error.kind() == ErrorKind::TableExists => {
            let path = database.to_owned();
            let error = blocking(move || Ok(note_if_superseded(error, &manifest, &path))).await?;
            Err(run.name_in(error))
        }
        result => result.map_err(|error| run.name_in(error)),
    }
}

async fn resume_stage(
    client: &ApiClient,
    database: &Path,
    stage: Stage,
    mut resume: ResumeFetch,
    watch: Stopwatch,
) -> Result<(FetchMode, TableReport)> {
    check_same_run(stage.manifest(), client, resume.query.as_ref())?;
    let rules = rules_of_run(stage.manifest(), resume.hash_key.as_ref(), resume.missing_pages)?;
    check_sample(&stage.manifest().query, resume.if_exists.unwrap_or_default())?;
    check_replaces_no_more_than_fetched(stage.manifest(), resume.if_exists)?;
    // If all pages are already staged, this is the wait before the load, so the same limit applies.
    let path = database.to_owned();
    let (if_exists, replaces_newer) = (resume.if_exists, resume.replaces_newer);
    let look = move |mut stage: Stage| {
        let kind = look_at_earlier_loads(&mut stage, &path, if_exists, replaces_newer);
        (stage, kind)
    };
    let at_most = resume.control.options.load_wait();
    let (stage, kind) = waiting(&mut resume.control, at_most, stage, look).await?;
    let manifest = stage.manifest();
    let table = TableName::parse(&manifest.table)?;
    // A different mode applies only to this resume, and determines the variant of the result.
    let mode = resume.mode.unwrap_or(manifest.mode);
    let selection = match manifest.events.clone() {
        Some(run) => Selection::Events(Box::new(ValidEvents::of_run(client, run, mode, &resume.control, rules).await?)),
        None => {
            let now = wall_clock().as_second();
            let valid = validate(&manifest.query, mode, None, &resume.control.options, now)?;
            Selection::Profiles(Box::new(Validated { rules, ..valid }))
        }
    };
    let (path, name, wait) = (database.to_owned(), table.clone(), at_most.min(PREFLIGHT_LOCK_WAIT));
    let look = move |stage: Stage| {
        let checked = load::preflight(&path, stage.manifest().dataset(), &name, stage.manifest().if_exists, kind, wait);
        (stage, checked)
    };
    let (stage, Checked { seen, warnings, .. }) = waiting(&mut resume.control, at_most, stage, look).await?;
    tell(&mut resume.control, warnings);
    check_base(stage.manifest(), client, database, &table, &mut resume.control).await?;
    let Manifest { if_exists, property_rules, .. } = stage.manifest();
    check_same_rules(&mut resume.control, database, &table, *if_exists, property_rules).await?;
    let run = TableRun { client, database, stage, table, seen, selection, missing: resume.missing_pages, watch };
    Ok((mode, run.finish(resume.control).await?))
}

/// Checks that a run is one of this dataset.
///
/// # Errors
/// `InvalidInput`.
fn check_dataset(manifest: &Manifest, dataset: &Dataset) -> Result<()> {
    let kind = manifest.dataset().kind;
    if kind == dataset.kind {
        return Ok(());
    }
    let message = format!("run `{}` fetches {kind}, not {}", manifest.run_id, dataset.kind);
    Err(Error::invalid(message).with_detail("difference", "dataset"))
}

/// Returns the rules that a run applies to its pages. A run that only has to be loaded may be without its key.
///
/// # Errors
/// `InvalidInput` if the key is missing or another one.
fn rules_of_run(manifest: &Manifest, key: Option<&HashKey>, missing: MissingPages) -> Result<Option<Arc<ActiveRules>>> {
    let is_fetched = matches!(manifest.progress, Progress::Complete { .. }) || missing == MissingPages::Accept;
    let whose = format!("run `{}`", manifest.run_id);
    manifest.property_rules.with_key(key, &whose).or_else(|error| if is_fetched { Ok(None) } else { Err(error) })
}

/// Determines which loads of the run were committed, and records `if_exists` if nothing has been loaded yet.
fn look_at_earlier_loads(
    stage: &mut Stage,
    database: &Path,
    if_exists: Option<IfExists>,
    replaces_newer: bool,
) -> Result<LoadKind> {
    let kind = look_for_commit(stage, |load_id| load::is_loaded(database, load_id))?;
    if if_exists.is_none() {
        check_table_owner(stage, database, kind, None)?;
    }
    // A run that creates its table fails anyway if there is one.
    let creates = kind == LoadKind::First && if_exists.unwrap_or(stage.manifest().if_exists) == IfExists::Fail;
    if !replaces_newer && !creates {
        check_not_superseded(stage.manifest(), if_exists, database)?;
    }
    let Some(chosen) = if_exists else { return Ok(kind) };
    let kind = check_table_owner(stage, database, kind, if_exists)?;
    if stage.manifest().loaded.is_none() {
        stage.update(|manifest| manifest.if_exists = chosen)?;
    }
    Ok(kind)
}

/// Creates the stage of a run, or reuses the stage of an estimate of the same fetch.
fn new_or_planned(database: &Path, mut manifest: Manifest) -> Result<Stage> {
    let roots = stage_roots(database);
    let _turn = stage::lock_for_start(&roots)?;
    stage::sweep(&roots);
    let runs = stage::list(&roots)?;
    check_alone(&runs, &manifest.table)?;
    let mut known = manifest.known_loads.take().unwrap_or_default();
    known.add_sessions(&manifest.table, &runs);
    let newest = manifest.known_loads.insert(known).newest.clone();
    for listed in runs {
        let Ok(planned) = listed.manifest else { continue };
        if planned.progress != Progress::Planned || !planned.is_same_fetch(&manifest) || listed.held_by.is_some() {
            continue;
        }
        // The session of an estimate that preceded the last load may have older profiles than the table.
        if planned.known_loads.as_ref().map(|known| &known.newest) != Some(&newest) {
            continue;
        }
        // Another process may have opened it first.
        if let Ok(mut stage) = Stage::open(&roots, &listed.run_id) {
            stage.update(|planned| {
                planned.if_exists = manifest.if_exists;
                planned.mode = manifest.mode;
                planned.progress = Progress::Fetching { reason: String::new() };
            })?;
            return Ok(stage);
        }
    }
    Stage::create(&roots, manifest)
}

/// Restores a run to its earlier state after an error: a new run is removed, and a reused estimate is marked as an
/// estimate again.
fn undo(mut stage: Stage, error: Error) -> Error {
    let result = match stage.manifest().session {
        None => stage.remove(),
        Some(_) => stage.update(|manifest| manifest.progress = Progress::Planned),
    };
    if let Err(error) = result {
        tracing::warn!("{error}");
    }
    error
}

/// A run and everything needed to finish it.
struct TableRun<'a> {
    client: &'a ApiClient,
    database: &'a Path,
    stage: Stage,
    table: TableName,
    seen: Seen,
    selection: Selection,
    missing: MissingPages,
    watch: Stopwatch,
}

impl TableRun<'_> {
    /// Fetches the missing parts and loads the run.
    async fn finish(self, mut control: Control) -> Result<TableReport> {
        let TableRun { client, database, stage, table, seen, selection, missing, watch } = self;
        let on_disk = RunOnDisk::of(&stage);
        let keep_run = |error: Error| on_disk.name_in(error);
        let mut callbacks = std::mem::take(&mut control.callbacks);
        selection.announce(client, &mut callbacks);
        let (stage, earlier) = blocking(move || {
            let mut stage = stage;
            let earlier = earlier(&mut stage, wall_clock())?;
            Ok((stage, earlier))
        })
        .await
        .map_err(keep_run)?;
        if missing == MissingPages::Accept && earlier.staged.is_empty() {
            return Err(keep_run(Error::new(
                ErrorKind::Incomplete,
                "no page of the run is staged, so there is nothing to load",
            )));
        }

        let mut engine = None;
        let finished = if selection.is_empty() {
            Finished { outcome: Outcome::empty(), target: stage, writer_error: None }
        } else if is_complete(stage.manifest(), &earlier, control.options.allow_drift)
            || missing == MissingPages::Accept
        {
            let is_whole = is_complete(stage.manifest(), &earlier, control.options.allow_drift);
            let outcome = if is_whole { Outcome::whole(&earlier) } else { Outcome::of_staged(&earlier) };
            Finished { outcome, target: stage, writer_error: None }
        } else {
            // A page of a complete run is damaged, and the key to fetch it again is missing.
            if selection.recorded_rules() != stage.manifest().property_rules {
                let whose = format!("run `{}`", stage.manifest().run_id);
                stage.manifest().property_rules.with_key(None, &whose).map_err(keep_run)?;
            }
            let run = selection.into_run(client, &control, earlier, &stage);
            // The fetch waits for the network most of the time.
            let (path, known, directory) = (database.to_owned(), seen.clone(), stage.directory().to_owned());
            let starting = begin_blocking(move || load::start_in_advance(&path, &known, &directory));
            let finished = run.drive(stage, into_stage, &mut callbacks).await;
            // After an error, the load tries again and reports it.
            engine = starting.await.ok();
            finished.map_err(keep_run)?
        };
        let (stage, outcome, unmatched) = blocking(move || {
            let (stage, outcome) = settle(finished)?;
            // The load removes the stage.
            let unmatched = events_of_stage(&stage, &outcome);
            Ok((stage, outcome, unmatched))
        })
        .await?;
        callbacks.tell(&FetchEvent::Loading { rows: outcome.counts.received - outcome.counts.rejected });
        let staged_pages = outcome.staged.len();
        let (database, clock_ahead) = (database.to_owned(), client.clock_ahead());
        let job = Job { database, table, seen, stage, outcome, missing, control, watch, clock_ahead, engine };
        let loaded = job.load(&mut callbacks).await;
        let report = loaded.map_err(|error| keep_run(error.with_detail("staged_pages", staged_pages)))?;
        unmatched.iter().for_each(|event| callbacks.tell(event));
        Ok(report)
    }
}

/// Returns the state of the run that earlier processes left, for a process that begins at `now`.
pub(super) fn earlier(stage: &mut Stage, now: Timestamp) -> Result<PriorRun> {
    let staged = stage.find_pages()?;
    let mut counted = stage.manifest().clone();
    if counted.count_staged(staged.len() as u64) {
        stage.update(|manifest| *manifest = counted)?;
    }
    let manifest = stage.manifest();
    let (epoch, session_over, lacking) = (manifest.epoch, manifest.session_over, manifest.lacking);
    let (session, slices) = (manifest.session.clone(), manifest.slice_plan(now));
    Ok(PriorRun { epoch, session, staged, session_over, lacking, slices })
}

/// Returns whether every page is on disk, so that only the load remains. This includes a session that ended with fewer
/// profiles than announced, if the allowed drift now covers the difference.
pub(super) fn is_complete(manifest: &Manifest, earlier: &PriorRun, allow_drift: f64) -> bool {
    let (total, missing) = (earlier.expected_profiles(), earlier.missing_profiles());
    match manifest.progress {
        Progress::Complete { pages } => earlier.staged.len() == pages as usize,
        _ => manifest.session_over == Some(Over::Short) && missing <= allowed_drift(total, allow_drift),
    }
}
