//! Everything that a fetch decides: the coordinator behind the quota, what the writer gets, what the caller is told.
//!
//! A state machine without I/O but for the quota's ledger; the time is an argument. Whoever drives it carries out its actions
//! one by one and reports what happened, and decides nothing. So the same code runs in a fetch and in the simulation.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use crate::api::{
    Acquired, Failure, FailureKind, PageReply, Permit, RateLimitKind, RateLimiter, RequestClass, why_wait,
};
use crate::error::Error;
use crate::limits::{CLOCK_TOLERANCE, RATE_LIMIT_WAIT_MAX};
use crate::mutant::{Mutant, is_planted};
use crate::parse::Unkept;
use crate::types::ProfileWriteTask;

use super::coordinator::{Coordinator, PageFacts, PageRequest, Step, Verdict};
use super::outcome::Outcome;
use super::progress::FetchEvent;
use super::writer::{Message, Report};

/// A moment: since the run began, and by the calendar, which the quota's ledger goes by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) run: Duration,
    pub(crate) wall: Timestamp,
}

/// What a driver does next.
#[derive(Debug)]
pub(crate) enum Action {
    /// Send this request, for which there is a permit, and report with [`Core::reply_received`] or [`Core::request_failed`].
    Send(PageRequest),
    /// Parse this reply, and report with [`Core::page_arrived`] or [`Core::request_failed`].
    Parse(PageRequest, Vec<u8>),
    /// Hand this to the writer, after everything before it, and pass on what it reports with [`Core::writer_reported`].
    Write(Message),
    /// Abort the requests of earlier sessions than this one.
    Abandon(u32),
    /// Tell the caller.
    Tell(FetchEvent),
    /// Nothing before this moment, counted from the start of the run, unless something happens.
    WaitUntil(Duration),
    /// Nothing until something happens.
    WaitForEvent,
    /// The fetch is over. Everything before this was handed out.
    Finish(Box<End>),
}

/// How a fetch ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) outcome: Outcome,
    /// Why the writer takes no more pages, if it said so.
    pub(crate) writer_error: Option<Error>,
    /// What the pages of this run have that no table has a place for.
    pub(crate) unkept: Unkept,
}

/// All the state of a fetch.
#[derive(Debug)]
pub(crate) struct Core {
    coordinator: Coordinator,
    limiter: RateLimiter,
    /// By epoch and page.
    permits: HashMap<(u32, u32), Permit>,
    is_ledger_broken: bool,
    /// Actions that were decided and not handed out yet.
    actions: VecDeque<Action>,
    /// The session that requests are sent for.
    epoch: u32,
    /// The session that the writer stages pages of.
    staged_epoch: u32,
    is_session_recorded: bool,
    unkept: Unkept,
    writer_error: Option<Error>,
}

impl Core {
    /// `staged_epoch` is the session that an earlier process staged pages of; 0 if there was none.
    pub(crate) fn new(coordinator: Coordinator, staged_epoch: u32, limiter: RateLimiter) -> Self {
        Self {
            epoch: coordinator.epoch(),
            staged_epoch,
            is_session_recorded: coordinator.session().is_some(),
            coordinator,
            limiter,
            permits: HashMap::new(),
            is_ledger_broken: false,
            actions: VecDeque::new(),
            unkept: Unkept::default(),
            writer_error: None,
        }
    }

    /// Says what to do. Everything that does not wait comes before what does.
    pub(crate) fn next(&mut self, at: Moment) -> Action {
        if let Some(action) = self.actions.pop_front() {
            return action;
        }
        let decided = self.decide(at);
        self.follow();
        self.actions.push_back(decided);
        self.actions.pop_front().unwrap_or(Action::WaitForEvent)
    }

