//! Determines which pages exist, from what page 0 announces and from the pages that arrive.

use std::collections::BTreeMap;

use crate::limits::{PAGE_SIZE_DEFAULT, PAGES_BEYOND_MAX, PAGES_MAX};
use crate::stage::SessionFacts;

/// The pages of one session.
///
/// Page 0 announces the number of profiles and the page size, and a short page is the last one. The two are
/// cross-checked: if the last planned page is full, or fewer profiles arrived than announced, one more page is
/// requested, and so on until a page is empty.
///
/// If page 0 is shorter than the declared page size although more profiles follow, its length is taken as the real page
/// size. Pages that exist only under this assumption are *tentative*: it is not a failure if one of them is empty or
/// refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageLayout {
    total: Option<u64>,
    page_size: u64,
    declared_page_size: Option<u64>,
    pages: u32,
    /// The first page that exists only if pages are shorter than declared.
    first_tentative: u32,
    /// Number of pages implied by the announced total and the real page size.
    announced_pages: u32,
    /// Number of pages implied by the announced total and the declared page size.
    declared_pages: u32,
    tail: Option<u32>,
    /// The tail page, once it is assumed to exist although it was not fetched.
    unchecked: Option<u32>,
    is_sealed: bool,
}

/// A total that implies more than [`PAGES_MAX`] pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ImpossibleTotal(pub(crate) u64);

impl PageLayout {
    /// Derives the layout of a session from the facts of page 0.
    ///
    /// # Errors
    /// `ImpossibleTotal` if the total implies more than [`PAGES_MAX`] pages.
    pub(crate) fn of(facts: &SessionFacts) -> Result<Self, ImpossibleTotal> {
        Self::new(facts.total, facts.declared_page_size, facts.first_page_records)
    }

    /// Derives the layout from page 0: the total and page size that it declared, and the number of records that it
    /// contained.
    ///
    /// # Errors
    /// `ImpossibleTotal` if the total implies more than [`PAGES_MAX`] pages.
    fn new(total: Option<u64>, declared_page_size: Option<u64>, received: u64) -> Result<Self, ImpossibleTotal> {
        let shown = (received > 0 && total.is_none_or(|total| received < total)).then_some(received);
        // If page 0 is longer than declared, that also reveals the real page size.
        let declared = declared_page_size.or(shown).unwrap_or(PAGE_SIZE_DEFAULT).max(received).max(1);
        // Without a total, a short page is the last one and reveals nothing about the page size.
        let page_size = shown.filter(|shown| total.is_some() && *shown < declared).unwrap_or(declared);
        let count = |size: u64| match total.map_or(1, |total| total.div_ceil(size).max(1)) {
            pages if pages > PAGES_MAX => Err(ImpossibleTotal(total.unwrap_or(0))),
            pages => Ok(u32::try_from(pages).unwrap_or(u32::MAX)),
        };
        let (pages, first_tentative) = (count(page_size)?, count(declared)?);
        let declared_pages = count(declared_page_size.unwrap_or(PAGE_SIZE_DEFAULT).max(received).max(1))?;
        let ends_full = match total {
            Some(total) if pages > 1 => total % page_size == 0,
            _ => received >= page_size,
        };
        let tail = ends_full.then_some(pages);
        Ok(Self {
            total,
            page_size,
            declared_page_size,
            pages,
            first_tentative,
            announced_pages: pages,
            declared_pages,
            tail,
            unchecked: None,
            is_sealed: false,
        })
    }

    /// Returns the number of profiles that the server announced.
    pub(crate) fn total(&self) -> Option<u64> {
        self.total
    }

    /// Returns the number of records in a full page.
    pub(crate) fn page_size(&self) -> u64 {
        self.page_size
    }

    /// Returns the page size that page 0 declared.
    pub(crate) fn declared_page_size(&self) -> Option<u64> {
        self.declared_page_size
    }

    /// Returns whether a response that reports this page size can belong to the same session.
    pub(crate) fn is_page_size(&self, size: u64) -> bool {
        self.declared_page_size.is_none_or(|declared| declared == size)
    }

    /// Returns the number of known or announced pages.
    pub(crate) fn pages(&self) -> u32 {
        self.pages
    }

    /// Returns the page after the last planned one, until it is known whether it exists.
    pub(crate) fn tail_page(&self) -> Option<u32> {
        self.tail
    }

    /// Returns the page that is assumed to exist, although nothing announced it and it was not fetched.
    pub(crate) fn unchecked_page(&self) -> Option<u32> {
        self.unchecked
    }

    /// Returns whether the planned pages, if full, hold exactly the announced profiles. Returns false once the total
    /// has turned out to be too small.
    pub(crate) fn covers_total(&self) -> bool {
        self.total == Some(u64::from(self.pages) * self.page_size)
    }

