//! Detects short pages before the last one. They are suspicious, because a short page is the documented end.

use std::collections::BTreeMap;

use crate::limits::{SHORT_PAGE_ATTEMPTS_MAX, SHORT_PAGE_CHECKS_MAX};

/// The pages that were too short.
#[derive(Debug, Default)]
pub(super) struct ShortPages {
    /// The largest number of records that each short page had, for pages that were requested again.
    checked: BTreeMap<u32, u64>,
    accepted: Vec<u32>,
}

impl ShortPages {
    /// Returns whether a short page should be requested again, after `attempts` earlier short responses.
    ///
    /// A server whose pages are all short does it on purpose, so only a few pages are requested again. A page that
    /// comes back even shorter than before proves nothing and is requested again.
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

    /// Returns the pages that stayed short, in order.
    pub(super) fn accepted(&self) -> Vec<u32> {
        let mut pages = self.accepted.clone();
        pages.sort_unstable();
        pages
    }
}
