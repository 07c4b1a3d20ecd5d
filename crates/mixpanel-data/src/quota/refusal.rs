//! How to proceed after a 429 about the window: how long nothing is sent, and which request tests for room.
//!
//! If our own requests explain the refusal, the ledger knows when it ends. Otherwise other clients use the quota, and
//! it is unknown when their requests leave the window: a single request, the *probe*, is sent after part of the
//! window. If the probe is refused too, nothing is sent until the window of the first refusal must be over. So at
//! most one request is wasted between a refusal and that time, however many processes wait.

use serde::{Deserialize, Serialize};

use crate::limits;

use super::ledger::{Ledger, Micros, RequestClass, WindowParams};

/// A refusal that still applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refusal {
    /// When the first request was refused.
    first: Micros,
    /// When the next request may be sent.
    next: Micros,
    /// The request sent to test whether there is room.
    probe: Option<u64>,
}

impl Refusal {
    /// Returns when the window of the first refusal is over, regardless of which clients used it.
    fn over_at(&self, params: &WindowParams) -> Micros {
        self.first.saturating_add(params.window).saturating_add(params.margin)
    }

    /// Shifts the refusal with a clock that was set back. The result is never in the future and never outlasts the
    /// window.
    pub(super) fn set_back(&mut self, by: Micros, clock: Micros, params: &WindowParams) {
        self.first = self.first.saturating_sub(by).min(clock);
        self.next = self.next.saturating_sub(by).min(clock.saturating_add(params.window).saturating_add(params.grace));
    }
}

impl Ledger {
    /// Returns until when nothing is sent because of a refusal.
    pub(super) fn held_until(&self, class: RequestClass, params: &WindowParams) -> Option<Micros> {
        let refusal = self.refusal.as_ref().filter(|_| self.counts(class))?;
        let probing_until = refusal.probe.and_then(|probe| self.unanswered_until(probe, params));
        probing_until.max(Some(refusal.next)).filter(|moment| *moment > self.clock)
    }

    /// Records as the probe a request that is sent despite a refusal.
    pub(super) fn note_probe(&mut self, class: RequestClass, id: u64) {
        let counts = self.counts(class);
        if let Some(refusal) = self.refusal.as_mut().filter(|_| counts) {
            refusal.probe = Some(id);
        }
    }

    /// Clears the probe if it was inconclusive: the next request becomes the probe.
    pub(super) fn probe_ended(&mut self, id: u64) {
        if let Some(refusal) = self.refusal.as_mut().filter(|refusal| refusal.probe == Some(id)) {
            refusal.probe = None;
        }
    }

    /// Records that the server accepted a request. If it was acquired after the refusal, the refusal is over.
    pub(super) fn succeeded(&mut self, id: u64, class: RequestClass, params: &WindowParams) {
        self.answered(id, class, params);
        if id > self.fence && self.counts(class) {
            self.refusal = None;
        }
    }

    /// Records that the server refused a request because of the window, and returns when the next one may be sent.
    pub(super) fn refused(
        &mut self,
        id: u64,
        class: RequestClass,
        retry_after: Option<Micros>,
        params: &WindowParams,
    ) -> Micros {
        self.refunded(id);
        let is_news = !self.counts(class);
        if class == RequestClass::Session {
            self.session_pages_refused_at = Some(self.clock);
        }
        // Requests that were in flight together are refused together; the later refusals carry no new information.
        if id > self.fence || is_news {
            let over_at = self.refusal.as_ref().map(|refusal| refusal.over_at(params));
            match (&mut self.refusal, over_at) {
                (Some(refusal), Some(over_at)) if over_at > self.clock && !is_news => {
                    refusal.next = over_at;
                    refusal.probe = None;
                }
                _ => {
                    let mut refusal = Refusal { first: self.clock, next: 0, probe: None };
                    refusal.next = self.first_probe_at(retry_after, params).min(refusal.over_at(params));
                    self.refusal = Some(refusal);
                }
            }
            self.fence = self.last_id;
        }
        self.held_until(class, params).unwrap_or(self.clock)
    }

    fn first_probe_at(&self, retry_after: Option<Micros>, params: &WindowParams) -> Micros {
        let departures = self.departures(params);
        let ours = departures.len().checked_sub(params.requests).and_then(|surplus| departures.get(surplus));
        if let Some(room_at) = ours {
            return *room_at;
        }
        let patience = params.window / Micros::from(limits::QUOTA_PROBE_DIVISOR);
        let least = params.window / Micros::from(limits::QUOTA_GRACE_DIVISOR);
        self.clock.saturating_add(retry_after.unwrap_or(patience).clamp(least, patience))
    }
}
