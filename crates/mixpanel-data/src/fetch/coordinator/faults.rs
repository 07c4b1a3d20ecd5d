//! What is done about a request that brought no page: it is repeated, all wait, the fetch begins again, or it ends.

use std::time::Duration;

use crate::api::{Decision, Failure, FailureKind, RateLimitKind, backoff, decide};
use crate::counted::counted;
use crate::limits::{
    BACKOFF_INITIAL, BUSY_POLL_INTERVAL, CONCURRENCY_BACKOFF_MAX, CONCURRENCY_RAISE_PAGES, FAULTS_IN_A_ROW_MAX,
    GIVEN_UP_MAX, OUTAGE_BACKOFF_MAX, OUTAGE_WAIT_MAX, PROBE_ATTEMPTS_MAX, RATE_LIMIT_BACKOFF_INITIAL,
    RATE_LIMIT_WAIT_MAX,
};

use super::super::outcome::Ending;
use super::super::pages::{FailedAttempts, PageState, Pages};
use super::super::plan::Plan;
use super::super::progress::FetchEvent;
use super::{Coordinator, NothingNew, ShortPages, SignOfLife};

/// A wait for other processes is told when it has lasted so long; most are over at once.
pub(super) const BUSY_TOLD_AFTER: Duration = Duration::from_secs(1);

impl Coordinator {
    /// The request for `page` brought nothing usable. A used-up quota is reported with
    /// [`quota_refused`](Self::quota_refused) instead.
    pub(crate) fn request_failed(&mut self, page: u32, failure: Failure, now: Duration, fraction: f64) {
        let failed = self.take_back(page);
        self.patience.failed(&failure);
        if failure.kind != FailureKind::Unreachable {
            self.outage_since = None;
        }
        if failure.kind.ends_the_run() {
            self.pages.set(page, PageState::Pending);
            self.end(Ending::Fatal(failure));
            return;
        }
        if self.ending.is_some() {
            self.pages.set(page, PageState::Pending);
            return;
        }
        match failure.kind {
            FailureKind::SessionLost if self.plan.is_some() => self.begin_again(failure),
            FailureKind::RateLimited { kind, retry_after } => {
                self.slow_down(kind);
                let pause = self.rate_limit_pause(kind, retry_after, fraction);
                self.pause(page, failed, failure, now, now + pause);
            }
            FailureKind::Unreachable if self.plan.is_some() || self.epoch > 0 => {
                self.wait_for_network(page, failed, failure, now, fraction);
            }
            _ => self.decide_on_fault(page, failed, failure, now, fraction),
        }
    }

    /// The server says that the quota is used up; no request can succeed before `until`.
    pub(crate) fn quota_refused(&mut self, page: u32, failure: Failure, now: Duration, until: Duration) {
        let failed = self.take_back(page);
        if self.ending.is_some() {
            self.pages.set(page, PageState::Pending);
            return;
        }
        self.pause(page, failed, failure, now, until);
    }

    /// The request that [`next`](Self::next) asked for was not sent: by our own count the quota is used up until `until`.
    pub(crate) fn quota_exhausted(&mut self, failure: Failure, now: Duration, until: Duration) {
        self.open_breaker(failure, now, until);
    }

    /// The request that [`next`](Self::next) asked for was not sent: other processes have all the places that there are.
    pub(crate) fn all_busy(&mut self, now: Duration) {
        let since = self.busy.map_or(now, |(_, since)| since);
        let until = now + BUSY_POLL_INTERVAL;
        let waited = |moment: Duration| moment.saturating_sub(since) >= BUSY_TOLD_AFTER;
        if waited(until) && !self.busy.is_some_and(|(before, _)| waited(before)) {
            let reason = "other processes use all the queries that Mixpanel allows at once".to_owned();
            self.events.push_back(FetchEvent::Waiting { reason, pause: BUSY_POLL_INTERVAL });
        }
        self.busy = Some((until, since));
        if until.saturating_sub(since) > self.rules.max_wait {
            let kind = FailureKind::RateLimited { kind: RateLimitKind::Concurrent, retry_after: None };
            let message = "other processes have used all the queries that Mixpanel allows at once all the time";
            self.end(Ending::Halted(Failure::new(kind, message)));
        }
    }

