//! Groups of requests that the server counts together.

use std::time::Duration;

use crate::limits::{EVENT_WORKERS_MAX, EXPORT_STARTS_MAX, EXPORT_STARTS_WINDOW, WORKERS_MAX};

/// A group of requests that the server counts together and apart from all others, with their own window and
/// concurrency slots (`docs/mixpanel-api.md#quotas`).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pool {
    /// Prefix of the pool's file names.
    pub(super) prefix: &'static str,
    /// What a request is called in messages, and several of them.
    pub(super) nouns: (&'static str, &'static str),
    /// Maximum number of requests in flight.
    pub(super) slots: usize,
    /// How fast requests may follow each other; `None` if that is not limited.
    pub(super) starts: Option<StartLimit>,
}

/// How many requests may be sent in a short time, whether or not they count towards the quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StartLimit {
    pub(super) requests: usize,
    pub(super) within: Duration,
}

impl Pool {
    /// Returns what a request is called in messages, and several of them.
    pub(crate) const fn nouns(self) -> (&'static str, &'static str) {
        self.nouns
    }

    /// The query API.
    pub(crate) const QUERY: Self =
        Self { prefix: "quota", nouns: ("query", "queries"), slots: WORKERS_MAX as usize, starts: None };

    /// The raw export API.
    pub(crate) const EXPORT: Self = Self {
        prefix: "export",
        nouns: ("export", "exports"),
        slots: EVENT_WORKERS_MAX as usize,
        starts: Some(StartLimit { requests: EXPORT_STARTS_MAX, within: EXPORT_STARTS_WINDOW }),
    };
}
