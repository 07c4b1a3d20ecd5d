//! Every counter of a fetch.

use serde::{Deserialize, Serialize};

/// What happened to every received record, and what the fetch cost.
///
/// `rows + duplicates + rejected` of the result equals the records received.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct FetchCounts {
    /// Profiles that the server announced, if it did.
    pub expected_rows: Option<u64>,
    /// Records in all staged pages.
    pub received: u64,
    /// Missing profiles that are accepted as the drift of a live project: at most 0.1 % of the announced ones, and at
    /// least 1, unless `allow_drift` says otherwise.
    pub drift: u64,
    /// Missing profiles beyond the accepted drift, although no page failed: the table is partial. Profiles that came
    /// again because pages overlap count once.
    pub shortfall: u64,
    /// Received records that are not in the table because another record with the same id is: in this fetch or, when
    /// appending, already in the table.
    pub duplicates: u64,
    /// Received records that were rejected.
    pub rejected: u64,
    /// Requests sent, retries included.
    pub requests: u64,
    /// How many of these requests repeated a failed one.
    pub retries: u64,
    /// Seconds during which no request was allowed: the server requested a pause, the quota was exhausted, or the
    /// network was down.
    pub waited_seconds: f64,
    /// Number of times that the server lost the session and the fetch restarted from page 0. Pages of two sessions are
    /// never mixed.
    pub session_restarts: u32,
    /// Pages before the last one with fewer records than a full page, even when requested again.
    pub short_pages: Vec<u32>,
}

impl FetchCounts {
    /// Adds the costs of another process of the run. Session restarts are not included: they are counted when the stage
    /// begins the session.
    pub(crate) fn add_costs(&mut self, other: &Self) {
        self.requests += other.requests;
        self.retries += other.retries;
        self.waited_seconds += other.waited_seconds;
        self.short_pages.extend(&other.short_pages);
        self.short_pages.sort_unstable();
        self.short_pages.dedup();
    }

    /// Returns these counts with the costs of the whole run; seconds are rounded to the millisecond.
    pub(crate) fn with_costs_of(&self, run: &Self) -> Self {
        Self {
            requests: run.requests,
            retries: run.retries,
            waited_seconds: to_millis(run.waited_seconds),
            session_restarts: run.session_restarts,
            short_pages: run.short_pages.clone(),
            ..self.clone()
        }
    }
}

/// Rounds seconds to the millisecond.
pub(crate) fn to_millis(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}
