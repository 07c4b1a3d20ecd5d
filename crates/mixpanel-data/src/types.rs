//! The result types, and what they promise (T002 to T005, `docs/traceability.md`).

use serde::Serialize;

use crate::counts::FetchCounts;
use crate::parse::ProfileRows;
use crate::profile_query::OnExisting;

/// Tells what became of one page, while the fetch goes on.
///
/// Sent once for every page, failed ones too, in the order in which pages are finished. A page is finished when it is
/// staged (and so cannot be lost any more) or when it has failed for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProfileProgress {
    /// Which page, counted from 0.
    pub page_index: u32,
    /// How many pages are planned, when that is known. It grows when the server has more than it said.
    pub total_pages: Option<u32>,
    /// Profiles that this page brought; 0 for a failed page.
    pub rows: u64,
    /// Whether the page is staged.
    pub success: bool,
    /// Why it failed, when it did.
    pub error: Option<String>,
    /// Profiles of all pages so far. Duplicates across pages are counted until the load removes them.
    pub cumulative_rows: u64,
}

/// One page of profiles, as `ApiClient::export_profiles_page` returns it.
#[derive(Debug, Clone)]
pub struct ProfilePageResult {
    /// The profiles of this page, and the records that cannot be rows.
    pub profiles: ProfileRows,
    /// The session to name when asking for the other pages.
    pub session_id: Option<String>,
    /// Which page this is, counted from 0.
    pub page: u32,
    /// Whether another page may follow: this one is as long as a page can be.
    pub has_more: bool,
    /// Profiles in all pages together, if the server says so; only page 0 can be expected to
    /// (`docs/mixpanel-api.md#totals`).
    pub total: Option<u64>,
    /// Profiles in a full page, as the server counts.
    pub page_size: u64,
}

impl ProfilePageResult {
    /// Returns how many pages `total` makes, rounded up; 0 for an empty result, `None` without a total.
    #[must_use]
    pub fn num_pages(&self) -> Option<u64> {
        self.total.map(|total| total.div_ceil(self.page_size.max(1)))
    }
}

/// The result of a sequential fetch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FetchResult {
    /// The table.
    pub table: String,
    /// Rows that the fetch put into the table.
    pub rows: u64,
    /// What the table holds: `profiles`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Seconds from the call to the committed load.
    pub duration_seconds: f64,
    /// First and last date; `None` for profiles.
    pub date_range: Option<(String, String)>,
    /// When the last page was staged and the load began, in UTC, ISO 8601.
    pub fetched_at: String,
    /// Pages that failed for good, in order.
    pub failed_page_indices: Vec<u32>,
    /// Where every record went and what it cost.
    #[serde(flatten)]
    pub counts: FetchCounts,
    /// Identifies the run.
    pub run_id: String,
}

impl FetchResult {
    /// Says whether profiles are missing from the table.
    #[must_use]
    pub fn has_failures(&self) -> bool {
        !self.failed_page_indices.is_empty() || self.counts.shortfall > 0
    }
}

/// The result of a parallel fetch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ParallelProfileResult {
    /// The table.
    pub table: String,
    /// Rows that the fetch put into the table.
    pub total_rows: u64,
    /// Pages whose profiles are in the table.
    pub successful_pages: u32,
    /// Pages that failed for good.
    pub failed_pages: u32,
    /// Which pages failed for good, in order.
    pub failed_page_indices: Vec<u32>,
    /// Seconds from the call to the committed load.
    pub duration_seconds: f64,
    /// When the last page was staged and the load began, in UTC, ISO 8601.
    pub fetched_at: String,
    /// Where every record went and what it cost.
    #[serde(flatten)]
    pub counts: FetchCounts,
    /// Identifies the run.
    pub run_id: String,
}

impl ParallelProfileResult {
    /// Says whether profiles are missing from the table.
    #[must_use]
    pub fn has_failures(&self) -> bool {
        self.failed_pages > 0 || self.counts.shortfall > 0
    }
}

/// What `fetch_profiles` returns: its shape depends on the requested mode.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ProfileFetchResult {
    /// One page after the other.
    Sequential(FetchResult),
    /// Several pages at a time.
    Parallel(ParallelProfileResult),
}

impl ProfileFetchResult {
    /// Rows that the fetch put into the table.
    #[must_use]
    pub fn rows(&self) -> u64 {
        match self {
            Self::Sequential(result) => result.rows,
            Self::Parallel(result) => result.total_rows,
        }
    }

    /// Which pages failed for good, in order.
    #[must_use]
    pub fn failed_page_indices(&self) -> &[u32] {
        match self {
            Self::Sequential(result) => &result.failed_page_indices,
            Self::Parallel(result) => &result.failed_page_indices,
        }
    }

    /// Says whether profiles are missing from the table.
    #[must_use]
    pub fn has_failures(&self) -> bool {
        match self {
            Self::Sequential(result) => result.has_failures(),
            Self::Parallel(result) => result.has_failures(),
        }
    }

    /// Identifies the run.
    #[must_use]
    pub fn run_id(&self) -> &str {
        match self {
            Self::Sequential(result) => &result.run_id,
            Self::Parallel(result) => &result.run_id,
        }
    }

    /// Where every record went and what it cost.
    #[must_use]
    pub fn counts(&self) -> &FetchCounts {
        match self {
            Self::Sequential(result) => &result.counts,
            Self::Parallel(result) => &result.counts,
        }
    }
}

