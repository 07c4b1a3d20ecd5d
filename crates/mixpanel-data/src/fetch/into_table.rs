//! A fetch into a table, from its arguments to its report: check, stage, load. A resumed run enters halfway.

use std::path::Path;
use std::time::Duration;

use crate::api::{ApiClient, FailureKind};
use crate::clock::{Stopwatch, new_run_id, wall_clock};
use crate::drift::allowed_drift;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{LOCK_POLL_INTERVAL, PREFLIGHT_LOCK_WAIT, RELOOK_LOCK_WAIT, STOP_GRACE};
use crate::parse::RecordForm;
use crate::profile_query::{FetchMode, MissingPages, OnExisting};
use crate::stage::{self, Manifest, Over, Progress, Stage};
use crate::store::{self, Checked, LoadKind, Seen, TableName};

use super::coordinator::Earlier;
use super::driver::{Finished, Run};
use super::identity::{check_base, check_same_run, since_last_load};
use super::loading::{Job, TableReport, look_for_commit, look_for_maker};
use super::outcome::{Ending, Outcome};
use super::progress::FetchEvent;
use super::request::{Control, ProfileFetch, ResumeFetch, Since};
use super::unfinished::{check_alone, none_of_table};
use super::validate::{Prepared, prepare};
use super::writer::into_stage;

/// Fetches profiles into a table of `database`.
pub(super) async fn fetch_into_table(
    client: &ApiClient,
    database: &Path,
    mut fetch: ProfileFetch,
) -> Result<TableReport> {
    let watch = Stopwatch::start();
    let table = TableName::parse(&fetch.table)?;
    if fetch.since == Since::LastLoad {
        let last = since_last_load(client, database, &table, &fetch.query, &mut fetch.control).await?;
        fetch.query.since = last.since;
        last.warning.iter().for_each(|warning| fetch.control.callbacks.tell(warning));
    }
    let prepared = prepare(&fetch, wall_clock().as_second())?;
    let on_existing = fetch.on_existing;
    preflight(&mut fetch.control, database, &table, on_existing, LoadKind::First).await?;
    let manifest = describe(client, &fetch, &prepared);
    let (path, name) = (database.to_owned(), table.clone());
    let (stage, seen) = blocking(move || {
        let stage = new_or_planned(&path, manifest)?;
        // Another fetch may have created the table between the preflight and this fetch's turn. Other fetches'
        // preflights also open the database, for a moment each.
        match store::look(&path, &name, on_existing, LoadKind::First, RELOOK_LOCK_WAIT) {
            Ok(seen) => Ok((stage, seen)),
            Err(error) => Err(give_back(stage, error)),
        }
    })
    .await?;
    let work = Work { client, database, stage, table, seen, prepared, missing: MissingPages::Fetch, watch };
    work.go(fetch.control).await
}

/// Resumes an unfinished run.
pub(super) async fn resume_into_table(
    client: &ApiClient,
    database: &Path,
    resume: ResumeFetch,
) -> Result<(FetchMode, TableReport)> {
    let watch = Stopwatch::start();
    let (path, name, run_id) = (database.to_owned(), resume.table.clone(), resume.run_id.clone());
    let stage = blocking(move || open_run(&path, &name, run_id.as_deref())).await?;
    let run_id = stage.manifest().run_id.clone();
    resume_stage(client, database, stage, resume, watch).await.map_err(|error| error.with_run_id(run_id))
}

