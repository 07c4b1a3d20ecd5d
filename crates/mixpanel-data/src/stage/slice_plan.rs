//! What the manifest of a run of events holds: the selection, and the plan of its slices.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::event_query::EventQuery;
use crate::slice::Slice;

/// What a run of events fetches, and what its load does with the days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EventRun {
    pub(crate) query: EventQuery,
    /// The number of days of a slice, if the caller chose it.
    pub(crate) chunk_days: Option<u32>,
    /// The number of requests that the plan may need without a wait for the quota.
    pub(crate) requests: u32,
    /// A day is settled if it was fetched at least this many days after its end.
    pub(crate) refresh_days: u32,
    /// These days of the table are replaced as a whole.
    pub(crate) replaced_days: Option<(Date, Date)>,
}

/// A slice of a run. Its index in the manifest is the number of its part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SliceRecord {
    #[serde(flatten)]
    pub(crate) slice: Slice,
    #[serde(default, skip_serializing_if = "SliceState::is_planned")]
    pub(crate) state: SliceState,
}

/// Whether a slice is part of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SliceState {
    /// It is fetched.
    #[default]
    Planned,
    /// Others take its place.
    Replaced,
}

impl SliceState {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_planned(&self) -> bool {
        *self == Self::Planned
    }
}

/// The plan of a run of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SlicePlan {
    pub(crate) records: Vec<SliceRecord>,
    /// The event names of the fetch; a slice may have only some of them.
    pub(crate) events: Vec<String>,
    /// Whether the size of the slices was chosen by the caller.
    pub(crate) is_fixed: bool,
    /// Whether the fetch is limited to a number of events, so that its slices cannot be divided.
    pub(crate) is_sample: bool,
    /// The number of requests that the plan may need without a wait for the quota.
    pub(crate) requests: u32,
    /// The project's day when this process began to work on the run, by the local clock.
    pub(crate) today: Date,
}

impl SlicePlan {
    /// Returns the slices of the plan with the numbers of their parts.
    pub(crate) fn active(&self) -> impl Iterator<Item = (u32, &Slice)> {
        let records = (0..).zip(&self.records).filter(|(_, record)| record.state == SliceState::Planned);
        records.map(|(part, record)| (part, &record.slice))
    }
}

impl EventRun {
    /// Returns the plan with these slices, for a process that begins at `now`.
    pub(super) fn plan(&self, records: &[SliceRecord], now: Timestamp) -> SlicePlan {
        SlicePlan {
            records: records.to_vec(),
            events: self.query.events.clone(),
            is_fixed: self.chunk_days.is_some(),
            is_sample: self.query.limit.is_some(),
            requests: self.requests,
            today: self.query.timezone.today(now),
        }
    }
}
