//! Tests of how the limiter proceeds after a 429 about the window, in virtual time.

use std::time::Duration;

use super::ledger::Cause;
use super::testing::{Opening, Session, at, in_memory};
use super::{Acquired, RateLimiter};

#[test]
fn a_refusal_caused_by_others_is_probed_once_then_waited_out() {
    let limiter = in_memory("60/h");
    let refused = limiter.granted(Opening, at(0));
    assert_eq!(refused.refused_hourly(at(1), None).unwrap(), at(601));
    assert_eq!(limiter.blocked(Opening, at(600)), at(601));
    assert_eq!(limiter.usage(at(600)).unwrap().next_free_at, Some(at(601)));
    limiter.ask(Session, at(600));
    let probe = limiter.granted(Opening, at(601));
    assert_eq!(limiter.blocked(Opening, at(602)), at(662), "one probe at a time");
    limiter.ask(Session, at(602));
    assert_eq!(probe.refused_hourly(at(603), None).unwrap(), at(1 + 3_606));
    assert_eq!(limiter.blocked(Opening, at(3_606)), at(3_607));
    let probe = limiter.granted(Opening, at(3_607));
    limiter.blocked(Opening, at(3_608));
    probe.succeeded(at(3_609)).unwrap();
    limiter.ask(Opening, at(3_609));
    limiter.ask(Opening, at(3_609));
    assert_eq!(limiter.used(at(3_609)), 3);
}

#[test]
fn the_reason_of_a_wait_names_its_cause() {
    let refused = |used: u32, limit: u32| {
        format!(
            "the server reports that its quota is exhausted, although only {used} of {limit} queries are counted here"
        )
    };
    for (quota, sent, is_refused, reason) in [
        ("60/h", 0, true, refused(0, 60)),
        ("60/h", 10, true, refused(10, 60)),
        ("3/h", 2, true, refused(2, 3)),
        ("3/h", 3, false, "3 of the 3 queries in the quota are used".to_owned()),
        ("1/h", 1, false, "the quota of 1 query is used".to_owned()),
    ] {
        let limiter = in_memory(quota);
        (0..sent).for_each(|second| limiter.ask(Opening, at(second)));
        if is_refused {
            limiter.granted(Opening, at(20)).refused_hourly(at(20), None).unwrap();
        }
        match limiter.acquire(Opening, at(21)).unwrap() {
            Acquired::NotBefore { cause, used, limit, .. } => {
                assert_eq!(cause == Cause::Refused, is_refused, "{quota} {sent}");
                assert_eq!(limiter.why_wait(cause, used, limit), reason);
            }
            other => panic!("{other:?}"),
        }
    }
    let limiter = in_memory("5/h");
    assert_eq!(limiter.why_wait(Cause::Refused, 5, 5), "the server reports that its quota is exhausted");
    assert_eq!(limiter.why_wait(Cause::Full, 10, 5), "10 queries count towards the quota, which allows 5");
}

#[test]
fn a_refusal_after_a_full_window_restarts_the_backoff() {
    let limiter = in_memory("60/h");
    limiter.granted(Opening, at(0)).refused_hourly(at(0), None).unwrap();
    limiter.granted(Opening, at(600)).refused_hourly(at(600), None).unwrap();
    let last = limiter.granted(Opening, at(3_606));
    assert_eq!(last.refused_hourly(at(3_607), None).unwrap(), at(3_607 + 600));
}

#[test]
fn retry_after_shortens_the_first_wait_within_bounds() {
    for (said, wait) in [(None, 600), (Some(3_600), 600), (Some(300), 300), (Some(10), 60), (Some(0), 60)] {
        let limiter = in_memory("60/h");
        let refused = limiter.granted(Opening, at(0));
        let next = refused.refused_hourly(at(0), said.map(Duration::from_secs)).unwrap();
        assert_eq!(next, at(wait), "{said:?}");
    }
}

#[test]
fn concurrent_refusals_count_once() {
    let limiter = in_memory("60/h");
    let [first, second, third, fourth] = [0; 4].map(|second| limiter.granted(Opening, at(second)));
    assert_eq!(first.refused_hourly(at(1), None).unwrap(), at(601));
    assert_eq!(second.refused_hourly(at(90), None).unwrap(), at(601));
    third.succeeded(at(91)).unwrap();
    assert_eq!(limiter.blocked(Opening, at(92)), at(601), "it was let through before");
    let probe = limiter.granted(Opening, at(601));
    fourth.refused_hourly(at(602), None).unwrap();
    limiter.blocked(Opening, at(603));
    probe.succeeded(at(604)).unwrap();
    limiter.ask(Opening, at(605));
}

