//! The state of every part of a fetch: pending, in flight, waiting for a retry, or done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::api::Failure;

/// The state of one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PartState {
    /// Not requested yet, or abandoned because the run ended.
    Pending,
    /// A request is in flight, after this many failed attempts.
    InFlight { failed: FailedAttempts },
    /// The whole response has arrived and is being parsed.
    Reading { failed: FailedAttempts },
    /// Waiting for a retry.
    Waiting,
    /// Being written to disk.
    Writing { received: u64 },
    /// On disk; it can no longer be lost.
    Staged,
    /// Given up.
    Failed,
    /// Requested, but past the last part.
    PastEnd,
    /// Other parts take its place.
    Replaced,
}

/// Failed attempts to fetch a part. Failures unrelated to the part, such as rate limits, are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct FailedAttempts {
    /// Attempts that failed, or whose response was unusable.
    pub(crate) by_fault: u32,
    /// Responses with fewer records than the part should have.
    pub(crate) by_length: u32,
}

/// A retry, due at `not_before`.
#[derive(Debug, Clone, Copy)]
struct Retry {
    part: u32,
    failed: FailedAttempts,
    not_before: Duration,
}

/// All known parts. Each is requested once, in order, and then retried if necessary.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    states: Vec<PartState>,
    retries: Vec<Retry>,
    next_pending: u32,
    /// Why each failed part was given up.
    failures: BTreeMap<u32, Failure>,
    /// Number of records in staged parts, rejects included.
    received: u64,
}

impl Parts {
    /// Returns a part's state.
    pub(crate) fn state(&self, part: u32) -> PartState {
        self.states.get(part as usize).copied().unwrap_or(PartState::Pending)
    }

    /// Changes a part's state.
    pub(super) fn set(&mut self, part: u32, state: PartState) {
        let index = part as usize;
        if self.states.len() <= index {
            self.states.resize(index + 1, PartState::Pending);
        }
        self.states[index] = state;
    }

    /// Records that a part is staged, and how many records it has.
    pub(super) fn set_staged(&mut self, part: u32, received: u64) {
        self.set(part, PartState::Staged);
        self.received += received;
    }

    /// Gives up on a part.
    pub(super) fn set_failed(&mut self, part: u32, failure: Failure) {
        self.set(part, PartState::Failed);
        self.failures.insert(part, failure);
    }

    /// Records that a part is past the end. It no longer counts as failed.
    pub(crate) fn set_past_end(&mut self, part: u32) {
        self.set(part, PartState::PastEnd);
        self.failures.remove(&part);
    }

    /// Records that other parts take the place of these.
    pub(super) fn replace_all(&mut self, parts: &[u32]) {
        parts.iter().for_each(|part| self.set(*part, PartState::Replaced));
    }

    /// Returns the parts that were given up, and why.
    pub(crate) fn failures(&self) -> &BTreeMap<u32, Failure> {
        &self.failures
    }

    /// Returns the number of records in staged parts, rejects included.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Returns the failed attempts of a part that is in flight or being parsed.
    pub(crate) fn failed_attempts(&self, part: u32) -> FailedAttempts {
        match self.state(part) {
            PartState::InFlight { failed } | PartState::Reading { failed } => failed,
            _ => FailedAttempts::default(),
        }
    }

    /// Returns the first part that has not been requested, skipping those that an earlier process staged, and
    /// those that were replaced.
    pub(crate) fn next_pending(&self) -> u32 {
        let mut part = self.next_pending;
        while matches!(self.state(part), PartState::Staged | PartState::Replaced) {
            part += 1;
        }
        part
    }

    /// Schedules a retry at `not_before`.
    pub(super) fn retry(&mut self, part: u32, failed: FailedAttempts, not_before: Duration) {
        self.set(part, PartState::Waiting);
        self.retries.push(Retry { part, failed, not_before });
    }

    /// Drops the retries of these parts, and marks the retried parts as past the end.
    pub(super) fn forget_retries(&mut self, parts: &BTreeSet<u32>) {
        for retry in self.retries.extract_if(.., |retry| parts.contains(&retry.part)) {
            self.states[retry.part as usize] = PartState::PastEnd;
        }
    }

    /// Returns whether any requested part is past the end.
    pub(crate) fn has_past_end(&self) -> bool {
        self.states.contains(&PartState::PastEnd)
    }

    /// Returns a part whose retry is due, if any.
    pub(super) fn due(&self, now: Duration) -> Option<u32> {
        self.retries.iter().find(|retry| retry.not_before <= now).map(|retry| retry.part)
    }

    /// Marks a part as in flight. Returns whether it is a retry.
    pub(super) fn start(&mut self, part: u32) -> bool {
        let retry = self.retries.iter().position(|retry| retry.part == part).map(|index| self.retries.remove(index));
        if retry.is_none() {
            self.next_pending = part + 1;
        }
        self.set(
            part,
            PartState::InFlight { failed: retry.map_or_else(FailedAttempts::default, |retry| retry.failed) },
        );
        retry.is_some()
    }

    /// Returns when the next retry is due.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.retries.iter().map(|retry| retry.not_before).min()
    }

    /// Returns the staged parts, in order.
    pub(crate) fn staged(&self) -> Vec<u32> {
        (0..).zip(&self.states).filter(|(_, state)| **state == PartState::Staged).map(|(part, _)| part).collect()
    }

    /// Returns the parts among the first `count` that are not staged, failed, replaced or past the end, in order.
    pub(super) fn unfinished(&self, count: u32) -> Vec<u32> {
        let finished = |part: &u32| {
            let state = self.state(*part);
            matches!(state, PartState::Staged | PartState::Failed | PartState::PastEnd | PartState::Replaced)
        };
        (0..count).filter(|part| !finished(part)).collect()
    }
}
