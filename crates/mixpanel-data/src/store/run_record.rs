//! What the store is told of the run that a load ends.

use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::profile_query::{FetchMode, ProfileQuery};

/// What is recorded of the run that a load ends. Times and counts are the caller's: the store has no clock.
#[derive(Debug, Clone)]
pub(crate) struct RunRecord {
    /// Identifies the run. A run that was partial is loaded again when it goes on.
    pub(crate) run_id: String,
    /// Identifies this load of the run, by what it loads: the same load is done once.
    pub(crate) load_id: String,
    /// When the fetch began.
    pub(crate) started_at: Timestamp,
    /// When the last page was staged; becomes `fetched_at`.
    pub(crate) finished_at: Timestamp,
    /// The project.
    pub(crate) project_id: String,
    /// Its region, such as `us`.
    pub(crate) region: String,
    /// The filters.
    pub(crate) query: ProfileQuery,
    /// Sequential or parallel.
    pub(crate) mode: FetchMode,
    /// Profiles that the server said there are.
    pub(crate) expected_rows: Option<u64>,
    /// Records in all staged pages, rejects included.
    pub(crate) received: u64,
    /// Records among them that could not be rows.
    pub(crate) rejected: u64,
    /// Staged pages, failed ones not counted.
    pub(crate) page_count: u32,
    /// Pages that failed for good; the table is partial if there are any.
    pub(crate) failed_pages: Vec<u32>,
    /// Profiles fewer than announced, beyond the drift that is allowed; the table is partial if there are any.
    pub(crate) shortfall: u64,
    /// Staged pages that are shorter than their session says, and yet not the last one.
    pub(crate) short_pages: Vec<u32>,
    /// Times that the server lost the session and the run began another.
    pub(crate) session_restarts: u32,
    /// Requests sent.
    pub(crate) requests: u64,
    /// Requests among them that repeated a failed one.
    pub(crate) retries: u64,
    /// Seconds that the run waited because the server or the quota said so.
    pub(crate) waited_seconds: f64,
}

impl RunRecord {
    /// Says whether profiles are missing.
    pub(super) fn is_partial(&self) -> bool {
        !self.failed_pages.is_empty() || self.shortfall > 0
    }

    /// Returns the filters as JSON.
    pub(super) fn filters(&self) -> Result<String> {
        serde_json::to_string(&self.query)
            .map_err(|error| Error::internal("cannot write the filters").with_source(error))
    }
}
