//! Decides what a fetch does next: a state machine without I/O, which is told what happened and when, and returns the
//! next step. Times are measured from the start of the run; random numbers are passed in.
//!
//! This file handles pages that arrive; `faults` handles failed requests.

mod accounting;
#[path = "../profiles/announced.rs"]
mod announced;
mod faults;
mod patience;
mod protocol;
#[path = "../profiles/prior_run.rs"]
mod resume;
#[path = "../rules.rs"]
mod rules;
#[path = "../profiles/short_pages.rs"]
mod short_pages;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::api::{Failure, FailureKind};
use crate::counted::counted;
use crate::counts::FetchCounts;
use crate::limits::PAGES_READY_MAX;
use crate::mutant::{Mutant, is_planted};

use super::super::profiles::layout::PageLayout;
use super::super::progress::FetchEvent;
use super::circuit_breaker::CircuitBreaker;
use super::outcome::{Ending, Over};
use super::parts::{PartState, Parts};
use announced::{NothingNew, SignOfLife};
use patience::Patience;
use short_pages::ShortPages;

pub(crate) use protocol::{PageFacts, PageRequest, Step, Verdict};
pub(crate) use resume::PriorRun;
pub(crate) use rules::{Extent, Rules};

/// The state of a fetch.
#[derive(Debug)]
pub(crate) struct Coordinator {
    rules: Rules,
    /// Concurrent requests that the server seems to allow.
    allowed: u32,
    /// Pages that arrived since `allowed` last changed.
    pages_since_change: u32,
    epoch: u32,
    plan: Option<PageLayout>,
    session_id: Option<String>,
    first_page_records: u64,
    parts: Parts,
    /// Records of the pages that an earlier process staged.
    earlier: BTreeMap<u32, u64>,
    /// Consecutive pages given up without a page in between.
    given_up_in_a_row: u32,
    /// Consecutive failed requests without a page in between.
    faults_in_a_row: u32,
    /// Since when the server has been unreachable.
    outage_since: Option<Duration>,
    in_flight: u32,
    reading: u32,
    writing: u32,
    largest_page: usize,
    breaker: CircuitBreaker,
    /// Until when all concurrency slots count as taken by other processes, and since when they have been.
    busy: Option<(Duration, Duration)>,
    short: ShortPages,
    nothing_new: NothingNew,
    sign_of_life: SignOfLife,
    /// Profiles announced on a later page, if page 0 announced none or fewer.
    announced_late: Option<u64>,
    /// Requests sent for pages that nothing announced, and the earliest time of the next one.
    unannounced: u32,
    next_unannounced: Duration,
    /// When [`next`](Self::next) was last called.
    decided_at: Duration,
    /// Why this run left the session of an earlier process. Set until page 0 of a new session has arrived.
    earlier_over: Option<Over>,
    /// Whether an earlier process left pages of a session that this run does not use.
    left_pages: bool,
    patience: Patience,
    ending: Option<Ending>,
    /// When to stop waiting for pages in flight.
    stop_deadline: Option<Duration>,
    failed: BTreeMap<u32, Failure>,
    /// Counts updated as things happen; the others are added at the end.
    counts: FetchCounts,
    /// Rows of staged pages.
    rows: u64,
    events: VecDeque<FetchEvent>,
}

