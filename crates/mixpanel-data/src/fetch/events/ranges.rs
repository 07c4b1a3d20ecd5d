//! Ranges of days in results.

use jiff::civil::Date;

use crate::slice::Slice;

/// Returns the first and the last day of each range of days that these slices cover, in order; overlapping and adjacent
/// slices are merged.
pub(in crate::fetch) fn date_ranges(slices: &[Slice]) -> Vec<(String, String)> {
    let mut sorted: Vec<(Date, Date)> = slices.iter().map(|slice| (slice.from, slice.to)).collect();
    sorted.sort_unstable();
    let mut ranges: Vec<(Date, Date)> = Vec::new();
    for (from, to) in sorted {
        match ranges.last_mut() {
            Some((_, last)) if from <= *last || last.tomorrow().is_ok_and(|next| next == from) => *last = to.max(*last),
            _ => ranges.push((from, to)),
        }
    }
    ranges.iter().map(|(from, to)| (from.to_string(), to.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn adjacent_and_overlapping_slices_are_one_range() {
        let range = |days: &[(i8, i8)]| {
            let slice = |(from, to): &(i8, i8)| {
                let day = |day: i8| date(2026, 1, day);
                Slice { from: day(*from), to: day(*to), events: Vec::new() }
            };
            let ranges = date_ranges(&days.iter().map(slice).collect::<Vec<_>>());
            let ranges = ranges.iter().map(|(from, to)| format!("{}-{}", &from[8..], &to[8..]));
            ranges.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(range(&[]), "");
        assert_eq!(range(&[(3, 4), (1, 2)]), "01-04");
        assert_eq!(range(&[(1, 9), (2, 3), (9, 9), (11, 12)]), "01-09 11-12");
        assert_eq!(range(&[(5, 5), (5, 5), (7, 7)]), "05-05 07-07");
    }
}
