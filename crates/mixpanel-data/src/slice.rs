//! Slices: what one export request selects, and what is known about its response.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::text::counted;

/// What one export request selects: a range of days, and possibly only some event names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Slice {
    /// The first day, in the project's time zone.
    pub(crate) from: Date,
    /// The last day, which is included.
    pub(crate) to: Date,
    /// The event names; empty for all events.
    #[serde(default)]
    pub(crate) events: Vec<String>,
}

impl Slice {
    /// Returns the number of days; 0 if the last day is before the first.
    pub(crate) fn days(&self) -> u32 {
        let between = self.from.until(self.to).map_or(-1, |span| span.get_days());
        u32::try_from(between + 1).unwrap_or(0)
    }

    /// Returns whether a day belongs to the slice.
    #[cfg(test)]
    pub(crate) fn contains(&self, day: Date) -> bool {
        (self.from..=self.to).contains(&day)
    }

    /// Splits the slice by days or, if it has a single day, by event names. `None` if it can be split in neither way.
    pub(crate) fn halves(&self) -> Option<(Self, Self)> {
        let days = self.days();
        if days > 1 {
            // The first half has the extra day of an odd number.
            let first = i64::from(days.div_ceil(2)) - 1;
            let middle = self.from.checked_add(jiff::Span::new().days(first)).ok()?;
            let events = || self.events.clone();
            let one = Self { from: self.from, to: middle, events: events() };
            return Some((one, Self { from: middle.tomorrow().ok()?, to: self.to, events: events() }));
        }
        if self.events.len() < 2 {
            return None;
        }
        let (one, other) = self.events.split_at(self.events.len().div_ceil(2));
        let half = |events: &[String]| Self { events: events.to_vec(), ..self.clone() };
        Some((half(one), half(other)))
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.from)?;
        if self.to != self.from {
            write!(f, " to {}", self.to)?;
        }
        if !self.events.is_empty() {
            write!(f, ", {}", counted(self.events.len() as u64, "event name"))?;
        }
        Ok(())
    }
}

/// Joins adjacent and overlapping ranges of days, given as first and last day. Returns them in order.
pub(crate) fn joined(ranges: impl IntoIterator<Item = (Date, Date)>) -> Vec<(Date, Date)> {
    let mut sorted: Vec<(Date, Date)> = ranges.into_iter().collect();
    sorted.sort_unstable();
    let mut joined: Vec<(Date, Date)> = Vec::new();
    for (from, to) in sorted {
        match joined.last_mut() {
            Some((_, last)) if from <= *last || last.tomorrow().is_ok_and(|next| next == from) => *last = to.max(*last),
            _ => joined.push((from, to)),
        }
    }
    joined
}

/// What is known about a slice that was received. Also recorded in the metadata of its staged file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SliceFacts {
    /// The number of the part.
    pub(crate) part: u32,
    pub(crate) slice: Slice,
    /// The number of rows, not counting rejects.
    pub(crate) rows: u64,
    pub(crate) rejected: u64,
    /// The size of the decoded response, in bytes.
    pub(crate) bytes: u64,
    /// The size of the response as it was transferred, in bytes.
    pub(crate) received_bytes: u64,
    /// The rows of each day, in date order. Rejects are not included.
    pub(crate) days: Vec<DayFacts>,
    /// Rows whose insert id was generated.
    pub(crate) without_insert_id: u64,
    /// Rows without a distinct id.
    pub(crate) without_distinct_id: u64,
    /// Rows of days that are not in the slice.
    pub(crate) outside: u64,
    /// Rows whose local time occurred twice, because clocks were set back.
    pub(crate) repeated_hour: u64,
    /// Rows whose local time did not exist, because clocks were set forward.
    pub(crate) skipped_hour: u64,
    /// Rows whose time was in seconds, although milliseconds were requested.
    pub(crate) in_seconds: u64,
}

