//! Tests of a fetch of events: its slices in virtual time, with a scripted server.

use std::collections::{BTreeMap, BTreeSet};

use jiff::ToSpan as _;
use jiff::civil::Date;

use super::*;
use crate::api::{Failure, FailureKind, RateLimitKind};
use crate::fetch::core::Outcome;
use crate::fetch::part::{Requested, SliceSize};
use crate::note::Note;
use crate::slice::Slice;
use crate::stage::{SlicePlan, SliceState, StagedPage};

const SECOND: Duration = Duration::from_secs(1);
const DOWN: FailureKind = FailureKind::Server { status: 503, retry_after: None };

fn day(number: i64) -> Date {
    jiff::civil::date(2026, 1, 1).saturating_add(number.days())
}

fn slice(first: i64, last: i64, events: &[&str]) -> Slice {
    Slice { from: day(first), to: day(last), events: events.iter().map(ToString::to_string).collect() }
}

fn plan(slices: &[Slice], is_fixed: bool) -> SlicePlan {
    let planned = |slice: &Slice| SliceRecord { slice: slice.clone(), state: SliceState::Planned };
    let events = slices.first().map(|slice| slice.events.clone()).unwrap_or_default();
    let today = slices.iter().map(|slice| slice.to).max().unwrap();
    let records = slices.iter().map(planned).collect();
    SlicePlan { records, events, is_fixed, is_sample: false, requests: 50, today }
}

/// What a run did.
#[derive(Debug, Default)]
struct Run {
    /// The slices that were requested, in order.
    requests: Vec<Slice>,
    /// When each of them was sent.
    starts: Vec<Duration>,
    staged: Vec<Slice>,
    records: Vec<SliceRecord>,
    events: Vec<FetchEvent>,
    end: Duration,
}

/// Runs a fetch whose requests take a second each. `answer` decides on each request from its slice and attempt.
fn run(
    plan: &SlicePlan,
    staged: &[u32],
    workers: u32,
    mut answer: impl FnMut(&Slice, u32) -> Result<SliceSize, FailureKind>,
) -> (Run, Outcome) {
    let page = |part: &u32| StagedPage { page: *part, rows: 10, rejected: 0, fingerprint: Some(0) };
    let staged = staged.iter().map(page).collect();
    let prior = PriorRun { staged, slices: Some(plan.clone()), ..PriorRun::default() };
    let mut coordinator = Coordinator::resume(Rules::new(workers), &prior);
    let mut seen = Run { records: plan.records.clone(), ..Run::default() };
    let mut now = Duration::ZERO;
    let mut in_flight: Vec<(Duration, u32, Slice)> = Vec::new();
    let mut attempts: BTreeMap<(Date, Date, Vec<String>), u32> = BTreeMap::new();
    for _ in 0..100_000 {
        let step = coordinator.next(now);
        if let Some(records) = coordinator.changed_plan() {
            seen.records = records;
        }
        seen.events.extend(std::iter::from_fn(|| coordinator.next_event()));
        let until = match step {
            Step::Send(request) => {
                let Requested::Slice(slice) = request.what else { panic!("a page") };
                assert_eq!(seen.records[request.part as usize].slice, slice, "the part number has another meaning");
                coordinator.sent(request.part);
                seen.requests.push(slice.clone());
                seen.starts.push(now);
                in_flight.push((now + SECOND, request.part, slice));
                assert!(in_flight.len() <= workers as usize);
                continue;
            }
            Step::WaitUntil(moment) => moment,
            Step::WaitForEvent => Duration::MAX,
            Step::Finish => {
                seen.end = now;
                let outcome = coordinator.finish(now);
                seen.events.extend(std::iter::from_fn(|| coordinator.next_event()));
                let slice = |part: &u32| seen.records[*part as usize].slice.clone();
                seen.staged = outcome.staged.iter().map(slice).collect();
                return (seen, outcome);
            }
        };
        let next = in_flight.iter().map(|(moment, ..)| *moment).min().unwrap_or(Duration::MAX);
        now = until.min(next);
        assert_ne!(now, Duration::MAX, "it waits for what never comes");
        let (due, rest) = in_flight.into_iter().partition(|(moment, ..)| *moment <= now);
        in_flight = rest;
        for (_, part, slice) in due {
            let attempt = attempts.entry((slice.from, slice.to, slice.events.clone())).or_default();
            *attempt += 1;
            match answer(&slice, *attempt) {
                Ok(size) => {
                    coordinator.reply_received(part);
                    assert_eq!(coordinator.part_arrived(part, size, now, 0.5), PartDecision::Store);
                    coordinator.part_staged(part, size.received);
                }
                Err(kind) => coordinator.request_failed(part, Failure::new(kind, "no"), now, 0.5),
            }
        }
    }
    panic!("it never ends")
}

