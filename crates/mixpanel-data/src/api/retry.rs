//! Decides what to do after a failed attempt. Pure: the random number is an argument.

use std::time::Duration;

use crate::limits::{
    ATTEMPTS_MAX, BACKOFF_INITIAL, BACKOFF_MAX, RATE_LIMIT_ATTEMPTS_MAX, RATE_LIMIT_BACKOFF_INITIAL,
    RATE_LIMIT_WAIT_MAX,
};

use super::failure::{Failure, FailureKind};

/// What to do after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Retry after this pause. It does not delay other requests.
    Retry(Duration),
    /// Retry after this pause, and send no other request during it.
    Pause(Duration),
    /// Give up on this request.
    Fail,
}

/// Decides what to do after failed attempt number `attempt`, counted from 1. `fraction` is a random number from 0 to 1
/// that adds jitter, so that clients that failed at the same time do not retry at the same time.
pub(crate) fn decide(failure: &Failure, attempt: u32, fraction: f64) -> Decision {
    match failure.kind {
        FailureKind::Timeout
        | FailureKind::Connection
        | FailureKind::Unreachable
        | FailureKind::BadReply
        | FailureKind::Incomplete
        | FailureKind::TerminatedEarly
        | FailureKind::Internal => transient(attempt, None, fraction),
        FailureKind::Server { retry_after, .. } => transient(attempt, retry_after, fraction),
        FailureKind::RateLimited { retry_after, .. } => rate_limited(retry_after, attempt, fraction),
        FailureKind::Unauthorized { .. }
        | FailureKind::PaymentRequired
        | FailureKind::Forbidden
        | FailureKind::HistoryLimit { .. }
        | FailureKind::FutureDate
        | FailureKind::NotFound
        | FailureKind::WrongRegion { .. }
        | FailureKind::ProxyRefused { .. }
        | FailureKind::Untrusted
        | FailureKind::Rejected(_)
        | FailureKind::SessionLost => Decision::Fail,
    }
}

fn transient(attempt: u32, retry_after: Option<Duration>, fraction: f64) -> Decision {
    if attempt >= ATTEMPTS_MAX {
        return Decision::Fail;
    }
    match retry_after {
        Some(asked) => {
            let asked = asked.min(RATE_LIMIT_WAIT_MAX);
            Decision::Pause(asked + spread(asked, fraction))
        }
        None => Decision::Retry(backoff(BACKOFF_INITIAL, BACKOFF_MAX, attempt, fraction)),
    }
}

/// Decides for a single request. A fetch, which may wait for hours, uses the quota ledger instead.
fn rate_limited(retry_after: Option<Duration>, attempt: u32, fraction: f64) -> Decision {
    match retry_after {
        _ if attempt >= RATE_LIMIT_ATTEMPTS_MAX => Decision::Fail,
        Some(asked) if asked > RATE_LIMIT_WAIT_MAX => Decision::Fail,
        Some(asked) => Decision::Pause(asked + spread(asked, fraction)),
        None => Decision::Pause(backoff(RATE_LIMIT_BACKOFF_INITIAL, RATE_LIMIT_WAIT_MAX, attempt, fraction)),
    }
}

/// Returns jitter of up to a tenth of the requested pause.
fn spread(asked: Duration, fraction: f64) -> Duration {
    asked.mul_f64(fraction / 10.0)
}

/// Returns the pause after attempt number `attempt`, counted from 1. The range doubles with each attempt, up to
/// `longest`, and the pause is drawn from its upper half.
pub(crate) fn backoff(initial: Duration, longest: Duration, attempt: u32, fraction: f64) -> Duration {
    let doubled = initial.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(longest);
    doubled.mul_f64(0.5 + fraction / 2.0)
}

#[cfg(test)]
mod tests {
    use super::super::rate_limit::RateLimitKind;
    use super::*;

    fn failure(kind: FailureKind) -> Failure {
        Failure::new(kind, "")
    }

    /// Returns the longest possible pauses of a request that always fails this way, and the final decision.
    fn course(kind: FailureKind) -> (Vec<u128>, Decision) {
        let mut pauses = Vec::new();
        for attempt in 1..100 {
            match decide(&failure(kind), attempt, 1.0) {
                Decision::Retry(pause) | Decision::Pause(pause) => pauses.push(pause.as_millis()),
                end => return (pauses, end),
            }
        }
        panic!("it never ends")
    }

    #[test]
    fn faults_are_retried_and_given_up() {
        let server = FailureKind::Server { status: 503, retry_after: None };
        for kind in [server, FailureKind::Timeout, FailureKind::Connection, FailureKind::BadReply] {
            assert_eq!(course(kind), (vec![500, 1000, 2000], Decision::Fail), "{kind:?}");
        }
    }

    #[test]
    fn refusals_are_not_retried() {
        for kind in [
            FailureKind::Unauthorized { status: 401 },
            FailureKind::PaymentRequired,
            FailureKind::Forbidden,
            FailureKind::NotFound,
            FailureKind::ProxyRefused { status: Some(407) },
            FailureKind::Rejected(400),
        ] {
            assert_eq!(course(kind), (vec![], Decision::Fail), "{kind:?}");
        }
    }

    #[test]
    fn a_single_request_waits_at_most_a_minute_for_a_rate_limit() {
        let limited = |seconds: Option<u64>| FailureKind::RateLimited {
            kind: RateLimitKind::LoadShed,
            retry_after: seconds.map(Duration::from_secs),
        };
        assert_eq!(course(limited(None)), (vec![1000, 2000, 4000, 8000], Decision::Fail));
        assert_eq!(decide(&failure(limited(Some(10))), 1, 0.0), Decision::Pause(Duration::from_secs(10)));
        assert_eq!(decide(&failure(limited(Some(3600))), 1, 0.0), Decision::Fail);
    }

    #[test]
    fn retry_after_of_an_overloaded_server_is_capped_at_a_minute() {
        let overloaded = FailureKind::Server { status: 503, retry_after: Some(Duration::from_secs(7200)) };
        assert_eq!(decide(&failure(overloaded), 1, 0.0), Decision::Pause(Duration::from_secs(60)));
    }

    #[test]
    fn backoff_is_jittered_but_never_zero() {
        let kind = FailureKind::Timeout;
        assert_eq!(decide(&failure(kind), 1, 0.0), Decision::Retry(Duration::from_millis(250)));
        assert_eq!(decide(&failure(kind), 3, 0.5), Decision::Retry(Duration::from_millis(1500)));
    }
}