    /// Returns whether unannounced pages may follow.
    pub(crate) fn more_may_follow(&self) -> bool {
        self.tail.is_some() && !self.covers_total()
    }

    /// Returns whether a page may turn out not to exist: the tail page or a tentative page.
    pub(crate) fn is_optional(&self, page: u32) -> bool {
        self.tail == Some(page) || page >= self.first_tentative
    }

    /// Returns the minimum number of records that a page should contain according to the server's figures; 0 if they
    /// imply no minimum.
    pub(crate) fn expected_records(&self, page: u32) -> u64 {
        if self.is_optional(page) {
            return 0;
        }
        let declared = self.declared_page_size.unwrap_or(self.page_size).max(self.page_size);
        let full = if page == 0 { declared } else { self.page_size };
        match self.total {
            Some(total) => total.saturating_sub(u64::from(page) * self.page_size).min(full),
            None if page + 1 < self.pages => full,
            None => 0,
        }
    }

    /// Plans one more page because fewer profiles arrived than the server announced.
    pub(crate) fn plan_tail_page(&mut self, page: u32) {
        if !self.is_sealed {
            self.tail = Some(page);
        }
    }

    /// Returns whether the server seems to send pages endlessly: it has sent as many unannounced pages as it announced,
    /// and at least [`PAGES_BEYOND_MAX`].
    pub(crate) fn is_endless(&self) -> bool {
        let beyond = self.pages - self.announced_pages.min(self.pages);
        self.total.is_some() && self.tail.is_some() && beyond >= self.announced_pages.max(PAGES_BEYOND_MAX)
    }

    /// Returns whether a page lies beyond everything that the server announced.
    pub(crate) fn is_unannounced(&self, page: u32) -> bool {
        page >= self.declared_pages
    }

    /// Handles a total announced by a later page: that many profiles may exist.
    pub(crate) fn raise_total(&mut self, total: u64) {
        let pages = u32::try_from(total.div_ceil(self.page_size).min(PAGES_MAX)).unwrap_or(u32::MAX);
        self.announced_pages = self.announced_pages.max(pages);
        self.declared_pages = self.declared_pages.max(pages);
    }

    /// Records how many records a page contained.
    pub(crate) fn page_arrived(&mut self, page: u32, received: u64) {
        let full = received >= self.page_size;
        if Some(page) == self.tail {
            self.tail = None;
            if received == 0 {
                return;
            }
            self.pages = page + 1;
        }
        if page + 1 == self.pages && full && self.tail.is_none() && !self.is_sealed {
            self.tail = Some(self.pages);
        }
    }

    /// Adds the pages that an earlier process staged. Call it again after each new page, which may close a gap before
    /// other staged pages.
    pub(crate) fn merge_staged(&mut self, lengths: &BTreeMap<u32, u64>) {
        if let Some(received) = lengths.get(&(self.pages - 1)) {
            self.page_arrived(self.pages - 1, *received);
            if *received < self.page_size {
                self.drop_tail();
            }
        }
        while let Some((tail, received)) = self.tail.and_then(|tail| Some((tail, *lengths.get(&tail)?))) {
            self.page_arrived(tail, received);
        }
    }

    /// Drops the tail page because the last planned page was short after all. Call it only before the tail page is
    /// requested.
    pub(crate) fn drop_tail(&mut self) {
        self.tail = None;
    }

    /// Records that an optional page does not exist.
    pub(crate) fn mark_absent(&mut self, page: u32) {
        if self.tail == Some(page) {
            self.drop_tail();
        }
    }

    /// Seals the layout, so that no more pages are added to it.
    pub(crate) fn seal(&mut self) {
        self.tail = None;
        self.is_sealed = true;
    }

    /// Seals the layout of a sample if no page follows its last record.
    pub(crate) fn end_at(&mut self, limit: Option<u64>) {
        let is_beyond = |tail: u32| limit.is_some_and(|limit| u64::from(tail) * self.page_size >= limit);
        if self.tail.is_some_and(is_beyond) {
            self.seal();
        }
    }

