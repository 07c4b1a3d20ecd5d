//! Tests the coordinator against a model of a server, in virtual time: every request takes one second, staging takes
//! none.

use std::collections::BTreeMap;

use super::*;
use crate::api::{Failure, FailureKind};
use crate::fetch::core::outcome::Outcome;
use crate::fetch::part::PartRequest;
use crate::fetch::profiles::PageFacts;

/// Returns the model's answer by page and attempt (from 1).
pub(super) type Script = fn(page: u32, attempt: u32) -> Answer;

pub(super) enum Answer {
    Page {
        received: u64,
    },
    /// The records of this page under the requested page number.
    RecordsOf(u32),
    OtherSession,
    OtherPage,
    Fail(FailureKind),
    QuotaUsedUp,
}

pub(super) struct Model {
    pub(super) workers: u32,
    pub(super) total: Option<u64>,
    pub(super) session: Option<&'static str>,
    pub(super) page_bytes: usize,
    pub(super) script: Script,
    pub(super) stop_at: Option<Duration>,
    pub(super) max_wait: Duration,
}

/// The observable behaviour of a run.
pub(super) struct Seen {
    pub(super) outcome: Outcome,
    /// Every request: its page, and the second in which it was sent.
    pub(super) requests: Vec<(u32, u64)>,
    pub(super) most_at_once: usize,
    pub(super) end: Duration,
    pub(super) events: Vec<FetchEvent>,
}

impl Seen {
    pub(super) fn asked(&self) -> Vec<u32> {
        self.requests.iter().map(|(page, _)| *page).collect()
    }

    pub(super) fn progress(&self) -> Vec<(u32, bool)> {
        let pages = self.events.iter().filter_map(|event| match event {
            FetchEvent::Page(progress) => Some((progress.page_index, progress.success)),
            _ => None,
        });
        pages.collect()
    }
}

pub(super) const SIZE: u64 = 10;
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn limited(message: &str) -> Failure {
    let kind = crate::api::RateLimitKind::Hourly;
    Failure::new(FailureKind::RateLimited { kind, retry_after: None }, message)
}

pub(super) fn model(total: u64, script: Script) -> Model {
    Model {
        workers: 5,
        total: Some(total),
        session: Some("S"),
        page_bytes: 1000,
        script,
        stop_at: None,
        max_wait: crate::limits::MAX_WAIT,
    }
}

/// Pages of up to 10 records, `TOTAL` records in all.
pub(super) fn pages_of<const TOTAL: u64>(page: u32, _: u32) -> Answer {
    Answer::Page { received: TOTAL.saturating_sub(u64::from(page) * SIZE).min(SIZE) }
}

pub(super) fn facts(model: &Model, page: u32, received: u64, session: &str) -> PageFacts {
    PageFacts {
        page: Some(u64::from(page)),
        page_size: Some(SIZE),
        session_id: model.session.map(|_| session.to_owned()),
        total: model.total.filter(|_| page == 0),
        received,
        fingerprint: 1_000 + u64::from(page),
        bytes: model.page_bytes,
    }
}

