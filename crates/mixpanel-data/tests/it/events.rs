//! Fetches of events through the library.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use mixpanel_data::{
    BatchProgress, Date, Day, ErrorKind, EventFetch, EventFetchResult, FetchEvent, IfExists, Note, RecordForm,
    ResumeFetch, RunKind,
};
use mixpanel_simulator::{EventOptions, Events, SimulatorConfig};

use crate::harness::Bench;

/// A project without quotas whose data ends now, and whose events all have an identity of their own.
fn project(faults: &[&str]) -> SimulatorConfig {
    let events = EventOptions { per_day: Some(40), ..EventOptions::clean() };
    let export_faults = faults.iter().map(|fault| fault.parse().expect("a fault")).collect();
    let reference_time = jiff::Timestamp::now();
    SimulatorConfig { events, export_faults, reference_time, ..SimulatorConfig::unlimited() }.with_profiles(200)
}

async fn start(faults: &[&str]) -> (Bench, Events) {
    let config = project(faults);
    (Bench::start(config.clone()).await, Events::new(&config))
}

/// Returns the day this many days before today.
fn ago(events: &Events, days: i64) -> Date {
    events.today().checked_sub(jiff::ToSpan::days(days)).expect("a day")
}

fn count(events: &Events, days: i64) -> u64 {
    (0..=days).map(|day| events.count(ago(events, day))).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_batch_is_reported_once_and_the_results_agree() {
    let (bench, events) = start(&[]).await;
    let workspace = bench.workspace();
    let batches = Arc::new(Mutex::new(Vec::<BatchProgress>::new()));
    let seen = Arc::clone(&batches);
    let fetch = EventFetch::new("events")
        .days(ago(&events, 5), Day::Ago(0))
        .chunk_days(2)
        .max_workers(3)
        .on_batch_complete(move |batch| seen.lock().expect("no panic").push(batch.clone()));
    let result = workspace.fetch_events(fetch).await.unwrap();
    assert!(matches!(result, EventFetchResult::Parallel(_)) && !result.has_failures());
    let batches = std::mem::take(&mut *batches.lock().unwrap());
    let mut days: Vec<_> = batches.iter().map(|batch| (batch.from_date.clone(), batch.to_date.clone())).collect();
    days.sort();
    let expected =
        [(5, 4), (3, 2), (1, 0)].map(|(from, to)| (ago(&events, from).to_string(), ago(&events, to).to_string()));
    assert_eq!(days, expected);
    assert!(batches.iter().all(|batch| batch.success && batch.total_batches == 3), "{batches:?}");
    let rows: u64 = batches.iter().map(|batch| batch.rows).sum();
    assert_eq!((rows, result.rows()), (count(&events, 5), count(&events, 5)));
    assert_eq!(batches.last().map(|batch| batch.cumulative_rows), Some(rows));
    let table =
        workspace.sql_scalar("SELECT count(DISTINCT (event_name, distinct_id, event_time, insert_id)) FROM events");
    assert_eq!(table.unwrap(), rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_are_checked_before_any_request() {
    let (bench, _) = start(&[]).await;
    let workspace = bench.workspace();
    let week = || EventFetch::new("events").days(Day::Ago(7), Day::Ago(0));
    for (fetch, kind) in [
        (EventFetch::new("events"), ErrorKind::InvalidInput),
        (EventFetch::new("_events").days(Day::Ago(7), Day::Ago(0)), ErrorKind::InvalidInput),
        (week().limit(5).parallel(), ErrorKind::InvalidInput),
        (week().limit(5).if_exists(IfExists::Replace), ErrorKind::InvalidInput),
        (week().limit(0), ErrorKind::InvalidInput),
        (week().if_exists(IfExists::Upsert), ErrorKind::InvalidInput),
        (week().max_workers(0), ErrorKind::InvalidInput),
        (week().project_time_zone("Mars/Olympus"), ErrorKind::InvalidInput),
        (week().events([""]), ErrorKind::InvalidInput),
        (week().drop_properties(["time"]), ErrorKind::InvalidInput),
        (EventFetch::new("events").days(Day::Ago(100), Day::Ago(0)), ErrorKind::DateRangeTooLarge),
        (EventFetch::new("events").since_last_load(), ErrorKind::InvalidInput),
        (EventFetch::new("events").since(Day::Ago(3)).if_exists(IfExists::Replace), ErrorKind::InvalidInput),
    ] {
        let shown = format!("{fetch:?}");
        assert_eq!(workspace.fetch_events(fetch).await.unwrap_err().kind(), kind, "{shown}");
    }
    for fetch in [EventFetch::new("events"), week(), EventFetch::new("events").since(Day::Ago(3))] {
        let shown = format!("{fetch:?}");
        assert_eq!(workspace.refresh_events(fetch).await.unwrap_err().kind(), ErrorKind::InvalidInput, "{shown}");
    }
    assert_eq!(bench.server.stats().export.requests, 0);
    assert!(bench.files().is_empty(), "{:?}", bench.files());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_stopped_is_resumed_as_events() {
    let (bench, events) = start(&["requests=1 total=1 status=403"]).await;
    let workspace = bench.workspace();
    let fetch = EventFetch::new("events").days(ago(&events, 3), Day::Ago(0)).chunk_days(1);
    let error = workspace.fetch_events(fetch).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    let runs = workspace.unfinished_runs().unwrap();
    assert_eq!((runs[0].kind, runs[0].pages_done, runs[0].pages_total), (RunKind::Events, 1, Some(4)));
    let wrong = workspace.resume_fetch(ResumeFetch::new("events")).await.unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::InvalidInput, "{wrong}");
    let result = workspace.resume_events(ResumeFetch::new("events")).await.unwrap();
    assert_eq!((result.rows(), workspace.unfinished_runs().unwrap().len()), (count(&events, 3), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_passes_on_the_days_in_order_and_can_be_ended() {
    let (bench, events) = start(&["requests=0 total=1 delay=500ms"]).await;
    let workspace = bench.workspace();
    let fetch = || EventFetch::new("events").days(ago(&events, 2), Day::Ago(0)).chunk_days(1).parallel();
    let days = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&days);
    let sink = move |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
        seen.lock().expect("no panic").push(event["event_time"].as_str().expect("a time")[..10].to_owned());
        ControlFlow::Continue(())
    };
    let result = workspace.stream_events(fetch(), RecordForm::Row, sink).await.unwrap();
    let days = std::mem::take(&mut *days.lock().unwrap());
    assert!(days.is_sorted(), "{days:?}");
    assert_eq!((days.len() as u64, result.rows, result.ended_early), (count(&events, 2), count(&events, 2), false));
    let ended = workspace.stream_events(fetch(), RecordForm::Row, |_| ControlFlow::Break(())).await.unwrap();
    assert!(ended.ended_early);
    assert!(bench.files().iter().all(|name| !name.ends_with(".db")), "{:?}", bench.files());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_day_in_the_future_is_reported() {
    let (bench, events) = start(&[]).await;
    let notes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&notes);
    let future = jiff::civil::date(2199, 1, 1);
    let fetch = EventFetch::new("events").days(Day::Ago(0), future).on_event(move |event| {
        if let FetchEvent::Note(note) = event {
            seen.lock().expect("no panic").push(note.clone());
        }
    });
    let result = bench.workspace().fetch_events(fetch).await.unwrap();
    let today = events.today().to_string();
    let expected = Note::LastDayReduced { requested: "2199-01-01".to_owned(), today: today.clone() };
    assert!(notes.lock().unwrap().contains(&expected));
    assert_eq!(result.date_range(), Some(&(today.clone(), today)));
}
