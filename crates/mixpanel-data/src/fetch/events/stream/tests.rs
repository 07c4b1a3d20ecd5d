//! Streams from the simulator over HTTP, compared line by line with what it should have sent.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use jiff::ToSpan as _;
use jiff::civil::Date;
use mixpanel_simulator::Server;

use super::super::testing::{client, range, request, server};
use super::*;
use crate::fetch::progress::FetchEvent;

/// The lines of a stream in their order, its result, and its events.
struct Seen {
    lines: Vec<String>,
    result: Result<EventStreamResult>,
    events: Vec<FetchEvent>,
}

async fn stream(server: &Server, request: EventsRequest, form: RecordForm, at_most: usize) -> Seen {
    let directory = tempfile::tempdir().unwrap();
    let (lines, events) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let mut control = Control::default();
    let told = Arc::clone(&events);
    control.callbacks.event = Some(Box::new(move |event: &FetchEvent| told.lock().unwrap().push(event.clone())));
    let received = Arc::clone(&lines);
    let sink = RecordSink::Lines(Box::new(move |line: &str| {
        let mut lines = received.lock().unwrap();
        lines.push(line.to_owned());
        if lines.len() >= at_most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }));
    let database = directory.path().join("project.db");
    let result = stream_events(&client(server), &database, request, control, form, sink).await;
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
    assert!(left.is_empty(), "a stream leaves nothing behind: {left:?}");
    let lines = lines.lock().unwrap().clone();
    let events = events.lock().unwrap().clone();
    Seen { lines, result, events }
}

/// Counts equal lines.
fn counted(lines: impl IntoIterator<Item = Vec<u8>>) -> BTreeMap<Vec<u8>, u32> {
    let mut counts = BTreeMap::new();
    lines.into_iter().for_each(|line| *counts.entry(line).or_default() += 1);
    counts
}

fn expected(server: &Server, from: Date, to: Date) -> BTreeMap<Vec<u8>, u32> {
    let days = from.series(1.day()).take_while(|day| *day <= to);
    counted(days.flat_map(|day| server.events().lines(day, 0)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_every_event_once_whatever_happens_to_the_responses() {
    for (faults, workers, chunk_days) in [
        (&[][..], 1, None),
        (&[][..], 8, Some(1)),
        (&[][..], 4, Some(100)),
        (&["every=2 times=1 cut=2000"][..], 4, Some(3)),
        (&["times=1 terminated-early rows=20"][..], 4, Some(2)),
        (&["times=1 terminated-early rows=0"][..], 2, Some(5)),
        // Slices of more than two days are never complete.
        (&["longer=2 terminated-early rows=50"][..], 3, Some(9)),
        (&["times=1 no-gzip-trailer"][..], 4, Some(2)),
        (&["every=3 times=1 status=503", "every=4 times=1 error-line rows=3"][..], 4, Some(1)),
        (&["every=5 times=1 rate-limit"][..], 2, Some(2)),
    ] {
        let server = server(faults).await;
        let (from, to) = range(&server, 9);
        let seen = stream(&server, request(from, to, workers, chunk_days), RecordForm::Raw, usize::MAX).await;
        let result = seen.result.unwrap_or_else(|error| panic!("{faults:?}: {error}"));
        assert_eq!(result.failed_date_ranges, [], "{faults:?}");
        let expected = expected(&server, from, to);
        assert!(expected.len() > 200, "{}", expected.len());
        let lines = counted(seen.lines.iter().map(|line| line.as_bytes().to_vec()));
        assert!(lines == expected, "{faults:?}: {} lines of {}", seen.lines.len(), expected.values().sum::<u32>());
        assert_eq!(result.rows, seen.lines.len() as u64);
        assert_eq!(result.counts.received, result.rows);
        let batches = seen.events.iter().filter(|event| matches!(event, FetchEvent::Batch(batch) if batch.success));
        assert_eq!(batches.count(), result.successful_batches as usize);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn days_come_in_order_and_rows_have_the_columns_of_the_table() {
    let server = server(&["first=1 times=1 delay=300ms"]).await;
    let (from, to) = range(&server, 6);
    let seen = stream(&server, request(from, to, 6, Some(1)), RecordForm::Row, usize::MAX).await;
    assert!(seen.result.is_ok());
    let rows: Vec<serde_json::Value> = seen.lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let days: Vec<&str> = rows.iter().map(|row| &row["event_time"].as_str().unwrap()[..10]).collect();
    assert!(days.is_sorted(), "the first day came last and is still the first");
    assert_eq!((days[0], days[days.len() - 1]), (&*from.to_string(), &*to.to_string()));
    for row in &rows {
        let names: Vec<&String> = row.as_object().unwrap().keys().collect();
        assert_eq!(names, ["event_name", "event_time", "distinct_id", "insert_id", "properties"]);
        assert!(row["properties"].get("time").is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_always_fails_is_reported_and_the_others_are_delivered() {
    let server = server(&[]).await;
    let (from, to) = range(&server, 5);
    let bad = from.saturating_add(2.days());
    let server = super::super::testing::server(&[&format!("days={bad}..{bad} terminated-early rows=3")]).await;
    let seen = stream(&server, request(from, to, 2, Some(5)), RecordForm::Raw, usize::MAX).await;
    let result = seen.result.unwrap();
    assert_eq!(result.failed_date_ranges, [(bad.to_string(), bad.to_string())]);
    let mut expected = expected(&server, from, to);
    for line in server.events().lines(bad, 0) {
        *expected.get_mut(&line).unwrap() -= 1;
    }
    expected.retain(|_, count| *count > 0);
    assert!(counted(seen.lines.iter().map(|line| line.as_bytes().to_vec())) == expected);
    assert!(seen.events.iter().any(|event| matches!(event, FetchEvent::BatchSplit { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_can_end_a_stream() {
    let server = server(&[]).await;
    let (from, to) = range(&server, 5);
    let seen = stream(&server, request(from, to, 2, Some(1)), RecordForm::Raw, 7).await;
    let result = seen.result.unwrap();
    assert!(result.ended_early);
    assert_eq!(seen.lines.len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_end_a_stream_with_their_error() {
    let server = server(&["status=401"]).await;
    let (from, to) = range(&server, 20);
    let seen = stream(&server, request(from, to, 4, Some(1)), RecordForm::Raw, usize::MAX).await;
    assert_eq!(seen.result.unwrap_err().kind(), crate::error::ErrorKind::Unauthorized);
    assert!(server.stats().export.requests <= 4);
}
