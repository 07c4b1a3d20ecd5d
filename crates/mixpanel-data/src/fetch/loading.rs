//! The last step of a run: from the stage into the table, and the report.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::clock::{Stopwatch, wall_clock};
use crate::counted::counted;
use crate::counts::{FetchCounts, to_millis};
use crate::dataset::PROFILES;
use crate::error::{Error, ErrorKind, Result};
use crate::kill_point::kill_point;
use crate::limits::LOCK_POLL_INTERVAL;
use crate::mutant::{Mutant, is_planted};
use crate::profile_query::{MissingPages, OnExisting};
use crate::stage::{Loaded, Manifest, Progress, Stage};
use crate::store::{
    self, Announced, Found, LoadKind, LoadReport, LoadRequest, LoadStop, OnLockWait, RunRecord, Seen, TableName,
};

use super::callbacks::Callbacks;
use super::differences::{incomplete, warn_of_differences, warn_of_duplicates};
use super::outcome::Outcome;
use super::pipeline::blocking;
use super::progress::FetchEvent;
use super::request::Control;

/// How often a load that is to stop is told so: a statement that has not begun does not notice.
const STOP_INTERVAL: Duration = Duration::from_millis(20);

/// What a fetch into a table came to, whatever its mode.
pub(super) struct TableReport {
    pub(super) table: String,
    pub(super) rows: u64,
    pub(super) staged_pages: u32,
    pub(super) failed_pages: Vec<u32>,
    pub(super) duration_seconds: f64,
    pub(super) fetched_at: String,
    pub(super) counts: FetchCounts,
    pub(super) run_id: String,
}

/// A run whose pages are staged as far as they will be.
pub(super) struct Job {
    pub(super) database: PathBuf,
    pub(super) table: TableName,
    pub(super) seen: Seen,
    pub(super) stage: Stage,
    pub(super) outcome: Outcome,
    pub(super) missing: MissingPages,
    pub(super) control: Control,
    pub(super) watch: Stopwatch,
}

impl Job {
    /// Loads the staged pages. The stage goes when nothing is missing; else it stays, for the pages that are.
    pub(super) async fn load(self, callbacks: &mut Callbacks) -> Result<TableReport> {
        let manifest = self.stage.manifest().clone();
        self.check_whole()?;
        let finished_at = wall_clock();
        let (sender, mut busy) = mpsc::channel(1);
        let (table, watch, at_most) = (self.table.clone(), self.watch, self.control.lock_wait);
        let rows = self.outcome.counts.received - self.outcome.counts.rejected;
        let allow_drift = self.control.allow_drift;
        let (cancel, stop) = (self.control.cancel.clone(), LoadStop::default());
        let stopped = stop.clone();
        let loading = blocking(move || self.run(finished_at, &sender, &stopped, store::load));
        tokio::pin!(loading);
        let mut is_waiting = false;
        let (loaded, outcome, left_over) = loop {
            tokio::select! {
                done = &mut loading => break done?,
                Some(reason) = busy.recv() => {
                    if !std::mem::replace(&mut is_waiting, true) {
                        callbacks.tell(&FetchEvent::DatabaseBusy { reason, at_most });
                    }
                }
                () = cancelled_for(&cancel, STOP_INTERVAL) => stop.ask(),
                // A waiting load reports at every poll; no report means that the database is open.
                () = tokio::time::sleep(LOCK_POLL_INTERVAL * 3), if is_waiting => {
                    is_waiting = false;
                    callbacks.tell(&FetchEvent::Loading { rows });
                }
            }
        };
        if loaded.altered > 0 {
            callbacks.tell(&FetchEvent::Warning(format!(
                "{} of the earlier load of this run {} been changed or removed in `{table}` since; they stay like that",
                counted(loaded.altered, "row"),
                if loaded.altered == 1 { "has" } else { "have" },
            )));
        }
        left_over.into_iter().for_each(|text| callbacks.tell(&FetchEvent::Warning(text)));
        // What is added may be in the table already, or have been removed from it; that is no sign of anything.
        let makes_table = matches!(manifest.on_existing, OnExisting::Fail | OnExisting::Replace)
            && kind_of(&manifest) == LoadKind::First;
        let repeated = if makes_table { loaded.duplicates } else { 0 };
        warn_of_differences(&outcome, repeated, callbacks);
        warn_of_duplicates(&outcome, repeated, allow_drift, callbacks);
        let staged_pages = u32::try_from(outcome.staged.len()).unwrap_or(u32::MAX);
        Ok(TableReport {
            table: table.as_str().to_owned(),
            rows: loaded.rows,
            staged_pages,
            failed_pages: outcome.failed.keys().copied().collect(),
            duration_seconds: seconds(watch.elapsed()),
            fetched_at: finished_at.to_string(),
            counts: FetchCounts { duplicates: loaded.duplicates, ..outcome.counts.with_costs_of(&manifest.counts) },
            run_id: manifest.run_id.clone(),
        })
    }