pub(super) fn simulate(model: &Model) -> Seen {
    let mut coordinator = Coordinator::new(Rules { max_wait: model.max_wait, ..Rules::new(model.workers) });
    let mut now = Duration::ZERO;
    let mut in_progress: Vec<(Duration, u32, u32, u32)> = Vec::new();
    let mut attempts = BTreeMap::new();
    let mut seen =
        Seen { outcome: coordinator.finish(now), requests: Vec::new(), most_at_once: 0, end: now, events: Vec::new() };
    for _ in 0..100_000 {
        let step = coordinator.next(now);
        seen.events.extend(std::iter::from_fn(|| coordinator.next_event()));
        let until = match step {
            Step::Send(request) => {
                let PartRequest { epoch, part: page, .. } = request;
                assert!(request.session().is_some() || page == 0, "pages after the first name the session");
                coordinator.sent(page);
                let attempt = *attempts.entry(page).and_modify(|attempt| *attempt += 1).or_insert(1);
                in_progress.push((now + SECOND, epoch, page, attempt));
                seen.requests.push((page, now.as_secs()));
                seen.most_at_once = seen.most_at_once.max(in_progress.len());
                continue;
            }
            Step::WaitUntil(moment) => moment,
            Step::WaitForEvent => Duration::MAX,
            Step::Finish => {
                seen.outcome = coordinator.finish(now);
                seen.events.extend(std::iter::from_fn(|| coordinator.next_event()));
                seen.end = now;
                return seen;
            }
        };
        let next_reply = in_progress.iter().map(|(moment, ..)| *moment).min().unwrap_or(Duration::MAX);
        let stop = model.stop_at.filter(|stop| *stop > now).unwrap_or(Duration::MAX);
        now = until.min(next_reply).min(stop);
        assert_ne!(now, Duration::MAX, "it waits for what never comes");
        if Some(now) == model.stop_at {
            coordinator.stop(now + 10 * SECOND);
        }
        let (due, rest) = in_progress.into_iter().partition(|(moment, ..)| *moment <= now);
        in_progress = rest;
        for (_, epoch, page, attempt) in due {
            if epoch == coordinator.epoch() {
                answer(&mut coordinator, model, page, attempt, now);
            }
        }
    }
    panic!("it never ends")
}

pub(super) fn answer(coordinator: &mut Coordinator, model: &Model, page: u32, attempt: u32, now: Duration) {
    let (received, facts) = match (model.script)(page, attempt) {
        Answer::QuotaUsedUp => return coordinator.quota_refused(page, limited("no"), now, now + HOUR),
        Answer::Fail(kind) => return coordinator.request_failed(page, Failure::new(kind, "no"), now, 1.0),
        Answer::Page { received } => (received, facts(model, page, received, "S")),
        Answer::RecordsOf(other) => {
            let repeated = PageFacts { fingerprint: 1_000 + u64::from(other), ..facts(model, page, SIZE, "S") };
            (SIZE, repeated)
        }
        Answer::OtherSession => (SIZE, facts(model, page, SIZE, "T")),
        Answer::OtherPage => (SIZE, facts(model, page + 1, SIZE, "S")),
    };
    coordinator.reply_received(page);
    if coordinator.part_arrived(page, &facts, now, 1.0) == PartDecision::Store {
        coordinator.part_staged(page, received);
    }
}

pub(super) const DOWN: FailureKind = FailureKind::Server { status: 503, retry_after: None };

#[test]
fn page_0_goes_alone_and_the_others_five_at_a_time() {
    let seen = simulate(&model(246, pages_of::<246>));
    assert_eq!(seen.asked(), (0..25).collect::<Vec<_>>());
    assert_eq!(seen.most_at_once, 5);
    assert_eq!(seen.end, 6 * SECOND, "25 pages are 6 rounds");
    assert_eq!((seen.outcome.counts.received, seen.outcome.staged.len()), (246, 25));
    assert_eq!(seen.progress().len(), 25);
}

#[test]
fn one_worker_requests_pages_sequentially() {
    let seen = simulate(&Model { workers: 1, ..model(246, pages_of::<246>) });
    assert_eq!((seen.most_at_once, seen.end), (1, 25 * SECOND));
}

