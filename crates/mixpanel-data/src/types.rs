//! The result types and their guarantees (T002 to T005, `docs/traceability.md`).

mod event_counts;
mod event_json;
mod event_result;
mod fetch_result;
mod loaded_table;

use serde::{Deserialize, Serialize};

use crate::counts::FetchCounts;
use crate::parse::ProfileRows;

pub use event_counts::EventCounts;
pub use event_result::{
    AuditedDay, BatchProgress, EventAudit, EventEstimate, EventFetchResult, EventStreamResult, ParallelFetchResult,
};
pub use fetch_result::{FetchResult, ParallelProfileResult, ProfileFetchResult};
pub use loaded_table::LoadedTable;

/// Reports one finished page during a fetch.
///
/// Sent once per page, including failed ones, in the order in which pages finish. A page is finished when it is staged
/// (and so can no longer be lost) or has failed for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProfileProgress {
    /// Page index, counted from 0.
    pub page_index: u32,
    /// Number of pages expected, if known. It grows when the server has more than it announced.
    pub total_pages: Option<u32>,
    /// Profiles in this page; 0 for a failed page.
    pub rows: u64,
    /// Whether the page is staged.
    pub success: bool,
    /// Why the page failed, if it did.
    pub error: Option<String>,
    /// Profiles in all pages so far, including duplicates across pages, which the load removes.
    pub cumulative_rows: u64,
}

/// One page of profiles, as `ApiClient::export_profiles_page` returns it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProfilePageResult {
    /// The profiles of this page, and the rejected records.
    pub profiles: ProfileRows,
    /// The session id to send with requests for the other pages.
    pub session_id: Option<String>,
    /// Page index, counted from 0.
    pub page: u32,
    /// Whether another page may follow, because this one is full.
    pub has_more: bool,
    /// Total number of profiles, if the response states it; only page 0 is expected to (`docs/mixpanel-api.md#totals`).
    pub total: Option<u64>,
    /// Profiles in a full page, according to the server.
    pub page_size: u64,
}

impl ProfilePageResult {
    /// Returns the number of pages needed for `total` profiles; 0 for an empty result, `None` without a total.
    #[must_use]
    pub fn num_pages(&self) -> Option<u64> {
        self.total.map(|total| total.div_ceil(self.page_size.max(1)))
    }
}

/// An estimate of the requests, time and space that a fetch needs, based on page 0. Page 0 is kept for the fetch that
/// follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FetchEstimate {
    /// The table.
    pub table: String,
    /// The id of the run that keeps page 0.
    pub run_id: String,
    /// Number of profiles that the server announced, if any.
    pub expected_rows: Option<u64>,
    /// Profiles in a full page, according to the server.
    pub page_size: u64,
    /// Number of pages, including page 0, if known.
    pub pages: Option<u32>,
    /// Requests still to be sent.
    pub requests: Option<u32>,
    /// How many of those requests are expected to count towards the project's quota: session pages are assumed to be
    /// free until a response shows otherwise.
    pub counted_requests: Option<u32>,
    /// Estimated seconds for the rest, including waits for the quota.
    pub expected_seconds: Option<f64>,
    /// Upper estimate of the disk space for the stage and the table together, in bytes.
    pub expected_bytes: Option<u64>,
    /// Counted requests from this machine in the current quota window.
    pub quota_used: u32,
    /// Counted requests that the quota allows per window, less the reserve.
    pub quota_limit: u32,
    /// Ways to make the fetch smaller or faster, and what it needs if the table exists; one sentence each.
    pub advice: Vec<String>,
}

/// How much of a project's quota is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QuotaUsage {
    /// Counted requests from this machine in the current window.
    pub used: u32,
    /// Counted requests that the quota allows per window, less the reserve.
    pub limit: u32,
    /// Requests reserved for other clients.
    pub reserve: u32,
    /// Length of the rolling window, in seconds.
    pub window_seconds: u64,
    /// When the next counted request may be sent, in UTC and ISO 8601 format; `None` means now.
    pub next_free_at: Option<String>,
}

