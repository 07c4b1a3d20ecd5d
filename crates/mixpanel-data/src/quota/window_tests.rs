//! Tests of when the window has room, in virtual time. A window of one hour has a margin of 6 s and a grace of 60 s.

use crate::limits::SESSION_PAGES_COUNT_FOR;

use super::ledger::Cause;
use super::testing::{Opening, Session, at, at_milliseconds, in_memory};
use super::{Acquired, Pool, Quota, RateLimiter, Usage};

#[test]
fn a_slot_frees_when_the_oldest_response_leaves_the_window() {
    let limiter = in_memory("2/h");
    limiter.granted(Opening, at(0)).answered(at(10)).unwrap();
    limiter.granted(Opening, at(20)).answered(at(25)).unwrap();
    match limiter.acquire(Opening, at(30)).unwrap() {
        Acquired::NotBefore { at: moment, cause, used, limit } => {
            assert_eq!((moment, cause, used, limit), (at(3616), Cause::Full, 2, 2));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(limiter.blocked(Opening, at_milliseconds(3_615_999)), at(3616));
    limiter.ask(Opening, at(3616));
    assert_eq!(limiter.blocked(Opening, at(3616)), at(3631));
}

#[test]
fn short_windows_have_a_margin() {
    let limiter = in_memory("1/10s");
    limiter.ask(Opening, at(0));
    assert_eq!(limiter.blocked(Opening, at(10)), at_milliseconds(10_050));
    limiter.ask(Opening, at_milliseconds(10_050));
}

#[test]
fn refunded_requests_free_their_slot_immediately() {
    let limiter = in_memory("1/h");
    for second in 0..100 {
        limiter.granted(Opening, at(second)).refunded(at(second)).unwrap();
    }
    limiter.ask(Opening, at(100));
    limiter.blocked(Opening, at(100));
}

#[test]
fn an_abandoned_request_counts_until_the_grace_period_ends() {
    let limiter = in_memory("1/h");
    drop(limiter.granted(Opening, at(0)));
    assert_eq!(limiter.blocked(Opening, at(1)), at(3660));
    assert_eq!(limiter.blocked(Opening, at(3659)), at(3660));
    limiter.ask(Opening, at(3660));
}

#[test]
fn a_request_in_flight_counts_regardless_of_duration() {
    let limiter = in_memory("1/h");
    let slow = limiter.granted(Opening, at(0));
    assert_eq!(limiter.blocked(Opening, at(7_200)), at(7_200 + 3_660));
    slow.answered(at(7_300)).unwrap();
    assert_eq!(limiter.blocked(Opening, at(7_300)), at(7_300 + 3_606));
}

#[test]
fn the_reserve_is_never_touched() {
    let quota = Quota { reserve: 3, ..Quota { requests: 5, ..Quota::default() } };
    let limiter = RateLimiter::open(Pool::QUERY, None, "mixpanel.com", "12345", quota).unwrap();
    limiter.ask(Opening, at(0));
    limiter.ask(Opening, at(0));
    limiter.blocked(Opening, at(0));
    let expected = Usage {
        used: 2,
        limit: 2,
        reserve: 3,
        window: std::time::Duration::from_secs(3600),
        counted_for: std::time::Duration::from_secs(3606),
        departures: vec![at(3606); 2],
        session_pages_count: false,
        next_free_at: Some(at(3606)),
    };
    assert_eq!(limiter.usage(at(0)).unwrap(), expected);
    assert_eq!(
        limiter.usage(at(3606)).unwrap(),
        Usage { used: 0, departures: Vec::new(), next_free_at: None, ..expected }
    );
    let everything = Quota { reserve: 5, ..quota };
    assert!(RateLimiter::open(Pool::QUERY, None, "mixpanel.com", "12345", everything).is_err());
}

#[test]
fn session_pages_are_free_and_evict_no_counted_requests() {
    let limiter = in_memory("3/h");
    limiter.ask(Opening, at(0));
    for second in 1..1_000 {
        limiter.ask(Session, at(second));
    }
    assert_eq!(limiter.used(at(1_000)), 1);
    limiter.ask(Opening, at(1_000));
    limiter.ask(Opening, at(1_001));
    assert_eq!(limiter.blocked(Opening, at(1_002)), at(3_606));
    limiter.ask(Session, at(1_003));
}

#[test]
fn a_refund_among_many_pages_frees_no_extra_slots() {
    let limiter = in_memory("2/h");
    for second in 0..50 {
        limiter.ask(Session, at(second));
    }
    let in_progress = [50, 51, 52, 53].map(|second| limiter.granted(Session, at(second)));
    let refused = limiter.granted(Session, at(54));
    // The server may count the requests in flight, so they may fill the window.
    assert_eq!(refused.refused_hourly(at(54), None).unwrap(), at(54 + 3_606));
    for permit in in_progress {
        permit.refunded(at(55)).unwrap();
    }
    assert!(limiter.used(at(56)) >= 2);
}

#[test]
fn five_requests_at_once_are_all() {
    let limiter = in_memory("60/h");
    let mut permits: Vec<_> = (0..5).map(|_| limiter.granted(Session, at(0))).collect();
    assert!(matches!(limiter.acquire(Session, at(0)).unwrap(), Acquired::NoFreeSlot));
    let clone = limiter.clone();
    assert!(matches!(clone.acquire(Opening, at(0)).unwrap(), Acquired::NoFreeSlot));
    assert_eq!(limiter.used(at(0)), 0);
    permits.pop();
    let fifth = limiter.granted(Opening, at(0));
    assert!(matches!(limiter.acquire(Session, at(0)).unwrap(), Acquired::NoFreeSlot));
    fifth.refunded(at(0)).unwrap();
    limiter.ask(Opening, at(0));
}

#[test]
fn a_full_window_is_reported_before_full_slots() {
    let limiter = in_memory("5/h");
    let permits: Vec<_> = (0..5).map(|_| limiter.granted(Opening, at(0))).collect();
    assert_eq!(limiter.blocked(Opening, at(1)), at(1 + 3_660));
    drop(permits);
}

#[test]
fn a_slightly_slow_clock_does_not_move_time_back() {
    let limiter = in_memory("1/h");
    limiter.ask(Opening, at(1_000));
    assert_eq!(limiter.blocked(Opening, at(960)), at(1_000 + 3_606));
    assert_eq!(limiter.blocked(Opening, at(1_001)), at(1_000 + 3_606));
}

#[test]
fn entries_keep_their_age_when_the_clock_is_set_back() {
    let limiter = in_memory("2/h");
    limiter.ask(Opening, at(7_000));
    limiter.ask(Opening, at(10_000));
    // The first request is 3,000 s old and the second is new.
    assert_eq!(limiter.blocked(Opening, at(0)), at(606));
    limiter.ask(Opening, at(606));
    assert_eq!(limiter.blocked(Opening, at(607)), at(3_606));
    // The clock is set back repeatedly, even while a request is in flight.
    let limiter = in_memory("1/h");
    let permit = limiter.granted(Opening, at(90_000));
    assert_eq!(limiter.blocked(Opening, at(50_000)), at(53_660));
    permit.answered(at(20_000)).unwrap();
    assert_eq!(limiter.blocked(Opening, at(20_000)), at(23_606));
    assert_eq!(limiter.blocked(Opening, at(10_000)), at(13_606));
    limiter.ask(Opening, at(13_606));
}

#[test]
fn session_pages_stop_counting_after_a_week() {
    let limiter = in_memory("60/h");
    limiter.granted(Session, at(0)).refused_hourly(at(0), None).unwrap();
    let week = i64::try_from(SESSION_PAGES_COUNT_FOR.as_secs()).unwrap();
    for (second, counts) in [(1, true), (week - 1, true), (week, false)] {
        assert_eq!(limiter.usage(at(second)).unwrap().session_pages_count, counts, "{second}");
    }
}
