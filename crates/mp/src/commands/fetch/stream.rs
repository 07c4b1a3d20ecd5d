//! `mp fetch profiles --stdout`: prints JSON lines instead of loading a table.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mixpanel_data::{Error, ErrorKind, ProfileFetch, RecordForm};

use super::project::{Project, shown};
use super::sink::{Sink, flush_in_time, reader_is_gone};
use super::warnings;
use crate::cli::FetchProfilesArgs;
use crate::failure::{Exit, Failure};
use crate::progress::Progress;
use crate::signals::Interrupts;
use crate::text::counted;

const CANNOT_RESUME: &str =
    "the output is incomplete and cannot be resumed; a fetch into a table can: `mp fetch profiles TABLE`";

/// Returns the hint after a fetch that failed or was stopped after this number of records.
fn incomplete(records: u64) -> String {
    let were = if records == 1 { "was" } else { "were" };
    format!(
        "the output is incomplete: {} {were} written; a stream cannot be resumed, so run the command again, or fetch \
         into a table to be able to resume",
        counted(records, "profile")
    )
}

/// Fetches to standard output.
pub(super) async fn run(
    project: &Project<'_>,
    interrupts: &Interrupts,
    arguments: &FetchProfilesArgs,
    fetch: ProfileFetch,
) -> Result<Exit, Failure> {
    let context = project.context;
    let output = &context.output;
    // On the same terminal, progress would appear between the records.
    let hidden = arguments.report.no_progress || output.stdout_is_terminal();
    let progress = Progress::begin(output, "standard output", shown(hidden))
        .suggest_parallel(arguments.workers.may_suggest_parallel());
    let written = Arc::new(AtomicU64::new(0));
    let sink = Arc::new(Mutex::new(Sink::new(output, &written)));
    let form = if arguments.raw { RecordForm::Raw } else { RecordForm::Row };
    let receiver = Arc::clone(&sink);
    let take = move |record: &str| receiver.lock().unwrap_or_else(PoisonError::into_inner).take(record);
    let fetch = fetch.on_event(progress.listener());
    let failed = |error: &Error| {
        let failure = context.failed("could not fetch profiles to standard output", error);
        match written.load(Ordering::Relaxed) {
            0 => failure,
            records => failure.hint(incomplete(records)),
        }
    };
    // Records may remain in the buffer, so their number is not known.
    interrupts.set_exit_hint(|| Some(CANNOT_RESUME.to_owned()));
    let result = tokio::select! {
        result = progress.watch(project.workspace.stream_profiles(fetch, form, take)) => result,
        () = reader_is_gone(), if !output.stdout_is_terminal() => return Err(Failure::closed_pipe()),
        () = interrupts.time_is_up() => {
            flush_in_time(&sink);
            let stopped = "the fetch was stopped before the pages in flight arrived";
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
    if result.failed_page_indices.is_empty() && result.counts.shortfall > 0 {
        output.hint("run the same command again; add `--allow-drift PERCENT` to accept the profiles received");
        return Ok(Exit::Failure);
    }
    if result.failed_page_indices.is_empty() {
        output.note(&format!("{} fetched", counted(result.rows, "profile")));
        return Ok(rejects);
    }
    let (failed, unchecked) = (&result.failed_page_indices[..], result.unchecked_page);
    let missing = warnings::MissingPages { target: "the output", failed, unchecked };
    output.warning(&missing.text(&progress.failures()));
    output.hint("run the same command again");
    Ok(Exit::Failure)
}
