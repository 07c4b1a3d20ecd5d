//! Where every page of a fetch is: not asked for, under way, waiting for another attempt, or done.

use std::time::Duration;

/// The state of one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PageState {
    /// Not asked for yet, or abandoned because the run ended.
    Fresh,
    /// A request is under way, after so many failed ones.
    Asked { failed: FailedAttempts },
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

/// How often a page was asked for in vain. Rate limits are counted apart: they say nothing about the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct FailedAttempts {
    pub(super) by_fault: u32,
    pub(super) by_rate_limit: u32,
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
            PageState::Asked { failed } => failed,
            _ => FailedAttempts::default(),
        }
    }

    /// Returns the first page that was never asked for.
    pub(super) fn next_fresh(&self) -> u32 {
        self.next_fresh
    }

    /// Takes the first page that was never asked for.
    pub(super) fn take_fresh(&mut self) -> u32 {
        self.next_fresh += 1;
        self.next_fresh - 1
    }

    /// Has a page that failed so often asked for again, at `not_before` or later.
    pub(super) fn retry(&mut self, page: u32, failed: FailedAttempts, not_before: Duration) {
        self.set(page, PageState::Waiting);
        self.retries.push(Retry { page, failed, not_before });
    }

    /// Takes a page that is to be asked for again now.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<(u32, FailedAttempts)> {
        let due = self.retries.iter().position(|retry| retry.not_before <= now)?;
        let Retry { page, failed, .. } = self.retries.remove(due);
        Some((page, failed))
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
