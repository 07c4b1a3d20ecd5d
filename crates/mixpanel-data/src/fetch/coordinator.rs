//! Decides what a fetch does next. A state machine without I/O: it is told what happened and when, and answers what to
//! do. Times are counted from the start of the run; random numbers are given.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::api::{Decision, Failure, FailureKind, decide};
use crate::limits::{FLIGHT_BYTES_MAX, PAGES_WARNING, PROBE_ATTEMPTS_MAX, QUERIES_PER_HOUR, WRITER_QUEUE_PAGES};
use crate::types::ProfileProgress;

use super::gate::Gate;
use super::outcome::{Ending, Outcome};
use super::pages::{FailedAttempts, PageState, Pages};
use super::plan::Plan;
use super::progress::FetchEvent;

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send a request for this page; report what came of it.
    Ask { page: u32, session: Option<String> },
    /// Nothing before this moment, unless something happens.
    WaitUntil(Duration),
    /// Nothing until something happens.
    WaitForEvent,
    /// The fetch is over; see [`Coordinator::finish`].
    Finish,
}

/// What to do with a page that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Hand it to the writer, and report when it is staged.
    Store,
    /// Drop it: it is not the page that was asked for, or it only shows that nothing follows.
    Drop,
}

/// What a page says, less its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageFacts {
    pub(crate) page: Option<u64>,
    pub(crate) page_size: Option<u64>,
    pub(crate) session_id: Option<String>,
    pub(crate) total: Option<u64>,
    /// Records, rejects included.
    pub(crate) received: u64,
    /// Size of the decoded reply.
    pub(crate) bytes: usize,
}

/// The state of a fetch.
#[derive(Debug)]
pub(crate) struct Coordinator {
    workers: u32,
    plan: Option<Plan>,
    session_id: Option<String>,
    pages: Pages,
    in_flight: u32,
    writing: u32,
    largest_page: usize,
    gate: Gate,
    ending: Option<Ending>,
    /// When pages in flight are not waited for any more.
    stop_deadline: Option<Duration>,
    failed: BTreeMap<u32, Failure>,
    received: u64,
    rejected: u64,
    rows: u64,
    request_count: u64,
    retry_count: u64,
    events: VecDeque<FetchEvent>,
}

impl Coordinator {
    /// Begins a fetch with at most `workers` requests at a time.
    pub(crate) fn new(workers: u32) -> Self {
        Self {
            workers: workers.max(1),
            plan: None,
            session_id: None,
            pages: Pages::default(),
            in_flight: 0,
            writing: 0,
            largest_page: 1,
            gate: Gate::default(),
            ending: None,
            stop_deadline: None,
            failed: BTreeMap::new(),
            received: 0,
            rejected: 0,
            rows: 0,
            request_count: 0,
            retry_count: 0,
            events: VecDeque::new(),
        }
    }

    /// Takes the oldest event that the caller has not been told yet.
    pub(crate) fn next_event(&mut self) -> Option<FetchEvent> {
        self.events.pop_front()
    }

    /// Says what to do at `now`. Ask again after every action that is not a wait.
    pub(crate) fn next(&mut self, now: Duration) -> Action {
        let under_way = self.in_flight + self.writing;
        match &self.ending {
            Some(Ending::WriterFailed) => return Action::Finish,
            Some(_) if under_way == 0 || self.stop_deadline.is_some_and(|deadline| now >= deadline) => {
                return Action::Finish;
            }
            Some(_) => return self.stop_deadline.map_or(Action::WaitForEvent, Action::WaitUntil),
            None => {}
        }
        if self.gate.open_if_due(now) {
            self.events.push_back(FetchEvent::Resumed);
        }
        if let Some(until) = self.gate.closed_until() {
            return Action::WaitUntil(until);
        }
        let by_memory = u32::try_from(FLIGHT_BYTES_MAX / self.largest_page).unwrap_or(u32::MAX).max(1);
        let allowed = if self.gate.is_on_trial() { 1 } else { self.workers };
        let queue = u32::try_from(WRITER_QUEUE_PAGES).unwrap_or(u32::MAX);
        if self.in_flight >= allowed || under_way >= by_memory.min(allowed + queue) {
            return Action::WaitForEvent;
        }
        self.pick(now).unwrap_or_else(|| self.wait_or_finish(under_way))
    }

    /// The next page to ask for: what is to be repeated first, then the plan, then the page after it.
    fn pick(&mut self, now: Duration) -> Option<Action> {
        if let Some((page, failed)) = self.pages.take_due(now) {
            self.retry_count += 1;
            return Some(self.ask(page, failed));
        }
        let fresh = self.pages.next_fresh();
        let is_planned = fresh < self.plan.as_ref().map_or(1, Plan::pages);
        if !is_planned && self.plan.as_ref().and_then(Plan::probe) != Some(fresh) {
            return None;
        }
        let page = self.pages.take_fresh();
        Some(self.ask(page, FailedAttempts::default()))
    }