async fn resume_stage(
    client: &ApiClient,
    database: &Path,
    stage: Stage,
    mut resume: ResumeFetch,
    watch: Stopwatch,
) -> Result<(FetchMode, TableReport)> {
    check_same_run(stage.manifest(), client, resume.query.as_ref())?;
    // All pages may be fetched already: then this is the wait before the load, and lasts as long.
    let path = database.to_owned();
    let on_existing = resume.on_existing;
    let look = move |mut stage: Stage| {
        let kind = look_for_commit(&mut stage, |load_id| store::is_loaded(&path, load_id))
            .and_then(|kind| look_for_maker(&mut stage, &path, kind, on_existing));
        (stage, kind)
    };
    let at_most = resume.control.options.load_wait();
    let (mut stage, kind) = waiting(&mut resume.control, at_most, stage, look).await?;
    if let Some(on_existing) = resume.on_existing.filter(|_| stage.manifest().loaded.is_none()) {
        stage.update(|manifest| manifest.on_existing = on_existing)?;
    }
    let manifest = stage.manifest();
    let table = TableName::parse(&manifest.table)?;
    // Another mode applies to this resume only, and decides the shape of the result.
    let mode = resume.mode.unwrap_or(manifest.mode);
    let mut again = ProfileFetch::new(&manifest.table).query(manifest.query.clone());
    again.mode = mode;
    // The timestamp that the filters count from was checked when the run began.
    resume.control.options.check()?;
    let prepared = prepare(&again, wall_clock().as_second())?;
    let (path, name, wait) = (database.to_owned(), table.clone(), at_most.min(PREFLIGHT_LOCK_WAIT));
    let look = move |stage: Stage| {
        let checked = store::preflight(&path, &name, stage.manifest().on_existing, kind, wait);
        (stage, checked)
    };
    let (stage, Checked { seen, warnings }) = waiting(&mut resume.control, at_most, stage, look).await?;
    tell(&mut resume.control, warnings);
    check_base(stage.manifest(), client, database, &table, &mut resume.control).await?;
    let work = Work { client, database, stage, table, seen, prepared, missing: resume.missing_pages, watch };
    Ok((mode, work.go(resume.control).await?))
}

/// Runs `look` on the database, and waits up to `at_most` for another process that has it open. `state` is passed
/// through `look` and returned.
pub(super) async fn waiting<S: Send + 'static, T: Send + 'static>(
    control: &mut Control,
    at_most: Duration,
    mut state: S,
    look: impl Fn(S) -> (S, Result<T>) + Clone + Send + 'static,
) -> Result<(S, T)> {
    let watch = Stopwatch::start();
    let mut is_told = false;
    loop {
        let look = look.clone();
        let (back, seen) = blocking(move || Ok(look(state))).await?;
        state = back;
        let error = match seen {
            Ok(seen) => return Ok((state, seen)),
            Err(error) => error,
        };
        if error.kind() != ErrorKind::DatabaseLocked || watch.elapsed() >= at_most {
            return Err(error);
        }
        if control.cancel.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "the fetch was stopped").with_source(error));
        }
        if !std::mem::replace(&mut is_told, true) {
            let reason = error.message().to_owned();
            control.callbacks.tell(&FetchEvent::DatabaseBusy { reason, at_most });
        }
        tokio::time::sleep(LOCK_POLL_INTERVAL).await;
    }
}

/// Creates a run's directory, or takes the one in which the same fetch was planned.
fn new_or_planned(database: &Path, manifest: Manifest) -> Result<Stage> {
    let _turn = stage::take_turn(database)?;
    stage::sweep(database);
    let runs = stage::list(database)?;
    check_alone(&runs, &manifest.table)?;
    for listed in runs {
        let Ok(planned) = listed.manifest else { continue };
        if planned.progress != Progress::Planned || !planned.is_same_fetch(&manifest) || listed.held_by.is_some() {
            continue;
        }
        // Another process may have taken it first.
        if let Ok(mut stage) = Stage::open(database, &listed.run_id) {
            stage.update(|planned| {
                planned.on_existing = manifest.on_existing;
                planned.mode = manifest.mode;
                planned.progress = Progress::Fetching { reason: String::new() };
            })?;
            return Ok(stage);
        }
    }
    Stage::create(database, manifest)
}

/// Restores a run to its earlier state after an error: a new one is removed, a planned one stays planned.
fn give_back(mut stage: Stage, error: Error) -> Error {
    let result = match stage.manifest().session {
        None => stage.remove(),
        Some(_) => stage.update(|manifest| manifest.progress = Progress::Planned),
    };
    if let Err(error) = result {
        tracing::warn!("{error}");
    }
    error
}

/// Opens the newest unfinished run of a table, or the run with the given id.
fn open_run(database: &Path, table: &str, run_id: Option<&str>) -> Result<Stage> {
    let _turn = stage::take_turn(database)?;
    check_alone(&stage::list(database)?, table)?;
    if let Some(run_id) = run_id {
        return Stage::open(database, run_id);
    }
    let is_of_table = |listed: &&stage::Listed| {
        listed.manifest.as_ref().is_ok_and(|manifest| manifest.table.eq_ignore_ascii_case(table))
    };
    let mut runs = stage::list(database)?;
    // A run that was only planned comes last: it is only the beginning of a fetch.
    runs.sort_by_key(|run| run.manifest.as_ref().is_ok_and(|manifest| manifest.progress == Progress::Planned));
    match runs.iter().find(is_of_table) {
        Some(run) => Stage::open(database, &run.run_id),
        None => Err(none_of_table(runs, table)),
    }
}

