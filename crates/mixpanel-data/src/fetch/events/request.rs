//! The arguments of a fetch of events, and its report.

use jiff::civil::Date;

use crate::counts::FetchCounts;
use crate::event_query::EventQuery;
use crate::profile_query::{FetchMode, IfExists};
use crate::property_rules::RequestedRules;
use crate::types::{EventCounts, LoadedTable};

/// A fetch of events, validated: the last day is at most the project's today, and there is at least one worker.
#[derive(Debug)]
pub(crate) struct EventsRequest {
    pub(crate) table: String,
    pub(crate) query: EventQuery,
    pub(crate) if_exists: IfExists,
    /// As recorded with the run.
    pub(crate) mode: FetchMode,
    /// Number of days of a slice; `None` leaves it to the planner.
    pub(crate) chunk_days: Option<u32>,
    /// These days of the table are replaced as a whole.
    pub(crate) replaced_days: Option<(Date, Date)>,
    /// A day is settled if it was fetched at least this many days after its end.
    pub(crate) refresh_days: u32,
    pub(crate) rules: RequestedRules,
}

/// The result of a fetch of events into a table.
#[derive(Debug)]
pub(crate) struct EventsReport {
    pub(crate) table: String,
    /// Rows that the run put into the table.
    pub(crate) rows: u64,
    /// What was fetched.
    pub(crate) query: EventQuery,
    pub(crate) fetched_at: String,
    pub(crate) duration_seconds: f64,
    pub(crate) run_id: String,
    pub(crate) successful_batches: u32,
    pub(crate) failed_batches: u32,
    /// First and last day of each range that failed for good, in order; adjacent ones are merged.
    pub(crate) failed_date_ranges: Vec<(String, String)>,
    pub(crate) counts: FetchCounts,
    pub(crate) events: EventCounts,
    pub(crate) loaded: LoadedTable,
}
