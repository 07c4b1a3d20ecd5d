//! `mp fetch events --stdout`: prints JSON lines instead of loading a table.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mixpanel_data::{Error, ErrorKind, EventFetch, RecordForm};

use super::project::{Project, shown};
use super::sink::{Sink, flush_in_time, reader_is_gone};
use super::warnings;
use crate::cli::FetchEventsArgs;
use crate::failure::{Exit, Failure};
use crate::progress::Progress;
use crate::signals::Interrupts;
use crate::text::counted;

const CANNOT_RESUME: &str =
    "the output is incomplete and cannot be resumed; a fetch into a table can: `mp fetch events TABLE`";

/// Fetches to standard output.
pub(super) async fn run(
    project: &Project<'_>,
    interrupts: &Interrupts,
    arguments: &FetchEventsArgs,
    fetch: EventFetch,
) -> Result<Exit, Failure> {
    let context = project.context;
    let output = &context.output;
    // On the same terminal, progress would appear between the events.
    let hidden = arguments.report.no_progress || output.stdout_is_terminal();
    let progress = Progress::begin(output, "standard output", shown(hidden)).of_events();
    let written = Arc::new(AtomicU64::new(0));
    let sink = Arc::new(Mutex::new(Sink::new(output, &written)));
    let form = if arguments.raw { RecordForm::Raw } else { RecordForm::Row };
    let receiver = Arc::clone(&sink);
    let take = move |record: &str| receiver.lock().unwrap_or_else(PoisonError::into_inner).take(record);
    let fetch = fetch.on_event(progress.listener());
    let failed = |error: &Error| {
        let failure = context.failed("could not fetch events to standard output", error);
        match written.load(Ordering::Relaxed) {
            0 => failure,
            events => failure.hint(format!("{} written; {CANNOT_RESUME}", counted(events, "event"))),
        }
    };
    // Events may remain in the buffer, so their number is not known.
    interrupts.set_exit_hint(|| Some(CANNOT_RESUME.to_owned()));
    let result = tokio::select! {
        result = progress.watch(project.workspace.stream_events(fetch, form, take)) => result,
        () = reader_is_gone(), if !output.stdout_is_terminal() => return Err(Failure::closed_pipe()),
        () = interrupts.time_is_up() => {
            flush_in_time(&sink);
            let stopped = "the fetch was stopped before the requests in flight ended";
            return Err(failed(&Error::new(ErrorKind::Cancelled, stopped)));
        }
    };
    let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
    let flushed = sink.data.flush();
    if let Some(failure) = sink.failure.take() {
        return Err(failure);
    }
    let result = result.map_err(|error| failed(&error))?;
    flushed?;
    let rejects = warnings::rejects_of_stream(output, &result.counts, arguments.report.allow_rejects);
    if result.failed_date_ranges.is_empty() {
        output.note(&format!("{} fetched", counted(result.rows, "event")));
        return Ok(rejects);
    }
    output.warning(&warnings::missing_days("the output", &result.failed_date_ranges, &progress.failures()));
    output.hint("run the same command again, for the missing days alone with `--from` and `--to`");
    Ok(Exit::Failure)
}
