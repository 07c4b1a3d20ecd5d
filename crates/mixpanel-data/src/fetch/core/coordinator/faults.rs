//! Handles failed requests: retries the part, pauses all requests, restarts the fetch, or ends it.

use std::time::Duration;

use crate::api::{Decision, Failure, FailureKind, RateLimitKind, decide};
use crate::limits::{BUSY_POLL_INTERVAL, OUTAGE_WAIT_MAX};
use crate::text;

use super::super::super::arrival::{Loss, Replacement};
use super::super::super::progress::FetchEvent;
use super::super::outcome::Ending;
use super::super::parts::{FailedAttempts, PartState, Parts};
use super::Coordinator;

/// A wait for other processes is reported only after this time; most waits are shorter.
pub(super) const BUSY_REPORT_DELAY: Duration = Duration::from_secs(1);

impl Coordinator {
    /// Handles a request for `part` that returned nothing usable. An exhausted quota is reported with
    /// [`quota_refused`](Self::quota_refused) instead.
    pub(crate) fn request_failed(&mut self, part: u32, failure: Failure, now: Duration, fraction: f64) {
        let failed = self.take_out_of_flight(part);
        self.part_deadline.failed(&failure);
        if failure.kind != FailureKind::Unreachable {
            self.pacing.record_reachable();
        }
        if failure.kind.ends_the_run() {
            self.parts.set(part, PartState::Pending);
            self.end(Ending::Fatal(failure));
            return;
        }
        if self.ending.is_some() {
            self.parts.set(part, PartState::Pending);
            return;
        }
        match failure.kind {
            FailureKind::SessionLost if self.source.has_begun() => self.restart_session(failure),
            FailureKind::RateLimited { kind, retry_after } => {
                self.pacing.slow_down(kind);
                let pause = self.pacing.rate_limit_pause(kind, retry_after, fraction);
                self.pause(part, failed, failure, now, now + pause);
            }
            FailureKind::Unreachable if self.source.has_begun() || self.epoch > 0 => {
                self.wait_for_network(part, failed, failure, now, fraction);
            }
            _ => self.decide_on_fault(part, failed, failure, now, fraction),
        }
    }

    /// Handles a refusal because the quota is exhausted; no request can succeed before `until`.
    pub(crate) fn quota_refused(&mut self, part: u32, failure: Failure, now: Duration, until: Duration) {
        let failed = self.take_out_of_flight(part);
        if self.ending.is_some() {
            self.parts.set(part, PartState::Pending);
            return;
        }
        self.pause(part, failed, failure, now, until);
    }

    /// Records that the request returned by [`next`](Self::next) was not sent: according to the ledger, the quota is
    /// exhausted until `until`.
    pub(crate) fn quota_exhausted(&mut self, failure: Failure, now: Duration, until: Duration) {
        self.open_breaker(failure, now, until);
    }

    /// Records that the request returned by [`next`](Self::next) was not sent: it may be sent at `moment`, which is
    /// too soon for a report.
    pub(crate) fn too_soon(&mut self, moment: Duration) {
        self.next_start = moment;
    }

    /// Records that the request returned by [`next`](Self::next) was not sent: other processes hold all concurrency
    /// slots.
    pub(crate) fn all_busy(&mut self, now: Duration) {
        let since = self.busy.map_or(now, |(_, since)| since);
        let until = now + BUSY_POLL_INTERVAL;
        let waited = |moment: Duration| moment.saturating_sub(since) >= BUSY_REPORT_DELAY;
        if waited(until) && !self.busy.is_some_and(|(before, _)| waited(before)) {
            let reason = "other processes hold all concurrency slots".to_owned();
            self.events.push_back(FetchEvent::Waiting { reason, pause: BUSY_POLL_INTERVAL });
        }
        self.busy = Some((until, since));
        if until.saturating_sub(since) > self.rules.max_wait {
            let kind = FailureKind::RateLimited { kind: RateLimitKind::Concurrent, retry_after: None };
            let message = "other processes held all concurrency slots for the whole wait";
            self.end(Ending::Halted(Failure::new(kind, message)));
        }
    }

    /// Takes a part out of flight and returns its number of failed attempts.
    fn take_out_of_flight(&mut self, part: u32) -> FailedAttempts {
        match self.parts.state(part) {
            PartState::Reading { .. } => self.reading -= 1,
            _ => self.in_flight -= 1,
        }
        self.parts.failed_attempts(part)
    }

