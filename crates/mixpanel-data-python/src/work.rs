//! The work behind a session: fetches and streams, on the threads that `worker` and `stream` start.

use std::ops::ControlFlow;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

use mixpanel_data::{
    CancellationToken, Error, ErrorKind, EventFetch, FetchCounts, FetchEvent, RecordForm, Result, RunKind,
    UnfinishedRun, Value, Workspace,
};
use mp::session::Session;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::batches::ArrowItem;
use crate::message::message;
use crate::request::{Listener, Request};
use crate::stream::Item;
use crate::worker::Stop;

/// Number of threads of the runtime of a fetch, in addition to those for files and the database.
const RUNTIME_THREADS: usize = 2;

/// Number of records that a stream hands over at once.
const LINES_AT_ONCE: usize = 512;

/// Number of missing parts that an error names.
const NAMES_SHOWN: usize = 10;

/// Stops a fetch: first so that what has arrived is stored, then at once.
#[derive(Clone, Default)]
pub(crate) struct FetchStop {
    pub(crate) cancel: CancellationToken,
    abandon: CancellationToken,
}

impl Stop for FetchStop {
    fn request(&self) {
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

/// A fetch that may be interrupted.
pub(crate) struct Advised {
    name: String,
    table: String,
    run_id: Option<String>,
}

impl Advised {
    pub(crate) fn new(name: &str, request: &Request) -> Self {
        Self { name: name.to_owned(), table: request.table().to_owned(), run_id: request.run_id.clone() }
    }

    /// Returns what to do after the interrupt, if that is known. Without a result, the fetch was abandoned.
    pub(crate) fn advice(&self, workspace: &Workspace, result: Option<&Result<Value>>) -> Option<String> {
        let (is_plan, is_repair) = (self.name.starts_with("plan_"), self.name == "repair_events");
        let error = match result {
            _ if is_plan => return None,
            Some(Ok(_)) if is_repair => return Some("the repair had already ended".to_owned()),
            Some(Ok(_)) => return Some("the fetch had already ended, and its table is loaded".to_owned()),
            Some(Err(error)) => Some(error),
            None => None,
        };
        let of_error = error.and_then(|error| error.run_id().map(str::to_owned));
        let is_own = |run: &UnfinishedRun| self.table.is_empty() || run.table.as_deref() == Some(&*self.table);
        let newest = || workspace.unfinished_runs().ok()?.into_iter().find(is_own).map(|run| run.run_id);
        if let Some(run_id) = of_error.or_else(|| self.run_id.clone()).or_else(newest) {
            return Some(format!("what has arrived is kept; resume with: ws.resume_fetch(run_id=\"{run_id}\")"));
        }
        // What resumes or repairs may have stored something before, and what was abandoned may have ended by now.
        let is_known = !is_repair && self.name != "resume" && (error.is_some() || !workspace.database().exists());
        is_known.then(|| "nothing was stored".to_owned())
    }
}

pub(crate) fn stream_lines(
    session: &Session,
    name: &str,
    request: Request,
    stop: &FetchStop,
    sender: &SyncSender<Item<Vec<String>>>,
) -> Result<()> {
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
            stop.run(workspace.stream_events(fetch, form, sink))
                .inspect(|result| warn_of_rejects(&result.counts, sender))
                .and_then(|result| check_ranges(&result.failed_date_ranges))
        }
        _ => {
            let fetch = request.profiles(session, token, send)?;
            stop.run(workspace.stream_profiles(fetch, form, sink))
                .inspect(|result| warn_of_rejects(&result.counts, sender))
                .and_then(|result| check_pages(&result.failed_page_indices))
        }
    };
    let rest = std::mem::take(&mut *lines.lock().unwrap_or_else(PoisonError::into_inner));
    if !rest.is_empty() {
        let _reader_is_gone = sent(sender, rest);
    }
    result
}

pub(crate) fn stream_batches(
    session: &Session,
    name: &str,
    request: Request,
    stop: &FetchStop,
    sender: &SyncSender<Item<ArrowItem>>,
) -> Result<()> {
    let messages = sender.clone();
    let send = sending(move |text| drop(messages.send(Item::Message(text))));
    let (token, records) = (stop.cancel.clone(), sender.clone());
    let workspace = session.workspace();
    let sink = move |batch| sent(&records, ArrowItem::Batch(batch));
    // The schema comes when the arguments are known to be right.
    let begin = |schema| {
        let _reader_is_gone = sent(sender, ArrowItem::Schema(schema));
    };
    match name {
        "events" => {
            let fetch = request.events(session, token, send)?;
            begin(Workspace::event_schema());
            let result = stop.run(workspace.stream_events_arrow(fetch, sink))?;
            warn_of_rejects(&result.counts, sender);
            check_ranges(&result.failed_date_ranges)
        }
        _ => {
            let fetch = request.profiles(session, token, send)?;
            begin(Workspace::profile_schema());
            let result = stop.run(workspace.stream_profiles_arrow(fetch, sink))?;
            warn_of_rejects(&result.counts, sender);
            check_pages(&result.failed_page_indices)
        }
    }
}

/// Warns about records that a stream leaves out because they cannot be rows.
fn warn_of_rejects<T>(counts: &FetchCounts, sender: &SyncSender<Item<T>>) {
    let (records, were) = match counts.rejected {
        0 => return,
        1 => ("1 record".to_owned(), "was"),
        rejected => (format!("{rejected} records"), "were"),
    };
    let message =
        format!("{records} {were} rejected and left out; fetch into a table to keep them in the table `_rejects`");
    let _reader_is_gone = sender.send(Item::Message(json!({ "event": "warning", "message": message }).to_string()));
}

/// Checks that no page is missing. Readers cannot query the result afterwards.
fn check_pages(failed: &[u32]) -> Result<()> {
    let names = failed.iter().map(ToString::to_string).collect();
    check_parts("page", names, "failed_page_indices", json!(failed))
}

fn check_ranges(failed: &[(String, String)]) -> Result<()> {
    let name = |(from, to): &(String, String)| if from == to { from.clone() } else { format!("{from} to {to}") };
    check_parts("date range", failed.iter().map(name).collect(), "failed_date_ranges", json!(failed))
}

fn check_parts(kind: &str, names: Vec<String>, detail: &'static str, failed: Value) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let (plural, rest) =
        (if names.len() == 1 { "" } else { "s" }, if names.len() > NAMES_SHOWN { ", ..." } else { "" });
    let shown = names[..names.len().min(NAMES_SHOWN)].join(", ");
    let message = format!("{} {kind}{plural} could not be fetched: {shown}{rest}", names.len());
    Err(Error::new(ErrorKind::Incomplete, message).with_detail(detail, failed))
}
