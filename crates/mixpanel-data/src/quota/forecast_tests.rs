//! Tests of the forecast of waits: cases that can be counted by hand, and random ones that are compared with what the
//! rate limiter does.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::pool::Pace;
use super::testing::{Opening, at, at_milliseconds};
use super::{Acquired, Pool, Quota, RateLimiter};

const PACE: Pace = Pace { starts: 3, within: Duration::from_millis(1_250) };

fn open(quota: &str, reserve: u32) -> RateLimiter {
    let quota = Quota { reserve, ..quota.parse().unwrap() };
    RateLimiter::open(Pool::EXPORT, None, "data.mixpanel.com", "12345", quota).unwrap()
}

#[test]
fn each_request_waits_for_the_earliest_departure() {
    // A window of up to 30 s has a margin of 50 ms, and one of an hour 6 s.
    #[rustfmt::skip]
    let cases = [
        // quota, reserve, seconds of earlier requests, now, requests, milliseconds
        ("6/20s", 0, &[0, 4, 8][..], 8, 3, 0),
        // The requests of 0, 4 and 8 leave the window at 20.05, 24.05 and 28.05.
        ("6/20s", 0, &[0, 4, 8], 8, 4, 12_050),
        ("6/20s", 0, &[0, 4, 8], 8, 5, 16_050),
        ("6/20s", 0, &[0, 4, 8], 8, 6, 20_050),
        // The next one to leave is the first of the three sent at 8.
        ("6/20s", 0, &[0, 4, 8], 8, 7, 20_050),
        // The first one leaves at 20.05, but a fourth request may start only at 20.25.
        ("6/20s", 0, &[0, 4, 8], 19, 6, 9_050 - 200),
        ("6/20s", 0, &[0, 4, 8], 40, 6, 0),
        // An unused quota: 60 requests are 20 groups, the last of which starts at 23.75.
        ("60/h", 0, &[], 0, 0, 0),
        ("60/h", 0, &[], 0, 1, 0),
        ("60/h", 0, &[], 0, 60, 0),
        ("60/h", 0, &[], 0, 61, 3_606_000 - 23_750),
        ("60/h", 0, &[], 0, 120, 3_606_000),
        // More than two windows.
        ("60/h", 0, &[], 0, 121, 2 * 3_606_000 - 23_750),
        ("60/h", 0, &[], 0, 200, 3 * 3_606_000 - 23_750 + 7_500),
        ("6/20s", 0, &[], 0, 13, 2 * 20_050 - 1_250),
        // A reserve of 5 leaves 15 requests, whose last group starts at 5.
        ("20/10s", 5, &[], 0, 15, 0),
        ("20/10s", 5, &[], 0, 16, 10_050 - 5_000),
        ("20/10s", 5, &[], 0, 31, 2 * 10_050 - 5_000),
        ("1/10s", 0, &[0], 4, 3, 6_050 + 2 * 10_050),
    ];
    for (quota, reserve, earlier, now, requests, expected) in cases {
        let limiter = open(quota, reserve);
        earlier.iter().for_each(|second| limiter.ask(Opening, at(*second)));
        let waited = limiter.usage(at(now)).unwrap().wait(requests, PACE, at(now));
        let case = format!("{requests} requests at {now} with {quota}, reserve {reserve}, {earlier:?}");
        assert_eq!(waited, Duration::from_millis(expected), "{case}");
    }
}

#[test]
fn a_refusal_delays_all_requests() {
    let limiter = open("60/h", 0);
    let until = limiter.granted(Opening, at(0)).refused_hourly(at(0), Some(Duration::from_secs(120))).unwrap();
    let expected = Duration::try_from(until.duration_since(at(20))).unwrap();
    assert!(!expected.is_zero());
    assert_eq!(limiter.usage(at(20)).unwrap().wait(5, PACE, at(20)), expected);
}

#[test]
fn a_smaller_quota_than_before_waits_for_the_surplus_to_leave() {
    let directory = tempfile::tempdir().unwrap();
    let open = |quota: &str| {
        let quota = quota.parse().unwrap();
        RateLimiter::open(Pool::EXPORT, Some(directory.path()), "data.mixpanel.com", "12345", quota).unwrap()
    };
    [0, 2, 4, 6].into_iter().for_each(|second| open("6/20s").ask(Opening, at(second)));
    let usage = open("2/20s").usage(at(6)).unwrap();
    assert_eq!((usage.used, usage.departures.len()), (4, 2));
    assert_eq!(usage.wait(1, PACE, at(6)), Duration::from_millis(18_050));
    assert_eq!(usage.wait(2, PACE, at(6)), Duration::from_millis(20_050));
}

/// Sends requests as early as the limiter allows, and returns how long they waited for the quota.
fn send(limiter: &RateLimiter, requests: u32, mut now: Timestamp) -> Duration {
    let mut waited = SignedDuration::ZERO;
    for _ in 0..requests {
        loop {
            match limiter.acquire(Opening, now).unwrap() {
                Acquired::Granted(permit) => break permit.succeeded(now).unwrap(),
                Acquired::NotBefore { at, .. } => {
                    waited += at.duration_since(now);
                    now = at;
                }
                Acquired::TooSoon { at } => now = at,
                Acquired::NoFreeSlot => panic!("every request is answered at once"),
            }
        }
    }
    waited.try_into().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_forecast_is_what_the_limiter_does(
        quota in 1u32..30,
        reserve in 0u32..5,
        window in 1i64..120,
        earlier in prop::collection::vec((1_250i64..20_000, any::<bool>()), 0..20),
        requests in 0u32..100,
    ) {
        let limiter = open(&format!("{}/{window}s", quota + reserve), reserve);
        let mut now = 0;
        for (pause, is_answered) in earlier {
            now += pause;
            if let Acquired::Granted(permit) = limiter.acquire(Opening, at_milliseconds(now)).unwrap() {
                if is_answered { permit.succeeded(at_milliseconds(now)).unwrap() } else { drop(permit) }
            }
        }
        // The pace does not know of the requests before it.
        let now = at_milliseconds(now + 1_250);
        let forecast = limiter.usage(now).unwrap().wait(requests, PACE, now);
        prop_assert_eq!(forecast, send(&limiter, requests, now));
    }
}
