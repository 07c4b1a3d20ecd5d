//! Divides days into slices. Pure: the sizes of finished slices are arguments.

use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::limits::{CHUNK_DAYS_RANGE, SLICE_BYTES_TARGET, SLICE_ROWS_TARGET};
use crate::slice::{Slice, joined};

/// Maximum number of days in a planned slice.
const DAYS_MAX: u32 = *CHUNK_DAYS_RANGE.end();

/// The size of finished slices, from which that of the others is estimated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LearnedSize {
    days: u64,
    rows: u64,
    bytes: u64,
}

impl LearnedSize {
    /// Adds a finished slice with all event names of the fetch.
    pub(super) fn add(&mut self, days: u32, rows: u64, bytes: u64) {
        self.days += u64::from(days);
        self.rows += rows;
        self.bytes += bytes;
    }

    /// Returns how many days a slice should have at most, if anything is known.
    pub(super) fn days_of_slice(self) -> Option<u32> {
        if self.days == 0 {
            return None;
        }
        let fit = |target: u64, sum: u64| target.saturating_mul(self.days).checked_div(sum).unwrap_or(u64::MAX);
        let days = fit(SLICE_BYTES_TARGET, self.bytes).min(fit(SLICE_ROWS_TARGET, self.rows));
        Some(u32::try_from(days).unwrap_or(u32::MAX).clamp(1, DAYS_MAX))
    }
}

/// Returns how many days a slice has so that `requests` requests are enough for `days` days: one, if possible.
pub(in crate::fetch) fn days_of_slice(days: u32, requests: u32) -> u32 {
    days.div_ceil(requests.max(1)).clamp(1, DAYS_MAX)
}

/// Divides the days from `from` to `to`, both included, into slices of `size` days; the last one may have fewer.
pub(in crate::fetch) fn divide(from: Date, to: Date, events: &[String], size: u32) -> Vec<Slice> {
    let mut slices = Vec::new();
    let mut first = from;
    while first <= to {
        let last = first.saturating_add(i64::from(size.max(1) - 1).days()).min(to);
        slices.push(Slice { from: first, to: last, events: events.to_vec() });
        let Ok(next) = last.tomorrow() else { break };
        first = next;
    }
    slices
}

/// Divides the days of slices that have not been requested once more, if the sizes of finished slices suggest it:
/// slices that are too large for one request become smaller, and if there are more of them than `requests`, they become
/// larger. Returns `None` if they stay as they are.
///
/// `pending` is in the order of days, and all of these slices have the same event names.
pub(super) fn divide_again(pending: &[Slice], learned: LearnedSize, requests: u32) -> Option<Vec<Slice>> {
    let most = learned.days_of_slice()?;
    let largest = pending.iter().map(Slice::days).max()?;
    let count = u32::try_from(pending.len()).unwrap_or(u32::MAX);
    let days: u32 = pending.iter().map(Slice::days).sum();
    let size = days_of_slice(days, requests).max(largest).min(most);
    // Sizes vary from day to day, so small differences are no reason for another plan.
    let is_too_large = u64::from(largest) * 2 > u64::from(most) * 3;
    let is_too_small = count > requests && size >= largest.saturating_mul(2);
    if !is_too_large && !is_too_small {
        return None;
    }
    let events = &pending.first()?.events;
    let ranges = joined(pending.iter().map(|slice| (slice.from, slice.to)));
    Some(ranges.into_iter().flat_map(|(from, to)| divide(from, to, events, size)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: i64) -> Date {
        jiff::civil::date(2026, 1, 1).saturating_add(number.days())
    }

    /// Returns all days of these slices, in their order.
    fn days_of(slices: &[Slice]) -> Vec<Date> {
        let days = |slice: &Slice| slice.from.series(1.day()).take(slice.days() as usize).collect::<Vec<_>>();
        slices.iter().flat_map(days).collect()
    }

    #[test]
    fn every_day_is_in_exactly_one_slice() {
        for count in 1..130_u32 {
            let expected: Vec<Date> = (0..i64::from(count)).map(day).collect();
            for size in [1, 2, 3, 7, 30, 100, 200] {
                let slices = divide(day(0), day(i64::from(count) - 1), &[], size);
                assert_eq!(days_of(&slices), expected, "{count} days, {size} at a time");
                assert!(slices.iter().all(|slice| slice.days() <= size));
                assert_eq!(slices.len(), count.div_ceil(size) as usize);
            }
        }
        assert_eq!(divide(day(1), day(0), &[], 7), []);
    }

    #[test]
    fn slices_have_one_day_until_the_quota_is_too_small() {
        for (days, requests, expected) in [
            (1, 50, 1),
            (50, 50, 1),
            (51, 50, 2),
            (90, 50, 2),
            (1_096, 50, 22),
            (100_000, 50, 100),
            (9, 1, 9),
            (9, 0, 9),
        ] {
            assert_eq!(days_of_slice(days, requests), expected, "{days} days with {requests} requests");
        }
    }

    #[test]
    fn the_target_size_follows_the_finished_slices() {
        let learned = |days, rows, bytes| LearnedSize { days, rows, bytes }.days_of_slice();
        assert_eq!(learned(0, 0, 0), None);
        assert_eq!(learned(1, 0, 0), Some(DAYS_MAX), "empty days");
        assert_eq!(learned(10, 10, SLICE_BYTES_TARGET * 5), Some(2));
        assert_eq!(learned(10, SLICE_ROWS_TARGET * 10, 10), Some(1));
        assert_eq!(learned(1, 10, SLICE_BYTES_TARGET * 5), Some(1), "a day is the smallest slice");
    }

    #[test]
    fn another_plan_has_the_same_days() {
        for (size, bytes_per_day, requests, expected) in [
            // Too large: 20 days of 100 MB each do not fit.
            (20, 100_000_000, 50, Some(5)),
            (2, 1_000_000_000, 50, Some(1)),
            // As large as they should be, or nearly.
            (5, 100_000_000, 50, None),
            (7, 100_000_000, 50, None),
            (1, 1_000_000_000, 50, None),
            // Small, and few enough.
            (4, 1_000, 50, None),
            // Small, and more than the quota allows.
            (1, 1_000, 50, Some(4)),
            (1, 200_000_000, 50, Some(2)),
            (1, 300_000_000, 50, None),
        ] {
            let pending = divide(day(0), day(199), &[], size);
            let learned = LearnedSize { days: 10, rows: 10, bytes: bytes_per_day * 10 };
            let again = divide_again(&pending, learned, requests);
            let largest = again.as_ref().and_then(|again| again.iter().map(Slice::days).max());
            assert_eq!(largest, expected, "{size} days of {bytes_per_day} bytes");
            if let Some(again) = again {
                assert_eq!(days_of(&again), days_of(&pending));
            }
        }
        assert_eq!(divide_again(&[], LearnedSize { days: 1, rows: 1, bytes: 1 }, 50), None);
    }

    #[test]
    fn gaps_between_pending_slices_stay_gaps() {
        let mut pending = divide(day(0), day(99), &[], 10);
        pending.retain(|slice| slice.from != day(40) && slice.from != day(70));
        let learned = LearnedSize { days: 1, rows: 1, bytes: SLICE_BYTES_TARGET / 3 };
        let again = divide_again(&pending, learned, 50).unwrap();
        assert_eq!(days_of(&again), days_of(&pending));
        assert!(again.iter().all(|slice| slice.days() <= 3));
    }
}
