//! Where the parts of a fetch come from: which parts there are, what one that arrived means, and what is missing.
//!
//! The core knows no more of a dataset than this file says. A second dataset is a second variant.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::Failure;
use crate::counts::FetchCounts;
use crate::warning::Warning;

use super::core::Parts;
use super::profiles::Paging;
use super::progress::FetchEvent;
use super::rules::Rules;

pub(super) use super::profiles::{Page, PageFacts, PageRequest, PriorRun};
pub(super) use crate::stage::{Over, SessionFacts};

/// The source of a fetch.
#[derive(Debug)]
pub(super) enum Source {
    /// Pages of one session.
    Paging(Paging),
}

/// What a part that arrived means.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) meaning: Meaning,
    /// What to tell the caller first.
    pub(super) events: Vec<FetchEvent>,
    /// Why the fetch cannot continue, if so.
    pub(super) fatal: Option<Failure>,
    /// Parts that are not worth another attempt.
    pub(super) hopeless: BTreeSet<u32>,
}

impl Arrival {
    /// Returns an arrival that means only this.
    pub(super) fn of(meaning: Meaning) -> Self {
        Self { meaning, events: Vec::new(), fatal: None, hopeless: BTreeSet::new() }
    }
}

/// What to do with a part that arrived.
#[derive(Debug)]
pub(super) enum Meaning {
    /// Store it. `lacks` is a part that is given up because of it.
    Store { lacks: Option<(u32, Failure)> },
    /// It has fewer records than it should; request it again.
    TooShort { reason: String },
    /// There is no such part.
    PastEnd,
    /// The request brought nothing usable.
    Unusable(Failure),
}

/// What it means that a part failed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// There is no such part, so nothing is lost.
    PastEnd,
    /// The part is missing.
    Part,
    /// No other part can be requested.
    Everything,
}

/// A part that an earlier process staged.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeptPart {
    pub(super) part: u32,
    pub(super) rows: u64,
    pub(super) rejected: u64,
}

/// A source that continues what an earlier process began.
#[derive(Debug)]
pub(super) struct Resumed {
    pub(super) source: Source,
    pub(super) epoch: u32,
    /// The staged parts that this run uses.
    pub(super) kept: Vec<KeptPart>,
    pub(super) event: Option<FetchEvent>,
}

impl Source {
    /// Begins a fetch.
    pub(super) fn new(rules: Rules) -> Self {
        Self::Paging(Paging::new(rules))
    }

    /// Continues what an earlier process began.
    pub(super) fn resume(rules: Rules, prior: &PriorRun) -> Resumed {
        Paging::resume(rules, prior)
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
