//! Everything about a running fetch that is worth showing.

use std::time::Duration;

use crate::types::ProfileProgress;

/// One thing that happened during a fetch.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FetchEvent {
    /// Page 0 is here, and with it the plan.
    Planned {
        /// Pages planned; `None` when the server does not say how many profiles there are.
        total_pages: Option<u32>,
        /// Profiles that the server says there are.
        expected_rows: Option<u64>,
        /// Pages asked for at a time, at most.
        workers: u32,
    },
    /// A page is staged or has failed for good.
    Page(ProfileProgress),
    /// A request failed and will be repeated.
    Retry {
        /// Which page.
        page_index: u32,
        /// Which attempt failed, counted from 1.
        attempt: u32,
        /// Why.
        reason: String,
        /// Pause before the next attempt.
        pause: Duration,
    },
    /// No request is allowed for a while.
    Waiting {
        /// Why, such as "rate limited by the server".
        reason: String,
        /// How long, from now.
        pause: Duration,
    },
    /// The wait is over.
    Resumed,
    /// The server lost the session, and the fetch begins again from page 0. Pages of the lost session are not used.
    Restarted {
        /// Which restart of this fetch, counted from 1.
        restart: u32,
        /// What the server said or did.
        reason: String,
    },
    /// Another process has the database open, and it is waited for. Pages that are fetched already are safe.
    DatabaseBusy {
        /// Who has it, as far as that is known.
        reason: String,
        /// How long it is waited for at most, from now.
        at_most: Duration,
    },
    /// Something that the user should know, such as a likely collision with the hourly quota.
    Warning(String),
    /// All pages are staged; the load into the database begins.
    Loading {
        /// Records staged.
        rows: u64,
    },
}
