//! The work behind a session: fetches and streams, on the threads that `worker` and `stream` start.

use std::ops::ControlFlow;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

use mixpanel_data::{
    CancellationToken, Error, ErrorKind, EventFetch, EventStreamResult, FetchEvent, ProfileStreamResult, RecordForm,
    Result, RunKind, UnfinishedRun, Value, Workspace,
};
use mp::session::Session;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::message::message;
use crate::request::{Listener, Request};
use crate::stream::{ArrowItem, Item};
use crate::worker::Stop;

/// Number of threads of the runtime of a fetch, in addition to those for files and the database.
const RUNTIME_THREADS: usize = 2;

/// Number of records that a stream hands over at once.
const LINES_AT_ONCE: usize = 512;

/// Stops a fetch: first so that what has arrived is stored, then at once.
#[derive(Clone, Default)]
pub(crate) struct FetchStop {
    pub(crate) cancel: CancellationToken,
    abandon: CancellationToken,
}

impl Stop for FetchStop {
    fn ask(&self) {
        self.cancel.cancel();
    }

    fn abandon(&self) {
        self.cancel.cancel();
        self.abandon.cancel();
    }
}

impl FetchStop {
    /// Runs a future to its end, or until it is abandoned, on a runtime of its own.
    pub(crate) fn run<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let runtime = runtime()?;
        let result = runtime.block_on(async {
            tokio::select! {
                result = work => result,
                () = self.abandon.cancelled() => Err(Error::new(ErrorKind::Cancelled, "the fetch was stopped")),
            }
        });
        // Files that are being written are finished in the background.
        runtime.shutdown_background();
        result
    }
}

fn runtime() -> Result<Runtime> {
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(RUNTIME_THREADS).enable_all().build();
    built.map_err(|error| Error::new(ErrorKind::Storage, "cannot start the threads of a fetch").with_source(error))
}

/// Returns the listener that sends the events of a fetch as JSON.
pub(crate) fn sending(send: impl Fn(String) + Send + 'static) -> Listener {
    Box::new(move |event: &FetchEvent| {
        if let Some(message) = message(event) {
            send(message.to_string());
        }
    })
}

pub(crate) fn sent<T>(sender: &SyncSender<Item<T>>, value: T) -> ControlFlow<()> {
    if sender.send(Item::Value(value)).is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}

pub(crate) fn fetch(
    session: &Session,
    name: &str,
    request: Request,
    stop: &FetchStop,
    send: Listener,
) -> Result<Value> {
    let workspace = session.workspace();
    let token = stop.cancel.clone();
    Ok(match name {
        "profiles" => json!(stop.run(workspace.fetch_profiles(request.profiles(session, token, send)?))?),
        "refresh_profiles" => json!(stop.run(workspace.refresh_profiles(request.profiles(session, token, send)?))?),
        "plan_profiles" => json!(stop.run(workspace.plan_fetch(request.profiles(session, token, send)?))?),
        "events" => json!(stop.run(workspace.fetch_events(request.events(session, token, send)?))?),
        "refresh_events" => json!(stop.run(workspace.refresh_events(request.events(session, token, send)?))?),
        "plan_events" => json!(stop.run(workspace.plan_events(request.events(session, token, send)?))?),
        "repair_events" => {
            let table = request.table().to_owned();
            let fetch = request.events(session, token, send)?;
            stop.run(repair(workspace, &table, fetch))?
        }
        "resume" => {
            let runs = workspace.unfinished_runs()?;
            let is_wanted = |run: &&UnfinishedRun| match &request.run_id {
                Some(run_id) => run.run_id == *run_id,
                None => request.table().is_empty() || run.table.as_deref() == Some(request.table()),
            };
            let run = runs.iter().filter(|run| run.is_readable()).find(is_wanted).ok_or_else(|| no_run(&request))?;
            let resume = request.resume(session, run, token, send)?;
            match run.kind {
                RunKind::Events => json!(stop.run(workspace.resume_events(resume))?),
                _ => json!(stop.run(workspace.resume_fetch(resume))?),
            }
        }
        _ => return Err(Error::new(ErrorKind::Internal, format!("there is no fetch `{name}`"))),
    })
}

/// Compares the days of a table with Mixpanel's counts and fetches those that differ.
async fn repair(workspace: &Workspace, table: &str, fetch: EventFetch) -> Result<Value> {
    let audit = workspace.audit_events(table).await?;
    let mut fetch = Some(fetch);
    let results = workspace.repair_events(&audit, |default| fetch.take().unwrap_or(default)).await?;
    Ok(json!({ "audit": audit, "results": results }))
}

fn no_run(request: &Request) -> Error {
    let message = match (&request.run_id, request.table()) {
        (Some(run_id), _) => format!("there is no unfinished run {run_id}"),
        (None, "") => "there is no unfinished run".to_owned(),
        (None, table) => format!("table `{table}` has no unfinished run"),
    };
    Error::new(ErrorKind::RunNotFound, message)
}

