use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::*;

fn counts() -> FetchCounts {
    let counts = json!({
        "expected_rows": 8_003, "received": 8_003, "drift": 0, "shortfall": 0, "duplicates": 2, "rejected": 1, "requests": 12,
        "retries": 2, "waited_seconds": 1.5, "session_restarts": 1, "short_pages": [4],
    });
    serde_json::from_value(counts).expect("these are all counters")
}

fn loaded() -> LoadedTable {
    LoadedTable {
        database: "/data/12345.db".into(),
        table_rows: 9_000,
        updated_rows: Some(0),
        unchanged_rows: None,
        unchecked_page: Some(7),
        run_waited_seconds: 3.5,
    }
}

#[test]
fn progress_serialises_with_the_names_of_the_specification() {
    let progress = ProfileProgress {
        page_index: 3,
        total_pages: Some(10),
        rows: 0,
        success: false,
        error: Some("why".into()),
        cumulative_rows: 3_000,
    };
    assert_eq!(
        serde_json::to_value(progress).unwrap(),
        json!({"page_index": 3, "total_pages": 10, "rows": 0, "success": false, "error": "why", "cumulative_rows": 3_000})
    );
}

#[test]
fn a_parallel_result_has_the_fields_of_the_specification_and_the_added_ones() {
    let result = ParallelProfileResult {
        table: "profiles".into(),
        rows: 8_000,
        total_rows: 8_000,
        successful_pages: 8,
        failed_pages: 2,
        failed_page_indices: vec![3, 7],
        duration_seconds: 2.5,
        fetched_at: "2026-01-01T00:00:00Z".into(),
        counts: counts(),
        run_id: "run".into(),
        loaded: loaded(),
    };
    assert!(result.has_failures());
    assert_eq!(
        serde_json::to_value(&result).unwrap(),
        json!({
            "table": "profiles", "rows": 8_000, "total_rows": 8_000, "successful_pages": 8, "failed_pages": 2,
            "failed_page_indices": [3, 7], "duration_seconds": 2.5, "fetched_at": "2026-01-01T00:00:00Z",
            "expected_rows": 8_003, "received": 8_003, "drift": 0, "shortfall": 0, "duplicates": 2, "rejected": 1, "requests": 12, "retries": 2,
            "waited_seconds": 1.5, "session_restarts": 1, "short_pages": [4], "run_id": "run",
            "database": "/data/12345.db", "table_rows": 9_000, "updated_rows": 0, "unchanged_rows": null,
            "unchecked_page": 7, "run_waited_seconds": 3.5,
        })
    );
    let result = ProfileFetchResult::Parallel(result);
    assert_eq!((result.table(), result.rows(), result.loaded().table_rows), ("profiles", 8_000, 9_000));
    assert_eq!((result.database(), result.duration()), (Path::new("/data/12345.db"), Duration::from_millis(2_500)));
}

#[cfg(unix)]
#[test]
fn a_path_that_is_not_utf8_can_be_serialised() {
    use std::os::unix::ffi::OsStrExt as _;

    let database = Path::new(std::ffi::OsStr::from_bytes(b"/data/\xff.db")).to_owned();
    let value = serde_json::to_value(LoadedTable { database, ..loaded() }).unwrap();
    assert_eq!(value["database"], json!("/data/\u{fffd}.db"));
}

#[test]
fn a_sequential_result_has_its_own_shape() {
    let result = FetchResult {
        table: "profiles".into(),
        rows: 8_000,
        kind: "profiles",
        duration_seconds: 2.5,
        date_range: None,
        fetched_at: "2026-01-01T00:00:00Z".into(),
        failed_page_indices: vec![],
        failed_date_ranges: vec![],
        counts: counts(),
        events: None,
        run_id: "run".into(),
        loaded: loaded(),
    };
    assert!(!result.has_failures());
    let value = serde_json::to_value(&result).unwrap();
    assert_eq!(
        (&value["rows"], &value["type"], &value["date_range"]),
        (&json!(8_000), &json!("profiles"), &json!(null))
    );
}

fn event_counts() -> EventCounts {
    EventCounts {
        conflicting_duplicates: 1,
        without_insert_id: 3,
        open_days: vec!["2026-11-26".into()],
        ..EventCounts::default()
    }
}

#[test]
fn results_of_events_have_the_fields_of_the_specification_and_the_added_ones() {
    let range = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    let parallel = ParallelFetchResult {
        table: "events".into(),
        total_rows: 8_000,
        successful_batches: 8,
        failed_batches: 2,
        failed_date_ranges: vec![range("2026-11-03", "2026-11-04")],
        date_range: range("2026-11-01", "2026-11-26"),
        duration_seconds: 2.5,
        fetched_at: "2026-11-26T00:00:00Z".into(),
        counts: counts(),
        events: event_counts(),
        run_id: "run".into(),
        loaded: loaded(),
    };
    assert!(parallel.has_failures());
    let shared = json!({
        "table": "events", "rows": 8_000, "type": "events", "failed_date_ranges": [["2026-11-03", "2026-11-04"]],
        "date_range": ["2026-11-01", "2026-11-26"], "duration_seconds": 2.5, "fetched_at": "2026-11-26T00:00:00Z",
        "received": 8_003, "duplicates": 2, "rejected": 1, "requests": 12, "retries": 2, "waited_seconds": 1.5,
        "conflicting_duplicates": 1, "without_insert_id": 3, "without_distinct_id": 0, "outside_range": 0,
        "repeated_hour": 0, "skipped_hour": 0, "replaced_rows": 0, "received_bytes": 0, "open_days": ["2026-11-26"], "run_id": "run",
        "database": "/data/12345.db", "table_rows": 9_000, "updated_rows": 0, "unchanged_rows": null,
        "run_waited_seconds": 3.5,
    });
    let mut expected = shared.clone();
    for (name, value) in [("total_rows", 8_000), ("successful_batches", 8), ("failed_batches", 2)] {
        expected[name] = value.into();
    }
    assert_eq!(serde_json::to_value(&parallel).unwrap(), expected);
    let sequential = FetchResult {
        table: parallel.table.clone(),
        rows: parallel.total_rows,
        kind: "events",
        duration_seconds: parallel.duration_seconds,
        date_range: Some(parallel.date_range.clone()),
        fetched_at: parallel.fetched_at.clone(),
        failed_page_indices: Vec::new(),
        failed_date_ranges: parallel.failed_date_ranges.clone(),
        counts: counts(),
        events: Some(event_counts()),
        run_id: "run".into(),
        loaded: loaded(),
    };
    assert!(sequential.has_failures());
    assert_eq!(serde_json::to_value(&sequential).unwrap(), shared);
    let (sequential, parallel) = (EventFetchResult::Sequential(sequential), EventFetchResult::Parallel(parallel));
    for result in [sequential, parallel] {
        assert_eq!((result.table(), result.rows(), result.run_id()), ("events", 8_000, "run"));
        assert_eq!((result.events(), result.counts(), result.loaded()), (&event_counts(), &counts(), &loaded()));
        assert_eq!(result.failed_date_ranges(), [range("2026-11-03", "2026-11-04")]);
    }
}