/// Checks that every day and event name is in exactly one of these slices.
fn assert_covers(slices: &[Slice], first: i64, last: i64, names: &[&str]) {
    let mut seen = BTreeSet::new();
    for slice in slices {
        for day in slice.from.series(1.day()).take(slice.days() as usize) {
            let names = if slice.events.is_empty() { vec![String::new()] } else { slice.events.clone() };
            for name in names {
                assert!(seen.insert((day, name)), "a day is fetched twice: {slice}");
            }
        }
    }
    assert_eq!(seen.len(), usize::try_from(last - first + 1).unwrap() * names.len().max(1));
    assert!(seen.iter().all(|(date, _)| (day(first)..=day(last)).contains(date)));
}

fn days(count: i64) -> SlicePlan {
    plan(&(0..count).map(|number| slice(number, number, &[])).collect::<Vec<_>>(), false)
}

const SMALL: SliceSize = SliceSize { received: 10, bytes: 1_000 };

#[test]
fn slices_are_requested_once_in_the_order_of_their_days() {
    let (seen, outcome) = run(&days(30), &[], 8, |_, _| Ok(SMALL));
    assert_eq!(seen.requests, (0..30).map(|number| slice(number, number, &[])).collect::<Vec<_>>());
    assert_eq!((outcome.counts.received, outcome.counts.requests, outcome.staged.len()), (300, 30, 30));
    assert!(outcome.is_whole() && outcome.ending.is_none());
    assert_eq!(seen.end, 4 * SECOND, "30 slices are 4 rounds of 8");
    let planned = |event: &FetchEvent| matches!(event, FetchEvent::BatchesPlanned { total_batches: 30, .. });
    assert!(seen.events.iter().any(planned));
}

#[test]
fn staged_and_replaced_slices_are_not_requested_after_a_resume() {
    let mut plan = plan(&[slice(0, 3, &[]), slice(4, 7, &[]), slice(0, 1, &[]), slice(2, 3, &[])], false);
    plan.records[0].state = SliceState::Replaced;
    let (seen, outcome) = run(&plan, &[2], 2, |_, _| Ok(SMALL));
    assert_eq!(seen.requests, [slice(4, 7, &[]), slice(2, 3, &[])]);
    assert_eq!((outcome.staged, outcome.counts.received), (vec![1, 2, 3], 30));
}

#[test]
fn a_slice_that_is_cut_twice_is_halved_down_to_a_day_and_then_by_names() {
    for kind in [FailureKind::Incomplete, FailureKind::TerminatedEarly, FailureKind::Timeout] {
        let names = ["a", "b", "c"];
        let (seen, outcome) = run(&plan(&[slice(0, 6, &names)], false), &[], 3, |slice, _| {
            // The server can only export one event name of a day at a time.
            if slice.days() == 1 && slice.events.len() == 1 { Ok(SMALL) } else { Err(kind) }
        });
        assert!(outcome.is_whole() && outcome.ending.is_none(), "{:?}", outcome.ending);
        assert_covers(&seen.staged, 0, 6, &names);
        assert_eq!(seen.staged.len(), 21);
        let twice = seen.requests.iter().filter(|request| request.days() == 7).count();
        assert_eq!(twice, 2, "a slice is halved after two attempts");
    }
}