#[test]
fn a_very_late_refusal_does_not_undo_a_success() {
    let limiter = in_memory("60/h");
    let [first, late] = [0; 2].map(|second| limiter.granted(Opening, at(second)));
    first.refused_hourly(at(1), None).unwrap();
    limiter.ask(Opening, at(601));
    assert_eq!(late.refused_hourly(at(700), None).unwrap(), at(700));
    limiter.ask(Opening, at(700));
}

/// Sends `pages` session pages, one per second, and another one that is refused. Returns the limiter and when the next
/// request may be sent.
fn run_into_the_price_of_session_pages(pages: i64) -> (RateLimiter, jiff::Timestamp) {
    let limiter = in_memory("60/h");
    for second in 0..pages {
        limiter.ask(Session, at(second));
    }
    let next = limiter.granted(Session, at(pages)).refused_hourly(at(pages), None).unwrap();
    (limiter, next)
}

#[test]
fn a_refusal_explained_by_our_pages_ends_by_the_ledger() {
    let (limiter, next) = run_into_the_price_of_session_pages(100);
    // The latest 60 pages were sent from 40 s to 99 s.
    assert_eq!(next, at(40 + 3_606));
    assert!(limiter.usage(at(101)).unwrap().session_pages_count);
    assert_eq!(limiter.blocked(Session, at(101)), next);
    assert_eq!(limiter.blocked(Opening, at(101)), next);
    let probe = limiter.granted(Session, next);
    limiter.blocked(Session, next);
    limiter.blocked(Opening, next);
    probe.succeeded(next).unwrap();
    assert_eq!(limiter.blocked(Session, next), at(41 + 3_606), "pages count now");
    limiter.ask(Opening, at(41 + 3_606));
}

#[test]
fn a_refusal_not_explained_by_our_pages_is_caused_by_others() {
    let (limiter, next) = run_into_the_price_of_session_pages(30);
    assert_eq!(next, at(30 + 600));
    assert_eq!(limiter.blocked(Session, at(31)), next);
    limiter.ask(Session, next);
    limiter.ask(Session, next);
}

#[test]
fn a_later_refusal_of_a_page_in_flight_extends_the_wait() {
    let limiter = in_memory("60/h");
    let page = limiter.granted(Session, at(0));
    limiter.granted(Opening, at(0)).refused_hourly(at(1), None).unwrap();
    assert_eq!(page.refused_hourly(at(100), None).unwrap(), at(700));
    assert_eq!(limiter.blocked(Session, at(101)), at(700));
    assert_eq!(limiter.blocked(Opening, at(101)), at(700));
}

#[test]
fn an_abandoned_probe_expires() {
    let limiter = in_memory("60/h");
    limiter.granted(Opening, at(0)).refused_hourly(at(0), None).unwrap();
    drop(limiter.granted(Opening, at(600)));
    assert_eq!(limiter.blocked(Opening, at(601)), at(660));
    let second = limiter.granted(Opening, at(660));
    // A slow probe is not given up.
    assert_eq!(limiter.blocked(Opening, at(1_200)), at(1_260));
    assert_eq!(second.refused_hourly(at(1_300), None).unwrap(), at(3_606));
}

#[test]
fn an_inconclusive_probe_may_be_repeated() {
    let limiter = in_memory("60/h");
    limiter.granted(Opening, at(0)).refused_hourly(at(0), None).unwrap();
    limiter.granted(Opening, at(600)).answered(at(601)).unwrap();
    limiter.granted(Opening, at(602)).refunded(at(603)).unwrap();
    let probe = limiter.granted(Opening, at(604));
    limiter.blocked(Opening, at(604));
    probe.succeeded(at(605)).unwrap();
    limiter.ask(Opening, at(605));
}

#[test]
fn a_refusal_moves_with_a_clock_set_back() {
    let limiter = in_memory("60/h");
    limiter.granted(Opening, at(10_000)).refused_hourly(at(10_000), None).unwrap();
    assert_eq!(limiter.blocked(Opening, at(0)), at(600));
    limiter.granted(Opening, at(600)).refused_hourly(at(600), None).unwrap();
    assert_eq!(limiter.blocked(Opening, at(601)), at(3_606));
}
