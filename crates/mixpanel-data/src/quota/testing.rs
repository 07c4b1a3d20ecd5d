//! Shared helpers of the quota tests: a virtual clock, and shorthand for acquiring and finishing requests.

use jiff::{SignedDuration, Timestamp};

use super::{Acquired, Permit, Pool, RateLimiter, RequestClass, Usage};

pub(super) use RequestClass::{Opening, Session};

/// Returns a time, in seconds since the test began.
pub(super) fn at(second: i64) -> Timestamp {
    at_milliseconds(second * 1_000)
}

pub(super) fn at_milliseconds(milliseconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap() + SignedDuration::from_millis(milliseconds)
}

/// Returns a limiter that counts only its own requests.
pub(super) fn in_memory(quota: &str) -> RateLimiter {
    RateLimiter::open(Pool::QUERY, None, "mixpanel.com", "12345", quota.parse().unwrap()).unwrap()
}

impl RateLimiter {
    #[track_caller]
    pub(super) fn granted(&self, class: RequestClass, now: Timestamp) -> Permit {
        match self.acquire(class, now).unwrap() {
            Acquired::Granted(permit) => permit,
            other => panic!("{other:?} instead of a permit"),
        }
    }

    /// Returns when the next request may be sent, and panics if one may be sent now.
    #[track_caller]
    pub(super) fn blocked(&self, class: RequestClass, now: Timestamp) -> Timestamp {
        match self.acquire(class, now).unwrap() {
            Acquired::NotBefore { at, .. } => at,
            other => panic!("{other:?} instead of a wait"),
        }
    }

    /// Sends a request that is answered immediately.
    #[track_caller]
    pub(super) fn ask(&self, class: RequestClass, now: Timestamp) {
        self.granted(class, now).succeeded(now).unwrap();
    }

    #[track_caller]
    pub(super) fn used(&self, now: Timestamp) -> u32 {
        let Usage { used, .. } = self.usage(now).unwrap();
        used
    }
}
