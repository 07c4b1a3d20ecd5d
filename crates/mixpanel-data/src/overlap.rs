//! Detects overlapping pages, where profiles that were sent twice displace others that were never sent.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, RandomState};

use crate::limits::STREAMED_IDS_MAX;

/// Counts the profiles that each page repeats from the previous one. At most two pages are in memory at a time.
#[derive(Debug, Default)]
pub(crate) struct Overlap {
    hasher: RandomState,
    ids: HashSet<u64>,
    last: Option<u64>,
    repeated: u64,
}

impl Overlap {
    /// Adds the ids of the next page. If a page in between is missing, call [`gap`](Self::gap) first.
    ///
    /// Pages overlap if the new one begins, or the previous one ends, with a profile that both contain. A shared id
    /// elsewhere is not an overlap: two profiles can have the same id.
    pub(crate) fn page(&mut self, ids: impl Iterator<Item = impl Hash>) {
        let ids: Vec<u64> = ids.map(|id| self.hasher.hash_one(id)).collect();
        let (Some(first), Some(last)) = (ids.first(), ids.last().copied()) else { return };
        let new: HashSet<u64> = ids.iter().copied().collect();
        let overlaps = self.ids.contains(first) || self.last.is_some_and(|last| new.contains(&last));
        if overlaps {
            self.repeated += new.intersection(&self.ids).count() as u64;
        }
        (self.ids, self.last) = (new, Some(last));
    }

    /// Records that the next page is missing.
    pub(crate) fn gap(&mut self) {
        self.ids.clear();
        self.last = None;
    }

    /// Returns the number of profiles that were sent again because pages overlap.
    pub(crate) fn repeated(&self) -> u64 {
        self.repeated
    }
}

/// Counts ids that were sent before, wherever they are. Remembers at most [`STREAMED_IDS_MAX`] ids; beyond that, the
/// count is a lower bound.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    hasher: RandomState,
    ids: HashSet<u64>,
    repeated: u64,
}

impl Repeats {
    pub(crate) fn add(&mut self, id: impl Hash) {
        let id = self.hasher.hash_one(id);
        let is_known = if self.ids.len() < STREAMED_IDS_MAX { !self.ids.insert(id) } else { self.ids.contains(&id) };
        self.repeated += u64::from(is_known);
    }

    /// Returns the number of ids that were added before.
    pub(crate) fn repeated(&self) -> u64 {
        self.repeated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeated(pages: &[&str]) -> u64 {
        let mut overlap = Overlap::default();
        for page in pages {
            match *page {
                "-" => overlap.gap(),
                ids => overlap.page(ids.split_terminator(' ')),
            }
        }
        overlap.repeated()
    }

    #[test]
    fn ids_repeated_within_or_between_pages_are_counted() {
        for (ids, expected) in [("a b c", 0), ("a b a", 1), ("a a a b", 2), ("", 0)] {
            let mut repeats = Repeats::default();
            ids.split_terminator(' ').for_each(|id| repeats.add(id));
            assert_eq!(repeats.repeated(), expected, "{ids}");
        }
    }

    #[test]
    fn only_adjacent_pages_with_shared_profiles_overlap() {
        for (pages, expected) in [
            (&["a b c", "d e f"][..], 0),
            (&["a b c", "c d e", "e f g"], 2),
            (&["a b c d", "c d e f"], 2),
            // The order within a page may differ.
            (&["a b c d", "e d c f"], 2),
            (&["a b c d", "b c d a"], 4),
            (&["a b c", "a b c", "a b c"], 6),
            // One id shared by two profiles.
            (&["a b c", "d b e"], 0),
            (&["a b a", "d e f"], 0),
            // Nothing is known about pages next to a missing one.
            (&["a b c", "-", "c d e"], 0),
            (&["a b c", "", "c d e"], 1),
            (&[], 0),
        ] {
            assert_eq!(repeated(pages), expected, "{pages:?}");
        }
    }
}
