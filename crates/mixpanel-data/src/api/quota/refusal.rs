//! What follows from a 429 that names the window: how long nothing is sent, and who looks whether there is room again.
//!
//! When our own requests explain the refusal, the ledger knows when it ends. Otherwise others use the quota, and nobody
//! here knows when their requests leave the window: one request, the *probe*, tries after a part of it. If it is refused
//! too, everything rests until the window of the first refusal must be over. So there is at most one vain request between
//! a refusal and that moment, however many processes wait.

use serde::{Deserialize, Serialize};

use crate::limits;

use super::ledger::{Ledger, Micros, RequestClass, WindowParams};

/// A refusal that is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refusal {
    /// When the first request was refused.
    first: Micros,
    /// When the next request may be sent.
    next: Micros,
    /// The request that was let go to see whether there is room.
    probe: Option<u64>,
}

impl Refusal {
    /// When the window of the first refusal is over whoever used it.
    fn over_at(&self, params: &WindowParams) -> Micros {
        self.first.saturating_add(params.window).saturating_add(params.margin)
    }

    /// Moves with a clock that was set back; and neither did it happen in the future, nor does it outlast the window.
    pub(super) fn set_back(&mut self, by: Micros, clock: Micros, params: &WindowParams) {
        self.first = self.first.saturating_sub(by).min(clock);
        self.next = self.next.saturating_sub(by).min(clock.saturating_add(params.window).saturating_add(params.grace));
    }
}

impl Ledger {
    /// Says until when nothing is sent because of a refusal.
    pub(super) fn held_until(&self, class: RequestClass, params: &WindowParams) -> Option<Micros> {
        let refusal = self.refusal.as_ref().filter(|_| self.counts(class))?;
        let probing_until = refusal.probe.and_then(|probe| self.unanswered_until(probe, params));
        probing_until.max(Some(refusal.next)).filter(|moment| *moment > self.clock)
    }

    /// Marks a request that is let go in spite of a refusal.
    pub(super) fn note_probe(&mut self, class: RequestClass, id: u64) {
        let counts = self.counts(class);
        if let Some(refusal) = self.refusal.as_mut().filter(|_| counts) {
            refusal.probe = Some(id);
        }
    }

    /// Forgets the probe when it came to nothing: the next request is one.
    pub(super) fn probe_ended(&mut self, id: u64) {
        if let Some(refusal) = self.refusal.as_mut().filter(|refusal| refusal.probe == Some(id)) {
            refusal.probe = None;
        }
    }

    /// Notes that the server let a request through: if it was taken after the refusal, that is over.
    pub(super) fn succeeded(&mut self, id: u64, class: RequestClass, params: &WindowParams) {
        self.answered(id, class, params);
        if id > self.fence && self.counts(class) {
            self.refusal = None;
        }
    }

    /// Notes that the server refused a request because of the window, and returns when the next may be sent.
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
        // Requests that were all under way are refused together; that says nothing new.
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