/// Creates the manifest of a new run.
pub(super) fn describe(client: &ApiClient, fetch: &ProfileFetch, prepared: &Prepared) -> Manifest {
    let credentials = client.credentials();
    let (project_id, region) = (credentials.project_id.as_str(), credentials.region.as_str());
    let mut manifest = Manifest::new(new_run_id(), wall_clock(), project_id, region);
    manifest.server = client.server_name();
    manifest.query = prepared.query.clone();
    manifest.table.clone_from(&fetch.table);
    manifest.on_existing = fetch.on_existing;
    manifest.updates = fetch.since == Since::LastLoad;
    manifest.mode = fetch.mode;
    manifest
}

/// Checks the database before the first request, and reports missing file system features.
pub(super) async fn preflight(
    control: &mut Control,
    database: &Path,
    table: &TableName,
    on_existing: OnExisting,
    kind: LoadKind,
) -> Result<()> {
    let at_most = control.options.preflight_wait();
    let (path, name, wait) = (database.to_owned(), table.clone(), at_most.min(PREFLIGHT_LOCK_WAIT));
    let look = move |()| ((), store::preflight(&path, &name, on_existing, kind, wait));
    let ((), checked) = waiting(control, at_most, (), look).await?;
    tell(control, checked.warnings);
    Ok(())
}

fn tell(control: &mut Control, warnings: Vec<String>) {
    warnings.into_iter().for_each(|warning| control.callbacks.tell(&FetchEvent::Warning(warning)));
}

/// A run, with everything needed to finish it.
struct Work<'a> {
    client: &'a ApiClient,
    database: &'a Path,
    stage: Stage,
    table: TableName,
    seen: Seen,
    prepared: Prepared,
    missing: MissingPages,
    watch: Stopwatch,
}

impl Work<'_> {
    async fn go(self, mut control: Control) -> Result<TableReport> {
        let Work { client, database, stage, table, seen, prepared, missing, watch } = self;
        let run_id = stage.manifest().run_id.clone();
        let keep_run = |error: Error| error.with_run_id(run_id.clone());
        let mut callbacks = std::mem::take(&mut control.callbacks);
        prepared.warning.iter().for_each(|warning| callbacks.tell(warning));
        client.ledger_notice().iter().for_each(|text| callbacks.tell(&FetchEvent::Warning((*text).to_owned())));
        let (stage, earlier) = blocking(move || {
            let mut stage = stage;
            let earlier = earlier(&mut stage)?;
            Ok((stage, earlier))
        })
        .await
        .map_err(keep_run)?;
        if missing == MissingPages::Accept && earlier.staged.is_empty() {
            return Err(keep_run(Error::new(
                ErrorKind::Incomplete,
                "no page of the run is on disk, so there is nothing to load",
            )));
        }

        let finished = if prepared.request.is_empty {
            Finished { outcome: Outcome::nothing_asked(), target: stage, writer_error: None }
        } else if is_complete(stage.manifest(), &earlier, control.options.allow_drift)
            || missing == MissingPages::Accept
        {
            let is_whole = is_complete(stage.manifest(), &earlier, control.options.allow_drift);
            let outcome = if is_whole { Outcome::whole(&earlier) } else { Outcome::of_staged(&earlier) };
            Finished { outcome, target: stage, writer_error: None }
        } else {
            let run = Run {
                client: client.clone(),
                request: prepared.request,
                rules: control.options.rules(prepared.workers),
                earlier: Some(earlier),
                form: RecordForm::Row,
                cancel: control.cancel.clone(),
                stop_grace: STOP_GRACE,
            };
            run.drive(stage, into_stage, &mut callbacks).await.map_err(keep_run)?
        };
        let (stage, outcome) = blocking(move || settle(finished)).await?;
        callbacks.tell(&FetchEvent::Loading { rows: outcome.counts.received - outcome.counts.rejected });
        let staged_pages = outcome.staged.len();
        let job = Job { database: database.to_owned(), table, seen, stage, outcome, missing, control, watch };
        job.load(&mut callbacks).await.map_err(|error| keep_run(error.with_detail("staged_pages", staged_pages)))
    }
}

