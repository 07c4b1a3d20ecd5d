//! Tests servers whose pages differ from what they announced.

use super::tests::*;
use super::*;
use crate::api::FailureKind;
use crate::fetch::source::Over;

const TOTAL: u64 = 95;

#[test]
fn pages_beyond_the_announced_ones_are_requested() {
    // Pages have 8 records instead of the declared 10, so 95 records take 12 pages.
    fn script(page: u32, _: u32) -> Answer {
        Answer::Page { received: TOTAL.saturating_sub(u64::from(page) * 8).min(8) }
    }
    for workers in [1, 5] {
        let seen = simulate(&Model { workers, ..model(TOTAL, script) });
        assert_eq!(
            (seen.outcome.counts.received, seen.outcome.counts.shortfall, seen.outcome.counts.drift),
            (95, 0, 0)
        );
        assert!(seen.requests.len() <= 12 + 6, "{:?}", seen.asked());
    }
}

#[test]
fn one_profile_fewer_is_drift_and_more_is_a_shortfall() {
    fn one(page: u32, attempt: u32) -> Answer {
        if page == 9 { Answer::Page { received: 4 } } else { pages_of::<TOTAL>(page, attempt) }
    }
    fn two(page: u32, attempt: u32) -> Answer {
        if page == 4 { Answer::Page { received: 8 } } else { pages_of::<TOTAL>(page, attempt) }
    }
    fn half(page: u32, attempt: u32) -> Answer {
        if page >= 4 { Answer::Page { received: 0 } } else { pages_of::<TOTAL>(page, attempt) }
    }
    for (script, drift, shortfall) in [(one as Script, 1, 0), (two, 0, 2), (half, 0, 55)] {
        let outcome = simulate(&model(TOTAL, script)).outcome;
        assert_eq!((outcome.counts.drift, outcome.counts.shortfall), (drift, shortfall));
        assert_eq!(outcome.is_whole(), shortfall == 0);
        assert_eq!(outcome.session_over, (shortfall > 0).then_some(Over::Short));
    }
}

#[test]
fn an_endless_server_is_not_requested_endlessly() {
    fn empty(page: u32, attempt: u32) -> Answer {
        if page >= 3 { Answer::Page { received: 0 } } else { pages_of::<1_000>(page, attempt) }
    }
    fn last(page: u32, _: u32) -> Answer {
        Answer::RecordsOf(page.min(3))
    }
    fn first(_: u32, _: u32) -> Answer {
        Answer::RecordsOf(0)
    }
    for (script, pages) in [(empty as Script, 3), (last, 4), (first, 1)] {
        for (workers, total) in [(1, 1_000), (5, 1_000), (1, 10_000_000), (5, 10_000_000)] {
            let seen = simulate(&Model { workers, ..model(total, script) });
            assert!(seen.requests.len() <= pages + 12, "{workers}: {:?}", seen.asked());
            assert_eq!(seen.outcome.staged.len(), pages, "{workers}");
            assert!(seen.outcome.counts.shortfall > 0 && seen.outcome.failed.len() < 10, "{:?}", seen.outcome);
        }
    }
}

#[test]
fn a_repeated_page_is_retried_and_then_counts_as_failed() {
    fn once(page: u32, attempt: u32) -> Answer {
        if page == 6 && attempt == 1 { Answer::RecordsOf(2) } else { pages_of::<TOTAL>(page, attempt) }
    }
    fn always(page: u32, attempt: u32) -> Answer {
        if page == 6 { Answer::RecordsOf(2) } else { pages_of::<TOTAL>(page, attempt) }
    }
    let outcome = simulate(&model(TOTAL, once)).outcome;
    assert_eq!((outcome.counts.received, outcome.is_whole()), (95, true));
    let outcome = simulate(&model(TOTAL, always)).outcome;
    assert_eq!((outcome.counts.received, outcome.failed.keys().copied().collect::<Vec<_>>()), (85, vec![6]));
}

#[test]
fn a_repeated_tail_page_ends_the_fetch_only_if_the_total_agrees() {
    fn clamped(page: u32, _: u32) -> Answer {
        Answer::RecordsOf(page.min(4))
    }
    for (total, failed) in [(Some(50), vec![]), (None, vec![5])] {
        let seen = simulate(&Model { total, ..model(50, clamped) });
        assert_eq!(seen.outcome.failed.keys().copied().collect::<Vec<_>>(), failed, "{total:?}");
        assert_eq!(seen.outcome.staged.len(), 5);
        assert!(seen.requests.len() <= 9, "{:?}", seen.asked());
    }
}

