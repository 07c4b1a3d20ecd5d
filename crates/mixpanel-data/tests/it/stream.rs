//! Profiles that are streamed to a callback instead of stored.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use mixpanel_data::{ErrorKind, HashKey, ProfileFetch, ProfileStreamResult, RecordForm, Result, Secret};
use mixpanel_simulator::SimulatorConfig;
use serde_json::Value;

use crate::harness::Bench;

async fn collect(
    bench: &Bench,
    fetch: ProfileFetch,
    form: RecordForm,
    most: usize,
) -> (Vec<String>, Result<ProfileStreamResult>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let result = bench
        .workspace()
        .stream_profiles(fetch, form, move |line| {
            let mut lines = sink.lock().expect("no panic before");
            lines.push(line.to_owned());
            if lines.len() >= most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .await;
    let lines = std::mem::take(&mut *lines.lock().expect("no panic before"));
    (lines, result)
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_and_sequential_streams_are_identical() {
    let mut config = SimulatorConfig::unlimited().with_profiles(7_300);
    config.jitter = std::time::Duration::from_millis(60);
    config.faults.push("pages=2 status=503 times=2".parse().unwrap());
    let bench = Bench::start(config).await;
    let (sequential, first) = collect(&bench, ProfileFetch::new("x"), RecordForm::Row, usize::MAX).await;
    let (parallel, second) = collect(&bench, ProfileFetch::new("x").parallel(), RecordForm::Row, usize::MAX).await;
    assert_eq!(sequential.len(), 7_300);
    assert!(sequential == parallel, "the lines differ");
    assert_eq!((first.unwrap().rows, second.unwrap().rows), (7_300, 7_300));
    let record: Value = serde_json::from_str(&sequential[0]).unwrap();
    let keys: Vec<_> = record.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["distinct_id", "last_seen", "properties"]);
    assert!(record["properties"].get("$last_seen").is_none());
    assert!(bench.files().is_empty(), "nothing is left behind: {:?}", bench.files());
}

#[tokio::test]
async fn raw_stream_records_match_the_api_response() {
    let bench = Bench::with_faults(3, &[]).await;
    let (lines, _) = collect(&bench, ProfileFetch::new("x"), RecordForm::Raw, usize::MAX).await;
    let record: Value = serde_json::from_str(&lines[0]).unwrap();
    assert!(record["$properties"].get("$last_seen").is_some(), "{record}");
}

#[tokio::test(flavor = "multi_thread")]
async fn properties_of_a_stream_are_dropped_and_hashed() {
    let bench = Bench::with_faults(2_300, &[]).await;
    let key = HashKey::new(Secret::new("0123456789abcdef")).unwrap();
    let (plain, _) = collect(&bench, ProfileFetch::new("x"), RecordForm::Row, usize::MAX).await;
    let ruled = || {
        let fetch = ProfileFetch::new("x").parallel().drop_properties(["$name", "$first_name"]);
        fetch.hash_properties(["$email"], key.clone()).hash_properties(["distinct_id"], key.clone())
    };
    let (lines, result) = collect(&bench, ruled(), RecordForm::Row, usize::MAX).await;
    assert_eq!((lines.len(), result.unwrap().rows), (2_300, 2_300));
    for (line, plain) in lines.iter().zip(&plain) {
        let mut expected: Value = serde_json::from_str(plain).unwrap();
        let hashed = |value: &Value| Value::from(key.hash(value.as_str().unwrap()));
        expected["distinct_id"] = hashed(&expected["distinct_id"]);
        let properties = expected["properties"].as_object_mut().unwrap();
        assert!(properties.remove("$name").is_some() && properties.remove("$first_name").is_some());
        properties["$email"] = hashed(&properties["$email"]);
        assert_eq!(serde_json::from_str::<Value>(line).unwrap(), expected);
    }
    let (lines, result) = collect(&bench, ruled(), RecordForm::Raw, usize::MAX).await;
    assert_eq!((lines.len(), result.unwrap_err().kind()), (0, ErrorKind::InvalidInput));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_page_is_skipped_and_reported() {
    let bench = Bench::with_faults(5_500, &["pages=2 status=500"]).await;
    let (lines, result) = collect(&bench, ProfileFetch::new("x").parallel(), RecordForm::Row, usize::MAX).await;
    let result = result.unwrap();
    assert_eq!((lines.len(), result.failed_page_indices.as_slice()), (4_500, &[2][..]));
    assert!(bench.files().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_breaks_ends_the_stream_without_error() {
    let mut config = SimulatorConfig::unlimited().with_profiles(50_000);
    config.latency = std::time::Duration::from_millis(20);
    let bench = Bench::start(config).await;
    let (lines, result) = collect(&bench, ProfileFetch::new("x").parallel(), RecordForm::Row, 10).await;
    assert_eq!(lines.len(), 10);
    assert!(result.unwrap().ended_early);
    assert!(bench.server.stats().requests < 20);
    assert!(bench.files().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panicking_callback_ends_the_stream_with_an_error() {
    let bench = Bench::with_faults(300, &[]).await;
    let sink = |_: &str| -> ControlFlow<()> { panic!("a bug of the caller") };
    let result = bench.workspace().stream_profiles(ProfileFetch::new("x"), RecordForm::Row, sink).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Internal);
}
