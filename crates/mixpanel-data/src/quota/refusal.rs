//! How to proceed after a 429 about the window: how long nothing is sent, and which request tests for room.
//!
//! If our own requests explain the refusal, the ledger knows when it ends. Otherwise other clients use the quota, and
//! it is unknown when their requests leave the window: a single request, the *probe*, is sent after part of the
//! window. If the probe is refused too, nothing is sent until the window of the first refusal must be over. So at
//! most one request is wasted between a refusal and that time, however many processes wait.

use serde::{Deserialize, Serialize};

use super::window::{Micros, WindowParams};

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

    /// Creates the refusal of a request at the time `clock`, after which the first probe is sent at `probe_at`.
    pub(super) fn new(clock: Micros, probe_at: Micros, params: &WindowParams) -> Self {
        let refusal = Self { first: clock, next: 0, probe: None };
        Self { next: probe_at.min(refusal.over_at(params)), ..refusal }
    }

    /// Handles the refusal of the probe. Returns whether the window of the first refusal has not passed yet, so that
    /// this refusal still applies.
    pub(super) fn is_confirmed(&mut self, clock: Micros, params: &WindowParams) -> bool {
        let over_at = self.over_at(params);
        let is_confirmed = over_at > clock;
        if is_confirmed {
            self.next = over_at;
            self.probe = None;
        }
        is_confirmed
    }

    /// Returns until when nothing is sent. `unanswered_until` says until when an answer to a request is expected.
    pub(super) fn blocked_until(&self, unanswered_until: impl FnOnce(u64) -> Option<Micros>) -> Micros {
        self.probe.and_then(unanswered_until).map_or(self.next, |moment| moment.max(self.next))
    }

    /// Records as the probe a request that is sent despite the refusal.
    pub(super) fn note_probe(&mut self, id: u64) {
        self.probe = Some(id);
    }

    /// Clears the probe if it was inconclusive: the next request becomes the probe.
    pub(super) fn probe_ended(&mut self, id: u64) {
        self.probe = self.probe.filter(|probe| *probe != id);
    }
}