#[test]
fn a_slice_that_cannot_be_halved_fails_alone() {
    let (seen, outcome) =
        run(
            &days(5),
            &[],
            2,
            |slice, _| if slice.from == day(2) { Err(FailureKind::TerminatedEarly) } else { Ok(SMALL) },
        );
    assert_eq!(outcome.failed.keys().copied().collect::<Vec<_>>(), [2]);
    assert_eq!(seen.staged.len(), 4);
    let failed = |event: &FetchEvent| matches!(event, FetchEvent::Batch(progress) if !progress.success && progress.from_date == "2026-01-03");
    assert_eq!(seen.events.iter().filter(|event| failed(event)).count(), 1);
}

#[test]
fn a_single_cut_is_no_reason_to_halve() {
    let (seen, outcome) = run(&plan(&[slice(0, 6, &[])], false), &[], 1, |_, attempt| {
        if attempt == 1 { Err(FailureKind::Incomplete) } else { Ok(SMALL) }
    });
    assert_eq!(seen.staged, [slice(0, 6, &[])]);
    assert_eq!((outcome.counts.requests, outcome.counts.retries), (2, 1));
}

#[test]
fn a_server_that_cuts_everything_does_not_receive_endless_requests() {
    let (seen, outcome) = run(&plan(&[slice(0, 99, &[])], false), &[], 4, |_, _| Err(FailureKind::TerminatedEarly));
    assert!(matches!(outcome.ending, Some(Ending::Halted(_))));
    assert!(seen.requests.len() < 60, "{}", seen.requests.len());
    let failed = outcome.failed.keys().map(|part| seen.records[*part as usize].slice.clone());
    assert_covers(&failed.collect::<Vec<_>>(), 0, 99, &[]);
}

#[test]
fn a_last_day_that_has_not_begun_is_left_out() {
    for (slices, expected) in [
        (vec![slice(0, 4, &[])], 3),
        (vec![slice(0, 1, &[]), slice(2, 4, &[])], 3),
        (vec![slice(0, 3, &[]), slice(4, 4, &[])], 3),
    ] {
        let (seen, outcome) = run(&plan(&slices, true), &[], 2, |slice, _| {
            if slice.to > day(expected) { Err(FailureKind::FutureDate) } else { Ok(SMALL) }
        });
        assert!(outcome.is_whole() && outcome.ending.is_none());
        assert_covers(&seen.staged, 0, expected, &[]);
        let notes = seen.events.iter().filter(|event| matches!(event, FetchEvent::Note(_))).count();
        assert_eq!(notes, 1);
    }
}

/// Returns the slices that failed, and the days that a note says have not begun.
fn refused(seen: &Run, outcome: &Outcome) -> (Vec<Slice>, Vec<String>) {
    let failed = outcome.failed.keys().map(|part| seen.records[*part as usize].slice.clone()).collect();
    let note = |event: &FetchEvent| match event {
        FetchEvent::Note(Note::DayNotBegun { day }) => Some(day.clone()),
        _ => None,
    };
    (failed, seen.events.iter().filter_map(note).collect())
}

#[test]
fn only_the_last_day_is_left_out_and_only_if_it_is_about_today() {
    // Five days, in slices of one day or in a single one; the server refuses every slice that ends at `refused` or later.
    for (today, refused_from, is_left_out) in [
        (4, 4, true),
        (5, 4, true),
        (3, 4, true),
        (6, 4, false),
        (10, 4, false),
        (4, 3, true),
        (5, 3, true),
        (6, 2, false),
    ] {
        for slices in [(0..5).map(|number| slice(number, number, &[])).collect(), vec![slice(0, 4, &[])]] {
            for workers in [1, 5] {
                let case = format!("today {today}, refused from {refused_from}, {} slices, {workers}", slices.len());
                let plan = SlicePlan { today: day(today), ..plan(&slices, true) };
                let (seen, outcome) = run(&plan, &[], workers, |slice, _| {
                    if slice.to >= day(refused_from) { Err(FailureKind::FutureDate) } else { Ok(SMALL) }
                });
                let (failed, left_out) = refused(&seen, &outcome);
                assert_eq!(left_out, if is_left_out { vec![day(4).to_string()] } else { Vec::new() }, "{case}");
                let last = if is_left_out { 3 } else { 4 };
                let all: Vec<Slice> = seen.staged.iter().cloned().chain(failed.clone()).collect();
                assert_covers(&all, 0, last, &[]);
                assert_eq!(failed.is_empty(), is_left_out && refused_from == 4, "{case}: {failed:?}");
            }
        }
    }
}

