//! Pages in the middle that bring fewer records than a page has: suspicious, for a short page is the documented end.

use std::collections::BTreeMap;

use crate::limits::{SHORT_PAGE_ATTEMPTS_MAX, SHORT_PAGE_CHECKS_MAX};

/// Which pages were too short, and how long at most.
#[derive(Debug, Default)]
pub(super) struct ShortPages {
    /// The most records that a page brought while it was asked for again.
    checked: BTreeMap<u32, u64>,
    accepted: Vec<u32>,
}

impl ShortPages {
    /// Whether a page of the middle with so few records is to be asked for again, after so many times that it was short.
    ///
    /// A server whose pages are all short means it, so only a few of them are asked for again. A page that came shorter
    /// than before is no answer.
    pub(super) fn asks_again(&mut self, page: u32, received: u64, attempts: u32) -> bool {
        let before = self.checked.get(&page).copied();
        let again = match before {
            None => self.checked.len() < SHORT_PAGE_CHECKS_MAX,
            Some(most) => received < most && attempts + 1 < SHORT_PAGE_ATTEMPTS_MAX,
        };
        if again {
            self.checked.insert(page, received.max(before.unwrap_or(0)));
        } else {
            self.accepted.push(page);
        }
        again
    }

    /// Pages that stayed short, in order.
    pub(super) fn accepted(&self) -> Vec<u32> {
        let mut pages = self.accepted.clone();
        pages.sort_unstable();
        pages
    }
}