/// A parsed page for the writer.
#[derive(Debug)]
pub struct ProfileWriteTask {
    /// Page index, counted from 0.
    pub page_index: u32,
    /// The page's rows and rejects.
    pub rows: ProfileRows,
}

/// A table of the database, as listed by `Workspace::tables`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TableInfo {
    /// Its name.
    pub name: String,
    /// What it holds: `profiles`, `events`, or `unknown` for a table that no fetch created.
    #[serde(rename = "type")]
    pub kind: String,
    /// Number of rows.
    pub row_count: u64,
    /// When it was last loaded, in UTC, ISO 8601; `None` for a table that no fetch created.
    pub fetched_at: Option<String>,
    /// Whether pages are missing because a fetch could not retrieve them.
    pub partial: bool,
}

/// A table or view of the database, as listed by `Workspace::objects`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ObjectInfo {
    /// Its name.
    pub name: String,
    /// `profiles`, `events` or `unknown` for a table, as in [`TableInfo`]; `view`; or `internal` for a table whose name
    /// starts with `_`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Number of rows; `None` for a view.
    pub row_count: Option<u64>,
    /// When the table was last loaded, in UTC, ISO 8601; `None` if no fetch created it.
    pub fetched_at: Option<String>,
    /// Whether pages are missing because a fetch could not retrieve them.
    pub partial: bool,
}

/// The result of `Workspace::verify_table`: the current contents of a table, compared with what the last load recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// The table, as the database spells it.
    pub table: String,
    /// Number of rows.
    pub rows: u64,
    /// Number of rows after the last load.
    pub expected_rows: Option<u64>,
    /// Number of distinct ids; for events, the number of distinct events: names, times, ids and insert ids.
    pub distinct_ids: u64,
    /// Whether the table holds events.
    #[serde(skip)]
    pub is_events: bool,
    /// Digest of the table, prefixed with the name of its algorithm. It changes if any row changes, but does not depend
    /// on row order.
    pub digest: String,
    /// The digest after the last load; `None` if the program that loaded the table did not record one.
    pub expected_digest: Option<String>,
    /// The run of the last load.
    pub run_id: Option<String>,
    /// When the last load took place, in UTC, ISO 8601.
    pub fetched_at: Option<String>,
    /// Whether pages are missing because a fetch could not retrieve them. This does not count as a problem.
    pub partial: bool,
    /// What differs from the last load, or cannot be compared; one sentence each.
    pub problems: Vec<String>,
}

impl VerifyReport {
    /// Returns whether the table is verified to match the last load.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.problems.is_empty()
    }
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ColumnInfo {
    /// Its name.
    pub name: String,
    /// Its SQL type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it may be null.
    pub nullable: bool,
    /// Whether it is part of the primary key.
    pub primary_key: bool,
}

/// The columns of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TableSchema {
    /// The table.
    pub table_name: String,
    /// Its columns, in order.
    pub columns: Vec<ColumnInfo>,
}

/// The rows returned by a query.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SqlResult {
    /// Column names, in order; they need not be unique.
    pub columns: Vec<String>,
    /// Rows; each has one value per column. JSON columns hold JSON values, dates and times are ISO 8601 text.
    pub rows: Vec<Vec<serde_json::Value>>,
}

/// The result of `Workspace::stream_profiles`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ProfileStreamResult {
    /// Records passed to the sink.
    pub rows: u64,
    /// Number of pages whose records were passed to the sink.
    pub successful_pages: u32,
    /// Pages that failed for good, in order.
    pub failed_page_indices: Vec<u32>,
    /// The page among these of which it is unknown whether it exists; see [`LoadedTable::unchecked_page`].
    pub unchecked_page: Option<u32>,
    /// Whether the sink ended the stream.
    pub ended_early: bool,
    /// Counters for records, requests and waiting time. `duplicates` is 0: streams are not checked for duplicates.
    #[serde(flatten)]
    pub counts: FetchCounts,
    /// The id of the run.
    pub run_id: String,
}

#[cfg(test)]
mod tests;
