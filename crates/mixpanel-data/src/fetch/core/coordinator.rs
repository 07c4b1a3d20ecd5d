//! Decides the next step of a fetch. The coordinator is a state machine without I/O: it receives events with their
//! times and returns the next step. Times are measured from the start of the run; random numbers are arguments.
//!
//! This file handles parts that arrive; `faults` handles failed requests.

mod accounting;
mod faults;
mod part_deadline;
mod protocol;

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use crate::counts::FetchCounts;
use crate::mutant::{Mutant, is_active};
use crate::stage::SliceRecord;

use super::super::arrival::{Arrival, Meaning, Resumed};
use super::super::part::PartFacts;
use super::super::progress::FetchEvent;
use super::super::rules::Rules;
use super::super::source::{Page, PriorRun, SessionFacts, Source};
use super::outcome::Ending;
use super::pacing::Pacing;
use super::parts::{PartState, Parts};
use part_deadline::PartDeadline;

pub(crate) use protocol::{PartDecision, Step};

/// The state of a fetch: pacing, parts and accounting. The source defines the parts.
#[derive(Debug)]
pub(crate) struct Coordinator {
    rules: Rules,
    source: Source,
    parts: Parts,
    epoch: u32,
    pacing: Pacing,
    in_flight: u32,
    reading: u32,
    writing: u32,
    /// While other processes hold all concurrency slots: when to check again, and since when they have held them.
    busy: Option<(Duration, Duration)>,
    /// When the next request may be sent, because requests must not follow each other too fast.
    next_start: Duration,
    part_deadline: PartDeadline,
    /// When [`next`](Self::next) was last called.
    decided_at: Duration,
    /// Whether an earlier process left parts of a session that this run does not use.
    left_parts: bool,
    ending: Option<Ending>,
    /// When to stop waiting for parts in flight.
    stop_deadline: Option<Duration>,
    /// Counts that are updated during the fetch; the others are added at the end.
    counts: FetchCounts,
    /// Number of rows in staged parts.
    rows: u64,
    /// Parts that were given up and not yet reported by [`next_given_up`](Self::next_given_up).
    given_up: VecDeque<u32>,
    events: VecDeque<FetchEvent>,
}

impl Coordinator {
    /// Creates the coordinator of a new fetch.
    pub(crate) fn new(rules: Rules) -> Self {
        Self::with_source(rules, Source::new(rules))
    }

    /// Creates the coordinator of a resumed run. If the session can still be used, parts on disk are not requested
    /// again, and the others are requested in the same session.
    pub(crate) fn resume(rules: Rules, prior: &PriorRun) -> Self {
        let (source, Resumed { epoch, kept, event }) = Source::resume(rules, prior);
        let mut coordinator = Self::with_source(rules, source);
        coordinator.epoch = epoch;
        coordinator.left_parts = kept.is_empty() && !prior.staged.is_empty();
        for part in kept {
            coordinator.parts.set_staged(part.part, part.rows + part.rejected);
            if part.part == 0 && is_active(Mutant::StagedPageRequested) {
                coordinator.parts.set(0, PartState::Pending);
            }
            coordinator.counts.rejected += part.rejected;
            coordinator.rows += part.rows;
        }
        coordinator.parts.replace_all(&coordinator.source.replaced_parts());
        coordinator.events.extend(event);
        coordinator
    }

