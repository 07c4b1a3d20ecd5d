//! The circuit breaker that all requests pass: open while no request can be of use, then half-open for one request.

use std::time::Duration;

use crate::limits::WAIT_GROWTH_TOLD;

/// Whether requests may be sent. Times are counted from the start of the run.
#[derive(Debug, Clone, Default)]
pub(super) struct CircuitBreaker {
    open: Option<Open>,
    /// After a pause one request is sent; the others follow when it succeeds.
    is_half_open: bool,
    /// Times that it opened since a request last succeeded.
    openings: u32,
    /// Since when no request has succeeded, if it has been open since then.
    fruitless_since: Option<Duration>,
    waited: Duration,
}

/// No requests are sent.
#[derive(Debug, Clone, Copy)]
struct Open {
    since: Duration,
    until: Duration,
}

impl CircuitBreaker {
    /// Opens until `until`, or longer if it is open for longer already. Says whether that is news: several requests that
    /// were in flight together are refused together, for one reason.
    pub(super) fn open(&mut self, now: Duration, until: Duration) -> bool {
        let was_closed = self.open.is_none();
        let open = self.open.get_or_insert(Open { since: now, until });
        let is_news = was_closed || until > open.until + WAIT_GROWTH_TOLD;
        open.until = open.until.max(until);
        self.is_half_open = true;
        self.openings += u32::from(was_closed);
        self.fruitless_since.get_or_insert(now);
        is_news
    }

    /// Lets one request through if the pause is over; says whether it ended now.
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

    /// Until when no request is sent.
    pub(super) fn open_until(&self) -> Option<Duration> {
        self.open.map(|open| open.until)
    }

    /// Whether at most one request may be in flight.
    pub(super) fn is_half_open(&self) -> bool {
        self.is_half_open
    }

    /// Which attempt in a row, counted from 1, has failed if it opens now. What is refused while it is open belongs to the
    /// attempt that opened it.
    pub(super) fn attempt(&self) -> u32 {
        self.openings + u32::from(self.open.is_none())
    }

    /// How long no request will have succeeded at `moment`.
    pub(super) fn fruitless_at(&self, moment: Duration) -> Duration {
        self.fruitless_since.map_or(Duration::ZERO, |since| moment.saturating_sub(since))
    }

    /// A request succeeded, so the server takes requests again.
    pub(super) fn request_succeeded(&mut self) {
        self.openings = 0;
        self.fruitless_since = self.open.map(|open| open.since);
        if self.open.is_none() {
            self.is_half_open = false;
        }
    }

    /// Time in which no request could be sent, up to `now`.
    pub(super) fn waited(&self, now: Duration) -> Duration {
        self.waited + self.open.map_or(Duration::ZERO, |open| now.saturating_sub(open.since))
    }
}
