//! Detects short pages before the last page. They are suspicious, because only the last page should be short.

use std::collections::BTreeMap;

use crate::limits::{SHORT_PAGE_ATTEMPTS_MAX, SHORT_PAGE_CHECKS_MAX};

/// Pages that were too short.
#[derive(Debug, Default)]
pub(super) struct ShortPages {
    /// The largest number of records received for each page that was requested again.
    checked: BTreeMap<u32, u64>,
    accepted: Vec<u32>,
}

impl ShortPages {
    /// Returns whether a short page should be requested again, after `attempts` earlier short responses.
    ///
    /// A server may send short pages on purpose, so only a few of them are requested again. If a page is even shorter
    /// the next time, that proves nothing, and it is requested once more.
    pub(super) fn should_retry(&mut self, page: u32, received: u64, attempts: u32) -> bool {
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

    /// Returns the pages that were accepted although they are short, in order.
    pub(super) fn accepted(&self) -> Vec<u32> {
        let mut pages = self.accepted.clone();
        pages.sort_unstable();
        pages
    }
}
