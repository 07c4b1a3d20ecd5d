//! The results of a fetch into a table.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::counts::FetchCounts;

/// The result of a sequential fetch.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FetchResult {
    /// The table.
    pub table: String,
    /// Rows that the run put into the table: new rows, and rows that replaced older ones.
    pub rows: u64,
    /// What the table holds: `profiles`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Seconds from the call to the committed load, in this process.
    pub duration_seconds: f64,
    /// First and last date; `None` for profiles.
    pub date_range: Option<(String, String)>,
    /// When the last page was staged and the load began, in UTC, ISO 8601.
    pub fetched_at: String,
    /// Pages that failed for good, in order.
    pub failed_page_indices: Vec<u32>,
    /// Counters for records, requests and waiting time.
    #[serde(flatten)]
    pub counts: FetchCounts,
    /// The id of the run.
    pub run_id: String,
    /// The table after the load.
    #[serde(flatten)]
    pub loaded: LoadedTable,
}

impl FetchResult {
    /// Returns whether profiles are missing from the table.
    #[must_use]
    pub fn has_failures(&self) -> bool {
        !self.failed_page_indices.is_empty() || self.counts.shortfall > 0
    }
}

/// The result of a parallel fetch.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ParallelProfileResult {
    /// The table.
    pub table: String,
    /// Same as `total_rows`, under its name in [`FetchResult`].
    pub rows: u64,
    /// Rows that the run put into the table: new rows, and rows that replaced older ones.
    pub total_rows: u64,
    /// Number of pages whose profiles are in the table.
    pub successful_pages: u32,
    /// Number of pages that failed for good.
    pub failed_pages: u32,
    /// Pages that failed for good, in order.
    pub failed_page_indices: Vec<u32>,
    /// Seconds from the call to the committed load, in this process.
    pub duration_seconds: f64,
    /// When the last page was staged and the load began, in UTC, ISO 8601.
    pub fetched_at: String,
    /// Counters for records, requests and waiting time.
    #[serde(flatten)]
    pub counts: FetchCounts,
    /// The id of the run.
    pub run_id: String,
    /// The table after the load.
    #[serde(flatten)]
    pub loaded: LoadedTable,
}

impl ParallelProfileResult {
    /// Returns whether profiles are missing from the table.
    #[must_use]
    pub fn has_failures(&self) -> bool {
        self.failed_pages > 0 || self.counts.shortfall > 0
    }
}

/// What the result of every fetch says about its table, whatever the mode.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LoadedTable {
    /// The database file, as an absolute path. In JSON, bytes that are not UTF-8 are replaced.
    #[serde(serialize_with = "as_text")]
    pub database: PathBuf,
    /// All rows in the table after the load.
    pub table_rows: u64,
    /// How many of the result's `rows` replaced older rows of the table; the others are new. `None` if unknown: for an
    /// upsert that was loaded in several steps, and for a load that an earlier process committed.
    pub updated_rows: Option<u64>,
    /// Fetched profiles that are not in the table because it keeps its own row with the same id; `None` if unknown, as
    /// above. They are also among the `duplicates`.
    pub unchanged_rows: Option<u64>,
    /// The page among the failed ones of which it is unknown whether it exists: nothing announced it, and the fetch
    /// ended before it could be requested, or its requests failed.
    pub unchecked_page: Option<u32>,
    /// Seconds that the whole run waited, including earlier processes: like `waited_seconds`, which covers this process
    /// only. Waits of earlier processes for the database are not included.
    pub run_waited_seconds: f64,
}

/// The result of `fetch_profiles`; its shape depends on the requested mode.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ProfileFetchResult {
    /// The result of a sequential fetch.
    Sequential(FetchResult),
    /// The result of a parallel fetch.
    Parallel(ParallelProfileResult),
}

impl ProfileFetchResult {
    /// Returns the name of the table, as the database spells it.
    #[must_use]
    pub fn table(&self) -> &str {
        match self {
            Self::Sequential(result) => &result.table,
            Self::Parallel(result) => &result.table,
        }
    }

    /// Returns the absolute path of the database file.
    #[must_use]
    pub fn database(&self) -> &Path {
        &self.loaded().database
    }

    /// Returns the number of rows that the run put into the table.
    #[must_use]
    pub fn rows(&self) -> u64 {
        match self {
            Self::Sequential(result) => result.rows,
            Self::Parallel(result) => result.total_rows,
        }
    }

    /// Returns the time from the call to the committed load, to the millisecond. Earlier processes that worked on the
    /// run are not included.
    #[must_use]
    pub fn duration(&self) -> Duration {
        let seconds = match self {
            Self::Sequential(result) => result.duration_seconds,
            Self::Parallel(result) => result.duration_seconds,
        };
        Duration::try_from_secs_f64(seconds).unwrap_or_default()
    }

    /// Returns the pages that failed for good, in order.
    #[must_use]
    pub fn failed_page_indices(&self) -> &[u32] {
        match self {
            Self::Sequential(result) => &result.failed_page_indices,
            Self::Parallel(result) => &result.failed_page_indices,
        }
    }

    /// Returns whether profiles are missing from the table.
    #[must_use]
    pub fn has_failures(&self) -> bool {
        match self {
            Self::Sequential(result) => result.has_failures(),
            Self::Parallel(result) => result.has_failures(),
        }
    }

    /// Returns the id of the run.
    #[must_use]
    pub fn run_id(&self) -> &str {
        match self {
            Self::Sequential(result) => &result.run_id,
            Self::Parallel(result) => &result.run_id,
        }
    }

    /// Returns the counters for records, requests and waiting time.
    #[must_use]
    pub fn counts(&self) -> &FetchCounts {
        match self {
            Self::Sequential(result) => &result.counts,
            Self::Parallel(result) => &result.counts,
        }
    }

    /// Returns what the result says about the table after the load.
    #[must_use]
    pub fn loaded(&self) -> &LoadedTable {
        match self {
            Self::Sequential(result) => &result.loaded,
            Self::Parallel(result) => &result.loaded,
        }
    }
}

fn as_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}
