//! Ranges of days in results.

use crate::slice::{Slice, joined};

/// Returns the first and the last day of each range of days that these slices cover, in order; overlapping and adjacent
/// slices are merged.
pub(in crate::fetch) fn date_ranges(slices: &[Slice]) -> Vec<(String, String)> {
    let ranges = joined(slices.iter().map(|slice| (slice.from, slice.to)));
    ranges.iter().map(|(from, to)| (from.to_string(), to.to_string())).collect()
}
