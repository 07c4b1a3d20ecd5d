//! A fetch from its arguments to its report: check, stage, load.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::api::ApiClient;
use crate::clock::{Stopwatch, new_run_id, wall_clock};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::LOCK_WAIT;
use crate::parse::RecordForm;
use crate::profile_query::OnExisting;
use crate::stage::{Manifest, Stage};
use crate::store::{self, Found, LoadKind, LoadReport, LoadRequest, RunRecord, TableName};
use crate::types::{FetchCounts, ProfileStreamResult};

use super::outcome::{Ending, Outcome};
use super::prepare::{Prepared, prepare};
use super::progress::FetchEvent;
use super::request::{Callbacks, ProfileFetch};
use super::run::{Finished, Run};
use super::stream::{RecordSink, StreamOutput};
use super::writer::Destination;

/// What a fetch into a table came to, whatever its mode.
pub(super) struct TableReport {
    pub(super) table: String,
    pub(super) rows: u64,
    pub(super) staged_pages: u32,
    pub(super) failed_pages: Vec<u32>,
    pub(super) duration_seconds: f64,
    pub(super) fetched_at: String,
    pub(super) counts: FetchCounts,
}

/// Fetches profiles into a table of `database`.
pub(super) async fn fetch_into_table(
    client: &ApiClient,
    database: &Path,
    mut fetch: ProfileFetch,
) -> Result<TableReport> {
    let watch = Stopwatch::start();
    let started_at = wall_clock();
    let table = TableName::parse(&fetch.table)?;
    let prepared = prepare(&fetch, started_at.as_second())?;
    let (path, name, on_existing) = (database.to_owned(), table.clone(), fetch.on_existing);
    let found = blocking(move || store::preflight(&path, &name, on_existing, LoadKind::First)).await?;
    let mut callbacks = std::mem::take(&mut fetch.callbacks);
    prepared.warning.iter().for_each(|warning| callbacks.tell(warning));

    let manifest = manifest(client, &fetch, &prepared, started_at);
    let run_id = manifest.run_id.clone();
    let query = prepared.query.clone();
    let path = database.to_owned();
    let stage = blocking(move || Stage::create(&path, manifest)).await?;
    let (stage, outcome) = if prepared.request.is_empty {
        (stage, Outcome::nothing_asked())
    } else {
        let finished = run(client, &fetch, prepared).drive(Destination::Stage(stage), &mut callbacks).await;
        let finished = finished.map_err(|error| error.with_run_id(run_id.clone()))?;
        check_ending(finished, &run_id)?
    };
    let failed_pages: Vec<u32> = outcome.failed.keys().copied().collect();
    if on_existing == OnExisting::Replace && found == Found::Table && !failed_pages.is_empty() {
        return Err(incomplete(&outcome, &table).with_run_id(run_id));
    }
    callbacks.tell(&FetchEvent::Loading { rows: outcome.received - outcome.rejected });
    let finished_at = wall_clock();
    let credentials = client.credentials();
    let record = RunRecord {
        load_id: run_id.clone(),
        run_id: run_id.clone(),
        started_at,
        finished_at,
        project_id: credentials.project_id.as_str().to_owned(),
        region: credentials.region.as_str().to_owned(),
        query,
        mode: fetch.mode,
        expected_rows: outcome.expected_rows,
        received: outcome.received,
        rejected: outcome.rejected,
        page_count: u32::try_from(outcome.staged.len()).unwrap_or(u32::MAX),
        failed_pages: failed_pages.clone(),
        short_pages: Vec::new(),
        session_restarts: 0,
        requests: outcome.requests,
        retries: outcome.retries,
        waited_seconds: seconds(outcome.waited),
    };
    let load = Load { database: database.to_owned(), table: table.clone(), on_existing, record };
    let loaded = blocking(move || load.run(stage, &outcome).map(|loaded| (loaded, outcome))).await;
    let (loaded, outcome) = loaded.map_err(|error| error.with_run_id(run_id.clone()))?;
    warn_of_differences(&outcome, &mut callbacks);
    Ok(TableReport {
        table: table.as_str().to_owned(),
        rows: loaded.rows,
        staged_pages: u32::try_from(outcome.staged.len()).unwrap_or(u32::MAX),
        failed_pages,
        duration_seconds: seconds(watch.elapsed()),
        fetched_at: finished_at.to_string(),
        counts: counts(&outcome, loaded.duplicates, run_id),
    })
}

/// Fetches profiles and hands them to `sink` in page order.
pub(crate) async fn stream_profiles(
    client: &ApiClient,
    database: &Path,
    mut fetch: ProfileFetch,
    form: RecordForm,
    sink: RecordSink,
) -> Result<ProfileStreamResult> {
    let started_at = wall_clock();
    let prepared = prepare(&fetch, started_at.as_second())?;
    let mut callbacks = std::mem::take(&mut fetch.callbacks);
    prepared.warning.iter().for_each(|warning| callbacks.tell(warning));
    let manifest = manifest(client, &fetch, &prepared, started_at);
    let run_id = manifest.run_id.clone();
    let path = database.to_owned();
    let stage = blocking(move || Stage::create(&path, manifest)).await?;
    let output = StreamOutput::new(stage, form, sink);
    let (outcome, output, ending) = if prepared.request.is_empty {
        (Outcome::nothing_asked(), output, None)
    } else {
        let mut run = run(client, &fetch, prepared);
        run.form = form;
        let Finished { outcome, destination, writer_error, .. } =
            run.drive(Destination::Stream(output), &mut callbacks).await?;
        let Destination::Stream(output) = destination else {
            return Err(Error::internal("the writer returned another destination than it was given"));
        };
        let ending = writer_error.or_else(|| ending_error(&outcome));
        (outcome, output, ending)
    };
    let (rows, ended_early) = blocking(move || Ok(output.finish())).await?;
    if let Some(error) = ending {
        return Err(error);
    }
    if !ended_early {
        warn_of_differences(&outcome, &mut callbacks);
    }
    Ok(ProfileStreamResult {
        rows,
        successful_pages: u32::try_from(outcome.staged.len()).unwrap_or(u32::MAX),
        failed_page_indices: outcome.failed.keys().copied().collect(),
        ended_early,
        counts: counts(&outcome, 0, run_id),
    })
}