impl Coordinator {
    /// Begins a fetch.
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            allowed: rules.workers,
            pages_since_change: 0,
            epoch: 0,
            plan: None,
            session_id: None,
            first_page_records: 0,
            parts: Parts::default(),
            earlier: BTreeMap::new(),
            given_up_in_a_row: 0,
            faults_in_a_row: 0,
            outage_since: None,
            in_flight: 0,
            reading: 0,
            writing: 0,
            largest_page: 1,
            breaker: CircuitBreaker::default(),
            busy: None,
            short: ShortPages::default(),
            nothing_new: NothingNew::default(),
            sign_of_life: SignOfLife::default(),
            announced_late: None,
            unannounced: 0,
            next_unannounced: Duration::ZERO,
            decided_at: Duration::ZERO,
            earlier_over: None,
            left_pages: false,
            patience: Patience::default(),
            ending: None,
            stop_deadline: None,
            failed: BTreeMap::new(),
            counts: FetchCounts::default(),
            rows: 0,
            events: VecDeque::new(),
        }
    }

    /// Removes and returns the oldest event that has not been passed to the caller.
    pub(crate) fn next_event(&mut self) -> Option<FetchEvent> {
        self.events.pop_front()
    }

    /// Queues an event of another component for the caller.
    pub(crate) fn tell(&mut self, event: FetchEvent) {
        self.events.push_back(event);
    }

    /// Returns the current session epoch of the run.
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Returns what to do at `now`. Call it again after every step that is not a wait.
    pub(crate) fn next(&mut self, now: Duration) -> Step {
        self.lose_patience(now);
        self.decided_at = now;
        let step = self.decide_next(now);
        patience::at_most(step, self.patience_ends(now))
    }

    fn decide_next(&mut self, now: Duration) -> Step {
        let under_way = self.in_flight + self.reading + self.writing;
        match &self.ending {
            Some(Ending::WriterFailed) => return Step::Finish,
            Some(_) if under_way == 0 || self.stop_deadline.is_some_and(|deadline| now >= deadline) => {
                return Step::Finish;
            }
            Some(_) => return self.stop_deadline.map_or(Step::WaitForEvent, Step::WaitUntil),
            None => {}
        }
        if self.breaker.half_open_if_due(now) {
            self.patience.wait_ended(now, self.rules.max_wait);
            self.events.push_back(FetchEvent::Resumed);
        }
        if let Some(until) = self.breaker.open_until() {
            return Step::WaitUntil(until);
        }
        if let Some((until, _)) = self.busy.filter(|(until, _)| now < *until) {
            return Step::WaitUntil(until);
        }
        let by_memory = u32::try_from(self.rules.flight_bytes / self.largest_page).unwrap_or(u32::MAX).max(1);
        let allowed = if self.breaker.is_half_open() { 1 } else { self.allowed };
        let is_tested = self.breaker.is_half_open() && self.reading > 0;
        if self.in_flight >= allowed
            || is_tested
            || under_way >= by_memory
            || self.reading + self.writing >= PAGES_READY_MAX
        {
            return Step::WaitForEvent;
        }
        match self.pick(now) {
            Some(page) => match self.paced_until(page, now) {
                Some(until) => Step::WaitUntil(until),
                None => Step::Send(self.request_for(page)),
            },
            None if under_way == 0 && self.looks_beyond() => self.next(now),
            None => self.wait_or_finish(under_way),
        }
    }

    /// Returns the next page to request: due retries first, then the planned pages, then the tail page.
    fn pick(&self, now: Duration) -> Option<u32> {
        if let Some(page) = self.parts.due(now) {
            return Some(page);
        }
        if self.fails_at_everything() {
            return None;
        }
        let fresh = self.parts.next_pending();
        if (self.rules.extent == Extent::FirstPage && fresh > 0) || self.nothing_new.is_the_end() {
            return None;
        }
        let is_planned = fresh < self.plan.as_ref().map_or(1, PageLayout::pages);
        let is_tail = self.plan.as_ref().and_then(PageLayout::tail_page) == Some(fresh);
        (is_planned || is_tail).then_some(fresh)
    }

    fn request_for(&self, page: u32) -> PageRequest {
        // A request without a session creates a new one, so no other request may be in flight with it.
        let session = if self.plan.is_none() { None } else { self.session_id.clone() };
        PageRequest { epoch: self.epoch, page, session }
    }

    fn wait_or_finish(&self, under_way: u32) -> Step {
        match self.parts.next_due() {
            Some(moment) => Step::WaitUntil(moment),
            None if under_way > 0 => Step::WaitForEvent,
            None => Step::Finish,
        }
    }

    /// Records that the request returned by [`next`](Self::next) was sent.
    pub(crate) fn sent(&mut self, page: u32) {
        if self.busy.take().is_some_and(|(until, since)| until.saturating_sub(since) >= faults::BUSY_TOLD_AFTER) {
            self.events.push_back(FetchEvent::Resumed);
        }
        self.counts.retries += u64::from(self.parts.start(page));
        self.counts.requests += 1;
        self.sign_of_life.requested(page, !self.failed.is_empty());
        self.pace(page);
        self.in_flight += 1;
    }

    /// Records that the whole response for `page` has arrived, which frees its slot. It is being parsed.
    pub(crate) fn reply_received(&mut self, page: u32) {
        let failed = self.parts.failed_attempts(page);
        self.parts.set(page, PartState::Reading { failed });
        self.in_flight -= 1;
        self.reading += 1;
    }

    /// Handles a response for `page` that was parsed as a page.
    pub(crate) fn page_arrived(&mut self, page: u32, facts: &PageFacts, now: Duration, fraction: f64) -> Verdict {
        if let Err(failure) = self.check_reply(page, facts) {
            self.request_failed(page, failure, now, fraction);
            return Verdict::Drop;
        }
        if self.plan.is_none() {
            if let Some(total) =
                facts.total.filter(|total| *total > 0 && facts.received == 0 && !self.may_all_be_gone(*total))
            {
                let announced = counted(total, "profile");
                let message = format!("page 0 came empty, though the server announced {announced}");
                self.request_failed(page, Failure::new(FailureKind::BadReply, message), now, fraction);
                return Verdict::Drop;
            }
            self.make_plan(facts);
        }
        self.hear_of_total(page, facts);
        if let Some(reason) = self.brings_nothing_new(page, facts) {
            self.nothing_new_came(page, facts, reason, now, fraction);
            return Verdict::Drop;
        }
        if facts.received > 0 {
            self.nothing_new.something_came(page);
            self.sign_of_life.page_came(page);
        } else {
            self.nothing_new.came_empty(page);
        }
        self.reading -= 1;
        self.server_answers();
        self.patience.page_came(now);
        self.largest_page = self.largest_page.max(facts.bytes);
        if self.is_too_short(page, facts.received) {
            self.ask_again_for_length(page, facts.received, now);
            return Verdict::Drop;
        }
        let Some(plan) = &mut self.plan else { return Verdict::Drop };
        plan.page_arrived(page, facts.received);
        plan.merge_staged(&self.earlier);
        // A short last page ends the plan, unless the tail page has already been requested.
        if page + 1 == plan.pages()
            && facts.received < plan.page_size()
            && plan.tail_page() == Some(self.parts.next_pending())
        {
            plan.drop_tail();
        }
        self.stop_if_it_never_ends();
        self.writing += 1;
        self.parts.set(page, PartState::Writing { received: facts.received });
        Verdict::Store
    }

    /// Checks that a response belongs to the session of page 0 and is the requested page.
    fn check_reply(&self, page: u32, facts: &PageFacts) -> Result<(), Failure> {
        if facts.page.is_some_and(|echoed| echoed != u64::from(page)) {
            let message = format!("the response to the request for page {page} is a different page");
            return Err(Failure::new(FailureKind::BadReply, message));
        }
        let Some(plan) = &self.plan else { return Ok(()) };
        let is_other = facts.session_id.is_some() && facts.session_id != self.session_id;
        if is_other && !is_planted(Mutant::SessionNotChecked) {
            let message = format!("the reply to page {page} belongs to another session than page 0");
            return Err(Failure::new(FailureKind::SessionLost, message));
        }
        if let Some(size) = facts.page_size.filter(|size| !plan.is_page_size(*size)) {
            let declared = plan.declared_page_size().unwrap_or_default();
            let message = format!("page {page} says that pages have {size} profiles, and page 0 said {declared}");
            return Err(Failure::new(FailureKind::SessionLost, message));
        }
        Ok(())
    }

    /// Records that a page of the current session is staged.
    pub(crate) fn page_staged(&mut self, page: u32, rows: u64) {
        self.writing -= 1;
        let received = match self.parts.state(page) {
            PartState::Writing { received } => received,
            _ => rows,
        };
        self.parts.set(page, PartState::Staged);
        self.counts.received += received;
        if !is_planted(Mutant::RejectNotCounted) {
            self.counts.rejected += received - rows;
        }
        self.rows += rows;
        self.report(page, Ok(rows));
    }
}

#[cfg(test)]
#[path = "coordinator_test.rs"]
mod tests;

#[cfg(test)]
#[path = "coordinator_waits_test.rs"]
mod waits_tests;

#[cfg(test)]
#[path = "coordinator_announced_test.rs"]
mod announced_tests;
