//! Tests waits, restarts and resumes of the coordinator: rate limits, outages, lost sessions, short pages.

use super::tests::*;
use super::*;
use crate::api::{Failure, FailureKind};
use crate::fetch::part::PartRequest;

#[test]
fn a_rate_limit_pauses_all_requests_and_sends_one_first() {
    fn script(page: u32, attempt: u32) -> Answer {
        let kind = crate::api::RateLimitKind::LoadShed;
        let limited = FailureKind::RateLimited { kind, retry_after: Some(10 * SECOND) };
        if page == 2 && attempt == 1 { Answer::Fail(limited) } else { pages_of::<195>(page, attempt) }
    }
    let seen = simulate(&model(195, script));
    // Page 0 arrives after one second, page 2 is refused after two seconds, and the pause is 10 s.
    let paused: Vec<_> = seen.requests.iter().filter(|(_, second)| (2..12).contains(second)).collect();
    assert!(paused.is_empty(), "{paused:?}");
    let first: Vec<_> = seen.requests.iter().filter(|(_, second)| *second == 12).map(|(page, _)| *page).collect();
    assert_eq!(first, [2], "one request tries first");
    assert_eq!(seen.outcome.counts.waited_seconds, 10.0);
    assert_eq!(seen.outcome.counts.received, 195);
    assert!(seen.events.iter().any(|event| matches!(event, FetchEvent::Waiting { .. })));
}

#[test]
fn a_concurrency_429_lowers_the_limit_and_ignores_a_long_retry_after() {
    fn script(page: u32, attempt: u32) -> Answer {
        let kind = crate::api::RateLimitKind::Concurrent;
        let limited = FailureKind::RateLimited { kind, retry_after: Some(HOUR) };
        if (1..=5).contains(&page) && attempt == 1 { Answer::Fail(limited) } else { pages_of::<895>(page, attempt) }
    }
    let seen = simulate(&model(895, script));
    assert_eq!((seen.outcome.counts.received, seen.outcome.failed.len()), (895, 0));
    assert_eq!(seen.outcome.counts.waited_seconds, 1.0, "five refusals at once are one");
    let at_once = |second: u64| seen.requests.iter().filter(|(_, sent)| *sent == second).count();
    assert_eq!((at_once(3), at_once(4), at_once(5)), (1, 4, 4), "one tries, and then it is one less than before");
    assert_eq!(at_once(seen.end.as_secs() - 3), 5, "after a while it is tried again");
}

#[test]
fn a_quota_that_is_used_up_is_waited_for() {
    fn script(page: u32, attempt: u32) -> Answer {
        if page >= 6 && attempt == 1 { Answer::QuotaUsedUp } else { pages_of::<195>(page, attempt) }
    }
    let seen = simulate(&model(195, script));
    assert_eq!((seen.outcome.counts.received, seen.outcome.failed.len()), (195, 0));
    let refused_at = seen.requests.iter().filter(|(page, _)| *page == 6).map(|(_, second)| *second).min().unwrap();
    let before: Vec<_> = seen.requests.iter().filter(|(_, second)| (refused_at + 1..3600).contains(second)).collect();
    assert!(before.is_empty(), "{before:?}");
}

#[test]
fn a_wait_that_is_too_long_ends_the_run_and_keeps_staged_pages() {
    fn script(page: u32, attempt: u32) -> Answer {
        if page >= 6 { Answer::QuotaUsedUp } else { pages_of::<195>(page, attempt) }
    }
    let seen = simulate(&Model { max_wait: HOUR - SECOND, ..model(195, script) });
    assert_eq!(seen.outcome.staged, [0, 1, 2, 3, 4, 5]);
    assert_eq!(seen.outcome.failed.len(), 14);
    assert!(seen.requests.len() <= 11, "no request after the refusal was known: {:?}", seen.requests);
    assert_eq!(seen.progress().len(), 20, "every page is reported");
    let seen = simulate(&Model { max_wait: 3 * HOUR, ..model(195, script) });
    assert_eq!((seen.outcome.staged.len(), seen.end > 2 * HOUR), (6, true), "it waits as long as it may");
}

