//! The source of a fetch: which parts exist, how to handle those that arrive, and what is missing.
//!
//! The core accesses a dataset only through `Source`. Each dataset is one variant.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::{Failure, FailureKind};
use crate::counts::FetchCounts;
use crate::stage::SliceRecord;
use crate::types::ProfileProgress;
use crate::warning::Warning;

use super::arrival::{Arrival, Loss, Meaning, Replacement, Resumed};
use super::core::Parts;
use super::events::Slices;
use super::part::{PartFacts, PartRequest};
use super::profiles::Paging;
use super::progress::FetchEvent;
use super::rules::Rules;

pub(super) use super::profiles::{Page, PriorRun};
pub(super) use crate::stage::{Over, SessionFacts};

/// The source of a fetch.
#[derive(Debug)]
pub(super) enum Source {
    /// Pages of one session.
    Paging(Box<Paging>),
    /// Slices of days, without a session.
    Slices(Slices),
}

impl Source {
    /// Creates the source of a new fetch.
    pub(super) fn new(rules: Rules) -> Self {
        Self::Paging(Box::new(Paging::new(rules)))
    }

    /// Creates the source of a run that an earlier process began.
    pub(super) fn resume(rules: Rules, prior: &PriorRun) -> (Self, Resumed) {
        if let Some(plan) = &prior.slices {
            let (slices, resumed) = Slices::resume(rules, plan, &prior.staged);
            return (Self::Slices(slices), resumed);
        }
        let (paging, resumed) = Paging::resume(rules, prior);
        (Self::Paging(Box::new(paging)), resumed)
    }

    /// Returns the next part that has not been requested, if there is one. `is_idle` is true if nothing is in flight.
    pub(super) fn next(&mut self, parts: &Parts, is_idle: bool) -> Option<u32> {
        match self {
            Self::Paging(paging) => paging.next(parts, is_idle),
            Self::Slices(slices) => slices.next(parts),
        }
    }

    /// Returns the earliest time to request a part, if that is in the future.
    pub(super) fn not_before(&self, part: u32, now: Duration) -> Option<Duration> {
        match self {
            Self::Paging(paging) => paging.not_before(part, now),
            Self::Slices(_) => None,
        }
    }

    /// Returns the request for a part.
    pub(super) fn request(&self, epoch: u32, part: u32) -> PartRequest {
        match self {
            Self::Paging(paging) => paging.request(epoch, part),
            Self::Slices(slices) => slices.request(part),
        }
    }

    /// Records that a part was requested at `now`. Returns a warning for the caller, if any.
    pub(super) fn sent(&mut self, part: u32, parts: &Parts, now: Duration) -> Option<Warning> {
        match self {
            Self::Paging(paging) => paging.sent(part, parts, now),
            Self::Slices(_) => None,
        }
    }

    /// Cuts a part that arrived at the end of a sample.
    pub(super) fn cut(&self, part: u32, page: &mut Page) {
        match self {
            Self::Paging(paging) => paging.cut(part, page),
            Self::Slices(_) => {}
        }
    }

    /// Decides how to handle a part that arrived.
    pub(super) fn accept(&mut self, part: u32, facts: PartFacts<'_>, parts: &Parts) -> Arrival {
        match (self, facts) {
            (Self::Paging(paging), PartFacts::Page(facts)) => paging.accept(part, facts, parts),
            (Self::Slices(slices), PartFacts::Slice(size)) => slices.accept(part, size, parts),
            (Self::Paging(_), PartFacts::Slice(_)) | (Self::Slices(_), PartFacts::Page(_)) => {
                let message = "a part of another source arrived; this is a bug";
                Arrival::of(Meaning::Unusable(Failure::new(FailureKind::Internal, message)))
            }
        }
    }

    /// Decides whether other parts take the place of one whose request has failed `attempts` times.
    pub(super) fn replace(&mut self, part: u32, failure: &Failure, attempts: u32) -> Option<Replacement> {
        match self {
            Self::Paging(_) => None,
            Self::Slices(slices) => slices.replace(part, failure, attempts),
        }
    }

    /// Returns the plan of the parts if it has changed since the last call; it belongs into the manifest.
    pub(super) fn changed_plan(&mut self) -> Option<Vec<SliceRecord>> {
        match self {
            Self::Paging(_) => None,
            Self::Slices(slices) => slices.changed_plan(),
        }
    }

