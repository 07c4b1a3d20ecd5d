//! Tests of the progress text, event by event.

use std::time::{Duration, Instant};

use jiff::civil::date;
use jiff::tz::TimeZone;
use mixpanel_data::{FetchEvent, ProfileProgress};
use serde_json::{Value, json};

use super::state::{State, Timestamps, announcement};
use super::words::Records;

fn progress(fields: Value) -> ProfileProgress {
    serde_json::from_value(fields).expect("these are its fields")
}

fn page(page_index: u32, rows: u64, total_pages: u32) -> FetchEvent {
    FetchEvent::Page(progress(json!({
        "page_index": page_index, "total_pages": total_pages, "rows": rows, "success": true, "error": null,
        "cumulative_rows": rows * u64::from(page_index + 1),
    })))
}

fn waiting(seconds: u64) -> FetchEvent {
    FetchEvent::Waiting { reason: "rate limited by the server".to_owned(), pause: Duration::from_secs(seconds) }
}

/// A fetch that began at 14:30:00.
struct Story {
    start: Timestamps,
    state: State,
}

impl Story {
    fn begin(pages: u32) -> Self {
        let wall = date(2026, 11, 24).at(14, 30, 0, 0).to_zoned_datetime(TimeZone::UTC).expect("a moment");
        Self { start: Timestamps { at: Instant::now(), wall }, state: State::new("`users`".to_owned(), pages) }
    }

    fn moment(&self, second: u64) -> Timestamps {
        let time = Duration::from_secs(second);
        Timestamps { at: self.start.at + time, wall: &self.start.wall + time }
    }

    fn tell(&mut self, second: u64, event: &FetchEvent) -> Option<String> {
        let moment = self.moment(second);
        self.state.apply(event, &moment)
    }

    /// Returns the whole status: in a wide terminal, with the reason of a wait.
    fn status(&self, second: u64) -> String {
        let status = self.state.status(self.moment(second).at);
        let reason = status.reason(usize::MAX).map_or_else(String::new, |reason| format!(": {}", reason.trim()));
        format!("{}{reason}", status.line(usize::MAX))
    }
}

fn run(events: &[(u64, FetchEvent)], now: u64) -> String {
    let mut story = Story::begin(0);
    for (second, event) in events {
        story.tell(*second, event);
    }
    story.status(now)
}

#[test]
fn the_status_shows_progress_rate_and_time_left() {
    let retry = FetchEvent::Retry { page_index: 1, attempt: 1, reason: "status 503".to_owned(), pause: Duration::ZERO };
    let events = [(1, page(0, 1_000, 25)), (2, page(1, 1_000, 25)), (2, retry), (3, page(2, 1_000, 25))];
    assert_eq!(run(&[], 0), "requesting the first page");
    assert_eq!(run(&events[..1], 1), "1/25 pages, 1,000 profiles");
    assert_eq!(run(&events, 5), "3/25 pages, 3,000 profiles, 1,000/s, 20s left, 1 retry");
}

#[test]
fn a_wait_counts_down_to_its_end_with_its_reason() {
    let events = [(1, page(0, 1_000, 25)), (10, waiting(2_460)), (2_470, FetchEvent::Resumed)];
    assert_eq!(run(&events[..2], 11), "1/25 pages, waiting 41m until 15:11:10: rate limited by the server");
    assert_eq!(run(&events[..2], 2_412), "1/25 pages, waiting 58s until 15:11:10: rate limited by the server");
    assert_eq!(run(&events[..2], 9_999), "1/25 pages, waiting 0s until 15:11:10: rate limited by the server");
    assert_eq!(run(&events, 2_470), "1/25 pages, 1,000 profiles");
    let over_midnight = run(&[(0, waiting(36_000))], 0);
    assert_eq!(
        over_midnight,
        "requesting the first page, waiting 10h 00m until Nov 25 00:30: rate limited by the server"
    );
}

#[test]
fn the_start_and_end_of_a_wait_are_logged() {
    let mut story = Story::begin(0);
    let first = story.tell(10, &waiting(60));
    assert_eq!(first.as_deref(), Some("waiting until 14:31:10 (60s): rate limited by the server"));
    // Other requests in flight get the same response.
    assert_eq!(story.tell(11, &waiting(59)), None);
    assert_eq!(story.tell(11, &waiting(60)), None);
    let longer = story.tell(20, &waiting(300));
    assert_eq!(longer.as_deref(), Some("waiting until 14:35:20 (5m): rate limited by the server"));
    assert_eq!(story.tell(320, &FetchEvent::Resumed).as_deref(), Some("resumed after 5m 10s"));
    assert_eq!(story.tell(321, &FetchEvent::Resumed), None);
}

#[test]
fn a_restart_resets_the_progress() {
    let restart = FetchEvent::Restarted { restart: 1, reason: "status 400: page 3 in uncached query".to_owned() };
    let events = [(1, page(0, 1_000, 25)), (2, page(1, 1_000, 25)), (3, restart)];
    assert_eq!(run(&events, 3), "requesting the first page");
    assert_eq!(
        announcement(&events[2].1, Records::Profiles).as_deref(),
        Some("restarting from page 0 in a new session (restart 1 of 2)\nstatus 400: page 3 in uncached query")
    );
    assert_eq!(announcement(&events[0].1, Records::Profiles), None);
}