    /// Takes a page back from where it was under way; returns how often it was asked for in vain.
    fn take_back(&mut self, page: u32) -> FailedAttempts {
        match self.pages.state(page) {
            PageState::Reading { .. } => self.reading -= 1,
            _ => self.in_flight -= 1,
        }
        self.pages.failed_attempts(page)
    }

    /// A server that fails at everything gets the pauses of its retries, not a request for every page.
    pub(super) fn fails_at_everything(&self) -> bool {
        self.faults_in_a_row >= FAULTS_IN_A_ROW_MAX && self.pages.next_due().is_some()
    }

    /// A page came: what the server could not bear is forgotten step by step.
    pub(super) fn server_answers(&mut self) {
        self.breaker.request_succeeded();
        self.outage_since = None;
        self.given_up_in_a_row = 0;
        self.faults_in_a_row = 0;
        self.pages_since_change += 1;
        if self.allowed < self.rules.workers && self.pages_since_change >= CONCURRENCY_RAISE_PAGES {
            self.allowed += 1;
            self.pages_since_change = 0;
        }
    }

    /// Requests that were too many at once are refused together, and count as one refusal.
    fn slow_down(&mut self, kind: RateLimitKind) {
        if kind == RateLimitKind::Concurrent && self.breaker.open_until().is_none() {
            self.allowed = (self.allowed - 1).max(1);
            self.pages_since_change = 0;
        }
    }

    /// `Retry-After` is an upper bound (`docs/mixpanel-api.md#responses-with-429`). It is ignored for too many
    /// concurrent queries, which end within moments. For an overloaded server it counts, up to [`RATE_LIMIT_WAIT_MAX`].
    fn rate_limit_pause(&self, kind: RateLimitKind, retry_after: Option<Duration>, fraction: f64) -> Duration {
        let longest = if kind == RateLimitKind::Concurrent { CONCURRENCY_BACKOFF_MAX } else { RATE_LIMIT_WAIT_MAX };
        let pause = backoff(RATE_LIMIT_BACKOFF_INITIAL, longest, self.breaker.attempt(), fraction);
        match retry_after {
            Some(asked) if kind != RateLimitKind::Concurrent => pause.max(asked.min(RATE_LIMIT_WAIT_MAX)),
            _ => pause,
        }
    }

    /// Nothing reaches the server: that says nothing about the page, and is waited for, but not for ever.
    fn wait_for_network(&mut self, page: u32, failed: FailedAttempts, failure: Failure, now: Duration, fraction: f64) {
        let until = now + backoff(BACKOFF_INITIAL, OUTAGE_BACKOFF_MAX, self.breaker.attempt(), fraction);
        self.pages.retry(page, failed, now);
        let since = *self.outage_since.get_or_insert(now);
        if until.saturating_sub(since) > OUTAGE_WAIT_MAX.min(self.rules.max_wait) {
            self.end(Ending::Halted(failure));
            return;
        }
        if self.breaker.open(now, until) {
            self.events.push_back(FetchEvent::Waiting { reason: failure.message, pause: until - now });
        }
    }

    /// Has a page requested again after a pause of all requests.
    fn pause(&mut self, page: u32, failed: FailedAttempts, failure: Failure, now: Duration, until: Duration) {
        self.pages.retry(page, failed, now);
        self.open_breaker(failure, now, until);
    }

    /// Opens the circuit breaker, or ends the fetch if that would be for too long.
    fn open_breaker(&mut self, failure: Failure, now: Duration, until: Duration) {
        let is_news = self.breaker.open(now, until);
        if self.breaker.fruitless_at(until) > self.rules.max_wait {
            let (pause, most) = (until.saturating_sub(now).as_secs(), self.rules.max_wait.as_secs());
            let message = format!(
                "{} (to wait for it takes {pause} s more, and it is waited for {most} s at most)",
                failure.message
            );
            self.end(Ending::Halted(Failure::new(failure.kind, message)));
        } else if is_news {
            self.events.push_back(FetchEvent::Waiting { reason: failure.message, pause: until.saturating_sub(now) });
        }
    }