/// A run that was begun and is not finished: its pages are on disk, and [`Workspace::resume_fetch`] goes on with it.
///
/// [`Workspace::resume_fetch`]: crate::Workspace::resume_fetch
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnfinishedRun {
    /// Names the run.
    pub run_id: String,
    /// The table that its profiles are to go into. Empty if the description of the run cannot be read; then `reason` says
    /// which file cannot be read and why, and the other fields are as much as its directory tells.
    pub table: String,
    /// The project.
    pub project_id: String,
    /// Its region, such as `us`.
    pub region: String,
    /// What is to become of a table of that name.
    pub on_existing: OnExisting,
    /// When it began, in UTC, ISO 8601.
    pub started_at: String,
    /// Seconds since it began.
    pub age_seconds: u64,
    /// Pages that are on disk.
    pub pages_done: u32,
    /// Pages there are, when that is known.
    pub pages_total: Option<u32>,
    /// Bytes that it takes on disk.
    pub bytes: u64,
    /// Why it stopped, as far as it could still be written down.
    pub reason: String,
    /// Whether the pages that came are in the table already, which is marked as partial.
    pub is_loaded_in_part: bool,
    /// The process that is working on it now, if one is.
    pub held_by: Option<u32>,
}

/// Why a run that was only planned is unfinished.
pub(crate) const ONLY_PLANNED: &str = "only page 0 was asked for, to plan the fetch";

impl UnfinishedRun {
    /// Says whether only page 0 was asked for, to see what the fetch would take.
    #[must_use]
    pub fn is_only_planned(&self) -> bool {
        self.reason == ONLY_PLANNED
    }

    /// Says whether the description of the run could be read. One that could not cannot be resumed.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        !self.table.is_empty()
    }
}

/// What a fetch would take, as far as page 0 tells. Page 0 is kept for the fetch that follows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FetchPlan {
    /// The table.
    pub table: String,
    /// Names the run that page 0 is kept in.
    pub run_id: String,
    /// Profiles that the server says there are, when it says so.
    pub expected_rows: Option<u64>,
    /// Profiles in a full page, as the server counts.
    pub page_size: u64,
    /// Pages there are, page 0 included, when that is known.
    pub pages: Option<u32>,
    /// Requests that are left to send.
    pub requests: Option<u32>,
    /// How many of those count towards the project's quota, by what is known now: pages with a session are free until the
    /// server says otherwise.
    pub counted_requests: Option<u32>,
    /// Seconds that the rest is expected to take, waits for the quota included.
    pub expected_seconds: Option<f64>,
    /// Bytes that the stage and the table are expected to take together, at most.
    pub expected_bytes: Option<u64>,
    /// Counted requests of this machine in the quota's window so far.
    pub quota_used: u32,
    /// Counted requests that the quota allows in its window, less the reserve.
    pub quota_limit: u32,
    /// Ways to ask for less, one sentence each.
    pub advice: Vec<String>,
}

/// One finished page, on its way to the writer.
#[derive(Debug)]
pub struct ProfileWriteTask {
    /// Which page, counted from 0.
    pub page_index: u32,
    /// Its rows and rejects.
    pub rows: ProfileRows,
}

/// A table of the database, as `Workspace::tables` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableInfo {
    /// Its name.
    pub name: String,
    /// What it holds: `profiles`, `events`, or `unknown` for a table that no fetch made.
    #[serde(rename = "type")]
    pub kind: String,
    /// Rows in it.
    pub row_count: u64,
    /// When it was last loaded, in UTC, ISO 8601; `None` for a table that no fetch made.
    pub fetched_at: Option<String>,
    /// Whether pages are missing from it that a fetch could not get.
    pub partial: bool,
}

/// What `Workspace::verify_table` found in a table, beside what the last load left in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// The table, as the database spells it.
    pub table: String,
    /// Rows in it.
    pub rows: u64,
    /// Rows in it after the last load.
    pub expected_rows: Option<u64>,
    /// Different ids in it.
    pub distinct_ids: u64,
    /// A number that a change of any row changes, and their order does not, behind the name of what computed it.
    pub digest: String,
    /// The digest after the last load; `None` if the program that loaded it records none.
    pub expected_digest: Option<String>,
    /// The run of the last load.
    pub run_id: Option<String>,
    /// When that was, in UTC, ISO 8601.
    pub fetched_at: Option<String>,
    /// Whether pages are missing that a fetch could not get. That is no problem of the table's.
    pub partial: bool,
    /// What is not as the last load left it, or cannot be compared; one sentence each.
    pub problems: Vec<String>,
}

impl VerifyReport {
    /// Says whether the table is proven to be what the last load left.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.problems.is_empty()
    }
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
pub struct TableSchema {
    /// The table.
    pub table_name: String,
    /// Its columns, in order.
    pub columns: Vec<ColumnInfo>,
}

/// The rows that a query returned.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SqlResult {
    /// Column names, in order; they need not be unique.
    pub columns: Vec<String>,
    /// Rows; each has a value per column. JSON columns hold JSON values, dates and times ISO 8601 text.
    pub rows: Vec<Vec<serde_json::Value>>,
}

/// The result of a stream of profiles.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProfileStreamResult {
    /// Records handed over.
    pub rows: u64,
    /// Pages whose records were handed over.
    pub successful_pages: u32,
    /// Pages that failed for good, in order.
    pub failed_page_indices: Vec<u32>,
    /// Whether the receiver ended the stream.
    pub ended_early: bool,
    /// Where every record went and what it cost. `duplicates` is 0: a stream is not searched for them.
    #[serde(flatten)]
    pub counts: FetchCounts,
    /// Identifies the run.
    pub run_id: String,
}
