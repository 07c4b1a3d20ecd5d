//! The counters of a fetch.

use serde::{Deserialize, Serialize};

/// Counts of what happened to the received records, and of the requests and waiting time of a fetch.
///
/// With the `rows` of the result, `rows + duplicates + rejected` equals `received`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct FetchCounts {
    /// Number of profiles that the server announced, if any; in a sample, at most its size.
    pub expected_rows: Option<u64>,
    /// Maximum number of records of a sample; `None` if all records were requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Records in all staged pages.
    pub received: u64,
    /// Missing profiles that are accepted as the drift of a live project: at most 0.1 % of the announced ones, and at
    /// least 1, unless `allow_drift` says otherwise.
    pub drift: u64,
    /// Missing profiles beyond the accepted drift, although no page failed: the table is partial. Profiles repeated by
    /// overlapping pages count once.
    pub shortfall: u64,
    /// Received records that were dropped in favor of another record with the same id, in this fetch or, when
    /// appending, already in the table.
    pub duplicates: u64,
    /// Received records that were rejected.
    pub rejected: u64,
    /// Requests sent, retries included, by every process that worked on the run. A process that was killed counts with
    /// one request for each page that it staged.
    pub requests: u64,
    /// Requests that retried a failed one, likewise.
    pub retries: u64,
    /// Seconds during which no request was allowed (the server requested a pause, the quota was exhausted, or the
    /// network was down), or another process had the database open. In a result, only those of this process, so they
    /// are part of its duration.
    pub waited_seconds: f64,
    /// Number of times that the server lost the session and the fetch restarted from page 0. Pages of two sessions are
    /// never mixed.
    pub session_restarts: u32,
    /// Pages before the last one with fewer records than a full page, even when requested again.
    pub short_pages: Vec<u32>,
}

impl FetchCounts {
    /// Adds the costs of another process that worked on the run. Session restarts are not included: they are counted
    /// when the stage begins the session.
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
