//! The source of a fetch: which parts exist, how to handle those that arrive, and what is missing.
//!
//! The core accesses a dataset only through `Source`. Each dataset is one variant.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::Failure;
use crate::counts::FetchCounts;
use crate::warning::Warning;

use super::arrival::{Arrival, Loss, Resumed};
use super::core::Parts;
use super::profiles::Paging;
use super::rules::Rules;

pub(super) use super::profiles::{Page, PageFacts, PageRequest, PriorRun};
pub(super) use crate::stage::{Over, SessionFacts};

/// The source of a fetch.
#[derive(Debug)]
pub(super) enum Source {
    /// Pages of one session.
    Paging(Paging),
}

impl Source {
    /// Creates the source of a new fetch.
    pub(super) fn new(rules: Rules) -> Self {
        Self::Paging(Paging::new(rules))
    }

    /// Creates the source of a run that an earlier process began.
    pub(super) fn resume(rules: Rules, prior: &PriorRun) -> (Self, Resumed) {
        let (paging, resumed) = Paging::resume(rules, prior);
        (Self::Paging(paging), resumed)
    }

    /// Returns the next part that has not been requested, if there is one. `is_idle` is true if nothing is in flight.
    pub(super) fn next(&mut self, parts: &Parts, is_idle: bool) -> Option<u32> {
        match self {
            Self::Paging(paging) => paging.next(parts, is_idle),
        }
    }

    /// Returns the earliest time to request a part, if that is in the future.
    pub(super) fn not_before(&self, part: u32, now: Duration) -> Option<Duration> {
        match self {
            Self::Paging(paging) => paging.not_before(part, now),
        }
    }

    /// Returns the request for a part.
    pub(super) fn request(&self, epoch: u32, part: u32) -> PageRequest {
        match self {
            Self::Paging(paging) => paging.request(epoch, part),
        }
    }

    /// Records that a part was requested at `now`. Returns a warning for the caller, if any.
    pub(super) fn sent(&mut self, part: u32, parts: &Parts, now: Duration) -> Option<Warning> {
        match self {
            Self::Paging(paging) => paging.sent(part, parts, now),
        }
    }

    /// Cuts a part that arrived at the end of a sample.
    pub(super) fn cut(&self, part: u32, page: &mut Page) {
        match self {
            Self::Paging(paging) => paging.cut(part, page),
        }
    }

    /// Decides how to handle a part that arrived.
    pub(super) fn accept(&mut self, part: u32, facts: &PageFacts, parts: &Parts) -> Arrival {
        match self {
            Self::Paging(paging) => paging.accept(part, facts, parts),
        }
    }

    /// Returns the maximum number of attempts for a part, if it is lower than the default.
    pub(super) fn attempts_max(&self, part: u32) -> Option<u32> {
        match self {
            Self::Paging(paging) => paging.attempts_max(part),
        }
    }

    /// Decides what the permanent failure of a part means for the fetch.
    pub(super) fn failed(&mut self, part: u32, failure: &Failure) -> Loss {
        match self {
            Self::Paging(paging) => paging.failed(part, failure),
        }
    }

    /// Returns whether a session has begun.
    pub(super) fn has_begun(&self) -> bool {
        match self {
            Self::Paging(paging) => paging.has_begun(),
        }
    }

    /// Discards a lost session.
    pub(super) fn lost(&mut self) {
        match self {
            Self::Paging(paging) => paging.lost(),
        }
    }

    /// Returns what a later process needs to resume the session, once it has begun.
    pub(super) fn session(&self, server_time: Option<Timestamp>) -> Option<SessionFacts> {
        match self {
            Self::Paging(paging) => paging.session(server_time),
        }
    }

    /// Returns the number of parts, if known.
    pub(super) fn total_parts(&self) -> Option<u32> {
        match self {
            Self::Paging(paging) => paging.total_pages(),
        }
    }

    /// Records that no more parts will be requested. Returns the number of parts that may exist.
    pub(super) fn halted(&mut self) -> u32 {
        match self {
            Self::Paging(paging) => paging.halted(),
        }
    }

    /// Returns the failed part of which it is unknown whether it exists, if there is one.
    pub(super) fn unchecked_part(&self) -> Option<u32> {
        match self {
            Self::Paging(paging) => paging.unchecked_page(),
        }
    }

    /// Decides which of the failed parts do not exist, once everything has been requested.
    pub(super) fn mark_past_end(&self, parts: &mut Parts) {
        match self {
            Self::Paging(paging) => paging.mark_past_end(parts),
        }
    }

    /// Adds the announced total and the missing profiles to `counts`. After an early end, only parts count as missing.
    pub(super) fn missing(&self, parts: &Parts, ended_early: bool, counts: &mut FetchCounts) {
        match self {
            Self::Paging(paging) => paging.missing(parts, ended_early, counts),
        }
    }

    /// Returns why the session is over, if it is. Only a new session can then return what is missing.
    pub(super) fn over(&self, parts: &Parts, shortfall: u64) -> Option<Over> {
        match self {
            Self::Paging(paging) => paging.over(parts, shortfall),
        }
    }
}
