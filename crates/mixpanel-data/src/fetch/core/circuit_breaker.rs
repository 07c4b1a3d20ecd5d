//! The circuit breaker for all requests: open while no request can succeed, then half-open for one request.

use std::time::Duration;

use crate::limits::WAIT_GROWTH_REPORTED;

/// Decides whether requests may be sent. Times are measured from the start of the run.
#[derive(Debug, Clone, Default)]
pub(super) struct CircuitBreaker {
    open: Option<Open>,
    /// After a pause only one request is sent; the others follow when it succeeds.
    is_half_open: bool,
    /// Number of times it opened since a request last succeeded.
    openings: u32,
    /// When it first opened since a request last succeeded.
    failing_since: Option<Duration>,
    waited: Duration,
}

/// An open breaker: no requests are sent before `until`.
#[derive(Debug, Clone, Copy)]
struct Open {
    since: Duration,
    until: Duration,
}

impl CircuitBreaker {
    /// Opens the breaker until `until`, unless it is already open for longer. Returns whether to report the pause:
    /// requests in flight at the same time are refused for the same reason, which is reported once.
    pub(super) fn open(&mut self, now: Duration, until: Duration) -> bool {
        let was_closed = self.open.is_none();
        let open = self.open.get_or_insert(Open { since: now, until });
        let is_news = was_closed || until > open.until + WAIT_GROWTH_REPORTED;
        open.until = open.until.max(until);
        self.is_half_open = true;
        self.openings += u32::from(was_closed);
        self.failing_since.get_or_insert(now);
        is_news
    }

    /// Becomes half-open if the pause is over. Returns whether it just did.
    pub(super) fn half_open_if_due(&mut self, now: Duration) -> bool {
        match self.open {
            Some(open) if now >= open.until => {
                self.waited += now.saturating_sub(open.since);
                self.open = None;
                true
            }
            _ => false,
        }
    }

    /// Returns the end of the pause, if the breaker is open.
    pub(super) fn open_until(&self) -> Option<Duration> {
        self.open.map(|open| open.until)
    }

    /// Returns whether at most one request may be in flight.
    pub(super) fn is_half_open(&self) -> bool {
        self.is_half_open
    }

    /// Returns the number of the current attempt since the last success, counted from 1. Refusals while the breaker is
    /// open belong to the attempt that opened it.
    pub(super) fn attempt(&self) -> u32 {
        self.openings + u32::from(self.open.is_none())
    }

    /// Returns how long requests have failed, as of `moment`.
    pub(super) fn fruitless_at(&self, moment: Duration) -> Duration {
        self.failing_since.map_or(Duration::ZERO, |since| moment.saturating_sub(since))
    }

    /// Records a success: the server accepts requests again.
    pub(super) fn request_succeeded(&mut self) {
        self.openings = 0;
        self.failing_since = self.open.map(|open| open.since);
        if self.open.is_none() {
            self.is_half_open = false;
        }
    }

    /// Returns the total time during which no request could be sent, up to `now`.
    pub(super) fn waited(&self, now: Duration) -> Duration {
        self.waited + self.open.map_or(Duration::ZERO, |open| now.saturating_sub(open.since))
    }
}
