//! The last step of a run: loads the stage into the table and builds the report.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::blocking::blocking;
use crate::clock::{Stopwatch, corrected, differs, wall_clock};
use crate::counts::{FetchCounts, to_millis};
use crate::error::{Error, ErrorKind, Result};
use crate::kill_point::kill_point;
use crate::limits::LOCK_POLL_INTERVAL;
use crate::load::{
    self, Announced, Found, LoadKind, LoadOptions, LoadPackage, LoadReport, LoadRequest, LoadStop, OnLockWait, Seen,
    TableChange,
};
use crate::mutant::{Mutant, is_active};
use crate::profile_query::{IfExists, MissingPages};
use crate::stage::{Loaded, Manifest, Progress, Stage};
use crate::store::{Engine, TURN, TableName};
use crate::types::LoadedTable;
use crate::warning::Warning;

use super::callbacks::Callbacks;
use super::core::Outcome;
use super::differences::{incomplete, warn_of_differences, warn_of_duplicates};
use super::progress::FetchEvent;
use super::record::{fetched_events, record};
use super::report::TableReport;
use super::request::Control;

/// Interval at which the request to stop a load is repeated, because a statement that has not started yet misses the
/// interrupt.
const STOP_INTERVAL: Duration = Duration::from_millis(20);

/// The result of the blocking steps of a load.
pub(super) struct FinishedLoad {
    pub(super) report: LoadReport,
    pub(super) change: TableChange,
    pub(super) outcome: Outcome,
    /// The warning if the stage could not be removed or updated.
    pub(super) left_over: Option<Warning>,
}

/// A run that is ready to be loaded: no more pages will be staged.
pub(super) struct Job {
    pub(super) database: PathBuf,
    pub(super) table: TableName,
    pub(super) seen: Seen,
    pub(super) stage: Stage,
    pub(super) outcome: Outcome,
    pub(super) missing: MissingPages,
    pub(super) control: Control,
    pub(super) watch: Stopwatch,
    /// Seconds by which the local clock is ahead of the server's, if a response of this process has shown it.
    pub(super) clock_ahead: Option<i64>,
    /// An engine for the load that was started during the fetch.
    pub(super) engine: Option<Engine>,
}

impl Job {
    /// Loads the staged pages. If nothing is missing, the stage is removed; otherwise it is kept, so that the missing
    /// pages can be fetched later.
    pub(super) async fn load(mut self, callbacks: &mut Callbacks) -> Result<TableReport> {
        let manifest = self.stage.manifest().clone();
        self.check_whole()?;
        let session = manifest.session.as_ref();
        let ahead = self.clock_ahead.filter(|ahead| differs(*ahead));
        // Without a request of this process, the clocks are compared as they were at page 0.
        let ahead = ahead.or_else(|| session.filter(|_| self.clock_ahead.is_none()).map(|session| session.clock_ahead));
        let finished_at = corrected(wall_clock(), ahead.unwrap_or(0));
        let (sender, mut busy) = mpsc::channel(1);
        let (table, watch, at_most) = (self.table.clone(), self.watch, self.control.options.load_wait());
        let database = std::path::absolute(&self.database).unwrap_or_else(|_| self.database.clone());
        let rows = self.outcome.counts.received - self.outcome.counts.rejected;
        let allow_drift = self.control.options.allow_drift;
        let (cancel, stop) = (self.control.cancel.clone(), LoadStop::default());
        let stopped = stop.clone();
        let engine = self.engine.take();
        let loading = blocking(move || {
            self.run(finished_at, &sender, &stopped, |request, on_wait| load::load(request, engine, on_wait))
        });
        tokio::pin!(loading);
        let mut is_waiting = false;
        let FinishedLoad { report: loaded, change, outcome, left_over } = loop {
            tokio::select! {
                done = &mut loading => break done?,
                Some(reason) = busy.recv() => {
                    if !std::mem::replace(&mut is_waiting, true) {
                        callbacks.tell(&FetchEvent::DatabaseBusy { reason, at_most });
                    }
                }
                () = cancelled_for(&cancel, STOP_INTERVAL) => stop.ask(),
                // A load that waits for the database reports at every poll. Without a report, it has opened the
                // database.
                () = tokio::time::sleep(LOCK_POLL_INTERVAL * 3 + TURN), if is_waiting => {
                    is_waiting = false;
                    callbacks.tell(&FetchEvent::Loading { rows });
                }
            }
        };
        if loaded.altered > 0 {
            let (table, rows) = (table.to_string(), loaded.altered);
            callbacks.tell(&FetchEvent::Warning(Warning::RowsAltered { table, rows }));
        }
        left_over.into_iter().for_each(|warning| callbacks.tell(&FetchEvent::Warning(warning)));
        // When rows are added to an existing table, duplicates prove nothing: the rows may already be in the table, or
        // may have been removed from it.
        let makes_table =
            matches!(manifest.if_exists, IfExists::Fail | IfExists::Replace) && kind_of(&manifest) == LoadKind::First;
        let repeated = if makes_table { loaded.duplicates } else { 0 };
        let limit = manifest.events.as_ref().map_or(manifest.query.limit, |run| run.query.limit.map(u64::from));
        // No profile can be missing from a sample.
        if manifest.query.limit.is_none() {
            warn_of_differences(&outcome, repeated, callbacks);
            warn_of_duplicates(&outcome, repeated, allow_drift, callbacks);
        }
        let staged_pages = u32::try_from(outcome.staged.len()).unwrap_or(u32::MAX);
        let waited_for_database = outcome.waited_for_database.as_secs_f64();
        let waited_seconds = to_millis(outcome.counts.waited_seconds + waited_for_database);
        let run_waited_seconds = to_millis(manifest.counts.waited_seconds + waited_for_database);
        let counts = outcome.counts.with_costs_of(&manifest.counts);
        Ok(TableReport {
            table: table.as_str().to_owned(),
            rows: loaded.rows,
            staged_pages,
            failed_pages: outcome.failed.keys().copied().collect(),
            duration_seconds: seconds(watch.elapsed()),
            fetched_at: finished_at.to_string(),
            counts: FetchCounts { duplicates: loaded.duplicates, limit, waited_seconds, ..counts },
            run_id: manifest.run_id.clone(),
            events: fetched_events(&manifest, &outcome, change.days),
            loaded: LoadedTable {
                database,
                table_rows: change.table_rows,
                updated_rows: change.updated,
                unchanged_rows: change.unchanged,
                unchecked_page: outcome.unchecked_page,
                run_waited_seconds,
            },
        })
    }

