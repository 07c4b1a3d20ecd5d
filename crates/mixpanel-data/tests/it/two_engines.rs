//! Another engine in the same process that has the database open, as the `duckdb` module of Python may.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use duckdb::Connection;
use mixpanel_data::{
    Day, Error, ErrorKind, EventFetch, Fault, FetchEvent, IfExists, ProfileFetch, ResumeFetch, RunOptions, Workspace,
};
use mixpanel_simulator::SimulatorConfig;
use serde_json::json;

use crate::harness::Bench;

const PROFILES: u64 = 950;

async fn bench() -> Bench {
    Bench::start(SimulatorConfig { page_size: 100, ..SimulatorConfig::unlimited() }.with_profiles(PROFILES)).await
}

fn fetch() -> ProfileFetch {
    ProfileFetch::new("profiles").parallel().options(RunOptions::new().lock_wait(Duration::ZERO))
}

fn connect(bench: &Bench) -> Connection {
    Connection::open(bench.database()).expect("DuckDB opens a file twice")
}

fn count(workspace: &Workspace, table: &str) -> serde_json::Value {
    workspace.sql_scalar(&format!("SELECT count(*) FROM {table}")).expect("a table")
}

fn assert_names_the_other_engine(error: &Error) {
    assert_eq!((error.kind(), error.fault()), (ErrorKind::DatabaseLocked, Some(Fault::AnotherEngine)), "{error:?}");
    assert_eq!(error.holding_pid(), Some(std::process::id()));
    assert!(error.message().contains("close that connection, or query through it"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_begins_while_another_engine_has_the_database_open() {
    let bench = bench().await;
    let workspace = bench.workspace();
    workspace.fetch_profiles(fetch()).await.expect("no other engine has it open");
    let requests = bench.server.stats().requests;
    let other = connect(&bench);
    other.execute_batch("CREATE TABLE mine AS FROM range(200_000); CHECKPOINT").expect("it writes");
    let events = EventFetch::new("events").days(Day::Ago(1), Day::Ago(0));
    let events = events.options(RunOptions::new().lock_wait(Duration::ZERO));
    for error in [
        workspace.fetch_profiles(fetch().if_exists(IfExists::Replace)).await.expect_err("it is open"),
        workspace.refresh_profiles(fetch()).await.map(drop).expect_err("it is open"),
        workspace.fetch_events(events).await.map(drop).expect_err("it is open"),
        workspace.sql("SELECT 1").map(drop).expect_err("it is open"),
        workspace.tables().map(drop).expect_err("it is open"),
        workspace.drop_tables(&["profiles".to_owned()]).expect_err("it is open"),
    ] {
        assert_names_the_other_engine(&error);
    }
    assert_eq!(bench.server.stats().requests, requests, "nothing was requested");
    assert!(workspace.unfinished_runs().expect("the directory").is_empty());
    drop(other);
    workspace.fetch_profiles(fetch().if_exists(IfExists::Replace)).await.expect("it is closed");
    assert_eq!((count(&workspace, "profiles"), count(&workspace, "mine")), (json!(PROFILES), json!(200_000)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_opened_during_a_fetch_leaves_a_stage_that_can_be_resumed() {
    let bench = bench().await;
    let workspace = bench.workspace();
    workspace.fetch_profiles(fetch()).await.expect("no other engine has it open");
    let other = Arc::new(Mutex::new(None));
    let (opened, database) = (Arc::clone(&other), bench.database());
    let fetch = fetch().if_exists(IfExists::Replace).on_page_complete(move |_| {
        opened.lock().expect("no panic").get_or_insert_with(|| Connection::open(&database).expect("it opens"));
    });
    let error = workspace.fetch_profiles(fetch).await.expect_err("the load must not begin");
    assert_names_the_other_engine(&error);
    assert_eq!(error.staged_pages(), Some(10));
    let runs = workspace.unfinished_runs().expect("the directory");
    assert_eq!((runs.len(), Some(runs[0].run_id.as_str())), (1, error.run_id()));
    let requests = bench.server.stats().requests;

    let other = other.lock().expect("no panic").take().expect("it was opened");
    other.execute_batch("CREATE TABLE mine AS FROM range(200_000); CHECKPOINT").expect("it writes");
    let resume = || ResumeFetch::new("profiles").options(RunOptions::new().lock_wait(Duration::ZERO));
    assert_names_the_other_engine(&workspace.resume_fetch(resume()).await.expect_err("it is still open"));
    assert_eq!(workspace.unfinished_runs().expect("the directory").len(), 1);
    drop(other);
    let result = workspace.resume_fetch(resume()).await.expect("it is closed");
    assert_eq!(result.rows(), PROFILES);
    assert_eq!((count(&workspace, "profiles"), count(&workspace, "mine")), (json!(PROFILES), json!(200_000)));
    assert_eq!(bench.server.stats().requests, requests, "no page was requested again");
    assert_eq!(bench.files(), ["project.db"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_waits_until_another_thread_closes_its_connection() {
    let bench = bench().await;
    let workspace = bench.workspace();
    workspace.fetch_profiles(fetch()).await.expect("no other engine has it open");
    let (database, mut thread) = (bench.database(), None);
    let told = Arc::new(Mutex::new(Vec::new()));
    let reasons = Arc::clone(&told);
    let fetch = fetch()
        .if_exists(IfExists::Replace)
        .options(RunOptions::new().lock_wait(Duration::from_secs(60)))
        .on_page_complete(move |_| {
            thread.get_or_insert_with(|| {
                let connection = Connection::open(&database).expect("it opens");
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_secs(2));
                    drop(connection);
                })
            });
        })
        .on_event(move |event| {
            if let FetchEvent::DatabaseBusy { reason, .. } = event {
                reasons.lock().expect("no panic").push(reason.clone());
            }
        });
    let begun = Instant::now();
    let result = workspace.fetch_profiles(fetch).await.expect("the connection is closed in time");
    assert_eq!(result.rows(), PROFILES);
    assert!(begun.elapsed() > Duration::from_millis(1_900), "{:?}", begun.elapsed());
    let told = told.lock().expect("no panic");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("open outside mixpanel-data"), "{told:?}");
}