#[test]
fn a_resumed_run_leaves_no_further_day_out() {
    let mut plan = plan(&[slice(0, 3, &[]), slice(4, 4, &[])], true);
    plan.records[1].state = SliceState::Replaced;
    let (seen, outcome) = run(&plan, &[], 1, |_, _| Err(FailureKind::FutureDate));
    assert_eq!(refused(&seen, &outcome), (vec![slice(0, 3, &[])], Vec::new()));
}

#[test]
fn a_fetch_of_which_every_day_is_refused_is_not_whole() {
    for (count, names) in [(1, &[][..]), (1, &["a", "b"]), (2, &[]), (5, &[])] {
        for workers in [1, 4] {
            let slices: Vec<Slice> = (0..count).map(|number| slice(number, number, names)).collect();
            let (seen, outcome) = run(&plan(&slices, true), &[], workers, |_, _| Err(FailureKind::FutureDate));
            assert!(seen.staged.is_empty() && !outcome.failed.is_empty(), "{count} days");
            assert!(!outcome.is_whole(), "{count} days");
            let left_out = refused(&seen, &outcome).1.len();
            assert_eq!(left_out, usize::from(count > 1), "{count} days");
        }
    }
}

#[test]
fn refused_credentials_end_the_run_at_once() {
    for kind in [FailureKind::Unauthorized { status: 401 }, FailureKind::Forbidden] {
        let (seen, outcome) =
            run(&days(30), &[], 4, |slice, _| if slice.from >= day(5) { Err(kind) } else { Ok(SMALL) });
        assert!(matches!(outcome.ending, Some(Ending::Fatal(_))));
        assert!(seen.requests.len() < 13, "{}", seen.requests.len());
        assert!(!outcome.staged.is_empty(), "what arrived stays in the stage");
    }
}

#[test]
fn a_filter_that_the_server_rejects_ends_the_run() {
    let (seen, outcome) = run(&days(30), &[], 4, |_, _| Err(FailureKind::Rejected(400)));
    assert!(matches!(outcome.ending, Some(Ending::Fatal(_))));
    assert_eq!(seen.requests.len(), 4);
}

#[test]
fn one_slice_that_the_server_rejects_costs_no_other() {
    for (count, workers) in [2, 3, 12].into_iter().flat_map(|count| [1, 2, 8, 50].map(|workers| (count, workers))) {
        for rejected in 0..count {
            let is_bad = |slice: &Slice| slice.from == day(rejected);
            let plan = SlicePlan { is_fixed: true, ..days(count) };
            let (seen, outcome) =
                run(
                    &plan,
                    &[],
                    workers,
                    |slice, _| {
                        if is_bad(slice) { Err(FailureKind::Rejected(400)) } else { Ok(SMALL) }
                    },
                );
            let case = format!("slice {rejected} of {count}, {workers} workers");
            assert!(outcome.ending.is_none() && !seen.staged.iter().any(is_bad), "{case}");
            assert_eq!(i64::try_from(seen.staged.len()), Ok(count - 1), "{case}");
            assert_eq!(refused(&seen, &outcome).0, [slice(rejected, rejected, &[])], "{case}");
        }
    }
}