    /// Asks the coordinator and the quota.
    fn decide(&mut self, at: Moment) -> Action {
        loop {
            let ask = match self.coordinator.next(at.run) {
                Step::Send(ask) => ask,
                Step::WaitUntil(moment) => return Action::WaitUntil(moment),
                Step::WaitForEvent => return Action::WaitForEvent,
                Step::Finish => {
                    let outcome = self.coordinator.finish(at.run);
                    let (writer_error, unkept) = (self.writer_error.take(), std::mem::take(&mut self.unkept));
                    return Action::Finish(Box::new(End { outcome, writer_error, unkept }));
                }
            };
            let class = if ask.session.is_some() { RequestClass::Session } else { RequestClass::Opening };
            match self.limiter.acquire(class, at.wall) {
                Ok(Acquired::Granted(permit)) => {
                    self.permits.insert((ask.epoch, ask.page), permit);
                    return self.send(ask);
                }
                Ok(Acquired::NotBefore { at: moment, used, limit }) => {
                    let kind = FailureKind::RateLimited { kind: RateLimitKind::Hourly, retry_after: None };
                    let failure = Failure::new(kind, why_wait(used, limit));
                    self.coordinator.quota_exhausted(failure, at.run, at.run + from_to(at.wall, moment));
                }
                Ok(Acquired::AllBusy) => self.coordinator.all_busy(at.run),
                // The server still counts; a fetch is not given up because its own count cannot be kept.
                Err(error) => {
                    self.ledger_broke(&error);
                    return self.send(ask);
                }
            }
        }
    }

    fn send(&mut self, ask: PageRequest) -> Action {
        self.coordinator.sent(ask.page);
        Action::Send(ask)
    }

    /// Turns what the coordinator decided since the last time into actions.
    fn follow(&mut self) {
        let epoch = self.coordinator.epoch();
        if std::mem::replace(&mut self.epoch, epoch) != epoch {
            self.is_session_recorded = false;
            if !is_planted(Mutant::LostSessionNotAbandoned) {
                self.actions.push_back(Action::Abandon(epoch));
            }
            self.begin_epoch();
        }
        while let Some(event) = self.coordinator.next_event() {
            if let FetchEvent::Page(progress) = &event
                && !progress.success
            {
                self.actions.push_back(Action::Write(Message::Missing(progress.page_index)));
            }
            self.actions.push_back(Action::Tell(event));
        }
    }

    /// Has the writer stage pages of the present session. After a session that was lost that is so at once; a session that an
    /// earlier process left stays what a later one resumes until page 0 of a new one is here.
    fn begin_epoch(&mut self) {
        if std::mem::replace(&mut self.staged_epoch, self.epoch) != self.epoch {
            self.actions.push_back(Action::Write(Message::Restart(self.epoch)));
        }
    }

    /// The whole reply to a request is here, with status 200. It is parsed if it is of use.
    pub(crate) fn reply_received(&mut self, ask: PageRequest, body: Vec<u8>, at: Moment) {
        if let Some(permit) = self.permit(&ask) {
            let told = permit.succeeded(at.wall);
            self.note(told);
        }
        if self.is_present(&ask) {
            self.coordinator.reply_received(ask.page);
            self.actions.push_back(Action::Parse(ask, body));
        }
    }

    /// The reply is a page. `server_time` is the newest time that the server has said.
    pub(crate) fn page_arrived(
        &mut self,
        ask: &PageRequest,
        reply: PageReply,
        server_time: Option<Timestamp>,
        at: Moment,
        fraction: f64,
    ) {
        if !self.is_present(ask) {
            return;
        }
        let verdict = self.coordinator.page_arrived(ask.page, &PageFacts::of(&reply), at.run, fraction);
        self.forget_older();
        if verdict == Verdict::Store {
            self.unkept.add(reply.body.rows.unkept());
            if !is_planted(Mutant::SessionRecordedTooLate) {
                self.record_session(server_time, at);
            }
            let task = ProfileWriteTask { page_index: ask.page, rows: reply.body.rows };
            if is_planted(Mutant::PageStagedTooEarly) {
                self.coordinator.page_staged(ask.page, task.rows.len() as u64);
            }
            self.actions.push_back(Action::Write(Message::Page(Box::new(task))));
            self.record_session(server_time, at);
        }
    }

    /// The session goes into the manifest before its first page goes into the stage.
    fn record_session(&mut self, server_time: Option<Timestamp>, at: Moment) {
        if self.is_session_recorded {
            return;
        }
        let Some(mut facts) = self.coordinator.session() else { return };
        facts.server_time = server_time;
        self.warn_of_clock(server_time, at);
        self.is_session_recorded = true;
        self.begin_epoch();
        self.actions.push_back(Action::Write(Message::Session(facts)));
    }

