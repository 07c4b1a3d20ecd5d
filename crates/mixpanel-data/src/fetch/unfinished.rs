//! Lists and opens unfinished runs, and checks whether one of them blocks a new fetch.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::clock::{moment_of, wall_clock};
use crate::error::{Error, ErrorKind, Result};
use crate::profile_query::IfExists;
use crate::stage::{self, Listed, Manifest, Progress, Stage};

use super::profiles::PageLayout;
use super::stage_roots::stage_roots;
use super::superseded::is_superseded;

/// An unfinished run. Its pages are on disk, and [`Workspace::resume_fetch`] resumes it.
///
/// [`Workspace::resume_fetch`]: crate::Workspace::resume_fetch
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UnfinishedRun {
    /// The id of the run.
    pub run_id: String,
    /// How far it got. If its manifest is unreadable, the fields taken from it are `None`.
    pub state: RunState,
    /// What it fetches.
    #[serde(default)]
    pub kind: RunKind,
    /// The table into which its rows will be loaded.
    pub table: Option<String>,
    /// The project.
    pub project_id: Option<String>,
    /// Its region, such as `us`.
    pub region: Option<String>,
    /// What to do if the table exists.
    pub if_exists: Option<IfExists>,
    /// The properties that the run drops, sorted.
    #[serde(default)]
    pub dropped_properties: Vec<String>,
    /// The properties that the run hashes, sorted. To fetch its missing pages, it needs its key; see
    /// [`ResumeFetch::hash_key`](crate::ResumeFetch::hash_key).
    #[serde(default)]
    pub hashed_properties: Vec<String>,
    /// Start time in UTC, in ISO 8601 format; `None` if neither the manifest nor the run id contains it.
    pub started_at: Option<String>,
    /// Seconds since the run began; 0 if the start time is unknown.
    pub age_seconds: u64,
    /// Number of pages on disk; for events, of date ranges.
    pub pages_done: u32,
    /// Total number of pages or date ranges, if known.
    pub pages_total: Option<u32>,
    /// Bytes used on disk.
    pub bytes: u64,
    /// Why the run is unfinished. For an unreadable run: which file cannot be read, and why.
    pub reason: String,
    /// Whether the fetched pages have already been loaded. The table is then marked as partial.
    pub is_loaded_in_part: bool,
    /// Whether the table was loaded after this run began, so that resuming it could replace newer records by older ones.
    /// That is an error without [`ResumeFetch::replace_newer`](crate::ResumeFetch::replace_newer).
    #[serde(default)]
    pub is_superseded: bool,
    /// The id of the process that is working on the run, if any.
    pub held_by: Option<u32>,
}

impl UnfinishedRun {
    /// Returns whether only page 0 was fetched, for an estimate.
    #[must_use]
    pub fn is_only_planned(&self) -> bool {
        self.state == RunState::Planned
    }

    /// Returns whether the manifest of the run could be read. If not, the run cannot be resumed.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.state != RunState::Unreadable
    }

    /// Returns the run to resume if only `table` is given. Expects `runs` sorted newest first.
    ///
    /// This is the table's newest run. An estimate has only page 0, so it is chosen only if there is no other run.
    #[must_use]
    pub fn newest_of<'a>(runs: &'a [Self], table: &str) -> Option<&'a Self> {
        runs.iter().filter(|run| run.is_of(table)).min_by_key(|run| run.is_only_planned())
    }

    /// Returns whether the run belongs to `table`. Table names are case-insensitive, as in DuckDB.
    #[must_use]
    pub fn is_of(&self, table: &str) -> bool {
        self.table.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(table))
    }
}

/// What a run fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunKind {
    /// Profiles, in pages. Also that of a run whose manifest cannot be read.
    #[default]
    Profiles,
    /// Events, in date ranges.
    Events,
}

/// How far an unfinished run got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunState {
    /// A process is working on it.
    Running,
    /// Only page 0 was fetched, for an estimate.
    Planned,
    /// It stopped before all pages were fetched.
    Stopped,
    /// All pages are on disk; only the load remains.
    Complete,
    /// Its manifest cannot be read, so it cannot be resumed.
    Unreadable,
}

/// Lists the unfinished runs of a database, newest first.
pub(crate) fn unfinished_runs(database: &Path) -> Result<Vec<UnfinishedRun>> {
    let runs = stage::list(&stage_roots(database))?.into_iter();
    let runs = runs.map(|listed| {
        let is_superseded = listed.held_by.is_none()
            && listed
                .manifest
                .as_ref()
                .is_ok_and(|manifest| is_superseded(manifest, manifest.if_exists, database).unwrap_or(false));
        UnfinishedRun { is_superseded, ..to_unfinished_run(listed) }
    });
    Ok(runs.collect())
}

