//! The coordinator and the quota together: what is asked for goes out with a permit, and what comes of it is told to both.
//!
//! Without I/O but for the quota's ledger; the time is an argument. So the same code runs in a fetch and in the simulation.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::{Failure, FailureKind, Governor, Permit, RateLimitKind, RequestClass, Take, why_wait};
use crate::limits::RATE_LIMIT_WAIT_MAX;

use super::coordinator::{Action, Ask, Coordinator, PageFacts, Verdict};
use super::progress::FetchEvent;

/// A moment: since the run began, and by the calendar, which the quota's ledger goes by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) run: Duration,
    pub(crate) wall: Timestamp,
}

/// The coordinator behind the quota.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    pub(crate) coordinator: Coordinator,
    governor: Governor,
    /// By generation and page.
    permits: HashMap<(u32, u32), Permit>,
    is_ledger_broken: bool,
}

impl Dispatcher {
    pub(crate) fn new(coordinator: Coordinator, governor: Governor) -> Self {
        Self { coordinator, governor, permits: HashMap::new(), is_ledger_broken: false }
    }

    /// Says what to do. A request that is to be sent has its permit.
    pub(crate) fn next(&mut self, at: Moment) -> Action {
        loop {
            let ask = match self.coordinator.next(at.run) {
                Action::Ask(ask) => ask,
                other => return other,
            };
            let class = if ask.session.is_some() { RequestClass::Session } else { RequestClass::Opening };
            match self.governor.take(class, at.wall) {
                Ok(Take::Granted(permit)) => {
                    self.permits.insert((ask.generation, ask.page), permit);
                    return self.send(ask);
                }
                Ok(Take::NotBefore { at: moment, used, limit }) => {
                    let kind = FailureKind::RateLimited { kind: RateLimitKind::Hourly, retry_after: None };
                    let failure = Failure::new(kind, why_wait(used, limit));
                    self.coordinator.quota_exhausted(failure, at.run, at.run + from_to(at.wall, moment));
                }
                Ok(Take::AllBusy) => self.coordinator.all_busy(at.run),
                // The server still counts; a fetch is not given up because its own count cannot be kept.
                Err(error) => {
                    self.ledger_broke(&error);
                    return self.send(ask);
                }
            }
        }
    }

    fn send(&mut self, ask: Ask) -> Action {
        self.coordinator.sent(ask.page);
        Action::Ask(ask)
    }

    /// The whole reply to a request is here, with status 200. Says whether it is of use.
    pub(crate) fn reply_received(&mut self, ask: &Ask, at: Moment) -> bool {
        if let Some(permit) = self.permit(ask) {
            let told = permit.succeeded(at.wall);
            self.note(told);
        }
        let is_present = self.is_present(ask);
        if is_present {
            self.coordinator.reply_received(ask.page);
        }
        is_present
    }

    /// The reply is a page.
    pub(crate) fn page_arrived(&mut self, ask: &Ask, facts: &PageFacts, at: Moment, fraction: f64) -> Verdict {
        if !self.is_present(ask) {
            return Verdict::Drop;
        }
        let verdict = self.coordinator.page_arrived(ask.page, facts, at.run, fraction);
        self.forget_older();
        verdict
    }

    /// A request brought nothing usable.
    pub(crate) fn request_failed(&mut self, ask: &Ask, failure: Failure, at: Moment, fraction: f64) {
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

    /// Requests of a session that is lost are not waited for: their places are free, and what they cost stays counted.
    fn forget_older(&mut self) {
        let present = self.coordinator.generation();
        self.permits.retain(|(generation, _), _| *generation == present);
    }

    /// Tells the ledger what came of a request. Returns until when the quota is used up, if that is what the server said.
    fn settle(&mut self, ask: &Ask, failure: &Failure, at: Moment) -> Option<Duration> {
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
    pub(crate) fn is_present(&self, ask: &Ask) -> bool {
        ask.generation == self.coordinator.generation()
    }

    /// A reply that is being read has given its permit back already.
    fn permit(&mut self, ask: &Ask) -> Option<Permit> {
        self.permits.remove(&(ask.generation, ask.page))
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
