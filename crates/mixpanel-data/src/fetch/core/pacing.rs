//! Paces the requests: concurrency limit, consecutive failures, outages and circuit breaker.

use std::time::Duration;

use crate::api::{RateLimitKind, backoff};
use crate::limits::{
    BACKOFF_INITIAL, CONCURRENCY_BACKOFF_MAX, CONCURRENCY_RAISE_PAGES, CONSECUTIVE_FAILURES_MAX,
    CONSECUTIVE_FAULTS_MAX, FRUITLESS_FAULTS_MAX, OUTAGE_BACKOFF_MAX, PAGES_READY_MAX, RATE_LIMIT_BACKOFF_INITIAL,
    RATE_LIMIT_WAIT_MAX,
};

use super::super::rules::Rules;
use super::circuit_breaker::CircuitBreaker;

/// The state of the server, as inferred from its responses.
#[derive(Debug)]
pub(super) struct Pacing {
    workers: u32,
    flight_bytes: usize,
    /// Size of the largest part so far, in bytes.
    largest: usize,
    /// Number of concurrent requests that the server seems to allow.
    allowed: u32,
    /// Parts that arrived since `allowed` last changed.
    parts_since_change: u32,
    /// Parts given up since a part last arrived.
    given_up_in_a_row: u32,
    /// Failed requests since a part last arrived.
    faults_in_a_row: u32,
    /// When the server became unreachable, if it is.
    outage_since: Option<Duration>,
    pub(super) breaker: CircuitBreaker,
}

impl Pacing {
    pub(super) fn new(rules: &Rules) -> Self {
        Self {
            workers: rules.workers,
            flight_bytes: rules.flight_bytes,
            largest: 1,
            allowed: rules.workers,
            parts_since_change: 0,
            given_up_in_a_row: 0,
            faults_in_a_row: 0,
            outage_since: None,
            breaker: CircuitBreaker::default(),
        }
    }

    /// Returns whether another request may be sent, given how many parts are in flight, being parsed and being written.
    pub(super) fn allows_another(&self, in_flight: u32, reading: u32, writing: u32) -> bool {
        let by_memory = u32::try_from(self.flight_bytes / self.largest).unwrap_or(u32::MAX).max(1);
        let allowed = if self.breaker.is_half_open() { 1 } else { self.allowed };
        let is_tested = self.breaker.is_half_open() && reading > 0;
        in_flight < allowed
            && !is_tested
            && in_flight + reading + writing < by_memory
            && reading + writing < PAGES_READY_MAX
    }

    /// Returns whether every recent request failed. If so, only due retries are sent, and no new part is requested.
    pub(super) fn all_recent_failed(&self) -> bool {
        self.faults_in_a_row >= CONSECUTIVE_FAULTS_MAX
    }

    /// Records that a part of this size arrived. Resets the failure counts, and raises a lowered concurrency limit step
    /// by step.
    pub(super) fn part_arrived(&mut self, bytes: usize) {
        self.breaker.request_succeeded();
        self.largest = self.largest.max(bytes);
        self.outage_since = None;
        self.given_up_in_a_row = 0;
        self.faults_in_a_row = 0;
        self.parts_since_change += 1;
        if self.allowed < self.workers && self.parts_since_change >= CONCURRENCY_RAISE_PAGES {
            self.allowed += 1;
            self.parts_since_change = 0;
        }
    }

    /// Records a failed attempt to fetch a part.
    pub(super) fn attempt_failed(&mut self) {
        self.faults_in_a_row += 1;
    }

    /// Returns whether so many requests in a row have failed that splitting parts is no remedy.
    pub(super) fn is_fruitless(&self) -> bool {
        self.faults_in_a_row >= FRUITLESS_FAULTS_MAX
    }

    /// Records that a part was given up. Returns true after [`CONSECUTIVE_FAILURES_MAX`] in a row, because the fault then
    /// lies with the server, not with the parts.
    pub(super) fn gave_up(&mut self) -> bool {
        self.given_up_in_a_row += 1;
        self.given_up_in_a_row >= CONSECUTIVE_FAILURES_MAX
    }

    /// Lowers the concurrency limit after a refusal for too many concurrent requests. Requests refused together count
    /// as one refusal.
    pub(super) fn slow_down(&mut self, kind: RateLimitKind) {
        if kind == RateLimitKind::Concurrent && self.breaker.open_until().is_none() {
            self.allowed = (self.allowed - 1).max(1);
            self.parts_since_change = 0;
        }
    }

    /// Returns the pause after a 429. `Retry-After` is an upper bound (`docs/mixpanel-api.md#responses-with-429`). It
    /// is ignored after too many concurrent queries, which end quickly. If the server is overloaded, it is respected,
    /// up to [`RATE_LIMIT_WAIT_MAX`].
    pub(super) fn rate_limit_pause(
        &self,
        kind: RateLimitKind,
        retry_after: Option<Duration>,
        fraction: f64,
    ) -> Duration {
        let longest = if kind == RateLimitKind::Concurrent { CONCURRENCY_BACKOFF_MAX } else { RATE_LIMIT_WAIT_MAX };
        let pause = backoff(RATE_LIMIT_BACKOFF_INITIAL, longest, self.breaker.attempt(), fraction);
        match retry_after {
            Some(told) if kind != RateLimitKind::Concurrent => pause.max(told.min(RATE_LIMIT_WAIT_MAX)),
            _ => pause,
        }
    }

    /// Records that the server is unreachable. Returns the pause, and when the outage began.
    pub(super) fn record_unreachable(&mut self, now: Duration, fraction: f64) -> (Duration, Duration) {
        let pause = backoff(BACKOFF_INITIAL, OUTAGE_BACKOFF_MAX, self.breaker.attempt(), fraction);
        (pause, *self.outage_since.get_or_insert(now))
    }

    /// Records that the server is reachable, although a request failed.
    pub(super) fn record_reachable(&mut self) {
        self.outage_since = None;
    }
}