/// Opens the newest unfinished run of a table, or the run with the given id.
pub(super) fn open_run(database: &Path, table: &str, run_id: Option<&str>) -> Result<Stage> {
    let roots = stage_roots(database);
    let _turn = stage::lock_for_start(&roots)?;
    let runs = stage::list(&roots)?;
    check_alone(&runs, table)?;
    if let Some(run_id) = run_id {
        return Stage::open(&roots, run_id);
    }
    let runs: Vec<UnfinishedRun> = runs.into_iter().map(to_unfinished_run).collect();
    match UnfinishedRun::newest_of(&runs, table) {
        Some(run) => Stage::open(&roots, &run.run_id),
        None => Err(none_of_table(stage::list(&roots)?, table)),
    }
}

/// Rejects a fetch into a table that another process is already fetching into: only one of them could load its pages.
///
/// # Errors
/// `RunBusy` with the id of the other process, even if its table cannot be determined.
pub(super) fn check_alone(runs: &[Listed], table: &str) -> Result<()> {
    for run in runs {
        let Some(pid) = run.held_by else { continue };
        let message = match &run.manifest {
            Ok(manifest) if !manifest.table.eq_ignore_ascii_case(table) => continue,
            Ok(_) => format!("process {pid} is already fetching into table `{table}`"),
            // A newer version of this program may be fetching into the same table.
            Err(error) => format!(
                "process {pid} is working on run `{}`, which may belong to table `{table}` and cannot be read: {}",
                run.run_id,
                with_causes(error)
            ),
        };
        return Err(Error::new(ErrorKind::RunBusy, message).with_detail("holding_pid", pid));
    }
    Ok(())
}

/// Returns the error for a table that has no run to resume. It names an unreadable run, which may belong to the table.
fn none_of_table(runs: Vec<Listed>, table: &str) -> Error {
    let unreadable = runs.into_iter().find_map(|run| Some((run.run_id, run.manifest.err()?)));
    let error = match unreadable {
        None => Error::new(ErrorKind::RunNotFound, format!("there is no unfinished run of table `{table}`")),
        Some((run_id, error)) => {
            let message = format!("table `{table}` has no readable unfinished run, and run `{run_id}` cannot be read");
            Error::new(ErrorKind::Storage, message).with_source(error)
        }
    };
    error.with_detail("table_name", table)
}

fn to_unfinished_run(listed: Listed) -> UnfinishedRun {
    let (state, reason) = state(&listed);
    let Listed { run_id, manifest, pages_done, bytes, held_by } = listed;
    let began = manifest.as_ref().map_or_else(|_| moment_of(&run_id), |manifest| Some(manifest.started_at));
    let age = began.map_or(0, |began| wall_clock().duration_since(began).as_secs());
    let run = UnfinishedRun {
        run_id,
        state,
        kind: RunKind::Profiles,
        table: None,
        project_id: None,
        region: None,
        if_exists: None,
        dropped_properties: Vec::new(),
        hashed_properties: Vec::new(),
        started_at: began.map(|began| began.to_string()),
        age_seconds: u64::try_from(age).unwrap_or(0),
        pages_done,
        pages_total: None,
        bytes,
        reason,
        is_loaded_in_part: false,
        is_superseded: false,
        held_by,
    };
    let Ok(manifest) = manifest else { return run };
    UnfinishedRun {
        pages_total: pages_total(&manifest),
        kind: if manifest.events.is_some() { RunKind::Events } else { RunKind::Profiles },
        is_loaded_in_part: manifest.loaded.is_some(),
        table: Some(manifest.table),
        project_id: Some(manifest.project_id),
        region: Some(manifest.region),
        if_exists: Some(manifest.if_exists),
        dropped_properties: manifest.property_rules.drop,
        hashed_properties: manifest.property_rules.hash,
        ..run
    }
}

fn is_of_events(listed: &Listed) -> bool {
    listed.manifest.as_ref().is_ok_and(|manifest| manifest.events.is_some())
}

/// Returns how far a run got, and why it is unfinished.
fn state(listed: &Listed) -> (RunState, String) {
    match &listed.manifest {
        Err(error) => (RunState::Unreadable, with_causes(error)),
        Ok(_) if listed.held_by.is_some() => (RunState::Running, "a process is working on it".to_owned()),
        Ok(Manifest { progress: Progress::Planned, .. }) => {
            (RunState::Planned, "only page 0 was fetched, for an estimate".to_owned())
        }
        Ok(Manifest { progress: Progress::Complete { .. }, .. }) => {
            let parts = if is_of_events(listed) { "batches" } else { "pages" };
            (RunState::Complete, format!("all {parts} are staged; only the load remains"))
        }
        Ok(Manifest { progress: Progress::Fetching { reason }, .. }) if reason.is_empty() => {
            (RunState::Stopped, "the process exited without recording a reason".to_owned())
        }
        Ok(Manifest { progress: Progress::Fetching { reason }, .. }) => (RunState::Stopped, reason.clone()),
    }
}

/// Formats an error and its causes on one line.
fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

fn pages_total(manifest: &Manifest) -> Option<u32> {
    if let Progress::Complete { pages } = manifest.progress {
        return Some(pages);
    }
    if let Some(plan) = manifest.slice_plan(wall_clock()) {
        return u32::try_from(plan.active().count()).ok();
    }
    let facts = manifest.session.as_ref()?;
    facts.total?;
    PageLayout::of(facts).ok().map(|layout| layout.pages())
}