    /// What is recorded of the run goes by the server's clock, if this one is ahead of it.
    fn warn_of_clock(&mut self, server_time: Option<Timestamp>, at: Moment) {
        let ahead = server_time.map_or(0, |time| at.wall.as_second() - time.as_second());
        if u64::try_from(ahead).is_ok_and(|ahead| ahead > CLOCK_TOLERANCE.as_secs()) {
            let text = format!(
                "this machine's clock is {ahead} s ahead of the server's; the load is recorded for the server's time"
            );
            self.coordinator.tell(FetchEvent::Warning(text));
        }
    }

    /// A request brought nothing usable.
    pub(crate) fn request_failed(&mut self, ask: &PageRequest, failure: Failure, at: Moment, fraction: f64) {
        let until = self.settle(ask, &failure, at);
        if !self.is_present(ask) {
            return;
        }
        match until {
            Some(until) => self.coordinator.quota_refused(ask.page, failure, at.run, until),
            None => self.coordinator.request_failed(ask.page, failure, at.run, fraction),
        }
        self.forget_older();
    }

    /// The writer reports. `None` means that its thread ended without a report.
    pub(crate) fn writer_reported(&mut self, report: Option<Report>) {
        match report {
            // A page of a session that was lost since then.
            Some(Report::Staged { epoch, .. }) if epoch != self.coordinator.epoch() => {}
            Some(Report::Staged { .. }) if is_planted(Mutant::PageStagedTooEarly) => {}
            Some(Report::Staged { page, rows, .. }) => self.coordinator.page_staged(page, rows),
            Some(Report::Failed(error)) => {
                self.writer_error = Some(error);
                self.coordinator.writer_failed();
            }
            Some(Report::Ended) | None => self.coordinator.writer_failed(),
        }
    }

    /// The caller wants the fetch to end; requests in flight get until `deadline`, counted from the start of the run.
    pub(crate) fn stop(&mut self, deadline: Duration) {
        self.coordinator.stop(deadline);
    }

    /// Requests of a session that is lost are not waited for: their places are free, and what they cost stays counted.
    fn forget_older(&mut self) {
        let present = self.coordinator.epoch();
        self.permits.retain(|(epoch, _), _| *epoch == present);
    }

    /// Tells the ledger what came of a request. Returns until when the quota is used up, if that is what the server said.
    fn settle(&mut self, ask: &PageRequest, failure: &Failure, at: Moment) -> Option<Duration> {
        let permit = self.permit(ask);
        if let FailureKind::RateLimited { kind: RateLimitKind::Hourly, retry_after } = failure.kind {
            let moment = permit.map(|permit| permit.refused_hourly(at.wall, retry_after));
            return Some(match moment {
                Some(Ok(moment)) => at.run + from_to(at.wall, moment),
                Some(Err(error)) => {
                    self.ledger_broke(&error);
                    at.run + RATE_LIMIT_WAIT_MAX
                }
                None => at.run + RATE_LIMIT_WAIT_MAX,
            });
        }
        if let Some(permit) = permit {
            if failure.kind == FailureKind::Connection && is_planted(Mutant::PermitLeaked) {
                std::mem::forget(permit);
                return None;
            }
            let told = match failure.kind {
                kind if !kind.is_counted() => permit.refunded(at.wall),
                kind if !kind.was_answered() => permit.answered(at.wall),
                _ => permit.succeeded(at.wall),
            };
            self.note(told);
        }
        None
    }

    /// A reply of an earlier session is of no use any more.
    fn is_present(&self, ask: &PageRequest) -> bool {
        ask.epoch == self.coordinator.epoch() || is_planted(Mutant::LostSessionUsed)
    }

    /// A reply that is being read has given its permit back already.
    fn permit(&mut self, ask: &PageRequest) -> Option<Permit> {
        self.permits.remove(&(ask.epoch, ask.page))
    }

    fn note(&mut self, told: crate::error::Result<()>) {
        if let Err(error) = told {
            self.ledger_broke(&error);
        }
    }

    fn ledger_broke(&mut self, error: &crate::error::Error) {
        if !std::mem::replace(&mut self.is_ledger_broken, true) {
            let text = format!(
                "the count of this project's queries cannot be kept, so the quota is left to the server: {error}"
            );
            self.coordinator.tell(FetchEvent::Warning(text));
        }
    }
}

/// The time from one moment to another; none if it is past.
fn from_to(now: Timestamp, moment: Timestamp) -> Duration {
    Duration::try_from(moment.duration_since(now)).unwrap_or(Duration::ZERO)
}
