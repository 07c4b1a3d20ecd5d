//! Records how a run ended.

use std::path::PathBuf;

use crate::api::FailureKind;
use crate::clock::wall_clock;
use crate::error::{Error, ErrorKind, Result};
use crate::stage::{Manifest, Progress, Stage};

use super::core::{Ending, Outcome};
use super::driver::Finished;
use super::events::with_first_day;

/// A run whose stage may be removed, by this process or by another.
pub(super) struct RunOnDisk {
    directory: PathBuf,
    run_id: String,
}

impl RunOnDisk {
    pub(super) fn of(stage: &Stage) -> Self {
        Self { directory: stage.directory().to_owned(), run_id: stage.manifest().run_id.clone() }
    }

    /// Returns the error with the id of the run, so that the caller can resume it, unless its stage is gone.
    pub(super) fn name_in(&self, error: Error) -> Error {
        if self.directory.is_dir() { error.with_run_id(self.run_id.clone()) } else { error }
    }
}

/// Records in the manifest how far the run got, and returns an error if the run ended in a way that rules out a load. A
/// stage without pages is useless and is removed.
pub(super) fn settle(finished: Finished<Stage>) -> Result<(Stage, Outcome)> {
    let Finished { outcome, target: mut stage, writer_error } = finished;
    let error = writer_error.or_else(|| ending_error(&outcome)).or_else(|| no_pages_error(&outcome));
    if let Some(error) = error {
        let error = match &stage.manifest().events {
            Some(events) => with_first_day(error, events.query.timezone.today(wall_clock())),
            None => error,
        };
        // The reason for having no pages matters more than a failure to remove the directory.
        let is_empty = outcome.staged.is_empty() && !outcome.has_unused_pages;
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
        let error = RunOnDisk::of(&stage).name_in(error);
        // The pages on disk may belong to an earlier session, whose pages are not in `outcome.staged`.
        return Err(if outcome.has_unused_pages {
            error
        } else {
            error.with_detail("staged_pages", outcome.staged.len())
        });
    }
    let reason = outcome.failed.values().next().map(ToString::to_string).or_else(|| outcome.shortfall_text());
    let progress = match reason {
        None => Progress::Complete { pages: u32::try_from(outcome.staged.len()).unwrap_or(u32::MAX) },
        Some(reason) => Progress::Fetching { reason },
    };
    let on_disk = RunOnDisk::of(&stage);
    stage.update(|manifest| note(manifest, &outcome, progress)).map_err(|error| on_disk.name_in(error))?;
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
    manifest.counted_pages = Some(outcome.staged.len() as u64);
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

/// Returns the error if no page arrived: there is nothing to load, however the fetch ended.
fn no_pages_error(outcome: &Outcome) -> Option<Error> {
    let failure = outcome.failed.values().next().filter(|_| outcome.staged.is_empty())?;
    Some(failure.clone().into_error())
}