/// Returns what to do after an interrupted fetch.
pub(crate) fn advice(workspace: &Workspace, table: &str, result: Option<&Result<Value>>) -> String {
    if let Some(Ok(_)) = result {
        return "the fetch had already ended, and its table is loaded".to_owned();
    }
    let run_id = result.and_then(|result| result.as_ref().err()).and_then(|error| error.run_id().map(str::to_owned));
    let newest = || {
        let runs = workspace.unfinished_runs().ok()?;
        runs.into_iter().find(|run| run.table.as_deref() == Some(table)).map(|run| run.run_id)
    };
    match run_id.or_else(newest) {
        Some(run_id) => format!("what has arrived is kept; resume with: ws.resume_fetch(run_id=\"{run_id}\")"),
        None => "nothing was stored".to_owned(),
    }
}

pub(crate) fn stream_lines(
    session: &Session,
    name: &str,
    request: Request,
    stop: &FetchStop,
    sender: &SyncSender<Item<Vec<String>>>,
) -> Result<String> {
    let form = if request.raw { RecordForm::Raw } else { RecordForm::Row };
    if request.raw {
        session.check_raw().map_err(|error| Error::new(ErrorKind::InvalidInput, error.message))?;
    }
    let messages = sender.clone();
    let send = sending(move |text| drop(messages.send(Item::Message(text))));
    let token = stop.cancel.clone();
    let lines = Arc::new(Mutex::new(Vec::with_capacity(LINES_AT_ONCE)));
    let (of_sink, records) = (Arc::clone(&lines), sender.clone());
    let sink = move |line: &str| {
        let mut lines = of_sink.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(line.to_owned());
        if lines.len() < LINES_AT_ONCE {
            return ControlFlow::Continue(());
        }
        sent(&records, std::mem::replace(&mut *lines, Vec::with_capacity(LINES_AT_ONCE)))
    };
    let workspace = session.workspace();
    let result = match name {
        "events" => {
            let fetch = request.events(session, token, send)?;
            stop.run(workspace.stream_events(fetch, form, sink)).map(|result| missing_days(&result))
        }
        _ => {
            let fetch = request.profiles(session, token, send)?;
            stop.run(workspace.stream_profiles(fetch, form, sink)).map(|result| missing_pages(&result))
        }
    };
    let rest = std::mem::take(&mut *lines.lock().unwrap_or_else(PoisonError::into_inner));
    if !rest.is_empty() {
        let _nobody_reads = sent(sender, rest);
    }
    result
}

pub(crate) fn stream_batches(
    session: &Session,
    name: &str,
    request: Request,
    stop: &FetchStop,
    sender: &SyncSender<Item<ArrowItem>>,
) -> Result<String> {
    let messages = sender.clone();
    let send = sending(move |text| drop(messages.send(Item::Message(text))));
    let (token, records) = (stop.cancel.clone(), sender.clone());
    let workspace = session.workspace();
    let sink = move |batch| sent(&records, ArrowItem::Batch(batch));
    // The schema comes when the arguments are known to be right.
    let begin = |schema| {
        let _nobody_reads = sent(sender, ArrowItem::Schema(schema));
    };
    match name {
        "events" => {
            let fetch = request.events(session, token, send)?;
            begin(Workspace::event_schema());
            let result = stop.run(workspace.stream_events_arrow(fetch, sink))?;
            check_ranges(&result.failed_date_ranges)?;
            Ok(missing_days(&result))
        }
        _ => {
            let fetch = request.profiles(session, token, send)?;
            begin(Workspace::profile_schema());
            let result = stop.run(workspace.stream_profiles_arrow(fetch, sink))?;
            check_pages(&result.failed_page_indices)?;
            Ok(missing_pages(&result))
        }
    }
}

/// Returns the number of records of a stream, and which date ranges are missing.
fn missing_days(result: &EventStreamResult) -> String {
    json!({ "rows": result.rows, "failed_date_ranges": result.failed_date_ranges }).to_string()
}

fn missing_pages(result: &ProfileStreamResult) -> String {
    json!({ "rows": result.rows, "failed_page_indices": result.failed_page_indices }).to_string()
}

/// Checks that no page is missing. Readers of record batches cannot ask for it afterwards.
fn check_pages(failed: &[u32]) -> Result<()> {
    match failed {
        [] => Ok(()),
        [first, ..] => {
            let message = format!("{} pages could not be fetched, the first of them {first}", failed.len());
            Err(Error::new(ErrorKind::Incomplete, message).with_detail("failed_page_indices", failed.to_vec()))
        }
    }
}

fn check_ranges(failed: &[(String, String)]) -> Result<()> {
    let Some((from, to)) = failed.first() else { return Ok(()) };
    let message = format!("{} date ranges could not be fetched, the first of them {from} to {to}", failed.len());
    Err(Error::new(ErrorKind::Incomplete, message).with_detail("failed_date_ranges", json!(failed)))
}