    /// A table that is to be replaced stays unless the new one is whole. So does one that has pages of a session that is
    /// lost since, which may be more than have come of the new one.
    ///
    /// # Errors
    /// `Incomplete`, with the missing pages.
    pub(super) fn check_whole(&self) -> Result<()> {
        let manifest = self.stage.manifest();
        let is_replacement = manifest.on_existing == OnExisting::Replace && manifest.loaded.is_none();
        let must_be_whole = is_replacement && self.seen.found == Found::Table && self.missing == MissingPages::Fetch;
        if (must_be_whole || is_of_another_session(manifest)) && !self.outcome.is_whole() {
            return Err(incomplete(&self.outcome, &self.table));
        }
        Ok(())
    }

    /// The part that blocks, around `load`. Whoever has the database open is told to `busy`, again and again. Returns what
    /// the load came to, and why the stage is still there, if it should not be.
    pub(super) fn run(
        self,
        finished_at: jiff::Timestamp,
        busy: &mpsc::Sender<String>,
        stop: &LoadStop,
        load: impl FnOnce(&LoadRequest<'_>, &mut OnLockWait<'_>) -> Result<LoadReport>,
    ) -> Result<(LoadReport, Outcome, Option<String>)> {
        let Self { database, table, seen, mut stage, mut outcome, missing, control, .. } = self;
        let pages: Vec<PathBuf> = outcome.staged.iter().map(|page| stage.page_path(*page)).collect();
        let rejects: Vec<PathBuf> = outcome.staged.iter().filter_map(|page| stage.rejects_path(*page)).collect();
        let previous = stage.loaded_pages()?;
        let loading = Loaded { epoch: stage.manifest().epoch, pages: outcome.staged.clone() };
        stage.update(|manifest| manifest.loading = Some(loading))?;
        let mut on_wait = |error: &Error| {
            // If the fetch was abandoned, or has not heard of the last wait yet, the load continues all the same.
            let _ = busy.try_send(error.message().to_owned());
            if control.cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let request = LoadRequest {
            database: &database,
            table: &table,
            on_existing: stage.manifest().on_existing,
            stage_folder: stage.folder(),
            pages: &pages,
            rejects: &rejects,
            previous: &previous,
            kind: kind_of(stage.manifest()),
            seen: Some(&seen),
            run: record(stage.manifest(), &outcome, finished_at),
            announced: announced(&outcome, stage.manifest(), missing, control.allow_drift),
            missing,
            lock_wait: control.lock_wait,
            memory: control.memory,
            allow_empty: control.allow_empty,
            stop: stop.clone(),
        };
        let report = match load(&request, &mut on_wait) {
            // The wait for the database was ended by the wish to stop.
            Err(error) if error.kind() == ErrorKind::DatabaseLocked && control.cancel.is_cancelled() => {
                return Err(Error::new(ErrorKind::Cancelled, "the fetch was stopped").with_source(error));
            }
            // What an interrupted statement says of itself is nobody's concern.
            Err(_) if stop.is_asked() => {
                return Err(Error::new(ErrorKind::Cancelled, "the load was stopped before its commit and undone"));
            }
            Err(error) if error.kind() == ErrorKind::TableChanged && stage.manifest().updates => {
                return Err(error.with_detail("since", stage.manifest().query.since.clone()));
            }
            Err(error) if is_planted(Mutant::StageRemovedTooEarly) => {
                stage.remove()?;
                return Err(error);
            }
            Err(error) => return Err(refused(error, &mut stage, &mut outcome, &table)),
            Ok(report) => report,
        };
        kill_point("load-done");
        if report.shortfall > outcome.counts.shortfall {
            outcome.lacks(report.shortfall);
        }
        // The rows are committed: a stage that cannot be removed is a nuisance, not a failure.
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
            format!("the rows are in the table, but {error}{cause}; what is left of the run can be discarded")
        });
        Ok((report, outcome, left_over))
    }
}

/// Says whether the table has pages of a session that is lost since.
fn is_of_another_session(manifest: &Manifest) -> bool {
    manifest.loaded.as_ref().is_some_and(|loaded| loaded.epoch != manifest.epoch)
}

