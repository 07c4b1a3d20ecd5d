//! The result of a fetch into a table, of either dataset.

use crate::counts::FetchCounts;
use crate::error::{Error, Result};
use crate::event_query::EventQuery;
use crate::load::DayChange;
use crate::slice::Slice;
use crate::types::{EventCounts, LoadedTable};

use super::events::{EventsReport, date_ranges};

/// The result of a fetch into a table, in any mode.
pub(super) struct TableReport {
    pub(super) table: String,
    pub(super) rows: u64,
    pub(super) staged_pages: u32,
    pub(super) failed_pages: Vec<u32>,
    pub(super) duration_seconds: f64,
    pub(super) fetched_at: String,
    pub(super) counts: FetchCounts,
    pub(super) run_id: String,
    pub(super) loaded: LoadedTable,
    /// What a run of events fetched.
    pub(super) events: Option<FetchedEvents>,
}

/// What a run of events fetched, in addition to what all runs report.
pub(super) struct FetchedEvents {
    pub(super) query: EventQuery,
    /// The slices that failed for good.
    pub(super) failed: Vec<Slice>,
    pub(super) change: DayChange,
}

impl TableReport {
    /// Returns the report of a run of events.
    ///
    /// # Errors
    /// `Internal` if it is one of profiles.
    pub(super) fn into_events(self) -> Result<EventsReport> {
        let FetchedEvents { query, failed, change } =
            self.events.ok_or_else(|| Error::internal("a fetch of events reports profiles"))?;
        Ok(EventsReport {
            table: self.table,
            rows: self.rows,
            query,
            fetched_at: self.fetched_at,
            duration_seconds: self.duration_seconds,
            run_id: self.run_id,
            successful_batches: self.staged_pages,
            failed_batches: u32::try_from(failed.len()).unwrap_or(u32::MAX),
            failed_date_ranges: date_ranges(&failed),
            counts: self.counts,
            events: event_counts(change),
            loaded: self.loaded,
        })
    }
}

fn event_counts(change: DayChange) -> EventCounts {
    EventCounts {
        conflicting_duplicates: change.conflicting_duplicates,
        without_insert_id: change.without_insert_id,
        without_distinct_id: change.without_distinct_id,
        outside_range: change.outside,
        repeated_hour: change.repeated_hour,
        skipped_hour: change.skipped_hour,
        received_bytes: change.bytes,
        replaced_rows: change.replaced_rows,
        open_days: change.open_days.iter().map(ToString::to_string).collect(),
    }
}