impl SliceFacts {
    /// Returns the facts of a slice without any event.
    pub(crate) fn empty(part: u32, slice: Slice) -> Self {
        Self {
            part,
            slice,
            rows: 0,
            rejected: 0,
            bytes: 0,
            received_bytes: 0,
            days: Vec::new(),
            without_insert_id: 0,
            without_distinct_id: 0,
            outside: 0,
            repeated_hour: 0,
            skipped_hour: 0,
            in_seconds: 0,
        }
    }
}

/// The rows of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DayFacts {
    /// The day, in the project's time zone.
    pub(crate) day: Date,
    pub(crate) rows: u64,
    /// The size of their lines, in bytes.
    pub(crate) bytes: u64,
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn slice(from: Date, days: u32, names: &[String]) -> Slice {
        let to = from.checked_add(jiff::Span::new().days(i64::from(days) - 1)).unwrap();
        Slice { from, to, events: names.to_vec() }
    }

    /// Halves a slice until nothing can be halved.
    fn pieces(slice: Slice) -> Vec<Slice> {
        match slice.halves() {
            Some((one, other)) => [pieces(one), pieces(other)].concat(),
            None => vec![slice],
        }
    }

    proptest! {
        #[test]
        fn halves_cover_every_day_and_name_exactly_once(start in -5_000_i64..5_000, days in 1_u32..120, names in 0_usize..6) {
            let from = date(2024, 2, 27).checked_add(jiff::Span::new().days(start)).unwrap();
            let names: Vec<String> = (0..names).map(|name| format!("e{name}")).collect();
            let whole = slice(from, days, &names);
            prop_assert_eq!(whole.days(), days);
            let pieces = pieces(whole.clone());
            prop_assert_eq!(pieces.len(), days as usize * names.len().max(1));
            let mut seen: Vec<(Date, Vec<String>)> = pieces.iter().map(|piece| (piece.from, piece.events.clone())).collect();
            prop_assert!(pieces.iter().all(|piece| piece.days() == 1 && whole.contains(piece.from)));
            seen.sort_unstable();
            seen.dedup();
            prop_assert_eq!(seen.len(), pieces.len());
        }
    }

    #[test]
    fn adjacent_and_overlapping_ranges_are_joined() {
        let days = |ranges: &[(i8, i8)]| {
            let day = |day: i8| date(2026, 1, day);
            let joined = joined(ranges.iter().map(|(from, to)| (day(*from), day(*to))));
            joined.iter().map(|(from, to)| (from.day(), to.day())).collect::<Vec<_>>()
        };
        assert_eq!(days(&[]), []);
        assert_eq!(days(&[(3, 4), (1, 2)]), [(1, 4)]);
        assert_eq!(days(&[(1, 9), (2, 3), (9, 9), (11, 12)]), [(1, 9), (11, 12)]);
        assert_eq!(days(&[(5, 5), (5, 5), (7, 7)]), [(5, 5), (7, 7)]);
        let leap_year = [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)];
        assert_eq!(joined(leap_year.map(|day| (day, day))), [(leap_year[0], leap_year[2])]);
    }

    #[test]
    fn a_slice_reads_like_a_date_range() {
        let names = ["a".to_owned(), "b".to_owned()];
        for (slice, expected) in [
            (slice(date(2026, 1, 1), 1, &[]), "2026-01-01"),
            (slice(date(2026, 1, 1), 7, &names[..1]), "2026-01-01 to 2026-01-07, 1 event name"),
            (slice(date(2026, 1, 1), 1, &names), "2026-01-01, 2 event names"),
        ] {
            assert_eq!(slice.to_string(), expected);
            let text = serde_json::to_string(&slice).unwrap();
            assert_eq!(serde_json::from_str::<Slice>(&text).unwrap(), slice, "{text}");
        }
        let backwards = Slice { from: date(2026, 1, 2), to: date(2026, 1, 1), events: Vec::new() };
        assert_eq!((backwards.days(), backwards.halves()), (0, None));
    }
}