#[test]
fn a_failed_page_that_may_not_exist_is_named() {
    fn nothing_after_page_0(page: u32, _: u32) -> Answer {
        if page == 0 { Answer::Page { received: SIZE } } else { Answer::QuotaUsedUp }
    }
    fn nothing_after_page_1(page: u32, _: u32) -> Answer {
        if page < 2 { Answer::Page { received: SIZE } } else { Answer::Fail(DOWN) }
    }
    type Case = (Option<u64>, Script, &'static [u32], Option<u32>);
    let table: [Case; 7] = [
        // The announced profiles fill pages 0 and 1, so page 2 may not exist.
        (Some(20), nothing_after_page_0, &[1, 2], Some(2)),
        (Some(15), nothing_after_page_0, &[1], None),
        (None, nothing_after_page_0, &[1], Some(1)),
        // Page 2 was requested, and nothing proves that it does not exist.
        (None, nothing_after_page_1, &[2], Some(2)),
        (Some(15), nothing_after_page_1, &[2], Some(2)),
        // It is announced.
        (Some(25), nothing_after_page_1, &[2], None),
        (Some(15), pages_of::<15>, &[], None),
    ];
    for (total, script, failed, unchecked) in table {
        let outcome = simulate(&Model { total, max_wait: HOUR - SECOND, ..model(0, script) }).outcome;
        let pages: Vec<u32> = outcome.failed.keys().copied().collect();
        assert_eq!((&pages[..], outcome.unchecked_page), (failed, unchecked), "{total:?}");
    }
}

#[test]
fn a_network_that_is_down_is_waited_for_and_costs_no_attempts() {
    fn script(page: u32, attempt: u32) -> Answer {
        if page >= 6 && attempt <= 2 { Answer::Fail(FailureKind::Unreachable) } else { pages_of::<95>(page, attempt) }
    }
    let seen = simulate(&model(95, script));
    assert_eq!((seen.outcome.counts.received, seen.outcome.failed.len()), (95, 0));
    let seen = simulate(&model(95, |page, attempt| {
        if page >= 6 { Answer::Fail(FailureKind::Unreachable) } else { pages_of::<95>(page, attempt) }
    }));
    assert!(matches!(seen.outcome.ending, Some(Ending::Halted(_))));
    assert_eq!((seen.outcome.staged.len(), seen.outcome.failed.len()), (6, 4));
    assert!(seen.end < crate::limits::OUTAGE_WAIT_MAX + 20 * SECOND);
}

#[test]
fn a_lost_session_refetches_every_page() {
    fn replaced(page: u32, attempt: u32) -> Answer {
        if page == 4 && attempt == 1 { Answer::OtherSession } else { pages_of::<95>(page, attempt) }
    }
    fn lost(page: u32, attempt: u32) -> Answer {
        if page == 4 && attempt == 1 { Answer::Fail(FailureKind::SessionLost) } else { pages_of::<95>(page, attempt) }
    }
    for script in [replaced as Script, lost] {
        let seen = simulate(&model(95, script));
        assert_eq!(
            (seen.outcome.counts.session_restarts, seen.outcome.counts.received, seen.outcome.failed.len()),
            (1, 95, 0)
        );
        let restarted = seen.events.iter().position(|event| matches!(event, FetchEvent::Restarted { .. })).unwrap();
        let after = seen.events[restarted..].iter().filter(|event| matches!(event, FetchEvent::Page(_))).count();
        assert_eq!(after, 10, "every page is fetched in the new session");
    }
}

#[test]
fn a_server_that_keeps_losing_the_session_ends_the_run() {
    let seen = simulate(&model(95, |page, attempt| {
        if page == 4 { Answer::Fail(FailureKind::SessionLost) } else { pages_of::<95>(page, attempt) }
    }));
    assert!(matches!(seen.outcome.ending, Some(Ending::Fatal(Failure { kind: FailureKind::SessionLost, .. }))));
    assert_eq!(seen.outcome.counts.session_restarts, 2);
    assert_eq!(seen.requests.iter().filter(|(page, _)| *page == 0).count(), 3);
}

#[test]
fn a_short_page_in_the_middle_is_retried() {
    fn cut(page: u32, attempt: u32) -> Answer {
        if page == 3 && attempt == 1 { Answer::Page { received: 4 } } else { pages_of::<95>(page, attempt) }
    }
    let seen = simulate(&model(95, cut));
    assert_eq!(
        (seen.outcome.counts.received, seen.outcome.counts.short_pages.len(), seen.outcome.counts.retries),
        (95, 0, 1)
    );
    fn short(page: u32, attempt: u32) -> Answer {
        if page == 3 { Answer::Page { received: 4 } } else { pages_of::<95>(page, attempt) }
    }
    let seen = simulate(&model(95, short));
    assert_eq!(
        (seen.outcome.counts.received, seen.outcome.counts.short_pages, seen.outcome.counts.retries),
        (89, vec![3], 1)
    );
    // If all pages are as short as page 0, their length is taken as the page size.
    let seen = simulate(&model(195, |page, _| Answer::Page { received: if page < 20 { 9 } else { 0 } }));
    assert_eq!((seen.outcome.counts.received, seen.outcome.counts.short_pages), (180, vec![0]));
    assert_eq!((seen.outcome.counts.retries, seen.outcome.counts.shortfall), (1, 15));
}

#[test]
fn a_resumed_run_requests_only_missing_pages() {
    let staged = |pages: &[u32]| -> Vec<_> {
        pages
            .iter()
            .map(|page| crate::stage::StagedPage { page: *page, rows: SIZE, rejected: 0, fingerprint: None })
            .collect()
    };
    let facts = crate::stage::SessionFacts {
        session_id: Some("S".into()),
        total: Some(95),
        declared_page_size: Some(SIZE),
        first_page_records: SIZE,
        server_time: None,
        clock_ahead: 0,
    };
    let earlier = PriorRun { epoch: 3, session: Some(facts), staged: staged(&[0, 1, 4, 7]), ..PriorRun::default() };
    let mut coordinator = Coordinator::resume(Rules::new(5), &earlier);
    let model = model(95, pages_of::<95>);
    let mut asked = Vec::new();
    while let Step::Send(request) = coordinator.next(SECOND) {
        let PartRequest { epoch, part: page, .. } = request;
        assert_eq!((epoch, request.session()), (3, Some("S")));
        coordinator.sent(page);
        asked.push(page);
        answer(&mut coordinator, &model, page, 1, SECOND);
    }
    assert_eq!(asked, [2, 3, 5, 6, 8, 9]);
    let outcome = coordinator.finish(SECOND);
    assert_eq!((outcome.counts.received, outcome.staged.len(), outcome.failed.len()), (95, 10, 0));
}