#[test]
fn a_429_pauses_all_requests() {
    let limited = FailureKind::RateLimited { kind: RateLimitKind::Concurrent, retry_after: None };
    let mut refused = false;
    let (seen, outcome) = run(&days(20), &[], 8, |slice, _| {
        if slice.from == day(9) && !std::mem::replace(&mut refused, true) { Err(limited) } else { Ok(SMALL) }
    });
    assert!(outcome.is_whole());
    let pause = |event: &FetchEvent| match event {
        FetchEvent::Waiting { pause, .. } => Some(*pause),
        _ => None,
    };
    let pauses: Vec<Duration> = seen.events.iter().filter_map(pause).collect();
    let [pause] = pauses[..] else { panic!("{pauses:?}") };
    let refused = seen.requests.iter().position(|request| request.from == day(9)).unwrap();
    let begin = seen.starts[refused] + SECOND;
    let during = seen.starts.iter().filter(|start| (begin..begin + pause).contains(start)).count();
    assert_eq!(during, 0, "requests were sent within the pause");
    assert!(pause > Duration::ZERO && seen.starts.contains(&(begin + pause)), "{:?}", seen.starts);
    assert_covers(&seen.staged, 0, 19, &[]);
}

#[test]
fn a_server_that_is_down_stops_the_fetch_and_loses_nothing() {
    let (seen, outcome) = run(&days(40), &[], 4, |slice, _| if slice.from < day(10) { Ok(SMALL) } else { Err(DOWN) });
    assert!(matches!(outcome.ending, Some(Ending::Halted(_))));
    assert_covers(&seen.staged, 0, 9, &[]);
    assert_eq!(outcome.failed.len(), 30);
}

#[test]
fn learned_sizes_divide_the_rest_again() {
    // 200 days of 100 MB: five of them are as large as a slice should be.
    let slices: Vec<Slice> = (0..10).map(|number| slice(number * 20, number * 20 + 19, &[])).collect();
    let size = |slice: &Slice| SliceSize { received: 10, bytes: u64::from(slice.days()) * 100_000_000 };
    let (seen, outcome) = run(&plan(&slices, false), &[], 2, |slice, _| Ok(size(slice)));
    assert!(outcome.is_whole());
    assert_covers(&seen.staged, 0, 199, &[]);
    let large = seen.requests.iter().filter(|slice| slice.days() > 5).count();
    assert_eq!(large, 2, "only what was requested before the size was known");
    // A size that the caller chose stays.
    let (seen, _) = run(&plan(&slices, true), &[], 2, |slice, _| Ok(size(slice)));
    assert_eq!(seen.requests, slices);
}

#[test]
fn every_day_is_fetched_exactly_once_whatever_happens() {
    for seed in 0..400_u64 {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut draw = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let (count, size) = (1 + draw(60), 1 + draw(9));
        let names: &[&str] = if draw(3) == 0 { &["x", "y", "z"] } else { &[] };
        let last = |first: u64| i64::try_from((first + size).min(count)).unwrap() - 1;
        let firsts = (0..count).step_by(usize::try_from(size).unwrap());
        let slices: Vec<Slice> = firsts.map(|first| slice(i64::try_from(first).unwrap(), last(first), names)).collect();
        let workers = 1 + u32::try_from(draw(6)).unwrap();
        let plan = SlicePlan { requests: 1 + u32::try_from(draw(50)).unwrap(), ..plan(&slices, draw(2) == 0) };
        let (seen, outcome) = run(&plan, &[], workers, |slice, attempt| match draw(5) {
            0 if attempt < 3 => Err(FailureKind::TerminatedEarly),
            1 if attempt < 3 => Err(FailureKind::Incomplete),
            2 if attempt < 2 => Err(DOWN),
            _ => Ok(SliceSize { received: 10, bytes: u64::from(slice.days()) * (1 + draw(400_000_000)) }),
        });
        if outcome.ending.is_none() && outcome.failed.is_empty() {
            assert_covers(&seen.staged, 0, i64::try_from(count).unwrap() - 1, names);
        } else {
            let failed = outcome.failed.keys().map(|part| seen.records[*part as usize].slice.clone());
            let all: Vec<Slice> = seen.staged.iter().cloned().chain(failed).collect();
            assert_covers(&all, 0, i64::try_from(count).unwrap() - 1, names);
        }
    }
}
