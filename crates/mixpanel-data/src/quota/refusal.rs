//! How to proceed after a 429 about the window: how long to send nothing, and which request tests for room.
//!
//! If our own requests explain the refusal, its end follows from the ledger. Otherwise other clients use the quota, and
//! it is unknown when their requests leave the window. A single request, the *probe*, is then sent after part of the
//! window. If the probe is refused too, nothing is sent until a full window has passed since the first refusal. So at
//! most one request is wasted until then, no matter how many processes wait.

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
    /// Returns when a full window has passed since the first refusal. By then, every request that caused it has left
    /// the window, no matter which client sent it.
    fn over_at(&self, params: &WindowParams) -> Micros {
        self.first.saturating_add(params.window).saturating_add(params.margin)
    }

    /// Shifts the refusal with a clock that was set back. Afterwards the refusal does not start in the future and does
    /// not outlast the window.
    pub(super) fn set_back(&mut self, by: Micros, clock: Micros, params: &WindowParams) {
        self.first = self.first.saturating_sub(by).min(clock);
        self.next = self.next.saturating_sub(by).min(clock.saturating_add(params.window).saturating_add(params.grace));
    }

    /// Creates a refusal at the time `clock`. The first probe is sent at `probe_at`, or after a full window if that is
    /// earlier.
    pub(super) fn new(clock: Micros, probe_at: Micros, params: &WindowParams) -> Self {
        let refusal = Self { first: clock, next: 0, probe: None };
        Self { next: probe_at.min(refusal.over_at(params)), ..refusal }
    }

    /// Handles another refusal, normally of the probe. Returns true if a full window has not yet passed since the first
    /// refusal; then nothing is sent until it has.
    pub(super) fn is_confirmed(&mut self, clock: Micros, params: &WindowParams) -> bool {
        let over_at = self.over_at(params);
        let is_confirmed = over_at > clock;
        if is_confirmed {
            self.next = over_at;
            self.probe = None;
        }
        is_confirmed
    }

    /// Returns when the next request may be sent. `unanswered_until` returns the deadline for the response to the
    /// probe, or `None` if it was answered.
    pub(super) fn blocked_until(&self, unanswered_until: impl FnOnce(u64) -> Option<Micros>) -> Micros {
        self.probe.and_then(unanswered_until).map_or(self.next, |moment| moment.max(self.next))
    }

    /// Records a request that is sent despite the refusal as the probe.
    pub(super) fn note_probe(&mut self, id: u64) {
        self.probe = Some(id);
    }

    /// Clears the probe when its request has ended. If the refusal still applies, the next request becomes the probe.
    pub(super) fn probe_ended(&mut self, id: u64) {
        self.probe = self.probe.filter(|probe| *probe != id);
    }
}