    /// Checks that the run is complete if its table requires that. An existing table is replaced only by a complete
    /// one. The same applies to a table with pages of an earlier, lost session: it may have more pages than the new
    /// session has fetched.
    ///
    /// # Errors
    /// `Incomplete`, with the missing pages.
    pub(super) fn check_whole(&self) -> Result<()> {
        let manifest = self.stage.manifest();
        let is_replacement = manifest.if_exists == IfExists::Replace && manifest.loaded.is_none();
        let must_be_whole = is_replacement && self.seen.found == Found::Table && self.missing == MissingPages::Fetch;
        if (must_be_whole || is_of_another_session(manifest)) && !self.outcome.is_whole() {
            return Err(incomplete(&self.outcome, &self.table, manifest));
        }
        Ok(())
    }

    /// Runs `load` and the blocking steps around it. While another process has the database open, sends the reason to
    /// `busy` repeatedly.
    pub(super) fn run(
        self,
        finished_at: jiff::Timestamp,
        busy: &mpsc::Sender<String>,
        stop: &LoadStop,
        load: impl FnOnce(&LoadRequest, &mut OnLockWait<'_>) -> Result<(LoadReport, TableChange)>,
    ) -> Result<FinishedLoad> {
        let Self { database, table, seen, mut stage, mut outcome, missing, control, .. } = self;
        let pages: Vec<PathBuf> = outcome.staged.iter().map(|page| stage.page_path(*page)).collect();
        let rejects: Vec<PathBuf> = outcome.staged.iter().filter_map(|page| stage.rejects_path(*page)).collect();
        let previous = stage.loaded_pages()?;
        let loading = Loaded { epoch: stage.manifest().epoch, pages: outcome.staged.clone() };
        stage.update(|manifest| manifest.loading = Some(loading))?;
        let (mut waited, mut since) = (control.waited_for_database, None);
        let mut on_wait = |error: &Error| {
            // Opening takes time as well, if this process has queries to wait for.
            let watch = since.get_or_insert_with(Stopwatch::start);
            waited = control.waited_for_database + watch.elapsed() + LOCK_POLL_INTERVAL;
            // If the receiver is gone or has not read the last message yet, the load continues anyway.
            let _ = busy.try_send(error.message().to_owned());
            if control.cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let manifest = stage.manifest();
        let package = LoadPackage {
            directory: stage.directory().to_owned(),
            pages,
            rejects,
            previous,
            kind: kind_of(manifest),
            announced: announced(&outcome, manifest, missing, control.options.allow_drift),
            run: record(manifest, &outcome, finished_at),
        };
        let options = LoadOptions {
            table: table.clone(),
            if_exists: manifest.if_exists,
            seen: Some(seen),
            missing,
            allow_empty: control.options.allow_empty,
            lock_wait: control.options.load_wait(),
            memory: control.options.memory,
            stop: stop.clone(),
        };
        let request = LoadRequest { database, package, options };
        let (report, change) = match load(&request, &mut on_wait) {
            // The wait for the database ended because the caller requested a stop.
            Err(error) if error.kind() == ErrorKind::DatabaseLocked && control.cancel.is_cancelled() => {
                return Err(Error::new(ErrorKind::Cancelled, "the fetch was stopped").with_source(error));
            }
            // The error of an interrupted statement does not help the caller.
            Err(_) if stop.is_asked() => {
                return Err(Error::new(ErrorKind::Cancelled, "the load was stopped before its commit and undone"));
            }
            Err(error) if error.kind() == ErrorKind::TableChanged && stage.manifest().updates => {
                return Err(error.with_detail("since", stage.manifest().query.since.clone()));
            }
            Err(error) if is_active(Mutant::StageRemovedTooEarly) => {
                stage.remove()?;
                return Err(error);
            }
            Err(error) => return Err(refused(error, &mut stage, &mut outcome, &table)),
            Ok(loaded) => loaded,
        };
        outcome.waited_for_database = waited;
        kill_point("load-done");
        if report.shortfall > outcome.counts.shortfall {
            outcome.lacks(report.shortfall);
        }
        // The rows are committed, so a failure to remove the stage is only a warning.
        let noted = match &outcome {
            outcome if outcome.is_whole() => stage.remove(),
            outcome => stage.update(|manifest| {
                manifest.note_commit();
                if outcome.counts.shortfall > 0 {
                    lacks(manifest, outcome, &outcome.shortfall_text().unwrap_or_default());
                }
            }),
        };
        let left_over = noted.err().map(|error| {
            let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
            Warning::RunLeft { reason: format!("{error}{cause}") }
        });
        Ok(FinishedLoad { report, change, outcome, left_over })
    }
}

/// Returns whether the table has pages of an earlier, lost session.
fn is_of_another_session(manifest: &Manifest) -> bool {
    manifest.loaded.as_ref().is_some_and(|loaded| loaded.epoch != manifest.epoch)
}

/// Returns the announced figures that the load compares with the number of distinct profiles.
fn announced(outcome: &Outcome, manifest: &Manifest, missing: MissingPages, allow_drift: f64) -> Option<Announced> {
    let is_compared = outcome.is_whole() && missing == MissingPages::Fetch && manifest.query.limit.is_none();
    let (total, is_strict) = (outcome.counts.expected_rows, is_of_another_session(manifest));
    is_compared.then_some(Announced { total, allow_drift, is_strict })
}

/// Handles a load that left the table unchanged. If profiles are missing, the next process restarts from page 0.
fn refused(error: Error, stage: &mut Stage, outcome: &mut Outcome, table: &TableName) -> Error {
    let Some(shortfall) = error.shortfall() else { return error };
    outcome.lacks(shortfall);
    let error =
        if outcome.counts.expected_rows.is_some() { incomplete(outcome, table, stage.manifest()) } else { error };
    if let Err(error) = stage.update(|manifest| lacks(manifest, outcome, error.message())) {
        tracing::warn!("{error}");
    }
    error
}

/// Records the profiles that a load found to be missing.
fn lacks(manifest: &mut Manifest, outcome: &Outcome, reason: &str) {
    manifest.progress = Progress::Fetching { reason: reason.to_owned() };
    manifest.session_over = outcome.session_over;
    manifest.lacking = outcome.counts.shortfall;
}

/// Waits for the caller to request a stop, and then for `time`.
async fn cancelled_for(cancel: &CancellationToken, time: Duration) {
    cancel.cancelled().await;
    tokio::time::sleep(time).await;
}

/// Checks whether an earlier process committed a load without recording it, and if so, records it. Returns the kind of
/// the run's next load.
pub(super) fn look_for_commit(stage: &mut Stage, is_loaded: impl FnOnce(&str) -> Result<bool>) -> Result<LoadKind> {
    let manifest = stage.manifest();
    if let Some(loading) = &manifest.loading
        && manifest.loading != manifest.loaded
        && is_loaded(&manifest.load_id(loading.epoch, &loading.pages))? != is_active(Mutant::CommitNotChecked)
    {
        stage.update(Manifest::note_commit)?;
    }
    Ok(kind_of(stage.manifest()))
}

/// Checks whether another run has recreated the table, in which case this run cannot complete it. If `if_exists` is
/// given, the table is then treated like any other existing table. Returns the kind of the run's next load.
///
/// # Errors
/// `TableExists` if another run has recreated the table and `if_exists` is `None`.
pub(super) fn check_table_owner(
    stage: &mut Stage,
    database: &Path,
    kind: LoadKind,
    if_exists: Option<IfExists>,
) -> Result<LoadKind> {
    let manifest = stage.manifest();
    if kind == LoadKind::First || matches!(manifest.if_exists, IfExists::Append | IfExists::Upsert) {
        return Ok(kind);
    }
    let table = TableName::parse(&manifest.table)?;
    let Some(maker) = load::maker(database, &table)?.filter(|maker| *maker != manifest.run_id) else {
        return Ok(kind);
    };
    let Some(if_exists) = if_exists else { return Err(load::recreated_by_another_run(&table, &maker)) };
    stage.update(|manifest| {
        (manifest.loaded, manifest.loading) = (None, None);
        manifest.if_exists = if_exists;
        manifest.tables_left += 1;
    })?;
    Ok(LoadKind::First)
}

/// Returns the kind of the run's next load.
fn kind_of(manifest: &Manifest) -> LoadKind {
    if manifest.loaded.is_some() { LoadKind::Completing } else { LoadKind::First }
}

impl Manifest {
    /// Records that the pending load was committed.
    fn note_commit(&mut self) {
        self.loaded.clone_from(&self.loading);
    }
}

/// Returns a duration in seconds, rounded to the millisecond.
pub(super) fn seconds(duration: Duration) -> f64 {
    to_millis(duration.as_secs_f64())
}
