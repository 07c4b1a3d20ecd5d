//! Comparisons of a table of events with Mixpanel's counts, through the library.

use mixpanel_data::{Credentials, Day, Error, ErrorKind, EventFetch, Region, Secret, Workspace};
use mixpanel_simulator::{EventOptions, SimulatorConfig};

use crate::harness::Bench;

/// Starts a project whose data ends now, and fetches its last ten days into `events`: four of them are settled.
async fn start() -> (Bench, Workspace) {
    let events = EventOptions { per_day: Some(40), ..EventOptions::clean() };
    let config = SimulatorConfig { events, reference_time: jiff::Timestamp::now(), ..SimulatorConfig::unlimited() };
    let bench = Bench::start(config.with_profiles(200)).await;
    let workspace = bench.workspace();
    workspace.fetch_events(EventFetch::new("events").days(Day::Ago(9), Day::Ago(0))).await.expect("the fetch succeeds");
    (bench, workspace)
}

fn execute(bench: &Bench, sql: &str) {
    let connection = duckdb::Connection::open(bench.database()).expect("the database opens");
    connection.execute_batch(sql).expect("the statement is valid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_its_rows_is_not_like_mixpanel() {
    let (bench, workspace) = start().await;
    assert!(workspace.audit_events("events").await.unwrap().differing_days.is_empty());
    execute(&bench, "DELETE FROM events");
    let error = workspace.audit_events("events").await.unwrap_err();
    let first = workspace.sql_scalar("SELECT min(day)::VARCHAR FROM _days").unwrap();
    let way_out = format!("`--since {}` fetches its days again", first.as_str().unwrap());
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains(&way_out), "{error}");
    let first: jiff::civil::Date = first.as_str().unwrap().parse().unwrap();
    workspace.fetch_events(EventFetch::new("events").since(first)).await.unwrap();
    assert!(workspace.audit_events("events").await.unwrap().differing_days.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_another_project_is_neither_compared_nor_updated() {
    let (bench, workspace) = start().await;
    let requests = bench.server.stats().requests;
    for (project, region) in [("54321", Region::Us), ("12345", Region::Eu)] {
        let credentials = Credentials::new("simulator", Secret::new("simulator-secret"), project, region).unwrap();
        let other = Workspace::new(credentials, workspace.database()).with_base_url(&bench.server.base_url()).unwrap();
        let audit = other.audit_events("events").await.unwrap_err();
        let update = other.fetch_events(EventFetch::new("events").since_last_load()).await.unwrap_err();
        for error in [audit, update] {
            assert_eq!((error.kind(), Error::difference(&error)), (ErrorKind::InvalidInput, None), "{error}");
            let expected = "belongs to project 12345 in region us; use that project, or another table";
            assert!(error.message().contains(expected), "{error}");
        }
    }
    assert_eq!(bench.server.stats().requests, requests);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_ignores_the_table_and_the_filters_of_the_caller() {
    let (bench, workspace) = start().await;
    let callers: [fn(EventFetch) -> EventFetch; 5] = [
        |fetch| fetch,
        |_| EventFetch::new("other"),
        |fetch| fetch.where_(r#"properties["plan"] == "pro""#),
        |fetch| fetch.limit(5),
        |fetch| fetch.events(["App Open"]).days(Day::Ago(1), Day::Ago(0)),
    ];
    for (number, caller) in callers.into_iter().enumerate() {
        execute(&bench, "DELETE FROM events WHERE event_time::DATE = (SELECT min(day) FROM _days)");
        let audit = workspace.audit_events("events").await.unwrap();
        assert_eq!(audit.differing_days.len(), 1, "{number}");
        let repaired = workspace.repair_events(&audit, caller).await;
        assert_eq!(repaired.unwrap_or_else(|error| panic!("{number}: {error}")).len(), 1, "{number}");
        assert!(workspace.audit_events("events").await.unwrap().differing_days.is_empty(), "{number}");
    }
    assert_eq!(workspace.sql_scalar("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'other'").unwrap(), 0);
}