    /// Returns the parts that were replaced since the last call although no request for them has failed.
    pub(super) fn replaced_parts(&mut self) -> Vec<u32> {
        match self {
            Self::Paging(_) => Vec::new(),
            Self::Slices(slices) => slices.replaced_parts(),
        }
    }

    /// Returns the event that reports a part: its number of rows, or why it failed. `rows` counts all parts so far.
    pub(super) fn progress(&self, part: u32, result: Result<u64, String>, rows: u64) -> FetchEvent {
        match self {
            Self::Paging(paging) => FetchEvent::Page(ProfileProgress {
                page_index: part,
                total_pages: paging.total_pages(),
                rows: *result.as_ref().unwrap_or(&0),
                success: result.is_ok(),
                error: result.err(),
                cumulative_rows: rows,
            }),
            Self::Slices(slices) => slices.progress(part, result, rows),
        }
    }

    /// Returns the event that reports a retry.
    pub(super) fn retry(&self, part: u32, attempt: u32, reason: String, pause: Duration) -> FetchEvent {
        match self {
            Self::Paging(_) => FetchEvent::Retry { page_index: part, attempt, reason, pause },
            Self::Slices(slices) => slices.retry(part, attempt, reason, pause),
        }
    }

    /// Returns what a part is called in messages.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Self::Paging(_) => "page",
            Self::Slices(_) => "batch",
        }
    }

    /// Returns the maximum number of attempts for a part, if it is lower than the default.
    pub(super) fn attempts_max(&self, part: u32) -> Option<u32> {
        match self {
            Self::Paging(paging) => paging.attempts_max(part),
            Self::Slices(_) => None,
        }
    }

    /// Decides what the permanent failure of a part means for the fetch.
    pub(super) fn failed(&mut self, part: u32, failure: &Failure) -> Loss {
        match self {
            Self::Paging(paging) => paging.failed(part, failure),
            Self::Slices(slices) => slices.failed(failure),
        }
    }

    /// Returns whether a session has begun.
    pub(super) fn has_begun(&self) -> bool {
        match self {
            Self::Paging(paging) => paging.has_begun(),
            Self::Slices(slices) => slices.has_begun(),
        }
    }

    /// Discards a lost session.
    pub(super) fn lost(&mut self) {
        match self {
            Self::Paging(paging) => paging.lost(),
            Self::Slices(_) => {}
        }
    }

    /// Returns what a later process needs to resume the session, once it has begun.
    pub(super) fn session(&self, server_time: Option<Timestamp>) -> Option<SessionFacts> {
        match self {
            Self::Paging(paging) => paging.session(server_time),
            Self::Slices(_) => None,
        }
    }

    /// Records that no more parts will be requested. Returns the number of parts that may exist.
    pub(super) fn halted(&mut self) -> u32 {
        match self {
            Self::Paging(paging) => paging.halted(),
            Self::Slices(slices) => slices.count_parts(),
        }
    }

    /// Returns the failed part of which it is unknown whether it exists, if there is one.
    pub(super) fn unchecked_part(&self) -> Option<u32> {
        match self {
            Self::Paging(paging) => paging.unchecked_page(),
            Self::Slices(_) => None,
        }
    }

    /// Decides which of the failed parts do not exist, once everything has been requested.
    pub(super) fn mark_past_end(&self, parts: &mut Parts) {
        match self {
            Self::Paging(paging) => paging.mark_past_end(parts),
            Self::Slices(_) => {}
        }
    }

    /// Adds the announced total and the missing profiles to `counts`. After an early end, only parts count as missing.
    pub(super) fn missing(&self, parts: &Parts, ended_early: bool, counts: &mut FetchCounts) {
        match self {
            Self::Paging(paging) => paging.missing(parts, ended_early, counts),
            Self::Slices(_) => {}
        }
    }

    /// Returns why the session is over, if it is. Only a new session can then return what is missing.
    pub(super) fn over(&self, parts: &Parts, shortfall: u64) -> Option<Over> {
        match self {
            Self::Paging(paging) => paging.over(parts, shortfall),
            Self::Slices(_) => None,
        }
    }
}
