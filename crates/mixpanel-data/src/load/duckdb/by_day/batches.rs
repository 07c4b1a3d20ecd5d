//! Groups the days of staged slices into batches, so that a load looks at a limited number of rows at a time.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::slices::StagedSlice;
use crate::limits::{BATCH_BYTES, BATCH_SLICES_MAX};

/// Days that are loaded together: all rows of each of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    /// The places of the slices with rows of these days, ascending.
    pub(super) slices: Vec<usize>,
    /// The days, ascending.
    pub(super) days: Vec<Date>,
    /// The size of the rows, in bytes of the responses.
    bytes: u64,
}

impl Batch {
    /// Returns the batches, in the order of their first days.
    ///
    /// A slice is the unit of reading, so days that the same slices have are in one batch. Small batches are merged.
    pub(super) fn all(slices: &[StagedSlice]) -> Vec<Self> {
        let mut days: BTreeMap<Date, (Vec<usize>, u64)> = BTreeMap::new();
        for (place, slice) in slices.iter().enumerate() {
            for day in slice.days.iter().filter(|day| day.rows > 0) {
                let (places, bytes) = days.entry(day.day).or_default();
                places.push(place);
                *bytes += day.bytes;
            }
        }
        let mut groups: BTreeMap<Vec<usize>, Self> = BTreeMap::new();
        for (day, (places, bytes)) in days {
            let new = || Self { slices: places.clone(), days: Vec::new(), bytes: 0 };
            let group = groups.entry(places.clone()).or_insert_with(new);
            group.days.push(day);
            group.bytes += bytes;
        }
        let mut groups: Vec<Self> = groups.into_values().collect();
        groups.sort_by_key(|group| group.days[0]);
        let mut batches: Vec<Self> = Vec::new();
        for group in groups {
            match batches.last_mut() {
                Some(last) if last.has_room_for(&group) => last.add(group),
                _ => batches.push(group),
            }
        }
        batches
    }

    fn has_room_for(&self, other: &Self) -> bool {
        let bytes = self.bytes.saturating_add(other.bytes);
        bytes <= BATCH_BYTES && self.slices.len() + other.slices.len() <= BATCH_SLICES_MAX
    }

    fn add(&mut self, other: Self) {
        self.slices.extend(other.slices);
        self.slices.sort_unstable();
        self.slices.dedup();
        self.days.extend(other.days);
        self.days.sort_unstable();
        self.bytes += other.bytes;
    }

    /// Returns the first and the last day.
    pub(super) fn range(&self) -> (Date, Date) {
        (self.days[0], self.days[self.days.len() - 1])
    }
}