pub(super) fn earlier(stage: &mut Stage) -> Result<Earlier> {
    let staged = stage.find_pages()?;
    let manifest = stage.manifest();
    let (epoch, session_over, lacking) = (manifest.epoch, manifest.session_over, manifest.lacking);
    Ok(Earlier { epoch, session: manifest.session.clone(), staged, session_over, lacking })
}

/// Returns whether every page is on disk, so that only the load is left. A session that ended with fewer profiles than
/// announced has every page, if the difference is allowed now.
pub(super) fn is_complete(manifest: &Manifest, earlier: &Earlier, allow_drift: f64) -> bool {
    let (total, missing) = (earlier.expected_profiles(), earlier.missing_profiles());
    match manifest.progress {
        Progress::Complete { pages } => earlier.staged.len() == pages as usize,
        _ => manifest.session_over == Some(Over::Short) && missing <= allowed_drift(total, allow_drift),
    }
}

/// Records in the manifest how far the run got, and returns an error for endings after which nothing is loaded. A stage
/// without pages is useless, and is removed.
pub(super) fn settle(finished: Finished<Stage>) -> Result<(Stage, Outcome)> {
    let Finished { outcome, target: mut stage, writer_error } = finished;
    let error = writer_error.or_else(|| ending_error(&outcome)).or_else(|| nothing_came(&outcome));
    if let Some(error) = error {
        // The reason why there are no pages matters more than a directory that could not be removed.
        let is_empty = outcome.staged.is_empty() && !outcome.left_pages;
        if is_empty && stage.manifest().loaded.is_none() && outcome.counts.session_restarts == 0 {
            if let Err(error) = stage.remove() {
                tracing::warn!("{error}");
            }
            return Err(error);
        }
        let reason = error.to_string();
        if let Err(error) = stage.update(|manifest| note(manifest, &outcome, Progress::Fetching { reason })) {
            tracing::warn!("{error}");
        }
        let error = error.with_run_id(stage.manifest().run_id.clone());
        // The pages on disk may belong to an earlier session; then `outcome.staged` does not count them.
        return Err(if outcome.left_pages { error } else { error.with_detail("staged_pages", outcome.staged.len()) });
    }
    let reason = outcome.failed.values().next().map(ToString::to_string).or_else(|| outcome.shortfall_text());
    let progress = match reason {
        None => Progress::Complete { pages: u32::try_from(outcome.staged.len()).unwrap_or(u32::MAX) },
        Some(reason) => Progress::Fetching { reason },
    };
    let run_id = stage.manifest().run_id.clone();
    stage.update(|manifest| note(manifest, &outcome, progress)).map_err(|error| error.with_run_id(run_id))?;
    Ok((stage, outcome))
}

pub(super) fn note(manifest: &mut Manifest, outcome: &Outcome, progress: Progress) {
    manifest.progress = progress;
    manifest.session_over = outcome.session_over;
    if let Some(session) = &mut manifest.session {
        // A later page may have announced more profiles.
        session.total = session.total.max(outcome.counts.expected_rows);
    }
    manifest.counts.add_costs(&outcome.counts);
}

pub(super) fn ending_error(outcome: &Outcome) -> Option<Error> {
    match outcome.ending.clone()? {
        Ending::Fatal(failure) => {
            let is_lost = failure.kind == FailureKind::SessionLost;
            let error = failure.into_error();
            Some(if is_lost { error.with_detail("session_restarts", outcome.counts.session_restarts) } else { error })
        }
        Ending::Stopped => Some(Error::new(ErrorKind::Cancelled, "the fetch was stopped")),
        Ending::Halted(failure) if outcome.staged.is_empty() => Some(failure.into_error()),
        Ending::Halted(_) | Ending::WriterFailed => None,
    }
}

/// Returns the error if no page arrived at all: there is nothing to load, whatever ended the fetch.
fn nothing_came(outcome: &Outcome) -> Option<Error> {
    let failure = outcome.failed.values().next().filter(|_| outcome.staged.is_empty())?;
    Some(failure.clone().into_error())
}

/// Runs blocking disk work on a thread where it does not block other tasks.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::internal("a storage task panicked; this is a bug").with_source(error)),
    }
}
