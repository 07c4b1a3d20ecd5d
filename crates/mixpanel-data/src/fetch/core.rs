//! The decision logic of a fetch: combines the coordinator with the quota, messages to the writer, and events for the
//! caller.
//!
//! This is a state machine without I/O, except for the quota ledger; the current time is an argument. A driver performs
//! its actions one by one and reports the results, but decides nothing, so a real fetch and the simulation run the same
//! code.

mod circuit_breaker;
mod coordinator;
mod outcome;
mod pacing;
mod parts;
mod slices;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use crate::api::{Failure, FailureKind, RateLimitKind};
use crate::clock::differs;
use crate::error::Error;
use crate::limits::RATE_LIMIT_WAIT_MAX;
use crate::mutant::{Mutant, is_active};
use crate::parse::Unstored;
use crate::quota::{Acquired, Permit, RateLimiter};
use crate::warning::Warning;

use super::part::PartRequest;
use super::progress::FetchEvent;
use super::source::Page;
use super::writer::{Message, Report};
use coordinator::{PartDecision, Step};

pub(super) use coordinator::Coordinator;
pub(super) use outcome::{Ending, Outcome};
pub(super) use parts::{PartState, Parts};

/// A point in time: the time since the run began, and the wall-clock time that the quota ledger uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) run: Duration,
    pub(crate) wall: Timestamp,
}

/// The next action for the driver.
#[derive(Debug)]
pub(crate) enum Action {
    /// Send this request, which has a permit, and report the result with [`Core::reply_received`] or
    /// [`Core::request_failed`]; that of a slice with [`Core::slice_arrived`], [`Core::slice_not_stored`] or
    /// [`Core::request_failed`].
    Send(PartRequest),
    /// Parse this response, and report the result with [`Core::part_arrived`] or [`Core::request_failed`].
    Parse(PartRequest, Vec<u8>),
    /// Send this to the writer after all earlier messages, and forward its report to [`Core::writer_reported`].
    Write(Message),
    /// Abort the requests of session epochs before this one.
    Abandon(u32),
    /// Report this event to the caller.
    Tell(FetchEvent),
    /// Wait for an event until this time, measured from the start of the run.
    WaitUntil(Duration),
    /// Wait for an event.
    WaitForEvent,
    /// The fetch is over. All earlier actions have been returned.
    Finish(Box<End>),
}

/// How a fetch ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) outcome: Outcome,
    /// The error that stopped the writer, if any.
    pub(crate) writer_error: Option<Error>,
    /// Data in the pages of this run that has no table column.
    pub(crate) unstored: Unstored,
}

/// The state of a fetch.
#[derive(Debug)]
pub(crate) struct Core {
    coordinator: Coordinator,
    limiter: RateLimiter,
    /// Permits of requests in flight, by session epoch and part.
    permits: HashMap<(u32, u32), Permit>,
    is_ledger_broken: bool,
    /// Actions that were decided but not yet returned.
    actions: VecDeque<Action>,
    /// The session epoch of new requests.
    epoch: u32,
    /// The session epoch of the pages that the writer stages.
    staged_epoch: u32,
    is_session_recorded: bool,
    unstored: Unstored,
    writer_error: Option<Error>,
}

impl Core {
    /// Creates the core. `staged_epoch` is the session epoch of the pages that an earlier process staged; 0 if there
    /// are none.
    pub(crate) fn new(coordinator: Coordinator, staged_epoch: u32, limiter: RateLimiter) -> Self {
        Self {
            epoch: coordinator.epoch(),
            staged_epoch,
            is_session_recorded: coordinator.session(None).is_some(),
            coordinator,
            limiter,
            permits: HashMap::new(),
            is_ledger_broken: false,
            actions: VecDeque::new(),
            unstored: Unstored::default(),
            writer_error: None,
        }
    }

