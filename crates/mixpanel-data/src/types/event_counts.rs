//! The counters of a fetch of events.

use serde::Serialize;

/// What only a fetch of events counts; [`FetchCounts`](crate::FetchCounts) has the other counters.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EventCounts {
    /// Dropped duplicates whose properties differ from those of the event that was kept.
    pub conflicting_duplicates: u64,
    /// Events without `$insert_id`. Their column `insert_id` begins with `gen-`.
    pub without_insert_id: u64,
    /// Events without a usable `distinct_id`, which is stored as an empty text.
    pub without_distinct_id: u64,
    /// Events of another day than those requested. They are kept; a wrong project time zone causes them.
    pub outside_range: u64,
    /// Events whose local time occurred twice because the clock was set back; the earlier one is stored.
    pub repeated_hour: u64,
    /// Events whose local time did not occur because the clock was set forward; they are stored an hour later.
    pub skipped_hour: u64,
    /// Rows that left the table because their days were replaced by fetched ones.
    pub replaced_rows: u64,
    /// Decoded bytes of the responses.
    pub received_bytes: u64,
    /// Fetched days whose events may still change, in order.
    pub open_days: Vec<String>,
}
