//! The events of a running fetch that are worth showing.

use std::time::Duration;

use crate::types::ProfileProgress;
use crate::warning::Warning;

/// The target of log messages that repeat a [`FetchEvent`]. They are written if the fetch has no `on_event` callback; a
/// program that shows events can leave this target out of its log.
pub const EVENT_TARGET: &str = "mixpanel_data::event";

/// An event during a fetch.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FetchEvent {
    /// Page 0 has arrived, and shows which pages to expect.
    Planned {
        /// Number of pages expected; `None` if the server does not say how many profiles there are.
        total_pages: Option<u32>,
        /// Profiles that the server announced.
        expected_rows: Option<u64>,
        /// Maximum number of pages requested at a time.
        workers: u32,
    },
    /// A page is staged or has failed for good.
    Page(ProfileProgress),
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
    /// The server lost the session, and the fetch restarts from page 0. Pages of the lost session are not used.
    Restarted {
        /// Number of this restart, counted from 1.
        restart: u32,
        /// What the server said or did.
        reason: String,
    },
    /// Another process has the database open, and the fetch waits for it. Pages already fetched are safe.
    DatabaseBusy {
        /// Which process has it open, if known.
        reason: String,
        /// Maximum wait, from now.
        at_most: Duration,
    },
    /// Something that the user should know, such as a likely conflict with the hourly quota.
    Warning(Warning),
    /// All pages are staged; the load into the database begins.
    Loading {
        /// Number of staged records.
        rows: u64,
    },
}
