//! The results of a fetch into a table.

use std::path::Path;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::event_counts::EventCounts;
use super::event_json::{Counts, EventFields};
use super::loaded_table::LoadedTable;
use crate::counts::FetchCounts;

/// The result of a sequential fetch. In JSON, a fetch of events has `failed_date_ranges` and the fields of
/// [`EventCounts`]; a fetch of profiles has the fields about pages and sessions instead.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FetchResult {
    /// The table.
    pub table: String,
    /// Rows that the run put into the table: new rows, and rows that replaced older ones.
    pub rows: u64,
    /// What the table holds: `profiles` or `events`; `type` in JSON.
    pub kind: &'static str,
    /// Seconds from the call to the committed load, in this process.
    pub duration_seconds: f64,
    /// First and last date; `None` for profiles.
    pub date_range: Option<(String, String)>,
    /// When the last page was staged and the load began, in UTC, ISO 8601.
    pub fetched_at: String,
    /// Pages that failed for good, in order; none for events.
    pub failed_page_indices: Vec<u32>,
    /// First and last day of each date range that failed for good, in order; none for profiles.
    pub failed_date_ranges: Vec<(String, String)>,
    /// Counters for records, requests and waiting time.
    pub counts: FetchCounts,
    /// Counters for events; `None` for profiles.
    pub events: Option<EventCounts>,
    /// The id of the run.
    pub run_id: String,
    /// The table after the load.
    pub loaded: LoadedTable,
}

impl FetchResult {
    /// Returns whether profiles or events are missing from the table.
    #[must_use]
    pub fn has_failures(&self) -> bool {
        !self.failed_page_indices.is_empty() || !self.failed_date_ranges.is_empty() || self.counts.shortfall > 0
    }
}

impl Serialize for FetchResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct OfProfiles<'a> {
            table: &'a str,
            rows: u64,
            #[serde(rename = "type")]
            kind: &'a str,
            duration_seconds: f64,
            date_range: Option<&'a (String, String)>,
            fetched_at: &'a str,
            failed_page_indices: &'a [u32],
            #[serde(flatten)]
            counts: &'a FetchCounts,
            run_id: &'a str,
            #[serde(flatten)]
            loaded: &'a LoadedTable,
        }
        if let Some(events) = &self.events {
            let fields = EventFields {
                table: &self.table,
                rows: self.rows,
                total_rows: None,
                kind: self.kind,
                successful_batches: None,
                failed_batches: None,
                failed_date_ranges: &self.failed_date_ranges,
                date_range: self.date_range.as_ref(),
                duration_seconds: self.duration_seconds,
                fetched_at: &self.fetched_at,
                counts: Counts(&self.counts),
                events,
                run_id: &self.run_id,
                loaded: &self.loaded,
            };
            return fields.serialize(serializer);
        }
        OfProfiles {
            table: &self.table,
            rows: self.rows,
            kind: self.kind,
            duration_seconds: self.duration_seconds,
            date_range: self.date_range.as_ref(),
            fetched_at: &self.fetched_at,
            failed_page_indices: &self.failed_page_indices,
            counts: &self.counts,
            run_id: &self.run_id,
            loaded: &self.loaded,
        }
        .serialize(serializer)
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