/// What the load compares with the different profiles that came.
fn announced(outcome: &Outcome, manifest: &Manifest, missing: MissingPages, allow_drift: f64) -> Option<Announced> {
    let is_compared = outcome.is_whole() && missing == MissingPages::Fetch;
    let (total, is_strict) = (outcome.counts.expected_rows, is_of_another_session(manifest));
    is_compared.then_some(Announced { total, allow_drift, is_strict })
}

/// The load left the table as it was. If that is because profiles are missing, the next process begins from page 0.
fn refused(error: Error, stage: &mut Stage, outcome: &mut Outcome, table: &TableName) -> Error {
    let Some(shortfall) = error.detail("shortfall").and_then(serde_json::Value::as_u64) else { return error };
    outcome.lacks(shortfall);
    let error = if outcome.counts.expected_rows.is_some() { incomplete(outcome, table) } else { error };
    if let Err(error) = stage.update(|manifest| lacks(manifest, outcome, error.message())) {
        tracing::warn!("{error}");
    }
    error
}

/// Notes what a load has found missing.
fn lacks(manifest: &mut Manifest, outcome: &Outcome, reason: &str) {
    manifest.progress = Progress::Fetching { reason: reason.to_owned() };
    manifest.session_over = outcome.session_over;
    manifest.lacking = outcome.counts.shortfall;
}

/// Waits until the caller has wanted to stop for some time.
async fn cancelled_for(cancel: &CancellationToken, time: Duration) {
    cancel.cancelled().await;
    tokio::time::sleep(time).await;
}

/// Finds out whether the load that an earlier process began is in the table, if that could not be written down any more.
/// Says what the next load of the run is to the table.
pub(super) fn look_for_commit(stage: &mut Stage, is_loaded: impl FnOnce(&str) -> Result<bool>) -> Result<LoadKind> {
    let manifest = stage.manifest();
    if let Some(loading) = &manifest.loading
        && manifest.loading != manifest.loaded
        && is_loaded(&manifest.load_id(loading.epoch, &loading.pages))? != is_planted(Mutant::CommitNotLookedFor)
    {
        stage.update(Manifest::note_commit)?;
    }
    Ok(kind_of(stage.manifest()))
}

/// A table that another run made anew cannot be completed. If the caller says what to do with it, it is a table like any
/// other for this run. Says what the next load is to the table.
///
/// # Errors
/// `TableExists` if the caller does not say it.
pub(super) fn look_for_maker(
    stage: &mut Stage,
    database: &Path,
    kind: LoadKind,
    on_existing: Option<OnExisting>,
) -> Result<LoadKind> {
    let manifest = stage.manifest();
    if kind == LoadKind::First || matches!(manifest.on_existing, OnExisting::Append | OnExisting::Upsert) {
        return Ok(kind);
    }
    let table = TableName::parse(&manifest.table)?;
    let Some(maker) = store::maker(database, &table)?.filter(|maker| *maker != manifest.run_id) else {
        return Ok(kind);
    };
    let Some(on_existing) = on_existing else { return Err(store::made_by_another(&table, &maker)) };
    stage.update(|manifest| {
        (manifest.loaded, manifest.loading) = (None, None);
        manifest.on_existing = on_existing;
        manifest.tables_left += 1;
    })?;
    Ok(LoadKind::First)
}

/// What the next load of a run is to the table.
fn kind_of(manifest: &Manifest) -> LoadKind {
    if manifest.loaded.is_some() { LoadKind::Completing } else { LoadKind::First }
}

impl Manifest {
    /// What was being loaded is in the table.
    fn note_commit(&mut self) {
        self.loaded.clone_from(&self.loading);
    }
}

/// What is recorded of the run. What earlier processes spent on it is in the manifest, this one's share as well.
fn record(manifest: &Manifest, outcome: &Outcome, finished_at: jiff::Timestamp) -> RunRecord {
    let page_count = u32::try_from(outcome.staged.len()).unwrap_or(u32::MAX);
    RunRecord {
        dataset: &PROFILES,
        load_id: manifest.load_id(manifest.epoch, &outcome.staged),
        run_id: manifest.run_id.clone(),
        // A clock that is ahead must not make a later fetch skip what was seen since.
        started_at: manifest
            .session
            .as_ref()
            .and_then(|session| session.server_time)
            .map_or(manifest.started_at, |time| time.min(manifest.started_at)),
        finished_at,
        project_id: manifest.project_id.clone(),
        region: manifest.region.clone(),
        query: manifest.query.clone(),
        mode: manifest.mode,
        counts: outcome.counts.with_costs_of(&manifest.counts),
        page_count,
        failed_pages: outcome.failed.keys().copied().collect(),
    }
}

/// Seconds to the millisecond, for people and programs alike.
pub(super) fn seconds(duration: Duration) -> f64 {
    to_millis(duration.as_secs_f64())
}
