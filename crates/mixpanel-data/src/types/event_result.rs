//! The results of a fetch of events, and its progress.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use super::event_counts::EventCounts;
use super::event_json::{Counts, EventFields};
use super::fetch_result::FetchResult;
use super::loaded_table::LoadedTable;
use crate::counts::FetchCounts;
use crate::event_query::Dedupe;

/// Reports one finished date range of a fetch of events.
///
/// Sent once per range, including failed ones, in the order in which they finish. A range is finished when it is staged
/// (and so can no longer be lost) or has failed for good. A range that is split reports its parts instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BatchProgress {
    /// First day, such as `2026-11-01`.
    pub from_date: String,
    /// Last day, inclusive.
    pub to_date: String,
    /// Number of the range, counted from 0.
    pub batch_index: u32,
    /// Number of ranges. It grows when a range is split, and can shrink or grow as sizes become known.
    pub total_batches: u32,
    /// Events in this range; 0 for a failed one.
    pub rows: u64,
    /// Whether the range is staged.
    pub success: bool,
    /// Why the range failed, if it did.
    pub error: Option<String>,
    /// Events in all ranges so far, including duplicates, which the load removes.
    pub cumulative_rows: u64,
    /// Decoded bytes of this range.
    pub bytes: u64,
    /// The event names of this range, if a day was split by them; else empty.
    pub events: Vec<String>,
}

/// The result of a parallel fetch of events.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ParallelFetchResult {
    /// The table.
    pub table: String,
    /// Rows that the run put into the table; in JSON, also under the name `rows`.
    pub total_rows: u64,
    /// Number of ranges whose events are in the table.
    pub successful_batches: u32,
    /// Number of ranges that failed for good.
    pub failed_batches: u32,
    /// First and last day of each range that failed for good, in order; adjacent ones are merged.
    pub failed_date_ranges: Vec<(String, String)>,
    /// First and last day.
    pub date_range: (String, String),
    /// Seconds from the call to the committed load, in this process.
    pub duration_seconds: f64,
    /// When the last range was staged and the load began, in UTC, ISO 8601.
    pub fetched_at: String,
    /// Counters for records, requests and waiting time.
    pub counts: FetchCounts,
    /// Counters for events.
    pub events: EventCounts,
    /// The id of the run.
    pub run_id: String,
    /// The table after the load.
    pub loaded: LoadedTable,
}

impl ParallelFetchResult {
    /// Returns whether events are missing from the table.
    #[must_use]
    pub fn has_failures(&self) -> bool {
        self.failed_batches > 0
    }
}

impl Serialize for ParallelFetchResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        EventFields {
            table: &self.table,
            rows: self.total_rows,
            total_rows: Some(self.total_rows),
            kind: "events",
            successful_batches: Some(self.successful_batches),
            failed_batches: Some(self.failed_batches),
            failed_date_ranges: &self.failed_date_ranges,
            date_range: Some(&self.date_range),
            duration_seconds: self.duration_seconds,
            fetched_at: &self.fetched_at,
            counts: Counts(&self.counts),
            events: &self.events,
            run_id: &self.run_id,
            loaded: &self.loaded,
        }
        .serialize(serializer)
    }
}

/// The result of `fetch_events`; its shape depends on the requested mode.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum EventFetchResult {
    /// The result of a sequential fetch.
    Sequential(FetchResult),
    /// The result of a parallel fetch.
    Parallel(ParallelFetchResult),
}

impl EventFetchResult {
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

    /// Returns the first and last day of each range that failed for good, in order.
    #[must_use]
    pub fn failed_date_ranges(&self) -> &[(String, String)] {
        match self {
            Self::Sequential(result) => &result.failed_date_ranges,
            Self::Parallel(result) => &result.failed_date_ranges,
        }
    }

    /// Returns the first and last day of the fetch.
    #[must_use]
    pub fn date_range(&self) -> Option<&(String, String)> {
        match self {
            Self::Sequential(result) => result.date_range.as_ref(),
            Self::Parallel(result) => Some(&result.date_range),
        }
    }

    /// Returns whether events are missing from the table.
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

    /// Returns the counters for events.
    #[must_use]
    pub fn events(&self) -> &EventCounts {
        const NONE: &EventCounts = &EventCounts {
            conflicting_duplicates: 0,
            without_insert_id: 0,
            without_distinct_id: 0,
            outside_range: 0,
            repeated_hour: 0,
            skipped_hour: 0,
            replaced_rows: 0,
            received_bytes: 0,
            open_days: Vec::new(),
        };
        match self {
            Self::Sequential(result) => result.events.as_ref().unwrap_or(NONE),
            Self::Parallel(result) => &result.events,
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

/// An estimate of the requests and time that a fetch of events needs, made without a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EventEstimate {
    /// The table.
    pub table: String,
    /// First day.
    pub from_date: String,
    /// Last day, inclusive.
    pub to_date: String,
    /// Number of days.
    pub days: u32,
    /// First and last day of each request, in order.
    pub batches: Vec<(String, String)>,
    /// Number of requests, if no range has to be split or requested again. Each counts towards the quota.
    pub requests: u32,
    /// Maximum number of requests in flight.
    pub workers: u32,
    /// Seconds that the fetch waits for the quota, if requests take no time. The time for the transfer depends on the
    /// number of events, which is not known in advance.
    pub wait_seconds: f64,
    /// Exports from this machine in the current quota window.
    pub quota_used: u32,
    /// Exports that the quota allows per window, less the reserve.
    pub quota_limit: u32,
    /// Ways to make the fetch smaller or faster, and what it needs if the table exists; one sentence each.
    pub advice: Vec<String>,
}

/// The result of `Workspace::audit_events`: the settled days of a table, compared with Mixpanel's counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct EventAudit {
    /// The table.
    pub table: String,
    /// Number of compared days.
    pub days: u32,
    /// Number of days that were not compared because they may still change; a refresh fetches them again.
    pub open_days: u32,
    /// The days that differ, in order.
    pub differing_days: Vec<AuditedDay>,
    /// When Mixpanel counted, in UTC, ISO 8601.
    pub counted_at: String,
    /// Names of the events that the last load selected; empty if it selected all. Not serialized.
    #[serde(skip)]
    pub events: Vec<String>,
    /// Rule for duplicates of the last load. Not serialized.
    #[serde(skip)]
    pub dedupe: Dedupe,
}

/// A day whose events differ from Mixpanel's count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AuditedDay {
    /// The day.
    pub day: String,
    /// Number of rows in the table.
    pub rows: u64,
    /// Number of events that Mixpanel counts now.
    pub counted: u64,
    /// Number that Mixpanel counted when the day was last repaired, if it was.
    pub counted_before: Option<u64>,
}

/// The result of `Workspace::stream_events`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EventStreamResult {
    /// Events passed to the sink.
    pub rows: u64,
    /// Number of ranges whose events were passed to the sink.
    pub successful_batches: u32,
    /// First and last day of each range that failed for good, in order.
    pub failed_date_ranges: Vec<(String, String)>,
    /// First and last day.
    pub date_range: (String, String),
    /// Whether the sink ended the stream.
    pub ended_early: bool,
    /// Counters for records, requests and waiting time. `duplicates` is 0: streams are not checked for duplicates.
    pub counts: FetchCounts,
    /// Counters for events.
    pub events: EventCounts,
    /// The id of the run.
    pub run_id: String,
}