/// The load, to be run where blocking is allowed.
struct Load {
    database: PathBuf,
    table: TableName,
    on_existing: OnExisting,
    record: RunRecord,
}

impl Load {
    /// Loads the staged pages. The stage goes when nothing is missing; else it stays, for the pages that are.
    fn run(self, stage: Stage, outcome: &Outcome) -> Result<LoadReport> {
        let pages: Vec<PathBuf> = outcome.staged.iter().map(|page| stage.page_path(*page)).collect();
        let request = LoadRequest {
            database: &self.database,
            table: &self.table,
            on_existing: self.on_existing,
            stage_folder: stage.folder(),
            pages: &pages,
            previous: &[],
            rejects: &[],
            run: self.record,
            lock_wait: LOCK_WAIT,
        };
        let report = store::load(&request, &mut |_| ControlFlow::Continue(()))?;
        if outcome.failed.is_empty() {
            // The rows are committed: a stage that cannot be removed is a nuisance, not a failure.
            if let Err(error) = stage.remove() {
                tracing::warn!("{error}");
            }
        }
        Ok(report)
    }
}

fn run(client: &ApiClient, fetch: &ProfileFetch, prepared: Prepared) -> Run {
    Run {
        client: client.clone(),
        request: prepared.request,
        workers: prepared.workers,
        form: RecordForm::Row,
        cancel: fetch.cancel.clone(),
        stop_grace: fetch.stop_grace,
    }
}

fn manifest(client: &ApiClient, fetch: &ProfileFetch, prepared: &Prepared, started_at: jiff::Timestamp) -> Manifest {
    let credentials = client.credentials();
    let run_id = new_run_id();
    let mut manifest = Manifest::new(run_id, started_at, credentials.project_id.as_str(), credentials.region.as_str());
    manifest.query = prepared.query.clone();
    manifest.table.clone_from(&fetch.table);
    manifest.on_existing = fetch.on_existing;
    manifest
}

/// Sorts out the endings after which nothing is loaded. A stage without pages is of no use to anyone.
fn check_ending(finished: Finished, run_id: &str) -> Result<(Stage, Outcome)> {
    let Finished { outcome, destination, writer_error, .. } = finished;
    let Destination::Stage(stage) = destination else {
        return Err(Error::internal("the writer returned another destination than it was given"));
    };
    let Some(error) = writer_error.or_else(|| ending_error(&outcome)) else { return Ok((stage, outcome)) };
    if outcome.staged.is_empty() {
        // The reason why there is nothing matters more than a folder that stays.
        if let Err(error) = stage.remove() {
            tracing::warn!("{error}");
        }
        return Err(error);
    }
    Err(error.with_detail("staged_pages", outcome.staged.len()).with_run_id(run_id))
}

fn ending_error(outcome: &Outcome) -> Option<Error> {
    match outcome.ending.clone()? {
        Ending::Fatal(failure) => Some(failure.into_error()),
        Ending::Stopped => Some(Error::new(ErrorKind::Cancelled, "the fetch was stopped")),
        Ending::Halted(failure) if outcome.staged.is_empty() => Some(failure.into_error()),
        Ending::Halted(_) | Ending::WriterFailed => None,
    }
}

fn incomplete(outcome: &Outcome, table: &TableName) -> Error {
    let pages: Vec<String> = outcome.failed.keys().map(u32::to_string).collect();
    let cause = outcome.failed.values().next().map(ToString::to_string).unwrap_or_default();
    let message = format!(
        "{} of {} pages are missing (page {}), so `{}` was left as it was; {cause}",
        pages.len(),
        pages.len() + outcome.staged.len(),
        pages.join(", "),
        table.as_str(),
    );
    Error::new(ErrorKind::Incomplete, message)
        .with_detail("failed_page_indices", outcome.failed.keys().copied().collect::<Vec<_>>())
}

/// Says where the server's word and what it sent differ, and what could not be a row.
fn warn_of_differences(outcome: &Outcome, callbacks: &mut Callbacks) {
    let complete = outcome.failed.is_empty() && outcome.ending.is_none();
    if let Some(expected) = outcome.expected_rows.filter(|expected| complete && *expected != outcome.received) {
        callbacks.tell(&FetchEvent::Warning(format!(
            "the server said that there are {expected} profiles and sent {}; they may have changed meanwhile",
            outcome.received
        )));
    }
    if outcome.rejected > 0 {
        callbacks.tell(&FetchEvent::Warning(format!(
            "{} of {} records cannot be rows and were left out (`rejected` in the result)",
            outcome.rejected, outcome.received
        )));
    }
}

fn counts(outcome: &Outcome, duplicates: u64, run_id: String) -> FetchCounts {
    FetchCounts {
        expected_rows: outcome.expected_rows,
        duplicates,
        rejected: outcome.rejected,
        requests: outcome.requests,
        retries: outcome.retries,
        waited_seconds: seconds(outcome.waited),
        run_id,
    }
}

/// Seconds to the millisecond, for people and programs alike.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

/// Runs what waits for disks where it disturbs nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::internal("a storage task panicked; this is a bug").with_source(error)),
    }
}
