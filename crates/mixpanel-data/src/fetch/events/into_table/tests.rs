//! Fetches from the simulator over HTTP into a database.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::ToSpan as _;
use jiff::civil::Date;
use mixpanel_simulator::Server;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::super::testing::{client, range, request, server};
use super::*;
use crate::error::ErrorKind;
use crate::fetch::progress::FetchEvent;
use crate::fetch::{RunKind, RunState, unfinished_runs};
use crate::profile_query::IfExists;
use crate::store;

/// The fields that identify an event, with its properties.
type Row = (String, String, i64);

struct Bench {
    server: Server,
    directory: TempDir,
}

impl Bench {
    async fn start(faults: &[&str]) -> Self {
        Self { server: server(faults).await, directory: tempfile::tempdir().unwrap() }
    }

    fn database(&self) -> PathBuf {
        self.directory.path().join("project.db")
    }

    async fn fetch(&self, request: EventsRequest, control: Control) -> Result<EventsReport> {
        fetch_events_into_table(&client(&self.server), &self.database(), request, control).await
    }

    /// Returns the events in the table.
    fn rows(&self) -> BTreeSet<Row> {
        let sql = "SELECT event_name, distinct_id, epoch_ms(event_time) FROM events";
        let rows = store::rows(&self.database(), sql).unwrap().rows;
        let row = |row: Vec<serde_json::Value>| {
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            (text(&row[0]), text(&row[1]), row[2].as_i64().unwrap())
        };
        rows.into_iter().map(row).collect()
    }

    /// Returns the events that the server has for these days.
    fn expected(&self, from: Date, to: Date, revision: u32) -> BTreeSet<Row> {
        let days = from.series(1.day()).take_while(|day| *day <= to);
        let lines = days.flat_map(|day| self.server.events().lines(day, revision));
        let row = |line: Vec<u8>| {
            let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
            let properties = &line["properties"];
            let id = properties["distinct_id"].as_str().unwrap_or_default();
            (line["event"].as_str().unwrap().to_owned(), id.to_owned(), properties["time"].as_i64().unwrap())
        };
        lines.map(row).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_has_the_events_of_all_days() {
    for faults in [&[][..], &["longer=2 terminated-early rows=50", "every=4 times=1 cut=900"][..]] {
        let bench = Bench::start(faults).await;
        let (from, to) = range(&bench.server, 8);
        // The days of the simulator are long over, but not for that long.
        let request = EventsRequest { refresh_days: 36_500, ..request(from, to, 4, Some(4)) };
        let report = bench.fetch(request, Control::default()).await.unwrap();
        assert_eq!(bench.rows(), bench.expected(from, to, 0), "{faults:?}");
        assert_eq!(report.rows + report.counts.duplicates + report.counts.rejected, report.counts.received);
        assert_eq!((report.loaded.table_rows, report.failed_date_ranges.len()), (report.rows, 0));
        assert_eq!(report.events.open_days.len(), 8, "{:?}", report.events.open_days);
        assert_eq!(unfinished_runs(&bench.database()).unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_stopped_is_resumed_without_its_staged_slices() {
    let bench = Bench::start(&[]).await;
    let (from, to) = range(&bench.server, 12);
    let cancel = CancellationToken::new();
    let mut control = Control { cancel: cancel.clone(), ..Control::default() };
    control.callbacks.event = Some(Box::new(move |event: &FetchEvent| {
        if let FetchEvent::Batch(_) = event {
            cancel.cancel();
        }
    }));
    let error = bench.fetch(request(from, to, 1, Some(1)), control).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let [run] = &unfinished_runs(&bench.database()).unwrap()[..] else { panic!("one run") };
    assert_eq!((run.kind, run.state, run.pages_total), (RunKind::Events, RunState::Stopped, Some(12)));
    let done = u64::from(run.pages_done);
    assert!((1..12).contains(&done), "{done}");
    let requests = bench.server.stats().export.requests;
    let resume = ResumeFetch::new("events");
    let (_, report) = resume_events_into_table(&client(&bench.server), &bench.database(), resume).await.unwrap();
    assert_eq!(bench.server.stats().export.requests - requests, 12 - done);
    assert_eq!(bench.rows(), bench.expected(from, to, 0));
    assert_eq!(report.successful_batches, 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resume_cannot_upsert_events() {
    let bench = Bench::start(&[]).await;
    let mut resume = ResumeFetch::new("events");
    resume.if_exists = Some(IfExists::Upsert);
    let resumed = resume_events_into_table(&client(&bench.server), &bench.database(), resume).await;
    let error = resumed.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("events cannot be upserted"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn replaced_days_lose_the_events_that_are_gone() {
    let bench = Bench::start(&[]).await;
    let (from, to) = range(&bench.server, 8);
    bench.fetch(request(from, to, 4, Some(1)), Control::default()).await.unwrap();
    bench.server.revise();
    let first = to.saturating_sub(2.days());
    let mut again = request(first, to, 4, Some(1));
    (again.if_exists, again.replaced_days) = (IfExists::Append, Some((first, to)));
    bench.fetch(again, Control::default()).await.unwrap();
    let mut expected = bench.expected(from, first.yesterday().unwrap(), 0);
    let (before, after) = (bench.expected(first, to, 0), bench.expected(first, to, 1));
    assert!(!before.is_subset(&after), "no event is gone");
    expected.extend(after);
    assert_eq!(bench.rows(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn days_that_fail_are_reported_and_fetched_by_a_resume() {
    let bench = Bench::start(&[]).await;
    let (from, to) = range(&bench.server, 5);
    let bad = from.tomorrow().unwrap();
    let bench = Bench::start(&[&format!("days={bad}..{bad} total=4 terminated-early rows=3")]).await;
    let report = bench.fetch(request(from, to, 2, Some(1)), Control::default()).await.unwrap();
    assert_eq!(report.failed_date_ranges, [(bad.to_string(), bad.to_string())]);
    let mut expected = bench.expected(from, from, 0);
    expected.extend(bench.expected(bad.tomorrow().unwrap(), to, 0));
    assert_eq!(bench.rows(), expected);
    let resume = ResumeFetch::new("events");
    let (_, report) = resume_events_into_table(&client(&bench.server), &bench.database(), resume).await.unwrap();
    assert_eq!((report.failed_date_ranges.len(), report.successful_batches), (0, 5));
    assert_eq!(bench.rows(), bench.expected(from, to, 0));
}