    /// Returns the next action if it has already been decided. Unlike [`next`](Self::next), never accesses the quota
    /// ledger.
    pub(crate) fn decided(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Returns the next action. A wait is returned only after all other pending actions.
    pub(crate) fn next(&mut self, at: Now) -> Action {
        if let Some(action) = self.decided() {
            return action;
        }
        let decided = self.decide(at);
        self.follow();
        self.actions.push_back(decided);
        self.actions.pop_front().unwrap_or(Action::WaitForEvent)
    }

    /// Decides the next action from the coordinator and the quota.
    fn decide(&mut self, at: Now) -> Action {
        loop {
            let request = match self.coordinator.next(at.run) {
                Step::Send(request) => request,
                Step::WaitUntil(moment) => return Action::WaitUntil(moment),
                Step::WaitForEvent => return Action::WaitForEvent,
                Step::Finish => {
                    let outcome = self.coordinator.finish(at.run);
                    let (writer_error, unstored) = (self.writer_error.take(), std::mem::take(&mut self.unstored));
                    return Action::Finish(Box::new(End { outcome, writer_error, unstored }));
                }
            };
            match self.limiter.acquire(request.class(), at.wall) {
                Ok(Acquired::Granted(permit)) => {
                    self.permits.insert((request.epoch, request.part), permit);
                    return self.send(request);
                }
                Ok(Acquired::NotBefore { at: moment, cause, used, limit }) => {
                    let kind = FailureKind::RateLimited { kind: RateLimitKind::Hourly, retry_after: None };
                    let failure = Failure::new(kind, self.limiter.why_wait(cause, used, limit));
                    self.coordinator.quota_exhausted(failure, at.run, at.run + from_to(at.wall, moment));
                }
                Ok(Acquired::TooSoon { at: moment }) => {
                    self.coordinator.too_soon(at.run + from_to(at.wall, moment));
                }
                Ok(Acquired::NoFreeSlot) => self.coordinator.all_busy(at.run),
                // The server enforces the quota too, so the fetch continues even if the ledger fails.
                Err(error) => {
                    self.ledger_broke(&error);
                    return self.send(request);
                }
            }
        }
    }

    fn send(&mut self, request: PartRequest) -> Action {
        self.coordinator.sent(request.part);
        Action::Send(request)
    }

    /// Turns the coordinator's latest decisions into actions.
    fn follow(&mut self) {
        let epoch = self.coordinator.epoch();
        if std::mem::replace(&mut self.epoch, epoch) != epoch {
            self.is_session_recorded = false;
            if !is_active(Mutant::LostSessionNotAbandoned) {
                self.actions.push_back(Action::Abandon(epoch));
            }
            self.begin_epoch();
        }
        if let Some(plan) = self.coordinator.changed_plan().filter(|_| !is_active(Mutant::PlanNotRecorded)) {
            self.actions.push_back(Action::Write(Message::Plan(plan)));
        }
        while let Some(part) = self.coordinator.next_given_up() {
            self.actions.push_back(Action::Write(Message::Missing(part)));
        }
        while let Some(event) = self.coordinator.next_event() {
            self.actions.push_back(Action::Tell(event));
        }
    }

    /// Switches the writer to the current session epoch. After a lost session, this happens at once. A session that an
    /// earlier process left remains resumable until page 0 of a new session has arrived.
    fn begin_epoch(&mut self) {
        if std::mem::replace(&mut self.staged_epoch, self.epoch) != self.epoch {
            self.actions.push_back(Action::Write(Message::Restart(self.epoch)));
        }
    }

    /// Handles a complete response with status 200. It is parsed if it can still be used.
    pub(crate) fn reply_received(&mut self, request: PartRequest, body: Vec<u8>, at: Now) {
        if let Some(permit) = self.permit(&request) {
            let told = permit.succeeded(at.wall);
            self.note(told);
        }
        if self.is_current(&request) {
            self.coordinator.reply_received(request.part);
            self.actions.push_back(Action::Parse(request, body));
        }
    }

    /// Handles a parsed page. `server_time` is the latest time that the server reported.
    pub(crate) fn part_arrived(
        &mut self,
        request: &PartRequest,
        mut page: Page,
        server_time: Option<Timestamp>,
        at: Now,
        fraction: f64,
    ) {
        if !self.is_current(request) {
            return;
        }
        self.coordinator.cut(request.part, &mut page);
        let verdict = self.coordinator.part_arrived(request.part, &page.facts, at.run, fraction);
        self.drop_stale_permits();
        if verdict == PartDecision::Store {
            self.unstored.add(page.unstored());
            if !is_active(Mutant::SessionRecordedTooLate) {
                self.record_session(server_time, at);
            }
            if is_active(Mutant::PageStagedTooEarly) {
                self.coordinator.part_staged(request.part, page.rows());
            }
            self.actions.push_back(Action::Write(Message::Page(Box::new(page.into_task(request.part)))));
            self.record_session(server_time, at);
        }
    }

    /// Records the session in the manifest before its first page is staged.
    fn record_session(&mut self, server_time: Option<Timestamp>, at: Now) {
        if self.is_session_recorded {
            return;
        }
        let Some(mut facts) = self.coordinator.session(server_time) else { return };
        let ahead = server_time.map_or(0, |time| at.wall.as_second() - time.as_second());
        if differs(ahead) {
            facts.clock_ahead = ahead;
            self.coordinator.tell(FetchEvent::Warning(Warning::ClockDiffers { seconds_ahead: ahead }));
        }
        self.is_session_recorded = true;
        self.begin_epoch();
        self.actions.push_back(Action::Write(Message::Session(facts)));
    }

    /// Handles a request that failed or returned nothing usable.
    pub(crate) fn request_failed(&mut self, request: &PartRequest, failure: Failure, at: Now, fraction: f64) {
        let until = self.record_failure(request, &failure, at);
        if !self.is_current(request) {
            return;
        }
        match until {
            Some(until) => self.coordinator.quota_refused(request.part, failure, at.run, until),
            None => self.coordinator.request_failed(request.part, failure, at.run, fraction),
        }
        self.drop_stale_permits();
    }

    /// Handles a report from the writer. `None` means that its thread ended without a report.
    pub(crate) fn writer_reported(&mut self, report: Option<Report>) {
        match report {
            // The part belongs to a session that has since been lost.
            Some(Report::Staged { epoch, .. }) if epoch != self.coordinator.epoch() => {}
            Some(Report::Staged { .. }) if is_active(Mutant::PageStagedTooEarly) => {}
            Some(Report::Staged { part, rows, .. }) => self.coordinator.part_staged(part, rows),
            Some(Report::Failed(error)) => {
                self.writer_error = Some(error);
                self.coordinator.writer_failed();
            }
            Some(Report::Ended) | None => self.coordinator.writer_failed(),
        }
    }

    /// Stops the fetch at the caller's request; requests in flight have until `deadline`, measured from the start of
    /// the run.
    pub(crate) fn stop(&mut self, deadline: Duration) {
        self.coordinator.stop(deadline);
    }

    /// Drops the permits of lost sessions. This frees their slots; their requests still count towards the quota.
    fn drop_stale_permits(&mut self) {
        let present = self.coordinator.epoch();
        self.permits.retain(|(epoch, _), _| *epoch == present);
    }

    /// Records a failed request in the ledger. If the server reported an exhausted quota, returns the time when
    /// requests may be sent again.
    fn record_failure(&mut self, request: &PartRequest, failure: &Failure, at: Now) -> Option<Duration> {
        let permit = self.permit(request);
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
            if failure.kind == FailureKind::Connection && is_active(Mutant::PermitLeaked) {
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

    /// Returns whether a response belongs to the current session epoch; others cannot be used.
    fn is_current(&self, request: &PartRequest) -> bool {
        request.epoch == self.coordinator.epoch() || is_active(Mutant::LostSessionUsed)
    }

    /// Takes the permit of a request. There is none while its response is being parsed, because it was returned when
    /// the response arrived.
    fn permit(&mut self, request: &PartRequest) -> Option<Permit> {
        self.permits.remove(&(request.epoch, request.part))
    }

    fn note(&mut self, told: crate::error::Result<()>) {
        if let Err(error) = told {
            self.ledger_broke(&error);
        }
    }

    fn ledger_broke(&mut self, error: &crate::error::Error) {
        if !std::mem::replace(&mut self.is_ledger_broken, true) {
            self.coordinator.tell(FetchEvent::Warning(Warning::LedgerBroken { reason: error.to_string() }));
        }
    }
}

/// Returns the time from `now` to `moment`; zero if `moment` is in the past.
fn from_to(now: Timestamp, moment: Timestamp) -> Duration {
    Duration::try_from(moment.duration_since(now)).unwrap_or(Duration::ZERO)
}
