//! The writer thread. It alone owns the stage, and receives complete parts over a bounded channel.

use std::path::Path;
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use crate::dataset::PROFILES;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::PAGES_READY_MAX;
use crate::parse::{ProfileRows, fingerprint};
use crate::stage::{self, Part, SessionFacts, SliceRecord, Stage};
use crate::types::ProfileWriteTask;

use super::events::ReceivedSlice;

/// A message to the writer.
#[derive(Debug)]
pub(crate) enum Message {
    /// Page 0 has arrived with these facts about the session.
    Session(SessionFacts),
    /// A page to store.
    Page(Box<ProfileWriteTask>),
    /// A slice to store. Its file is complete, but does not count yet.
    Slice(Box<ReceivedSlice>),
    /// The plan of the slices has changed.
    Plan(Vec<SliceRecord>),
    /// A part that will not arrive.
    Missing(u32),
    /// The session is lost; all further pages belong to this session epoch.
    Restart(u32),
}

/// A report from the writer.
#[derive(Debug)]
pub(crate) enum Report {
    /// The part is stored and can no longer be lost.
    Staged { epoch: u32, part: u32, rows: u64 },
    /// The receiver of the stream wants no more records.
    Ended,
    /// Nothing more can be stored.
    Failed(Error),
}

/// Handles a message and returns a report, if any.
pub(super) type Write<T> = fn(&mut T, Message) -> Result<Option<Report>>;

/// Handle to the writer thread, which owns its target. Dropping `inbox` ends the thread after it has handled all
/// pending messages.
pub(super) struct Writer<T> {
    pub(super) inbox: mpsc::Sender<Message>,
    pub(super) reports: mpsc::Receiver<Report>,
    thread: JoinHandle<T>,
}

impl<T: Send + 'static> Writer<T> {
    /// Starts the thread. At most `workers` requests are in flight.
    pub(super) fn spawn(target: T, write: Write<T>, workers: u32) -> Result<Self> {
        // More than the maximum number of parts in flight, so that sending never blocks.
        let parts = (workers + PAGES_READY_MAX) as usize + 1;
        let (inbox, messages) = mpsc::channel(2 * parts);
        let (report_sender, reports) = mpsc::channel(2 * parts);
        let thread = std::thread::Builder::new()
            .name("mp-writer".to_owned())
            .spawn(move || write_all(target, write, messages, &report_sender))
            .map_err(|error| Error::new(ErrorKind::Storage, "cannot start the writer's thread").with_source(error))?;
        Ok(Self { inbox, reports, thread })
    }

    /// Ends the thread and returns its target.
    pub(super) async fn close(self) -> Result<T> {
        let Self { inbox, mut reports, thread } = self;
        drop(inbox);
        while reports.recv().await.is_some() {}
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        joined.ok().and_then(std::thread::Result::ok).ok_or_else(|| Error::internal("the writer's thread panicked"))
    }
}

fn write_all<T>(
    mut target: T,
    write: Write<T>,
    mut messages: mpsc::Receiver<Message>,
    reports: &mpsc::Sender<Report>,
) -> T {
    while let Some(message) = messages.blocking_recv() {
        let report = match write(&mut target, message) {
            Ok(Some(report)) => report,
            Ok(None) => continue,
            Err(error) => Report::Failed(error),
        };
        let last = matches!(report, Report::Failed(_) | Report::Ended);
        if reports.blocking_send(report).is_err() || last {
            break;
        }
    }
    target
}

/// Applies a message to the stage.
pub(super) fn into_stage(stage: &mut Stage, message: Message) -> Result<Option<Report>> {
    match message {
        Message::Session(facts) => stage.record_session(facts)?,
        Message::Restart(epoch) => stage.begin_epoch(epoch)?,
        Message::Page(task) => {
            stage.write_part(&part_of(&task))?;
            let epoch = stage.manifest().epoch;
            return Ok(Some(Report::Staged { epoch, part: task.page_index, rows: task.rows.len() as u64 }));
        }
        Message::Slice(slice) => {
            let (part, rows) = (slice.facts.part, slice.facts.rows);
            stage.commit_slice(slice.file)?;
            return Ok(Some(Report::Staged { epoch: 0, part, rows }));
        }
        Message::Plan(slices) => stage.record_plan(slices)?,
        Message::Missing(_) => {}
    }
    Ok(None)
}

/// Converts a page of profiles to a part for the stage.
pub(crate) fn part_of(task: &ProfileWriteTask) -> Part<'_> {
    Part {
        number: task.page_index,
        dataset: &PROFILES,
        rows: task.rows.to_record_batch(),
        rejects: task.rows.rejects(),
        fingerprint: fingerprint(&task.rows),
        catalog: task.rows.catalog(),
    }
}

/// Reads the profiles of a staged page, in order.
///
/// # Errors
/// `Storage` if the file cannot be read as a page of profiles.
pub(super) fn read_page(path: &Path) -> Result<Vec<ProfileRows>> {
    let batches = stage::read_part(path)?;
    batches.iter().map(|rows| ProfileRows::from_record_batch(rows).ok_or_else(|| stage::damaged(path))).collect()
}