    fn ask(&mut self, page: u32, failed: FailedAttempts) -> Action {
        self.pages.set(page, PageState::Asked { failed });
        self.in_flight += 1;
        self.request_count += 1;
        let session = if page == 0 { None } else { self.session_id.clone() };
        Action::Ask { page, session }
    }

    fn wait_or_finish(&self, under_way: u32) -> Action {
        match self.pages.next_due() {
            Some(moment) => Action::WaitUntil(moment),
            None if under_way > 0 => Action::WaitForEvent,
            None => Action::Finish,
        }
    }

    /// A whole reply came for `page`.
    pub(crate) fn page_arrived(&mut self, page: u32, facts: &PageFacts, now: Duration, fraction: f64) -> Verdict {
        if let Err(failure) = self.check_reply(page, facts) {
            self.request_failed(page, failure, now, fraction);
            return Verdict::Drop;
        }
        self.in_flight -= 1;
        self.gate.request_succeeded();
        self.largest_page = self.largest_page.max(facts.bytes);
        if self.plan.is_none() {
            self.make_plan(facts);
        }
        let Some(plan) = &mut self.plan else { return Verdict::Drop };
        let is_probe = plan.probe() == Some(page);
        plan.page_arrived(page, facts.received);
        // A short last page ends the plan, unless the page after it is under way already.
        if page + 1 == plan.pages()
            && facts.received < plan.page_size()
            && plan.probe() == Some(self.pages.next_fresh())
        {
            plan.drop_probe();
        }
        if is_probe && facts.received == 0 {
            self.pages.set(page, PageState::Absent);
            return Verdict::Drop;
        }
        self.writing += 1;
        self.pages.set(page, PageState::Writing { received: facts.received });
        Verdict::Store
    }

    /// A reply must belong to the session of page 0 and be the page that was asked for.
    fn check_reply(&self, page: u32, facts: &PageFacts) -> Result<(), Failure> {
        if facts.page.is_some_and(|echoed| echoed != u64::from(page)) {
            let message = format!("the reply to page {page} is another page");
            return Err(Failure::new(FailureKind::BadReply, message));
        }
        let Some(plan) = &self.plan else { return Ok(()) };
        let other_session = facts.session_id.is_some() && facts.session_id != self.session_id;
        let other_size = facts.page_size.is_some_and(|size| !plan.is_page_size(size));
        if other_session || other_size {
            let message = format!("the reply to page {page} belongs to another session than page 0");
            return Err(Failure::new(FailureKind::SessionLost, message));
        }
        Ok(())
    }

    fn make_plan(&mut self, facts: &PageFacts) {
        let mut plan = Plan::new(facts.total, facts.page_size, facts.received);
        self.session_id.clone_from(&facts.session_id);
        if self.session_id.is_none() {
            let more_may_follow = plan.probe().is_some() && !plan.covers_total();
            if plan.pages() > 1 || more_may_follow {
                let message = "there may be more pages, and the server names no session to ask for them with";
                self.end(Ending::Fatal(Failure::new(FailureKind::BadReply, message)));
            }
            plan.close();
        }
        let total_pages = plan.total().map(|_| plan.pages());
        self.events.push_back(FetchEvent::Planned { total_pages, expected_rows: plan.total(), workers: self.workers });
        if plan.pages() > PAGES_WARNING {
            self.events.push_back(FetchEvent::Warning(format!(
                "{} pages to fetch, and Mixpanel allows {QUERIES_PER_HOUR} queries an hour for a project; pages after the first are reported not to count, but if they do here, the fetch will meet that limit (a larger page size needs fewer pages)",
                plan.pages()
            )));
        }
        self.plan = Some(plan);
    }

    /// A page is staged.
    pub(crate) fn page_staged(&mut self, page: u32, rows: u64) {
        self.writing -= 1;
        let received = match self.pages.state(page) {
            PageState::Writing { received } => received,
            _ => rows,
        };
        self.pages.set(page, PageState::Staged);
        self.received += received;
        self.rejected += received - rows;
        self.rows += rows;
        self.report(page, Ok(rows));
    }

    /// The writer failed and takes no more pages.
    pub(crate) fn writer_failed(&mut self) {
        self.end(Ending::WriterFailed);
    }

    /// The caller wants the fetch to end; pages in flight get until `deadline`.
    pub(crate) fn stop(&mut self, deadline: Duration) {
        self.stop_deadline = Some(deadline);
        self.end(Ending::Stopped);
    }