    fn with_source(rules: Rules, source: Source) -> Self {
        Self {
            rules,
            source,
            parts: Parts::default(),
            epoch: 0,
            pacing: Pacing::new(&rules),
            in_flight: 0,
            reading: 0,
            writing: 0,
            busy: None,
            next_start: Duration::ZERO,
            part_deadline: PartDeadline::default(),
            decided_at: Duration::ZERO,
            left_parts: false,
            ending: None,
            stop_deadline: None,
            counts: FetchCounts::default(),
            rows: 0,
            given_up: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Removes and returns the oldest queued event.
    pub(crate) fn next_event(&mut self) -> Option<FetchEvent> {
        self.events.pop_front()
    }

    /// Removes and returns the oldest part that was given up and not yet returned.
    pub(crate) fn next_given_up(&mut self) -> Option<u32> {
        self.given_up.pop_front()
    }

    /// Returns the plan of the parts if it has changed since the last call.
    pub(crate) fn changed_plan(&mut self) -> Option<Vec<SliceRecord>> {
        self.source.changed_plan()
    }

    /// Queues an event of another component for the caller.
    pub(crate) fn tell(&mut self, event: FetchEvent) {
        self.events.push_back(event);
    }

    /// Returns the current session epoch of the run.
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Returns what a later process needs to resume the session, once it has begun.
    pub(crate) fn session(&self, server_time: Option<Timestamp>) -> Option<SessionFacts> {
        self.source.session(server_time)
    }

    /// Returns the next step at `now`. Call it again after every step that is not a wait.
    pub(crate) fn next(&mut self, now: Duration) -> Step {
        self.check_part_deadline(now);
        self.decided_at = now;
        let step = self.decide_next(now);
        part_deadline::at_most(step, self.part_deadline(now))
    }

    fn decide_next(&mut self, now: Duration) -> Step {
        let in_progress = self.in_flight + self.reading + self.writing;
        match &self.ending {
            Some(Ending::WriterFailed) => return Step::Finish,
            Some(_) if in_progress == 0 || self.stop_deadline.is_some_and(|deadline| now >= deadline) => {
                return Step::Finish;
            }
            Some(_) => return self.stop_deadline.map_or(Step::WaitForEvent, Step::WaitUntil),
            None => {}
        }
        if self.pacing.breaker.half_open_if_due(now) {
            self.part_deadline.wait_ended(now, self.rules.max_wait);
            self.events.push_back(FetchEvent::Resumed);
        }
        if let Some(until) = self.pacing.breaker.open_until() {
            return Step::WaitUntil(until);
        }
        if let Some((until, _)) = self.busy.filter(|(until, _)| now < *until) {
            return Step::WaitUntil(until);
        }
        if now < self.next_start {
            return Step::WaitUntil(self.next_start);
        }
        if !self.pacing.allows_another(self.in_flight, self.reading, self.writing) {
            return Step::WaitForEvent;
        }
        match self.pick(now, in_progress == 0) {
            Some(part) => match self.source.not_before(part, now) {
                Some(until) => Step::WaitUntil(until),
                None => Step::Send(self.source.request(self.epoch, part)),
            },
            None => self.wait_or_finish(in_progress),
        }
    }

    /// Returns the next part to request: due retries first, then parts that have not been requested.
    fn pick(&mut self, now: Duration, is_idle: bool) -> Option<u32> {
        if let Some(part) = self.parts.due(now) {
            return Some(part);
        }
        if self.pacing.all_recent_failed() && self.parts.next_due().is_some() {
            return None;
        }
        self.source.next(&self.parts, is_idle)
    }

    fn wait_or_finish(&self, in_progress: u32) -> Step {
        match self.parts.next_due() {
            Some(moment) => Step::WaitUntil(moment),
            None if in_progress > 0 => Step::WaitForEvent,
            None => Step::Finish,
        }
    }

    /// Records that the request returned by [`next`](Self::next) was sent.
    pub(crate) fn sent(&mut self, part: u32) {
        if self.busy.take().is_some_and(|(until, since)| until.saturating_sub(since) >= faults::BUSY_REPORT_DELAY) {
            self.events.push_back(FetchEvent::Resumed);
        }
        self.counts.retries += u64::from(self.parts.start(part));
        self.counts.requests += 1;
        let warning = self.source.sent(part, &self.parts, self.decided_at);
        self.events.extend(warning.map(FetchEvent::Warning));
        self.in_flight += 1;
    }

    /// Records that the whole response for `part` has arrived and is being parsed. Its slot is free again.
    pub(crate) fn reply_received(&mut self, part: u32) {
        let failed = self.parts.failed_attempts(part);
        self.parts.set(part, PartState::Reading { failed });
        self.in_flight -= 1;
        self.reading += 1;
    }

    /// Cuts a part that arrived at the end of a sample.
    pub(crate) fn cut(&self, part: u32, page: &mut Page) {
        self.source.cut(part, page);
    }

    /// Handles the parsed response for `part`.
    pub(crate) fn part_arrived<'a>(
        &mut self,
        part: u32,
        facts: impl Into<PartFacts<'a>>,
        now: Duration,
        fraction: f64,
    ) -> PartDecision {
        let facts = facts.into();
        let Arrival { meaning, events, fatal, hopeless } = self.source.accept(part, facts, &self.parts);
        self.events.extend(events);
        fatal.into_iter().for_each(|failure| self.end(Ending::Fatal(failure)));
        let mut verdict = PartDecision::Drop;
        match meaning {
            Meaning::Store { lacks } => {
                self.record_good_response(facts.memory(), now);
                lacks.iter().for_each(|(part, failure)| self.give_up(*part, failure));
                self.writing += 1;
                self.parts.set(part, PartState::Writing { received: facts.received() });
                verdict = PartDecision::Store;
            }
            Meaning::TooShort { reason } => {
                self.record_good_response(facts.memory(), now);
                self.retry_for_length(part, reason, now);
            }
            Meaning::PastEnd => {
                self.reading -= 1;
                self.parts.set(part, PartState::PastEnd);
            }
            Meaning::Unusable(failure) => self.request_failed(part, failure, now, fraction),
        }
        self.parts.forget_retries(&hopeless);
        self.parts.replace_all(&self.source.replaced_parts());
        verdict
    }

    fn record_good_response(&mut self, bytes: usize, now: Duration) {
        self.reading -= 1;
        self.pacing.part_arrived(bytes);
        self.part_deadline.part_arrived(now);
    }

    /// Records that a part of the current session is staged.
    pub(crate) fn part_staged(&mut self, part: u32, rows: u64) {
        self.writing -= 1;
        let received = match self.parts.state(part) {
            PartState::Writing { received } => received,
            _ => rows,
        };
        self.parts.set_staged(part, received);
        if !is_active(Mutant::RejectNotCounted) {
            self.counts.rejected += received - rows;
        }
        self.rows += rows;
        self.report(part, Ok(rows));
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod waits_tests;

#[cfg(test)]
mod announced_tests;

#[cfg(test)]
mod slices_tests;
