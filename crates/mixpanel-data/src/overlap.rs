//! Whether pages overlap: then profiles that came twice stand in for others that did not come at all.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// Counts the profiles that a page repeats from the page before it. Only two pages are kept in memory at a time.
#[derive(Debug, Default)]
pub(crate) struct Overlap {
    hasher: RandomState,
    ids: HashSet<u64>,
    last: Option<u64>,
    repeated: u64,
}

impl Overlap {
    /// Takes the ids of the next page. A page that does not follow the last one is preceded by [`gap`](Self::gap).
    ///
    /// Pages overlap where one begins or the other ends with a profile that both have. That two profiles of a project
    /// happen to have one id does not make their pages overlap.
    pub(crate) fn page<'a>(&mut self, ids: impl Iterator<Item = &'a str>) {
        let ids: Vec<u64> = ids.map(|id| self.hasher.hash_one(id)).collect();
        let (Some(first), Some(last)) = (ids.first(), ids.last().copied()) else { return };
        let new: HashSet<u64> = ids.iter().copied().collect();
        let overlaps = self.ids.contains(first) || self.last.is_some_and(|last| new.contains(&last));
        if overlaps {
            self.repeated += new.intersection(&self.ids).count() as u64;
        }
        (self.ids, self.last) = (new, Some(last));
    }

    /// The next page is missing.
    pub(crate) fn gap(&mut self) {
        self.ids.clear();
        self.last = None;
    }

    /// Profiles that came again because pages overlap.
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
    fn only_pages_that_meet_in_the_same_profiles_overlap() {
        for (pages, expected) in [
            (&["a b c", "d e f"][..], 0),
            (&["a b c", "c d e", "e f g"], 2),
            (&["a b c d", "c d e f"], 2),
            // The order within a page need not be the same.
            (&["a b c d", "e d c f"], 2),
            (&["a b c d", "b c d a"], 4),
            (&["a b c", "a b c", "a b c"], 6),
            // One id that two profiles have.
            (&["a b c", "d b e"], 0),
            (&["a b a", "d e f"], 0),
            // Nothing is known of pages beside one that is missing.
            (&["a b c", "-", "c d e"], 0),
            (&["a b c", "", "c d e"], 1),
            (&[], 0),
        ] {
            assert_eq!(repeated(pages), expected, "{pages:?}");
        }
    }
}
