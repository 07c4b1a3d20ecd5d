//! The one gate that all requests pass: closed while the server wants a pause, and opened by one request first.

use std::time::Duration;

/// Whether requests may be sent. Times are counted from the start of the run.
#[derive(Debug, Clone, Default)]
pub(super) struct Gate {
    closed: Option<Closed>,
    /// After a pause one request goes ahead; the others follow when it succeeds.
    trial: bool,
    waited: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Closed {
    since: Duration,
    until: Duration,
}

impl Gate {
    /// Closes the gate until `until`, or longer if it is closed for longer already.
    pub(super) fn close(&mut self, now: Duration, until: Duration) {
        let closed = self.closed.get_or_insert(Closed { since: now, until });
        closed.until = closed.until.max(until);
        self.trial = true;
    }

    /// Opens the gate if its time has come; says whether it did so now.
    pub(super) fn open_if_due(&mut self, now: Duration) -> bool {
        match self.closed {
            Some(closed) if now >= closed.until => {
                self.waited += now.saturating_sub(closed.since);
                self.closed = None;
                true
            }
            _ => false,
        }
    }

    /// Until when the gate is closed.
    pub(super) fn closed_until(&self) -> Option<Duration> {
        self.closed.map(|closed| closed.until)
    }

    /// Whether only one request may be under way.
    pub(super) fn is_on_trial(&self) -> bool {
        self.trial
    }

    /// A request succeeded, so the server takes requests again.
    pub(super) fn request_succeeded(&mut self) {
        if self.closed.is_none() {
            self.trial = false;
        }
    }

    /// Time in which the gate was closed, up to `now`.
    pub(super) fn waited(&self, now: Duration) -> Duration {
        self.waited + self.closed.map_or(Duration::ZERO, |closed| now.saturating_sub(closed.since))
    }
}
