//! Events of a running fetch.

use std::time::Duration;

use crate::note::Note;
use crate::types::{BatchProgress, ProfileProgress};
use crate::warning::Warning;

/// Target of log messages that duplicate a [`FetchEvent`]. They are logged if the fetch has no `on_event` callback; a
/// program that displays events can exclude this target from its log.
pub const EVENT_TARGET: &str = "mixpanel_data::event";

/// An event during a fetch.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FetchEvent {
    /// Page 0 has arrived and determines which pages to expect.
    Planned {
        /// Expected number of pages; `None` if the server announced no total.
        total_pages: Option<u32>,
        /// Number of profiles that the server announced, if it did.
        expected_rows: Option<u64>,
        /// Maximum number of pages requested at a time.
        workers: u32,
        /// Number of these pages that are already staged, by an earlier process or an estimate.
        staged_pages: u32,
    },
    /// A page was staged or failed for good.
    Page(ProfileProgress),
    /// The date ranges of a fetch of events are planned.
    BatchesPlanned {
        /// First day, such as `2026-11-01`.
        from_date: String,
        /// Last day, inclusive.
        to_date: String,
        /// Number of date ranges, each fetched with one request. It changes when ranges are split or combined.
        total_batches: u32,
        /// Number of these that are already staged, by an earlier process.
        staged_batches: u32,
        /// Maximum number of date ranges requested at a time.
        workers: u32,
    },
    /// A date range of events was staged or failed for good.
    Batch(BatchProgress),
    /// The request for a date range of events failed and will be retried.
    BatchRetry {
        /// First day, such as `2026-11-01`.
        from_date: String,
        /// Last day, inclusive.
        to_date: String,
        /// The attempt that failed, counted from 1.
        attempt: u32,
        /// Why it failed.
        reason: String,
        /// Pause before the next attempt.
        pause: Duration,
    },
    /// A date range of events is too large for the server or the network, and is fetched in parts.
    BatchSplit {
        /// First day, such as `2026-11-01`.
        from_date: String,
        /// Last day, inclusive.
        to_date: String,
        /// Number of date ranges that replace it.
        into: u32,
        /// Why it is split.
        reason: String,
    },
    /// A request failed and will be retried.
    Retry {
        /// Page index.
        page_index: u32,
        /// The attempt that failed, counted from 1.
        attempt: u32,
        /// Why it failed.
        reason: String,
        /// Pause before the next attempt.
        pause: Duration,
    },
    /// No request can be sent for a while.
    Waiting {
        /// Why, such as "rate limited by the server".
        reason: String,
        /// How long, from now.
        pause: Duration,
    },
    /// The wait is over.
    Resumed,
    /// The session is lost, and the fetch restarts from page 0. Pages of the lost session are not used.
    Restarted {
        /// Number of this restart, counted from 1.
        restart: u32,
        /// Why the session is lost.
        reason: String,
    },
    /// Another process, or another library of this one, has the database open, and the fetch waits for it. Pages already
    /// fetched are safe.
    DatabaseBusy {
        /// What has it open, as far as that is known.
        reason: String,
        /// Maximum wait, from now.
        at_most: Duration,
    },
    /// Something that the user should know, such as a likely conflict with the hourly quota.
    Warning(Warning),
    /// Something worth mentioning that needs no attention, such as the run that a refresh resumes.
    Note(Note),
    /// No more pages will be staged; the load into the database begins.
    Loading {
        /// Number of staged rows.
        rows: u64,
    },
}