#[test]
fn an_impossible_total_ends_the_fetch_after_page_0() {
    for total in [10 * crate::limits::PAGES_MAX + 1, u64::MAX] {
        let seen = simulate(&model(total, pages_of::<TOTAL>));
        let Some(Ending::Fatal(failure)) = seen.outcome.ending else { panic!("{:?}", seen.outcome) };
        assert!(failure.message.contains(&total.to_string()), "{}", failure.message);
        assert_eq!(seen.requests.len(), 1);
    }
}

#[test]
fn uniformly_refused_pages_end_their_session() {
    const fn failing(kind: FailureKind) -> impl Fn(u32) -> Answer {
        move |page| if page < 3 { Answer::Page { received: SIZE } } else { Answer::Fail(kind) }
    }
    fn gone(page: u32, _: u32) -> Answer {
        failing(FailureKind::Rejected(410))(page)
    }
    fn unknown(page: u32, _: u32) -> Answer {
        failing(FailureKind::NotFound)(page)
    }
    fn broken(page: u32, _: u32) -> Answer {
        failing(FailureKind::Server { status: 500, retry_after: None })(page)
    }
    fn down(page: u32, _: u32) -> Answer {
        failing(DOWN)(page)
    }
    fn one(page: u32, attempt: u32) -> Answer {
        if page == 3 { Answer::Fail(DOWN) } else { pages_of::<TOTAL>(page, attempt) }
    }
    for (script, over) in [
        (gone as Script, Some(Over::Refused)),
        (unknown, Some(Over::Refused)),
        (broken, Some(Over::Refused)),
        (down, None),
        (one, None),
    ] {
        assert_eq!(simulate(&model(TOTAL, script)).outcome.session_over, over);
    }
}

#[test]
fn an_endless_server_is_abandoned() {
    fn script(_: u32, _: u32) -> Answer {
        Answer::Page { received: SIZE }
    }
    for (total, most) in [(0, 30), (35, 30), (1_000, 210)] {
        for workers in [1, 5] {
            let seen = simulate(&Model { workers, ..model(total, script) });
            assert!(seen.requests.len() <= most, "{total}: {}", seen.requests.len());
            let last = seen.outcome.failed.values().next().expect("the page that would be next is missing");
            assert!(
                last.message.contains(&format!("announced {total} profiles but is still sending more")),
                "{}",
                last.message
            );
        }
    }
}

#[test]
fn a_server_that_fails_at_everything_gets_few_requests() {
    fn script(page: u32, _: u32) -> Answer {
        if page == 0 { Answer::Page { received: SIZE } } else { Answer::Fail(DOWN) }
    }
    let seen = simulate(&model(10_000, script));
    let early = seen.requests.iter().filter(|(_, second)| *second < 4).count();
    assert!(early <= 35 && seen.requests.len() <= 120, "{early} of {}", seen.requests.len());
    assert!(!seen.outcome.is_whole());
}

#[test]
fn pages_longer_than_declared_are_all_fetched() {
    fn script(page: u32, _: u32) -> Answer {
        Answer::Page { received: TOTAL.saturating_sub(u64::from(page) * 20).min(20) }
    }
    let outcome = simulate(&model(TOTAL, script)).outcome;
    assert_eq!((outcome.counts.received, outcome.is_whole()), (TOTAL, true));
}

/// Responses take no time here, so only the pause separates the requests.
#[test]
fn unannounced_pages_are_requested_at_ten_per_second() {
    let model = Model { total: None, ..model(0, pages_of::<1_000>) };
    let mut coordinator = Coordinator::new(Rules::new(5));
    let (mut now, mut sent) = (Duration::ZERO, Vec::new());
    while sent.len() < 60 {
        match coordinator.next(now) {
            Step::Send(request) => {
                sent.push(now);
                coordinator.sent(request.part);
                coordinator.reply_received(request.part);
                let verdict = coordinator.part_arrived(request.part, &facts(&model, request.part, SIZE, "S"), now, 0.5);
                assert_eq!(verdict, PartDecision::Store);
                coordinator.part_staged(request.part, SIZE);
            }
            Step::WaitUntil(moment) => now = moment,
            other => panic!("{other:?} after {} requests", sent.len()),
        }
    }
    // Page 0, 20 pages without a pause, and the one that starts the pauses.
    assert_eq!(sent.iter().filter(|moment| moment.is_zero()).count(), 22);
    assert!(sent[21..].windows(2).all(|pair| pair[1] - pair[0] == crate::limits::UNANNOUNCED_PAUSE), "{sent:?}");
}
