//! Tests of the pool of the export API, in virtual time: at most three requests start within a second.

use proptest::prelude::*;

use super::testing::{Opening, at_milliseconds};
use super::{Acquired, Pool, RateLimiter};

fn open(directory: &std::path::Path, quota: &str) -> RateLimiter {
    RateLimiter::open(Pool::EXPORT, Some(directory), "data.mixpanel.com", "12345", quota.parse().unwrap()).unwrap()
}

#[test]
fn a_fourth_request_waits_for_the_first_to_be_a_second_old() {
    let directory = tempfile::tempdir().unwrap();
    let limiter = open(directory.path(), "60/h");
    let held: Vec<_> = [0, 100, 200].map(|now| limiter.granted(Opening, at_milliseconds(now))).into();
    for now in [200, 999, 1_249] {
        match open(directory.path(), "60/h").acquire(Opening, at_milliseconds(now)).unwrap() {
            Acquired::TooSoon { at } => assert_eq!(at, at_milliseconds(1_250)),
            other => panic!("{other:?}"),
        }
    }
    // A request that the server did not count was sent all the same.
    held.into_iter().for_each(|permit| permit.refunded(at_milliseconds(300)).unwrap());
    assert!(matches!(limiter.acquire(Opening, at_milliseconds(1_000)).unwrap(), Acquired::TooSoon { .. }));
    limiter.ask(Opening, at_milliseconds(1_250));
    assert!(matches!(limiter.acquire(Opening, at_milliseconds(1_250)).unwrap(), Acquired::TooSoon { .. }));
}

#[test]
fn export_requests_do_not_use_the_quota_of_queries() {
    let directory = tempfile::tempdir().unwrap();
    let queries =
        RateLimiter::open(Pool::QUERY, Some(directory.path()), "data.mixpanel.com", "12345", "2/h".parse().unwrap());
    let (queries, exports) = (queries.unwrap(), open(directory.path(), "2/h"));
    for now in [0, 2_000] {
        exports.ask(Opening, at_milliseconds(now));
        queries.ask(Opening, at_milliseconds(now));
    }
    exports.blocked(Opening, at_milliseconds(4_000));
    assert_eq!((exports.used(at_milliseconds(4_000)), queries.used(at_milliseconds(4_000))), (2, 2));
}

#[test]
fn a_hundred_requests_may_be_in_flight() {
    let directory = tempfile::tempdir().unwrap();
    let limiter = open(directory.path(), "1000/h");
    let held: Vec<_> = (0..100).map(|number| limiter.granted(Opening, at_milliseconds(number * 1_000))).collect();
    assert!(matches!(limiter.acquire(Opening, at_milliseconds(200_000)).unwrap(), Acquired::NoFreeSlot));
    drop(held);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_second_has_more_than_three_starts(
        steps in prop::collection::vec((0i64..700, prop_oneof![9 => Just(0i64), 1 => 0i64..200_000], 0usize..2), 1..80)
    ) {
        let directory = tempfile::tempdir().unwrap();
        let limiters = [0; 2].map(|_| open(directory.path(), "1000/h"));
        let (mut time, mut behind, mut starts) = (0, 0, Vec::new());
        for (passed, set_back, by) in steps {
            (time, behind) = (time + passed, behind + set_back);
            match limiters[by].acquire(Opening, at_milliseconds(time - behind)).unwrap() {
                Acquired::Granted(permit) => {
                    starts.push(time);
                    permit.succeeded(at_milliseconds(time - behind)).unwrap();
                }
                Acquired::TooSoon { at } => {
                    prop_assert!(at > at_milliseconds(time - behind));
                }
                other => panic!("{other:?}"),
            }
        }
        for start in &starts {
            let within = starts.iter().filter(|time| (*start..*start + 1_250).contains(*time)).count();
            prop_assert!(within <= 3, "{within} requests within 1.25 s");
        }
    }
}