    /// A request for `page` brought nothing usable.
    pub(crate) fn request_failed(&mut self, page: u32, failure: Failure, now: Duration, fraction: f64) {
        self.in_flight -= 1;
        let mut failed = self.pages.failed_attempts(page);
        if failure.kind.ends_the_run() {
            self.pages.set(page, PageState::Fresh);
            self.end(Ending::Fatal(failure));
            return;
        }
        if self.ending.is_some() {
            self.pages.set(page, PageState::Fresh);
            return;
        }
        let is_probe = self.plan.as_ref().and_then(Plan::probe) == Some(page);
        match self.decide(&failure, &mut failed, fraction, is_probe) {
            Decision::Retry(pause) => self.retry(page, failed, &failure, now, pause),
            Decision::Pause(pause) => {
                self.retry(page, failed, &failure, now, pause);
                self.gate.close(now, now + pause);
                self.events.push_back(FetchEvent::Waiting { reason: failure.message, pause });
            }
            _ if is_probe && self.nothing_may_follow(&failure) => {
                self.pages.set(page, PageState::Absent);
                self.plan.iter_mut().for_each(Plan::drop_probe);
            }
            _ if self.plan.is_none() => {
                self.pages.set(page, PageState::Fresh);
                self.end(Ending::Fatal(failure));
            }
            decision => {
                self.plan.iter_mut().filter(|_| is_probe).for_each(Plan::keep_probe);
                self.give_up(page, &failure);
                if decision == Decision::Halt {
                    self.end(Ending::Halted(failure));
                }
            }
        }
    }

    /// The page after the last one is not worth as many attempts as the others when the server said that it has none.
    fn decide(&self, failure: &Failure, failed: &mut FailedAttempts, fraction: f64, is_probe: bool) -> Decision {
        let count = match failure.kind {
            FailureKind::RateLimited { .. } => &mut failed.by_rate_limit,
            _ => &mut failed.by_fault,
        };
        *count += 1;
        let expected_absent = is_probe && self.plan.as_ref().is_some_and(Plan::covers_total);
        if expected_absent && *count >= PROBE_ATTEMPTS_MAX {
            return Decision::Fail;
        }
        decide(failure, *count, fraction)
    }

    /// A refusal of the page after the last one may be the server's way to say that there is none. Anything else is not,
    /// least of all a lost session, unless the server said before how many profiles there are and they are all here.
    fn nothing_may_follow(&self, failure: &Failure) -> bool {
        let refused = matches!(failure.kind, FailureKind::Rejected(400) | FailureKind::NotFound);
        refused || self.plan.as_ref().is_some_and(Plan::covers_total)
    }

    fn retry(&mut self, page: u32, failed: FailedAttempts, failure: &Failure, now: Duration, pause: Duration) {
        self.pages.retry(page, failed, now + pause);
        let attempt = failed.by_fault + failed.by_rate_limit;
        self.events.push_back(FetchEvent::Retry { page_index: page, attempt, reason: failure.message.clone(), pause });
    }

    fn give_up(&mut self, page: u32, failure: &Failure) {
        self.pages.set(page, PageState::Failed);
        self.failed.insert(page, failure.clone());
        self.report(page, Err(failure.message.clone()));
    }

    fn report(&mut self, page: u32, result: Result<u64, String>) {
        let plan = self.plan.as_ref();
        self.events.push_back(FetchEvent::Page(ProfileProgress {
            page_index: page,
            total_pages: plan.filter(|plan| plan.total().is_some()).map(Plan::pages),
            rows: *result.as_ref().unwrap_or(&0),
            success: result.is_ok(),
            error: result.err(),
            cumulative_rows: self.rows,
        }));
    }

    /// The first reason counts, but a writer that failed or a run that cannot go on beats a wish to stop.
    fn end(&mut self, ending: Ending) {
        let severity = |ending: &Ending| match ending {
            Ending::Halted(_) => 0,
            Ending::Stopped => 1,
            Ending::Fatal(_) => 2,
            Ending::WriterFailed => 3,
        };
        if self.ending.as_ref().is_none_or(|current| severity(current) < severity(&ending)) {
            self.ending = Some(ending);
        }
    }

    /// Closes the books. After a halt, every page that is not there has failed for the same reason.
    pub(crate) fn finish(&mut self, now: Duration) -> Outcome {
        if let Some(Ending::Halted(failure)) = self.ending.clone() {
            for page in self.pages.unfinished(self.plan.as_ref().map_or(1, Plan::pages)) {
                let message = format!("given up, because of another page: {}", failure.message);
                self.give_up(page, &Failure::new(failure.kind, message));
            }
        }
        Outcome {
            ending: self.ending.clone(),
            staged: self.pages.staged(),
            failed: self.failed.clone(),
            expected_rows: self.plan.as_ref().and_then(Plan::total),
            received: self.received,
            rejected: self.rejected,
            requests: self.request_count,
            retries: self.retry_count,
            waited: self.gate.waited(now),
        }
    }

    /// What page 0 said, for the manifest: session, total and page size.
    pub(crate) fn session(&self) -> Option<(Option<&str>, &Plan)> {
        self.plan.as_ref().map(|plan| (self.session_id.as_deref(), plan))
    }
}

#[cfg(test)]
#[path = "coordinator_test.rs"]
mod tests;