    /// Assumes that the tail page exists, although it could not be fetched.
    pub(crate) fn assume_tail(&mut self) {
        if let Some(tail) = self.tail.take() {
            self.pages = tail + 1;
            self.unchecked = Some(tail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds pages with `sizes` records to a layout with a page size of 10, and returns the requested pages.
    fn asked(total: Option<u64>, sizes: &[u64]) -> Vec<u32> {
        let size = |page: u32| sizes.get(page as usize).copied().unwrap_or(0);
        let mut layout = PageLayout::new(total, Some(10), size(0)).unwrap();
        let mut asked = vec![0];
        let mut page = 1;
        while page < layout.pages() || layout.tail_page() == Some(page) {
            asked.push(page);
            layout.page_arrived(page, size(page));
            page += 1;
        }
        asked
    }

    #[test]
    fn requests_every_page_and_at_most_one_tail_page() {
        for (total, sizes, expected) in [
            (Some(0), &[0][..], &[0][..]),
            (Some(7), &[7], &[0]),
            (Some(10), &[10], &[0, 1]),
            (Some(25), &[10, 10, 5], &[0, 1, 2]),
            (Some(20), &[10, 10], &[0, 1, 2]),
            // More profiles than announced.
            (Some(15), &[10, 10, 10, 3], &[0, 1, 2, 3]),
            (Some(20), &[10, 10, 10, 10], &[0, 1, 2, 3, 4]),
            (Some(0), &[10, 4], &[0, 1]),
            // Fewer profiles than announced.
            (Some(35), &[10, 4], &[0, 1, 2, 3]),
            // No total.
            (None, &[10, 10, 2], &[0, 1, 2]),
            (None, &[10, 10], &[0, 1, 2]),
            (None, &[0], &[0]),
            // Pages shorter than declared.
            (Some(11), &[4, 4, 3], &[0, 1, 2]),
            (Some(25), &[9, 9, 7], &[0, 1, 2]),
        ] {
            assert_eq!(asked(total, sizes), expected, "{total:?} {sizes:?}");
        }
    }

    #[test]
    fn a_sample_that_ends_with_a_page_has_no_tail_page() {
        for (total, limit, expected) in [
            (Some(20), Some(20), None),
            (Some(20), Some(25), Some(2)),
            (Some(20), None, Some(2)),
            (None, Some(10), None),
            (None, Some(11), Some(1)),
        ] {
            let mut layout = PageLayout::new(total, Some(10), 10).unwrap();
            layout.end_at(limit);
            assert_eq!(layout.tail_page(), expected, "{total:?} {limit:?}");
        }
    }

    #[test]
    fn pages_behind_a_gap_join_when_it_is_filled() {
        let mut lengths = BTreeMap::from([(0, 10), (1, 10), (3, 10), (4, 10)]);
        let mut layout = PageLayout::new(None, Some(10), 10).unwrap();
        layout.merge_staged(&lengths);
        assert_eq!((layout.pages(), layout.tail_page()), (2, Some(2)));
        layout.page_arrived(2, 10);
        layout.merge_staged(&lengths);
        assert_eq!((layout.pages(), layout.tail_page()), (5, Some(5)));
        lengths.insert(5, 3);
        layout.merge_staged(&lengths);
        assert_eq!((layout.pages(), layout.tail_page()), (6, None));
    }

    #[test]
    fn a_missing_page_size_is_the_documented_one() {
        assert_eq!(PageLayout::new(Some(7), None, 7).unwrap().page_size(), 1000);
        assert_eq!(PageLayout::new(Some(0), None, 0).unwrap().page_size(), 1000);
    }

    #[test]
    fn an_undeclared_page_size_is_inferred() {
        assert_eq!(PageLayout::new(Some(5000), None, 500).unwrap().pages(), 10);
        assert_eq!(PageLayout::new(None, None, 500).unwrap().tail_page(), Some(1));
    }

    #[test]
    fn a_short_page_0_shows_the_real_size_and_makes_pages_that_may_not_exist() {
        let layout = PageLayout::new(Some(4_500), Some(40_000), 1_000).unwrap();
        assert_eq!((layout.pages(), layout.page_size()), (5, 1_000));
        assert_eq!(
            (0..6).map(|page| layout.is_optional(page)).collect::<Vec<_>>(),
            [false, true, true, true, true, true]
        );
        assert_eq!((layout.expected_records(0), layout.expected_records(1)), (4_500, 0));
        let layout = PageLayout::new(Some(25_000), Some(1_000), 999).unwrap();
        assert_eq!((layout.pages(), layout.is_optional(24), layout.is_optional(25)), (26, false, true));
        let layout = PageLayout::new(Some(25_500), Some(1_000), 1_000).unwrap();
        assert_eq!(
            (layout.expected_records(3), layout.expected_records(25), layout.expected_records(26)),
            (1_000, 500, 0)
        );
    }

    #[test]
    fn a_total_beyond_all_pages_is_refused() {
        assert_eq!(PageLayout::new(Some(u64::MAX), Some(10), 10), Err(ImpossibleTotal(u64::MAX)));
        assert!(PageLayout::new(Some(PAGES_MAX * 10), Some(10), 10).is_ok());
        assert_eq!(PageLayout::new(Some(2_500), Some(500), 1_000).map(|layout| layout.pages()), Ok(3));
        assert_eq!(PageLayout::new(Some(PAGES_MAX * 10), Some(10), 9), Err(ImpossibleTotal(PAGES_MAX * 10)));
    }
}
