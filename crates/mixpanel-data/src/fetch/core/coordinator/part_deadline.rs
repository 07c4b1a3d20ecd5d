//! Limits how long a fetch waits without receiving a part, whatever the reason.

use std::time::Duration;

use crate::api::{Failure, FailureKind};
use crate::text;

use super::super::outcome::Ending;
use super::{Coordinator, Step};

/// Maximum grace period for a request after a planned wait, such as for the quota. It is a quarter of the limit, even
/// if the wait used all of that.
const GRACE_MAX: Duration = Duration::from_secs(10);

/// Time limit for a response if the maximum wait is zero.
const REQUEST_WITHOUT_WAIT: Duration = Duration::from_secs(30);

/// Tracks the time since a part last arrived.
#[derive(Debug, Default)]
pub(super) struct PartDeadline {
    since: Duration,
    /// Earliest time to give up: after a planned wait, a request needs some time.
    not_before: Duration,
    /// The last failure.
    last: Option<Failure>,
}

impl PartDeadline {
    /// Records that a part arrived or is being written.
    pub(super) fn part_arrived(&mut self, now: Duration) {
        *self = Self { since: now, ..Self::default() };
    }

    /// Records that a pause is over and a request can be sent.
    pub(super) fn wait_ended(&mut self, now: Duration, limit: Duration) {
        self.not_before = now + (limit / 4).min(GRACE_MAX);
    }

    pub(super) fn failed(&mut self, failure: &Failure) {
        self.last = Some(failure.clone());
    }
}

impl Coordinator {
    /// Returns the deadline for the next part; `None` while the limit does not apply. Planned waits and waits for other
    /// processes have their own limits, and a part that is being parsed or written has already arrived.
    pub(super) fn part_deadline(&self, now: Duration) -> Option<Duration> {
        let waits_otherwise =
            self.pacing.breaker.open_until().is_some() || self.busy.is_some_and(|(until, _)| now < until);
        let is_here = self.reading + self.writing > 0;
        let ends = self.part_deadline.since.saturating_add(self.patience_limit()).max(self.part_deadline.not_before);
        (self.ending.is_none() && !waits_otherwise && !is_here).then_some(ends)
    }

    fn patience_limit(&self) -> Duration {
        if self.rules.max_wait.is_zero() { REQUEST_WITHOUT_WAIT } else { self.rules.max_wait }
    }

    /// Ends the fetch if no part has arrived for too long, without waiting for requests in flight.
    pub(super) fn check_part_deadline(&mut self, now: Duration) {
        if self.writing > 0 {
            self.part_deadline.part_arrived(now);
        }
        if self.part_deadline(now).is_none_or(|ends| now < ends) {
            return;
        }
        let limit = text::limit(self.patience_limit());
        let noun = self.source.noun();
        let failure = match self.part_deadline.last.take() {
            Some(last) => {
                Failure { message: format!("{} (no {noun} arrived within the limit of {limit})", last.message), ..last }
            }
            None => {
                let message = format!("no {noun} arrived within the limit of {limit}");
                Failure::new(FailureKind::Timeout, message)
            }
        };
        self.stop_deadline = Some(now);
        self.end(Ending::Halted(failure));
    }
}

/// Shortens a wait so that it ends no later than `ends`.
pub(super) fn at_most(step: Step, ends: Option<Duration>) -> Step {
    match (step, ends) {
        (Step::WaitForEvent, Some(ends)) => Step::WaitUntil(ends),
        (Step::WaitUntil(moment), Some(ends)) => Step::WaitUntil(moment.min(ends)),
        (step, _) => step,
    }
}