#[test]
fn a_resumed_run_counts_the_pages_on_disk() {
    let mut story = Story::begin(12);
    assert_eq!(story.status(0), "12 pages");
    let planned =
        FetchEvent::Planned { total_pages: Some(80), expected_rows: Some(80_000), workers: 5, staged_pages: 12 };
    let line = story.tell(0, &planned);
    assert_eq!(line.as_deref(), Some("fetching 80,000 profiles in 80 pages, up to 5 at a time"));
    assert_eq!(story.status(0), "12/80 pages");
    story.tell(1, &page(12, 1_000, 80));
    assert_eq!(story.status(1), "13/80 pages, 13,000 profiles");
    let failed = progress(json!({
        "page_index": 13, "total_pages": 80, "rows": 0, "success": false, "error": "status 404",
        "cumulative_rows": 13_000,
    }));
    story.tell(2, &FetchEvent::Page(failed));
    assert!(story.status(2).starts_with("13/80 pages, 1 failed, 13,000 profiles, "), "{}", story.status(2));
    assert_eq!((story.state.total_pages(), story.state.on_disk()), (Some(80), 13));
}

#[test]
fn the_load_and_the_wait_for_the_database_have_their_own_lines() {
    let busy =
        FetchEvent::DatabaseBusy { reason: "process 4711 has it open".to_owned(), at_most: Duration::from_secs(600) };
    let loading = FetchEvent::Loading { rows: 1_000 };
    let events = [(1, page(0, 1_000, 1)), (1, loading.clone()), (2, busy.clone()), (5, FetchEvent::Resumed)];
    assert_eq!(run(&events[..2], 3), "loading 1,000 profiles into `users`, 2.0s");
    let waiting = "waiting 10m for the database, until 14:40:02: process 4711 has it open";
    assert_eq!(run(&events[..3], 3), waiting);
    assert_eq!(run(&events, 6), "loading 1,000 profiles into `users`, 5.0s");
    assert_eq!(run(&[(1, busy.clone()), (2, loading)], 3), "loading 1,000 profiles into `users`, 1.0s");
    for (records, parts) in [(Records::Profiles, "pages"), (Records::Events, "batches")] {
        let expected = format!("waiting up to 10m for the database: process 4711 has it open; all {parts} are on disk");
        assert_eq!(announcement(&busy, records), Some(expected));
    }
}

#[test]
fn eighty_columns_are_enough() {
    // The bar takes 12 columns, and a space follows it.
    let events: Vec<_> = (0..200).map(|index| (u64::from(index), page(index, 40_000, 9_999))).collect();
    let status = run(&events, 200);
    assert!(status.len() < 80 - 13, "{status}");
}

fn batch(index: u32, from: &str, to: &str, rows: u64, error: Option<&str>) -> FetchEvent {
    let batch = json!({
        "from_date": from, "to_date": to, "batch_index": index, "total_batches": 3, "rows": rows,
        "success": error.is_none(), "error": error, "cumulative_rows": 1_000 + rows, "bytes": 5, "events": [],
    });
    FetchEvent::Batch(serde_json::from_value(batch).expect("these are its fields"))
}

#[test]
fn events_are_counted_in_batches() {
    let mut story = Story::begin(0);
    story.state.count(Records::Events);
    assert_eq!(story.status(0), "requesting the first batch");
    let mut estimate = Story::begin(0);
    estimate.state.count(Records::Events);
    estimate.state.estimate();
    assert_eq!(estimate.status(0), "estimating the requests");
    let mut waits = Story::begin(0);
    waits.state.count(Records::Events);
    assert_eq!(
        waits.tell(10, &waiting(60)).as_deref(),
        Some("waiting until 14:31:10 (60s): rate limited by the server")
    );
    assert_eq!(waits.status(11), "requesting the first batch, waiting 59s until 14:31:10: rate limited by the server");
    let (from_date, to_date) = ("2026-11-01".to_owned(), "2026-11-14".to_owned());
    let planned = FetchEvent::BatchesPlanned { from_date, to_date, total_batches: 3, staged_batches: 1, workers: 10 };
    let reason = "the response was cut".to_owned();
    let (from_date, to_date) = ("2026-11-08".to_owned(), "2026-11-08".to_owned());
    let pause = Duration::from_secs(2);
    let retry = FetchEvent::BatchRetry { from_date, to_date, attempt: 1, reason: reason.clone(), pause };
    let (from_date, to_date) = ("2026-11-09".to_owned(), "2026-11-14".to_owned());
    let split = FetchEvent::BatchSplit { from_date, to_date, into: 2, reason };
    for (second, event, line) in [
        (0, planned, "fetching 2026-11-01 to 2026-11-14 in 3 batches, up to 10 at a time, 1 already on disk"),
        (
            1,
            batch(1, "2026-11-01", "2026-11-07", 500, None),
            "2026-11-01 to 2026-11-07: 500 events (2 of 3 batches, 1,500 events)",
        ),
        (2, retry, "2026-11-08: attempt 1 failed, retrying in 2.0s: the response was cut"),
        (3, split, "2026-11-09 to 2026-11-14: split into 2 batches: the response was cut"),
        (
            4,
            batch(2, "2026-11-08", "2026-11-08", 0, Some("gone")),
            "2026-11-08: failed: gone (2 of 3 batches, 1 failed, 1,000 events)",
        ),
        (5, FetchEvent::Loading { rows: 1 }, "loading 1 event into `users`"),
    ] {
        assert_eq!(story.tell(second, &event).as_deref(), Some(line));
    }
    assert_eq!(story.state.failures(), [(2, "2026-11-08: gone".to_owned())]);
}