    fn decide_on_fault(
        &mut self,
        page: u32,
        mut failed: FailedAttempts,
        failure: Failure,
        now: Duration,
        fraction: f64,
    ) {
        let is_tail = self.plan.as_ref().and_then(Plan::tail_page) == Some(page);
        let is_optional = self.plan.as_ref().is_some_and(|plan| plan.is_optional(page));
        failed.by_fault += 1;
        self.faults_in_a_row += 1;
        // The page after the last one is not worth as many attempts when the server said that it has none.
        let expected_absent = is_tail && self.plan.as_ref().is_some_and(Plan::covers_total);
        let decision = match decide(&failure, failed.by_fault, fraction) {
            _ if expected_absent && failed.by_fault >= PROBE_ATTEMPTS_MAX => Decision::Fail,
            decision => decision,
        };
        match decision {
            Decision::Retry(pause) => {
                self.pages.retry(page, failed, now + pause);
                let (attempt, reason) = (failed.by_fault, failure.message);
                self.events.push_back(FetchEvent::Retry { page_index: page, attempt, reason, pause });
            }
            Decision::Pause(pause) => self.pause(page, failed, failure, now, now + pause),
            Decision::Fail if is_optional && self.nothing_may_follow(is_tail, &failure) => self.nothing_is_there(page),
            Decision::Fail if self.plan.is_none() => {
                self.pages.set(page, PageState::Pending);
                self.end(Ending::Fatal(failure));
            }
            Decision::Fail => {
                self.plan.iter_mut().filter(|_| is_tail).for_each(Plan::assume_tail);
                self.give_up(page, &failure);
            }
        }
    }

    /// A refusal of the page after the last one may be the server's way to say that there is none. Anything else is not,
    /// unless the server said before how many profiles there are and they are all here.
    fn nothing_may_follow(&self, is_tail: bool, failure: &Failure) -> bool {
        let refused = matches!(failure.kind, FailureKind::Rejected(400) | FailureKind::NotFound);
        refused || (is_tail && self.plan.as_ref().is_some_and(Plan::covers_total))
    }

    pub(super) fn give_up(&mut self, page: u32, failure: &Failure) {
        self.pages.set(page, PageState::Failed);
        self.failed.insert(page, failure.clone());
        self.report(page, Err(failure.message.clone()));
        self.given_up_in_a_row += 1;
        // Not these pages are at fault, but the server.
        if self.given_up_in_a_row >= GIVEN_UP_MAX {
            self.end(Ending::Halted(failure.clone()));
        }
    }

    /// The session is lost. Where a profile stands in another session nobody knows, so nothing of the lost one is used: the
    /// fetch begins again from page 0, a few times at most.
    fn begin_again(&mut self, failure: Failure) {
        if self.counts.session_restarts >= self.rules.restarts_max {
            self.end(Ending::Fatal(failure));
            return;
        }
        self.counts.session_restarts += 1;
        self.epoch += 1;
        self.plan = None;
        self.session_id = None;
        self.pages = Pages::default();
        self.earlier.clear();
        self.short = ShortPages::default();
        self.nothing_new = NothingNew::default();
        self.sign_of_life = SignOfLife::default();
        self.announced_late = None;
        (self.in_flight, self.reading, self.writing) = (0, 0, 0);
        (self.counts.received, self.counts.rejected, self.rows) = (0, 0, 0);
        self.failed.clear();
        self.events.push_back(FetchEvent::Restarted { restart: self.counts.session_restarts, reason: failure.message });
    }

    /// A page with fewer records than the server's own figures promise.
    pub(super) fn is_too_short(&mut self, page: u32, received: u64) -> bool {
        let Some(plan) = &self.plan else { return false };
        let attempts = self.pages.failed_attempts(page).by_length;
        received < plan.expected_records(page) && self.short.asks_again(page, received, attempts)
    }

    pub(super) fn ask_again_for_length(&mut self, page: u32, received: u64, now: Duration) {
        let mut failed = self.pages.failed_attempts(page);
        failed.by_length += 1;
        self.pages.retry(page, failed, now);
        let expected = self.plan.as_ref().map_or(0, |plan| plan.expected_records(page));
        let reason = format!("page {page} brought {received} of {}", counted(expected, "profile"));
        let (attempt, pause) = (failed.by_length, Duration::ZERO);
        self.events.push_back(FetchEvent::Retry { page_index: page, attempt, reason, pause });
    }
}