#[test]
fn the_tail_page_costs_no_extra_round() {
    let seen = simulate(&model(50, pages_of::<50>));
    assert_eq!(seen.asked(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(seen.end, 2 * SECOND);
    assert_eq!(seen.outcome.staged, [0, 1, 2, 3, 4]);
    assert_eq!(seen.progress().len(), 5, "a page that does not exist is not reported");
}

#[test]
fn a_refused_tail_page_ends_the_fetch() {
    fn script(page: u32, _: u32) -> Answer {
        if page < 5 { Answer::Page { received: SIZE } } else { Answer::Fail(FailureKind::Rejected(400)) }
    }
    let seen = simulate(&model(50, script));
    assert_eq!((seen.requests.len(), seen.outcome.failed.len(), seen.outcome.counts.received), (6, 0, 50));
}

#[test]
fn pages_beyond_the_total_are_fetched_to_the_end() {
    let seen = simulate(&model(15, pages_of::<47>));
    assert_eq!((seen.outcome.counts.received, seen.outcome.staged.len()), (47, 5));
    assert_eq!(seen.outcome.counts.expected_rows, Some(15));
}

#[test]
fn an_unreachable_page_beyond_the_total_counts_as_failed() {
    fn script(page: u32, _: u32) -> Answer {
        if page < 3 { Answer::Page { received: SIZE } } else { Answer::Fail(DOWN) }
    }
    // Page 1 was full although the total of 15 leaves only 5 profiles for it, so the total does not prove that page 3
    // is past the end.
    let seen = simulate(&model(15, script));
    assert_eq!((seen.outcome.counts.received, seen.outcome.failed.keys().copied().collect::<Vec<_>>()), (30, vec![3]));
    // With the correct total, nothing is missing.
    let right = simulate(&model(30, script));
    assert_eq!((right.outcome.counts.received, right.outcome.failed.len()), (30, 0));
    let unknown = Model { total: None, ..model(0, script) };
    assert_eq!(simulate(&unknown).outcome.failed.keys().copied().collect::<Vec<_>>(), [3]);
}

#[test]
fn a_failing_page_is_retried_while_others_continue() {
    fn script(page: u32, attempt: u32) -> Answer {
        if page == 3 && attempt < 3 { Answer::Fail(DOWN) } else { pages_of::<95>(page, attempt) }
    }
    let seen = simulate(&model(95, script));
    assert_eq!((seen.outcome.counts.received, seen.outcome.counts.retries, seen.outcome.counts.requests), (95, 2, 12));
    assert_eq!(seen.progress().iter().filter(|(page, _)| *page == 3).count(), 1);
}

#[test]
fn permanently_failing_pages_are_listed_and_the_others_kept() {
    fn script(page: u32, attempt: u32) -> Answer {
        if page == 3 || page == 7 { Answer::Fail(DOWN) } else { pages_of::<100>(page, attempt) }
    }
    let seen = simulate(&model(100, script));
    assert_eq!(seen.outcome.failed.keys().copied().collect::<Vec<_>>(), [3, 7]);
    assert_eq!((seen.outcome.counts.received, seen.outcome.staged.len()), (80, 8));
    assert_eq!(seen.progress().iter().filter(|(_, success)| !success).count(), 2);
}

#[test]
fn page_0_decides() {
    let refusals: [Script; 3] = [
        |_, _| Answer::Fail(FailureKind::Unauthorized { status: 401 }),
        |_, _| Answer::Fail(FailureKind::Rejected(400)),
        |_, _| Answer::Fail(FailureKind::NotFound),
    ];
    for script in refusals {
        let seen = simulate(&model(0, script));
        assert_eq!(seen.requests.len(), 1);
        assert!(matches!(seen.outcome.ending, Some(Ending::Fatal(_))));
    }
    let seen = simulate(&model(0, |_, _| Answer::Fail(DOWN)));
    assert_eq!((seen.requests.len(), seen.outcome.staged.len()), (4, 0));
    assert!(matches!(seen.outcome.ending, Some(Ending::Fatal(Failure { kind: DOWN, .. }))));
}

#[test]
fn a_401_in_the_middle_ends_the_run() {
    fn script(page: u32, attempt: u32) -> Answer {
        if page >= 6 { Answer::Fail(FailureKind::Unauthorized { status: 401 }) } else { pages_of::<195>(page, attempt) }
    }
    let seen = simulate(&model(195, script));
    assert!(matches!(seen.outcome.ending, Some(Ending::Fatal(Failure { kind: FailureKind::Unauthorized { .. }, .. }))));
    assert!(seen.requests.len() <= 11);
}

#[test]
fn a_stop_lets_pages_in_flight_land() {
    let seen = simulate(&Model { stop_at: Some(Duration::from_millis(1500)), ..model(195, pages_of::<195>) });
    assert_eq!(seen.outcome.staged, [0, 1, 2, 3, 4, 5]);
    assert_eq!(seen.end, 2 * SECOND);
    assert!(matches!(seen.outcome.ending, Some(Ending::Stopped)));
}

#[test]
fn large_pages_are_fetched_fewer_at_a_time() {
    let seen = simulate(&Model { page_bytes: 40 << 20, ..model(195, pages_of::<195>) });
    assert_eq!((seen.most_at_once, seen.outcome.counts.received), (3, 195));
}

#[test]
fn a_response_with_the_wrong_page_is_retried() {
    fn script(page: u32, attempt: u32) -> Answer {
        if page == 4 && attempt == 1 { Answer::OtherPage } else { pages_of::<95>(page, attempt) }
    }
    let seen = simulate(&model(95, script));
    assert_eq!((seen.outcome.counts.received, seen.outcome.counts.retries), (95, 1));
}

#[test]
fn more_pages_without_a_session_are_an_error() {
    let seen = simulate(&Model { session: None, ..model(95, pages_of::<95>) });
    assert_eq!(seen.requests.len(), 1);
    assert!(matches!(seen.outcome.ending, Some(Ending::Fatal(_))));
    // Without a total, a full page may be followed by others.
    let seen = simulate(&Model { session: None, total: None, ..model(0, pages_of::<10>) });
    assert!(matches!(seen.outcome.ending, Some(Ending::Fatal(_))));
    // A single page needs no session, full or not.
    let seen = simulate(&Model { session: None, ..model(10, pages_of::<10>) });
    assert_eq!((seen.requests.len(), seen.outcome.counts.received), (1, 10));
    assert!(seen.outcome.ending.is_none());
}

#[test]
fn the_quota_warning_precedes_the_pages() {
    for (total, expected) in [(480, false), (481, true)] {
        let seen = simulate(&model(total, |page, _| Answer::Page { received: if page < 48 { SIZE } else { 1 } }));
        let warning = seen.events.iter().position(|event| matches!(event, FetchEvent::Warning(_)));
        assert_eq!(warning.is_some(), expected, "{total}");
        let second_page = seen.events.iter().position(|event| matches!(event, FetchEvent::Page(_)));
        assert!(warning < second_page, "the warning comes before the pages");
    }
}

#[test]
fn a_lost_session_is_not_taken_for_the_last_page() {
    fn script(page: u32, attempt: u32) -> Answer {
        if page == 3 && attempt == 1 { Answer::Fail(FailureKind::SessionLost) } else { pages_of::<75>(page, attempt) }
    }
    for total in [None, Some(15)] {
        let seen = simulate(&Model { total, ..model(0, script) });
        assert_eq!((seen.outcome.counts.received, seen.outcome.counts.session_restarts), (75, 1), "{total:?}");
    }
}

#[test]
fn rate_limits_and_faults_are_counted_apart() {
    fn script(page: u32, attempt: u32) -> Answer {
        let kind = crate::api::RateLimitKind::LoadShed;
        match (page, attempt) {
            (3, 1..=3) => Answer::Fail(FailureKind::RateLimited { kind, retry_after: None }),
            (3, 4..=6) => Answer::Fail(DOWN),
            _ => pages_of::<95>(page, attempt),
        }
    }
    let seen = simulate(&model(95, script));
    assert_eq!((seen.outcome.counts.received, seen.outcome.failed.len(), seen.outcome.counts.retries), (95, 0, 6));
}

#[test]
fn a_stop_deadline_applies_even_after_a_fatal_error() {
    let mut coordinator = Coordinator::new(Rules::new(5));
    let model = model(195, pages_of::<195>);
    assert!(matches!(coordinator.next(Duration::ZERO), Step::Send(PartRequest { part: 0, .. })));
    coordinator.sent(0);
    answer(&mut coordinator, &model, 0, 1, SECOND);
    while let Step::Send(request) = coordinator.next(SECOND) {
        coordinator.sent(request.part);
    }
    coordinator.request_failed(1, Failure::new(FailureKind::Unauthorized { status: 401 }, "no"), SECOND, 1.0);
    assert_eq!(coordinator.next(SECOND), Step::WaitForEvent, "pages in flight may land");
    coordinator.stop(3 * SECOND);
    assert_eq!(coordinator.next(SECOND), Step::WaitUntil(3 * SECOND));
    assert_eq!(coordinator.next(3 * SECOND), Step::Finish);
    assert!(matches!(coordinator.finish(3 * SECOND).ending, Some(Ending::Fatal(_))));
}
