//! Fetches into a table, sequential and parallel (US1 and US2, `docs/traceability.md#user-stories`).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mixpanel_data::{
    ErrorKind, FetchEvent, FetcherService, IfExists, ParallelProfileFetcherService, ProfileFetch, ProfileFetchResult,
    ProfileProgress, ProfileQuery, Workspace,
};
use mixpanel_simulator::{CopyChange, ProfileCopy, SimulatorConfig};
use serde_json::Value;

use crate::harness::Bench;

/// Returns all rows of a table in storage order.
fn rows(workspace: &Workspace, table: &str) -> Vec<Vec<Value>> {
    let query = format!("select distinct_id, properties::varchar, last_seen from {table} order by rowid");
    workspace.sql(&query).expect("the table is there").rows
}

fn count(workspace: &Workspace, table: &str) -> u64 {
    let count = workspace.sql_scalar(&format!("select count(*) from {table}")).expect("the table is there");
    count.as_u64().expect("a count")
}

fn parallel(result: ProfileFetchResult) -> mixpanel_data::ParallelProfileResult {
    match result {
        ProfileFetchResult::Parallel(result) => result,
        ProfileFetchResult::Sequential(_) => panic!("a parallel fetch returned a sequential result"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_page_is_one_request() {
    let bench = Bench::with_faults(600, &[]).await;
    let service = ParallelProfileFetcherService::new(bench.client(), bench.database());
    let result = service.fetch_profiles(ProfileFetch::new("profiles")).await.unwrap();
    assert_eq!((result.total_rows, result.successful_pages, result.failed_pages), (600, 1, 0));
    assert!(!result.has_failures());
    assert_eq!(bench.server.stats().requests, 1);
    assert_eq!(count(&bench.workspace(), "profiles"), 600);
    assert_eq!(bench.files(), ["project.db"], "the stage is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_fetched_five_at_a_time() {
    let mut config = SimulatorConfig::unlimited().with_profiles(1_234);
    (config.page_size, config.latency) = (100, Duration::from_millis(300));
    let bench = Bench::start(config).await;
    let result = parallel(bench.workspace().fetch_profiles(ProfileFetch::new("profiles").parallel()).await.unwrap());
    assert_eq!((result.total_rows, result.successful_pages), (1_234, 13));
    assert_eq!(result.counts.expected_rows, Some(1_234));
    assert_eq!((result.counts.requests, result.counts.retries), (13, 0));
    let stats = bench.server.stats();
    assert_eq!(stats.max_concurrency, 5);
    assert!(stats.hits_per_page.values().all(|hits| *hits == 1));
    assert_eq!(count(&bench.workspace(), "profiles"), 1_234);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_delegates_by_mode() {
    let mut config = SimulatorConfig::unlimited().with_profiles(4_500);
    config.latency = Duration::from_millis(400);
    let bench = Bench::start(config).await;
    let service = FetcherService::new(bench.client(), bench.database());
    let sequential = service.fetch_profiles(ProfileFetch::new("a")).await.unwrap();
    assert!(matches!(sequential, ProfileFetchResult::Sequential(ref result) if result.rows == 4_500));
    assert_eq!(bench.server.stats().max_concurrency, 1);
    let parallel = service.fetch_profiles(ProfileFetch::new("b").parallel()).await.unwrap();
    assert!(matches!(parallel, ProfileFetchResult::Parallel(ref result) if result.total_rows == 4_500));
    assert!(bench.server.stats().max_concurrency > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_workers_than_five_are_capped_with_a_warning() {
    let mut config = SimulatorConfig::unlimited().with_profiles(1_550);
    (config.page_size, config.latency) = (100, Duration::from_millis(300));
    let bench = Bench::start(config).await;
    let warnings = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&warnings);
    let fetch = ProfileFetch::new("profiles").max_workers(10).on_event(move |event| {
        if let FetchEvent::Warning(warning) = event {
            heard.lock().unwrap().push(warning.to_string());
        }
    });
    bench.workspace().fetch_profiles(fetch).await.unwrap();
    assert_eq!(bench.server.stats().max_concurrency, 5);
    let warnings = warnings.lock().unwrap();
    assert!(warnings.len() == 1 && warnings[0].contains("10 workers"), "{warnings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_that_may_hit_the_quota_warns_up_front() {
    for (profiles, expected) in [(4_800, false), (4_801, true)] {
        let mut config = SimulatorConfig::unlimited().with_profiles(profiles);
        config.page_size = 100;
        let bench = Bench::start(config).await;
        let events = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&events);
        let query = ProfileQuery { output_properties: Some(vec!["plan".into()]), ..ProfileQuery::default() };
        let fetch = ProfileFetch::new("profiles").query(query).parallel().on_event(move |event| {
            let mark = match event {
                FetchEvent::Warning(_) => "warning",
                FetchEvent::Page(_) => "page",
                _ => return,
            };
            heard.lock().unwrap().push(mark);
        });
        bench.workspace().fetch_profiles(fetch).await.unwrap();
        let events = events.lock().unwrap();
        assert_eq!(events.first() == Some(&"warning"), expected, "{profiles}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_equals_sequential_row_for_row() {
    let mut config = SimulatorConfig::unlimited().with_profiles(9_300);
    config.jitter = Duration::from_millis(80);
    config.faults.push("pages=3 status=502 times=2".parse().unwrap());
    config.faults.push("pages=5 reset times=1".parse().unwrap());
    config.copies = vec![
        ProfileCopy { from: 10, to: 4_010, change: CopyChange::Identical },
        ProfileCopy { from: 20, to: 8_020, change: CopyChange::LaterLastSeen },
    ];
    let bench = Bench::start(config).await;
    let workspace = bench.workspace();
    let first = workspace.fetch_profiles(ProfileFetch::new("one")).await.unwrap();
    let second = workspace.fetch_profiles(ProfileFetch::new("five").parallel()).await.unwrap();
    assert_eq!((first.rows(), first.counts().duplicates), (9_298, 2));
    assert_eq!((second.rows(), second.counts().duplicates), (9_298, 2));
    assert!(rows(&workspace, "one") == rows(&workspace, "five"), "the tables differ");
}

#[tokio::test(flavor = "multi_thread")]
async fn callbacks_run_while_another_page_hangs() {
    let bench = Bench::with_faults(9_500, &["pages=4 delay=3s times=1"]).await;
    let heard: Arc<Mutex<Vec<ProfileProgress>>> = Arc::default();
    let callback = Arc::clone(&heard);
    let fetch = ProfileFetch::new("profiles")
        .parallel()
        .on_page_complete(move |progress| callback.lock().unwrap().push(progress.clone()));
    bench.workspace().fetch_profiles(fetch).await.unwrap();
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 10);
    assert_eq!(heard.last().map(|page| page.page_index), Some(4), "the others do not wait for the page that hangs");
    let cumulative: Vec<u64> = heard.iter().map(|page| page.cumulative_rows).collect();
    assert!(cumulative.is_sorted() && cumulative.last() == Some(&9_500), "{cumulative:?}");
    assert!(heard.iter().all(|page| page.success && page.total_pages == Some(10)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panicking_callback_does_not_affect_the_fetch() {
    let bench = Bench::with_faults(3_500, &[]).await;
    let calls = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&calls);
    let fetch = ProfileFetch::new("profiles").parallel().on_page_complete(move |_| {
        if let Ok(mut calls) = counter.lock() {
            *calls += 1;
        }
        panic!("a bug of the caller");
    });
    let result = bench.workspace().fetch_profiles(fetch).await.unwrap();
    assert_eq!(result.rows(), 3_500);
    assert!(!result.has_failures());
    let calls = calls.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    assert_eq!(*calls, 1, "it is not called again");
}

#[tokio::test(flavor = "multi_thread")]
async fn zero_profiles_make_an_empty_table() {
    for parallel in [false, true] {
        let bench = Bench::with_faults(0, &[]).await;
        let fetch = ProfileFetch::new("profiles");
        let fetch = if parallel { fetch.parallel() } else { fetch };
        let result = bench.workspace().fetch_profiles(fetch).await.unwrap();
        assert_eq!(result.rows(), 0);
        assert_eq!(count(&bench.workspace(), "profiles"), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_list_of_ids_sends_nothing() {
    let bench = Bench::with_faults(100, &[]).await;
    let query = ProfileQuery { distinct_ids: Some(vec![]), ..ProfileQuery::default() };
    let result = bench.workspace().fetch_profiles(ProfileFetch::new("profiles").query(query)).await.unwrap();
    assert_eq!((result.rows(), bench.server.stats().requests), (0, 0));
    assert_eq!(count(&bench.workspace(), "profiles"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_reach_the_server_and_every_page() {
    let bench = Bench::with_faults(20_000, &[]).await;
    let query = ProfileQuery {
        where_: Some(r#"properties["is_paying"] == true"#.into()),
        output_properties: Some(vec!["plan".into()]),
        ..ProfileQuery::default()
    };
    let result = bench.workspace().fetch_profiles(ProfileFetch::new("paying").query(query).parallel()).await.unwrap();
    assert!((1..20_000).contains(&result.rows()), "{}", result.rows());
    let stats = bench.server.stats();
    assert!(stats.recent_requests.iter().all(|request| request.params["output_properties"] == r#"["plan"]"#));
    let keys = bench.workspace().sql_scalar("select json_keys(properties)[1] from paying limit 1").unwrap();
    assert_eq!(keys, "plan");
}

#[tokio::test(flavor = "multi_thread")]
async fn append_adds_new_rows_and_skips_duplicates() {
    let bench = Bench::with_faults(3_000, &[]).await;
    let workspace = bench.workspace();
    let some = ProfileQuery { where_: Some(r#"properties["is_paying"] == true"#.into()), ..ProfileQuery::default() };
    let paying = workspace.fetch_profiles(ProfileFetch::new("profiles").query(some)).await.unwrap().rows();
    let fetch = ProfileFetch::new("profiles").if_exists(IfExists::Append).parallel();
    let result = workspace.fetch_profiles(fetch).await.unwrap();
    assert_eq!((result.rows(), result.counts().duplicates), (3_000 - paying, paying));
    assert_eq!(count(&workspace, "profiles"), 3_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_fetches_are_refused_before_any_request() {
    let bench = Bench::with_faults(10, &[]).await;
    let workspace = bench.workspace();
    workspace.fetch_profiles(ProfileFetch::new("taken")).await.unwrap();
    bench.server.reset_stats();
    let bad_query = ProfileQuery { as_of_timestamp: Some(i64::MAX), ..ProfileQuery::default() };
    for (fetch, kind) in [
        (ProfileFetch::new("taken"), ErrorKind::TableExists),
        (ProfileFetch::new("TAKEN"), ErrorKind::TableExists),
        (ProfileFetch::new("_private"), ErrorKind::InvalidInput),
        (ProfileFetch::new("x\"; drop table taken; --"), ErrorKind::InvalidInput),
        (ProfileFetch::new(""), ErrorKind::InvalidInput),
        (ProfileFetch::new("new").max_workers(0), ErrorKind::InvalidInput),
        (ProfileFetch::new("new").batch_size(99), ErrorKind::InvalidInput),
        (ProfileFetch::new("new").query(bad_query.clone()), ErrorKind::InvalidInput),
        (ProfileFetch::new("new").query(bad_query).parallel(), ErrorKind::InvalidInput),
    ] {
        let shown = format!("{fetch:?}");
        let error = workspace.fetch_profiles(fetch).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{shown}: {error}");
    }
    assert_eq!(bench.server.stats().requests, 0);
    assert_eq!(bench.files(), ["project.db"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_behaviors_share_one_moment() {
    let bench = Bench::with_faults(5_000, &[]).await;
    let query = ProfileQuery {
        where_: Some(r#"(behaviors["b"] > 0)"#.into()),
        behaviors: Some(r#"[{"window":"30d","name":"b","event_selectors":[{"event":"Buy"}]}]"#.into()),
        ..ProfileQuery::default()
    };
    let result = bench.workspace().fetch_profiles(ProfileFetch::new("buyers").query(query).parallel()).await.unwrap();
    let stats = bench.server.stats();
    assert!(result.rows() > 1_000 && !result.has_failures(), "{result:?}");
    let moments: std::collections::BTreeSet<_> =
        stats.recent_requests.iter().map(|request| request.params["as_of_timestamp"].clone()).collect();
    assert_eq!(moments.len(), 1);
}
