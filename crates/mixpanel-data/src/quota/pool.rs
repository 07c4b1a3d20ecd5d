//! Groups of requests that the server counts together.

use std::time::Duration;

use crate::limits::{EVENT_WORKERS_MAX, EXPORT_STARTS_MARGIN, EXPORT_STARTS_MAX, EXPORT_STARTS_WINDOW, WORKERS_MAX};

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
    /// How fast requests may follow each other, whether or not they count towards the quota; `None` if that is not
    /// limited.
    pub(super) starts: Option<Pace>,
}

/// How fast requests follow each other while the quota has room: at most `starts` of them `within` a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) starts: usize,
    pub(crate) within: Duration,
}

impl Pool {
    /// Returns what a request is called in messages, and several of them.
    pub(crate) const fn nouns(self) -> (&'static str, &'static str) {
        self.nouns
    }

    /// The query API.
    pub(crate) const QUERY: Self =
        Self { prefix: "quota", nouns: ("query", "queries"), slots: WORKERS_MAX as usize, starts: None };

    /// How fast exports are sent, whatever the quota allows.
    pub(crate) const EXPORT_PACE: Pace =
        Pace { starts: EXPORT_STARTS_MAX, within: EXPORT_STARTS_WINDOW.saturating_add(EXPORT_STARTS_MARGIN) };

    /// The raw export API.
    pub(crate) const EXPORT: Self = Self {
        prefix: "export",
        nouns: ("export", "exports"),
        slots: EVENT_WORKERS_MAX as usize,
        starts: Some(Self::EXPORT_PACE),
    };
}
