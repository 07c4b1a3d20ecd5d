//! The state of every page of a fetch: pending, in flight, waiting for a retry, or done.

use std::collections::BTreeSet;
use std::time::Duration;

/// The state of one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartState {
    /// Not requested yet, or abandoned because the run ended.
    Pending,
    /// A request is in flight, after this many failed attempts.
    InFlight { failed: FailedAttempts },
    /// The whole response has arrived and is being parsed.
    Reading { failed: FailedAttempts },
    /// Waiting for a retry.
    Waiting,
    /// On its way to the disk.
    Writing { received: u64 },
    /// On disk; it can no longer be lost.
    Staged,
    /// Given up.
    Failed,
    /// Requested, and past the end of the pages.
    PastEnd,
}

/// Failed attempts to get a page. Failures that say nothing about the page, such as a rate limit, are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct FailedAttempts {
    /// Attempts that failed, or whose response was unusable.
    pub(super) by_fault: u32,
    /// Responses shorter than a page before the last one should be.
    pub(super) by_length: u32,
}

/// A retry, due at `not_before`.
#[derive(Debug, Clone, Copy)]
struct Retry {
    page: u32,
    failed: FailedAttempts,
    not_before: Duration,
}

/// All known pages. Each is requested once, in order, and then retried.
#[derive(Debug, Default)]
pub(super) struct Parts {
    states: Vec<PartState>,
    retries: Vec<Retry>,
    next_pending: u32,
}

impl Parts {
    /// Returns a page's state.
    pub(super) fn state(&self, page: u32) -> PartState {
        self.states.get(page as usize).copied().unwrap_or(PartState::Pending)
    }

    /// Changes a page's state.
    pub(super) fn set(&mut self, page: u32, state: PartState) {
        let index = page as usize;
        if self.states.len() <= index {
            self.states.resize(index + 1, PartState::Pending);
        }
        self.states[index] = state;
    }

    /// Returns the failed attempts of a page that is in flight.
    pub(super) fn failed_attempts(&self, page: u32) -> FailedAttempts {
        match self.state(page) {
            PartState::InFlight { failed } | PartState::Reading { failed } => failed,
            _ => FailedAttempts::default(),
        }
    }

    /// Returns the first page that was never requested, skipping pages that an earlier process staged.
    pub(super) fn next_pending(&self) -> u32 {
        let mut page = self.next_pending;
        while self.state(page) == PartState::Staged {
            page += 1;
        }
        page
    }

    /// Schedules a retry at `not_before`.
    pub(super) fn retry(&mut self, page: u32, failed: FailedAttempts, not_before: Duration) {
        self.set(page, PartState::Waiting);
        self.retries.push(Retry { page, failed, not_before });
    }

    /// Drops the retries of these pages.
    pub(super) fn forget_retries(&mut self, pages: &BTreeSet<u32>) {
        for retry in self.retries.extract_if(.., |retry| pages.contains(&retry.page)) {
            self.states[retry.page as usize] = PartState::PastEnd;
        }
    }

    /// Returns whether a requested page is past the end.
    pub(super) fn has_past_end(&self) -> bool {
        self.states.contains(&PartState::PastEnd)
    }

    /// Returns a page whose retry is due.
    pub(super) fn due(&self, now: Duration) -> Option<u32> {
        self.retries.iter().find(|retry| retry.not_before <= now).map(|retry| retry.page)
    }

    /// Puts a page in flight; returns whether it is a retry.
    pub(super) fn start(&mut self, page: u32) -> bool {
        let retry = self.retries.iter().position(|retry| retry.page == page).map(|index| self.retries.remove(index));
        if retry.is_none() {
            self.next_pending = page + 1;
        }
        self.set(
            page,
            PartState::InFlight { failed: retry.map_or_else(FailedAttempts::default, |retry| retry.failed) },
        );
        retry.is_some()
    }

    /// Returns when the next retry is due.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.retries.iter().map(|retry| retry.not_before).min()
    }

    /// Returns the staged pages, in order.
    pub(super) fn staged(&self) -> Vec<u32> {
        (0..).zip(&self.states).filter(|(_, state)| **state == PartState::Staged).map(|(page, _)| page).collect()
    }

    /// Returns the pages among the first `count` that are not staged, failed or past the end, in order.
    pub(super) fn unfinished(&self, count: u32) -> Vec<u32> {
        let finished =
            |page: &u32| matches!(self.state(*page), PartState::Staged | PartState::Failed | PartState::PastEnd);
        (0..count).filter(|page| !finished(page)).collect()
    }
}
