//! The one gate that all requests pass: closed while no request can be of use, and opened by one request first.

use std::time::Duration;

use crate::limits::WAIT_GROWTH_TOLD;

/// Whether requests may be sent. Times are counted from the start of the run.
#[derive(Debug, Clone, Default)]
pub(super) struct Gate {
    closed: Option<Closed>,
    /// After a pause one request goes ahead; the others follow when it succeeds.
    trial: bool,
    /// Times that it was closed since a request last succeeded.
    closings: u32,
    /// Since when no request has succeeded, if it was closed meanwhile.
    fruitless_since: Option<Duration>,
    waited: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Closed {
    since: Duration,
    until: Duration,
}

impl Gate {
    /// Closes the gate until `until`, or longer if it is closed for longer already. Says whether that is news: several
    /// requests that were under way together are refused together, for one reason.
    pub(super) fn close(&mut self, now: Duration, until: Duration) -> bool {
        let was_open = self.closed.is_none();
        let closed = self.closed.get_or_insert(Closed { since: now, until });
        let is_news = was_open || until > closed.until + WAIT_GROWTH_TOLD;
        closed.until = closed.until.max(until);
        self.trial = true;
        self.closings += u32::from(was_open);
        self.fruitless_since.get_or_insert(now);
        is_news
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

    /// Which attempt in a row, counted from 1, has failed when it is closed now. What is refused while it is closed belongs
    /// to the attempt that closed it.
    pub(super) fn attempt(&self) -> u32 {
        self.closings + u32::from(self.closed.is_none())
    }

    /// How long no request will have succeeded at `moment`.
    pub(super) fn fruitless_at(&self, moment: Duration) -> Duration {
        self.fruitless_since.map_or(Duration::ZERO, |since| moment.saturating_sub(since))
    }

    /// A request succeeded, so the server takes requests again.
    pub(super) fn request_succeeded(&mut self) {
        self.closings = 0;
        self.fruitless_since = self.closed.map(|closed| closed.since);
        if self.closed.is_none() {
            self.trial = false;
        }
    }

    /// Time in which the gate was closed, up to `now`.
    pub(super) fn waited(&self, now: Duration) -> Duration {
        self.waited + self.closed.map_or(Duration::ZERO, |closed| now.saturating_sub(closed.since))
    }
}
