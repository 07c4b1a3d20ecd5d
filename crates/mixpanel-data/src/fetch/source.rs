//! Where the parts of a fetch come from: which parts there are, what one that arrived means, and what is missing.
//!
//! The core knows no more of a dataset than this file says. A second dataset is a second variant.

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
    /// Begins a fetch.
    pub(super) fn new(rules: Rules) -> Self {
        Self::Paging(Paging::new(rules))
    }

    /// Continues what an earlier process began.
    pub(super) fn resume(rules: Rules, prior: &PriorRun) -> (Self, Resumed) {
        let (paging, resumed) = Paging::resume(rules, prior);
        (Self::Paging(paging), resumed)
    }

    /// Returns the next part that was never requested, if there is one. `is_idle` says that nothing is in flight.
    pub(super) fn next(&mut self, parts: &Parts, is_idle: bool) -> Option<u32> {
        match self {
            Self::Paging(paging) => paging.next(parts, is_idle),
        }
    }

    /// Returns until when the request for a part has to wait.
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

    /// Records that a part was requested at `now`; returns a warning for the caller, if there is one.
    pub(super) fn sent(&mut self, part: u32, parts: &Parts, now: Duration) -> Option<Warning> {
        match self {
            Self::Paging(paging) => paging.sent(part, parts, now),
        }
    }

    /// Decides what a part that arrived means.
    pub(super) fn accept(&mut self, part: u32, facts: &PageFacts, parts: &Parts) -> Arrival {
        match self {
            Self::Paging(paging) => paging.accept(part, facts, parts),
        }
    }

    /// Returns the maximum number of attempts at a part, if it is worth fewer than others.
    pub(super) fn attempts_max(&self, part: u32) -> Option<u32> {
        match self {
            Self::Paging(paging) => paging.attempts_max(part),
        }
    }

    /// Decides what it means that a part failed for good.
    pub(super) fn failed(&mut self, part: u32, failure: &Failure) -> Loss {
        match self {
            Self::Paging(paging) => paging.failed(part, failure),
        }
    }

    /// Returns whether a session has begun, which can be lost.
    pub(super) fn has_begun(&self) -> bool {
        match self {
            Self::Paging(paging) => paging.has_begun(),
        }
    }

    /// Forgets the session, which is lost.
    pub(super) fn lost(&mut self) {
        match self {
            Self::Paging(paging) => paging.lost(),
        }
    }

    /// Returns what a later process needs to know of the session, once it has begun.
    pub(super) fn session(&self, server_time: Option<Timestamp>) -> Option<SessionFacts> {
        match self {
            Self::Paging(paging) => paging.session(server_time),
        }
    }

    /// Returns the number of parts, if it is known.
    pub(super) fn total_parts(&self) -> Option<u32> {
        match self {
            Self::Paging(paging) => paging.total_pages(),
        }
    }

    /// Records that no further part is requested. Returns the number of parts that there are or may be.
    pub(super) fn halted(&mut self) -> u32 {
        match self {
            Self::Paging(paging) => paging.halted(),
        }
    }

    /// Decides, when everything was requested, which of the failed parts do not exist.
    pub(super) fn settle(&self, parts: &mut Parts) {
        match self {
            Self::Paging(paging) => paging.settle(parts),
        }
    }

    /// Adds to `counts` what was announced and what of it is missing. After an early end, only parts are.
    pub(super) fn missing(&self, parts: &Parts, ended_early: bool, counts: &mut FetchCounts) {
        match self {
            Self::Paging(paging) => paging.missing(parts, ended_early, counts),
        }
    }

    /// Returns why the session has nothing more to give, if so: then only a new session can help.
    pub(super) fn over(&self, parts: &Parts, shortfall: u64) -> Option<Over> {
        match self {
            Self::Paging(paging) => paging.over(parts, shortfall),
        }
    }
}
