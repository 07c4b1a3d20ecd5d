//! Where every page of a fetch is: not asked for, under way, waiting for another attempt, or done.

use std::collections::BTreeSet;
use std::time::Duration;

/// The state of one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PageState {
    /// Not asked for yet, or abandoned because the run ended.
    Fresh,
    /// A request is under way, after so many failed ones.
    Asked { failed: FailedAttempts },
    /// The whole reply is here and is being read.
    Reading { failed: FailedAttempts },
    /// Waits among the retries.
    Waiting,
    /// On its way to the disk.
    Writing { received: u64 },
    /// Cannot be lost any more.
    Staged,
    /// Given up.
    Failed,
    /// Asked for, and not there.
    Absent,
}

/// How often a page was asked for in vain. What says nothing about the page, such as a rate limit, is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct FailedAttempts {
    /// By a fault of the reply.
    pub(super) by_fault: u32,
    /// Because it was shorter than a page in the middle should be.
    pub(super) by_length: u32,
}

/// An attempt that is due at some time.
#[derive(Debug, Clone, Copy)]
struct Retry {
    page: u32,
    failed: FailedAttempts,
    not_before: Duration,
}

/// All pages that are known. Pages are asked for in order, each once, and then again as often as it takes.
#[derive(Debug, Default)]
pub(super) struct Pages {
    states: Vec<PageState>,
    retries: Vec<Retry>,
    next_fresh: u32,
}

impl Pages {
    /// Returns a page's state.
    pub(super) fn state(&self, page: u32) -> PageState {
        self.states.get(page as usize).copied().unwrap_or(PageState::Fresh)
    }

    /// Changes a page's state.
    pub(super) fn set(&mut self, page: u32, state: PageState) {
        let index = page as usize;
        if self.states.len() <= index {
            self.states.resize(index + 1, PageState::Fresh);
        }
        self.states[index] = state;
    }

    /// Returns how often the page that is under way was asked for in vain.
    pub(super) fn failed_attempts(&self, page: u32) -> FailedAttempts {
        match self.state(page) {
            PageState::Asked { failed } | PageState::Reading { failed } => failed,
            _ => FailedAttempts::default(),
        }
    }

    /// Returns the first page that was never asked for; pages that an earlier process staged are passed over.
    pub(super) fn next_fresh(&self) -> u32 {
        let mut page = self.next_fresh;
        while self.state(page) == PageState::Staged {
            page += 1;
        }
        page
    }

    /// Has a page that failed so often asked for again, at `not_before` or later.
    pub(super) fn retry(&mut self, page: u32, failed: FailedAttempts, not_before: Duration) {
        self.set(page, PageState::Waiting);
        self.retries.push(Retry { page, failed, not_before });
    }

    /// Gives up asking for these pages again.
    pub(super) fn forget_retries(&mut self, pages: &BTreeSet<u32>) {
        for retry in self.retries.extract_if(.., |retry| pages.contains(&retry.page)) {
            self.states[retry.page as usize] = PageState::Absent;
        }
    }

    /// Says whether a page was asked for that is not there.
    pub(super) fn has_absent(&self) -> bool {
        self.states.contains(&PageState::Absent)
    }

    /// Returns a page that is to be asked for again now.
    pub(super) fn due(&self, now: Duration) -> Option<u32> {
        self.retries.iter().find(|retry| retry.not_before <= now).map(|retry| retry.page)
    }

    /// Notes that a page is being asked for; says whether it is so again.
    pub(super) fn ask(&mut self, page: u32) -> bool {
        let retry = self.retries.iter().position(|retry| retry.page == page).map(|index| self.retries.remove(index));
        if retry.is_none() {
            self.next_fresh = page + 1;
        }
        self.set(page, PageState::Asked { failed: retry.map_or_else(FailedAttempts::default, |retry| retry.failed) });
        retry.is_some()
    }

    /// Returns when the next page is to be asked for again.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.retries.iter().map(|retry| retry.not_before).min()
    }

    /// Returns the staged pages, in order.
    pub(super) fn staged(&self) -> Vec<u32> {
        (0..).zip(&self.states).filter(|(_, state)| **state == PageState::Staged).map(|(page, _)| page).collect()
    }

    /// Returns which of the first `count` pages are neither staged nor given up nor absent, in order.
    pub(super) fn unfinished(&self, count: u32) -> Vec<u32> {
        let finished =
            |page: &u32| matches!(self.state(*page), PageState::Staged | PageState::Failed | PageState::Absent);
        (0..count).filter(|page| !finished(page)).collect()
    }
}
