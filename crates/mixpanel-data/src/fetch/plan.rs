//! Which pages there are: what page 0 says, checked against what comes.

use std::collections::BTreeMap;

use crate::limits::{PAGE_SIZE_DEFAULT, PAGES_MAX};

/// The pages of one session.
///
/// Page 0 says how many profiles there are and how many a page has; a short page is the last one. The two are checked
/// against each other: when the last planned page is full, one more is asked for, until one comes that is empty or
/// short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    total: Option<u64>,
    page_size: u64,
    declared_page_size: Option<u64>,
    pages: u32,
    probe: Option<u32>,
    is_closed: bool,
}

impl Plan {
    /// Plans from page 0: its `total` and `page_size`, and how many records it brought. A server that does not say how
    /// long a page is has shown it, unless page 0 holds everything.
    pub(crate) fn new(total: Option<u64>, declared_page_size: Option<u64>, received: u64) -> Self {
        let shown = (received > 0 && total.is_none_or(|total| received < total)).then_some(received);
        let page_size = declared_page_size.or(shown).unwrap_or(PAGE_SIZE_DEFAULT).max(1);
        // A total that nobody can mean is as good as none.
        let total = total.filter(|total| total.div_ceil(page_size) <= PAGES_MAX);
        let pages = total.map_or(1, |total| total.div_ceil(page_size).max(1));
        let pages = u32::try_from(pages).unwrap_or(u32::MAX);
        let ends_full = match total {
            Some(total) if pages > 1 => total % page_size == 0,
            _ => received >= page_size,
        };
        let probe = ends_full.then_some(pages);
        Self { total, page_size, declared_page_size, pages, probe, is_closed: false }
    }

    /// Profiles that the server says there are.
    pub(crate) fn total(&self) -> Option<u64> {
        self.total
    }

    /// Records in a full page.
    pub(crate) fn page_size(&self) -> u64 {
        self.page_size
    }

    /// What page 0 said a page has.
    pub(crate) fn declared_page_size(&self) -> Option<u64> {
        self.declared_page_size
    }

    /// Whether a reply that names this page size can belong to the same session.
    pub(crate) fn is_page_size(&self, size: u64) -> bool {
        self.declared_page_size.is_none_or(|declared| declared == size)
    }

    /// Pages that are known or said to be there.
    pub(crate) fn pages(&self) -> u32 {
        self.pages
    }

    /// The page after the last one, while it is not known whether it exists.
    pub(crate) fn probe(&self) -> Option<u32> {
        self.probe
    }

    /// Says whether the pages in the plan, full as they are, hold just the profiles that the server said there are. A total
    /// that was too small for what came says nothing any more.
    pub(crate) fn covers_total(&self) -> bool {
        self.total == Some(u64::from(self.pages) * self.page_size)
    }

    /// Notes how many records a page brought.
    pub(crate) fn page_arrived(&mut self, page: u32, received: u64) {
        let full = received >= self.page_size;
        if Some(page) == self.probe {
            self.probe = None;
            if received == 0 {
                return;
            }
            self.pages = page + 1;
        }
        if page + 1 == self.pages && full && self.probe.is_none() && !self.is_closed {
            self.probe = Some(self.pages);
        }
    }

    /// Notes pages that came in an earlier process, and those of them that prove to be part of the plan when another comes.
    pub(crate) fn absorb(&mut self, lengths: &BTreeMap<u32, u64>) {
        if let Some(received) = lengths.get(&(self.pages - 1)) {
            self.page_arrived(self.pages - 1, *received);
            if *received < self.page_size {
                self.drop_probe();
            }
        }
        while let Some((probe, received)) = self.probe.and_then(|probe| Some((probe, *lengths.get(&probe)?))) {
            self.page_arrived(probe, received);
        }
    }

    /// The last planned page was short after all, so nothing follows it. Only while the probe has not been asked for.
    pub(crate) fn drop_probe(&mut self) {
        self.probe = None;
    }

    /// No page beyond the plan can be asked for, because the server named no session.
    pub(crate) fn close(&mut self) {
        self.probe = None;
        self.is_closed = true;
    }

    /// Takes the page after the last one for a page that exists, though it cannot be had.
    pub(crate) fn keep_probe(&mut self) {
        if let Some(probe) = self.probe.take() {
            self.pages = probe + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the pages of `sizes` in order to a plan of `total` with pages of 10, and shows the pages asked for.
    fn asked(total: Option<u64>, sizes: &[u64]) -> Vec<u32> {
        let size = |page: u32| sizes.get(page as usize).copied().unwrap_or(0);
        let mut plan = Plan::new(total, Some(10), size(0));
        let mut asked = vec![0];
        let mut page = 1;
        while page < plan.pages() || plan.probe() == Some(page) {
            asked.push(page);
            plan.page_arrived(page, size(page));
            page += 1;
        }
        asked
    }

    #[test]
    fn asks_for_what_is_there_and_no_more_than_one_page_beyond() {
        for (total, sizes, expected) in [
            (Some(0), &[0][..], &[0][..]),
            (Some(7), &[7], &[0]),
            (Some(10), &[10], &[0, 1]),
            (Some(25), &[10, 10, 5], &[0, 1, 2]),
            (Some(20), &[10, 10], &[0, 1, 2]),
            // The server has more than it said.
            (Some(15), &[10, 10, 10, 3], &[0, 1, 2, 3]),
            (Some(20), &[10, 10, 10, 10], &[0, 1, 2, 3, 4]),
            (Some(0), &[10, 4], &[0, 1]),
            // It has less.
            (Some(35), &[10, 4], &[0, 1, 2, 3]),
            // It does not say.
            (None, &[10, 10, 2], &[0, 1, 2]),
            (None, &[10, 10], &[0, 1, 2]),
            (None, &[0], &[0]),
            // It cannot mean it.
            (Some(u64::MAX), &[10, 2], &[0, 1]),
        ] {
            assert_eq!(asked(total, sizes), expected, "{total:?} {sizes:?}");
        }
    }

    #[test]
    fn pages_behind_a_gap_join_when_it_is_filled() {
        let mut lengths = BTreeMap::from([(0, 10), (1, 10), (3, 10), (4, 10)]);
        let mut plan = Plan::new(None, Some(10), 10);
        plan.absorb(&lengths);
        assert_eq!((plan.pages(), plan.probe()), (2, Some(2)));
        plan.page_arrived(2, 10);
        plan.absorb(&lengths);
        assert_eq!((plan.pages(), plan.probe()), (5, Some(5)));
        lengths.insert(5, 3);
        plan.absorb(&lengths);
        assert_eq!((plan.pages(), plan.probe()), (6, None));
    }

    #[test]
    fn a_missing_page_size_is_the_documented_one() {
        assert_eq!(Plan::new(Some(7), None, 7).page_size(), 1000);
        assert_eq!(Plan::new(Some(0), None, 0).page_size(), 1000);
    }

    #[test]
    fn a_page_size_that_is_not_said_is_seen() {
        assert_eq!(Plan::new(Some(5000), None, 500).pages(), 10);
        assert_eq!(Plan::new(None, None, 500).probe(), Some(1));
    }
}