    /// Waits for an unreachable server, up to a limit. This does not count as a failed attempt, because the part is not
    /// at fault.
    fn wait_for_network(&mut self, part: u32, failed: FailedAttempts, failure: Failure, now: Duration, fraction: f64) {
        let (pause, since) = self.pacing.record_unreachable(now, fraction);
        let until = now + pause;
        self.parts.retry(part, failed, now);
        if until.saturating_sub(since) > OUTAGE_WAIT_MAX.min(self.rules.max_wait) {
            self.end(Ending::Halted(failure));
            return;
        }
        if self.pacing.breaker.open(now, until) {
            self.events.push_back(FetchEvent::Waiting { reason: failure.message, pause });
        }
    }

    /// Schedules a retry of a part and pauses all requests.
    fn pause(&mut self, part: u32, failed: FailedAttempts, failure: Failure, now: Duration, until: Duration) {
        self.parts.retry(part, failed, now);
        self.open_breaker(failure, now, until);
    }

    /// Opens the circuit breaker, or ends the fetch if the wait exceeds the limit.
    fn open_breaker(&mut self, failure: Failure, now: Duration, until: Duration) {
        let is_news = self.pacing.breaker.open(now, until);
        let total = self.pacing.breaker.fruitless_at(until);
        if total > self.rules.max_wait {
            let (total, most) = (text::about(total), text::limit(self.rules.max_wait));
            let message = format!("{} (the wait would take {total} in all; the limit is {most})", failure.message);
            self.end(Ending::Halted(Failure::new(failure.kind, message)));
        } else if is_news {
            self.events.push_back(FetchEvent::Waiting { reason: failure.message, pause: until.saturating_sub(now) });
        }
    }

    fn decide_on_fault(
        &mut self,
        part: u32,
        mut failed: FailedAttempts,
        failure: Failure,
        now: Duration,
        fraction: f64,
    ) {
        failed.by_fault += 1;
        self.pacing.attempt_failed();
        if let Some(Replacement { event, is_fault }) = self.source.replace(part, &failure, failed.by_fault) {
            self.parts.set(part, PartState::Replaced);
            self.parts.replace_all(&self.source.replaced_parts());
            self.events.push_back(event);
            if is_fault && self.pacing.is_fruitless() {
                self.end(Ending::Halted(failure));
            }
            return;
        }
        let decision = match decide(&failure, failed.by_fault, fraction) {
            _ if self.source.attempts_max(part).is_some_and(|most| failed.by_fault >= most) => Decision::Fail,
            decision => decision,
        };
        match decision {
            Decision::Retry(pause) => {
                self.parts.retry(part, failed, now + pause);
                let (attempt, reason) = (failed.by_fault, failure.message);
                self.events.push_back(self.source.retry(part, attempt, reason, pause));
            }
            Decision::Pause(pause) => self.pause(part, failed, failure, now, now + pause),
            Decision::Fail => match self.source.failed(part, &failure) {
                Loss::PastEnd => self.parts.set(part, PartState::PastEnd),
                Loss::Part => self.give_up(part, &failure),
                Loss::Everything => {
                    self.parts.set(part, PartState::Pending);
                    self.end(Ending::Fatal(failure));
                }
            },
        }
    }

    pub(super) fn give_up(&mut self, part: u32, failure: &Failure) {
        self.parts.set_failed(part, failure.clone());
        self.given_up.push_back(part);
        self.report(part, Err(failure.message.clone()));
        if self.pacing.gave_up() {
            self.end(Ending::Halted(failure.clone()));
        }
    }

    /// Restarts the fetch after a lost session and discards its parts. Ends the fetch if the limit on restarts is
    /// reached.
    fn restart_session(&mut self, failure: Failure) {
        if self.counts.session_restarts >= self.rules.restarts_max {
            self.end(Ending::Fatal(failure));
            return;
        }
        self.counts.session_restarts += 1;
        self.epoch += 1;
        self.source.lost();
        self.parts = Parts::default();
        (self.in_flight, self.reading, self.writing) = (0, 0, 0);
        (self.counts.rejected, self.rows) = (0, 0);
        self.events.push_back(FetchEvent::Restarted { restart: self.counts.session_restarts, reason: failure.message });
    }

    /// Retries a part without a pause because it has fewer records than it should.
    pub(super) fn retry_for_length(&mut self, part: u32, reason: String, now: Duration) {
        let mut failed = self.parts.failed_attempts(part);
        failed.by_length += 1;
        self.parts.retry(part, failed, now);
        let (attempt, pause) = (failed.by_length, Duration::ZERO);
        self.events.push_back(self.source.retry(part, attempt, reason, pause));
    }
}
