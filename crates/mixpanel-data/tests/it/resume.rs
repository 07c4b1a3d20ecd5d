//! Unfinished runs: resumed, finished without the missing pages, planned, discarded.

use mixpanel_data::{
    CancellationToken, Credentials, ErrorKind, IfExists, ProfileFetch, ProfileQuery, Region, ResumeFetch, Secret,
    Workspace,
};
use mixpanel_simulator::{SimulatorConfig, TotalMode};
use serde_json::{Value, json};

use crate::harness::Bench;

/// Starts a simulator with pages of 100 profiles and these faults, without quotas.
async fn bench(profiles: u64, faults: &[&str]) -> Bench {
    let mut config = SimulatorConfig { page_size: 100, ..SimulatorConfig::unlimited() }.with_profiles(profiles);
    config.faults = faults.iter().map(|fault| fault.parse().expect("a fault")).collect();
    Bench::start(config).await
}

fn fetch() -> ProfileFetch {
    ProfileFetch::new("profiles").parallel()
}

fn resume() -> ResumeFetch {
    ResumeFetch::new("profiles")
}

/// Returns the rows in the order of the table.
fn rows(workspace: &Workspace) -> Vec<Vec<Value>> {
    workspace.sql("select distinct_id, properties::varchar, last_seen from profiles").expect("a table").rows
}

/// Returns the rows of an undisturbed fetch of the same project.
async fn undisturbed(bench: &Bench, profiles: u64) -> Vec<Vec<Value>> {
    let calm = self::bench(profiles, &[]).await;
    calm.workspace().fetch_profiles(fetch()).await.expect("nothing disturbs it");
    assert_ne!(calm.database(), bench.database());
    rows(&calm.workspace())
}

/// Stops a fetch as soon as this many pages are staged.
async fn stop_after(workspace: &Workspace, fetch: ProfileFetch, pages: u64) -> mixpanel_data::Error {
    let token = CancellationToken::new();
    let stop = token.clone();
    let mut seen = 0;
    let fetch = fetch.cancel_with(token).on_page_complete(move |_| {
        seen += 1;
        if seen == pages {
            stop.cancel();
        }
    });
    workspace.fetch_profiles(fetch).await.expect_err("it is stopped")
}

#[tokio::test(flavor = "multi_thread")]
async fn resuming_a_stopped_run_fetches_only_missing_pages() {
    let bench = bench(2_950, &["pages=all delay=30ms"]).await;
    let workspace = bench.workspace();
    let error = stop_after(&workspace, fetch(), 8).await;
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let runs = workspace.unfinished_runs().unwrap();
    assert_eq!((runs.len(), Some(runs[0].run_id.as_str())), (1, error.run_id()));
    assert_eq!((runs[0].pages_total, runs[0].held_by), (Some(30), None));
    assert!(runs[0].pages_done >= 8, "{runs:?}");
    let result = workspace.resume_fetch(resume()).await.unwrap();
    assert_eq!((result.rows(), result.has_failures()), (2_950, false));
    let asked_twice: Vec<u64> =
        bench.server.stats().hits_per_page.iter().filter(|(_, hits)| **hits > 1).map(|(page, _)| *page).collect();
    assert!(asked_twice.is_empty(), "pages that were staged or landed are not asked for again: {asked_twice:?}");
    assert_eq!(bench.server.stats().sessions_created, 1);
    assert_eq!(rows(&workspace), undisturbed(&bench, 2_950).await);
    assert_eq!(bench.files(), ["project.db"]);
    assert_eq!(result.counts().requests, 30, "the whole run is counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_pages_are_added_to_the_table_later() {
    for total in [TotalMode::FirstPage, TotalMode::EveryPage] {
        let mut config = SimulatorConfig { page_size: 100, total, ..SimulatorConfig::unlimited() }.with_profiles(950);
        config.faults = vec!["pages=3,7 status=404 times=1".parse().unwrap()];
        let bench = Bench::start(config).await;
        let workspace = bench.workspace();
        let partial = workspace.fetch_profiles(fetch()).await.unwrap();
        assert_eq!((partial.rows(), partial.failed_page_indices()), (750, &[3, 7][..]));
        assert!(workspace.tables().unwrap()[0].partial);
        assert!(workspace.unfinished_runs().unwrap()[0].is_loaded_in_part);
        let whole = workspace.resume_fetch(resume()).await.unwrap();
        assert_eq!((whole.rows(), whole.has_failures()), (950, false));
        assert!(!workspace.tables().unwrap()[0].partial);
        assert_eq!(rows(&workspace), undisturbed(&bench, 950).await, "row for row, as if nothing had been missing");
        assert!(workspace.unfinished_runs().unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accept_partial_loads_the_staged_pages_without_a_request() {
    let bench = bench(950, &["pages=3 status=404"]).await;
    let workspace = bench.workspace();
    let calm = self::bench(50, &[]).await;
    let other = Workspace::new(crate::harness::credentials("simulator-secret"), bench.database());
    other.with_base_url(&calm.server.base_url()).unwrap().fetch_profiles(fetch()).await.unwrap();
    let error = workspace.fetch_profiles(fetch().if_exists(IfExists::Replace)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incomplete);
    assert_eq!(rows(&workspace).len(), 50);
    let before = bench.server.stats().requests;
    let result = workspace.resume_fetch(resume().run(error.run_id().unwrap()).accept_partial()).await.unwrap();
    assert_eq!((result.rows(), result.failed_page_indices()), (850, &[3][..]));
    assert_eq!(bench.server.stats().requests, before, "nothing is sent");
    assert_eq!(rows(&workspace).len(), 850);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_or_replaced_session_restarts_the_fetch() {
    for fault in ["pages=5 lost-session times=1", "pages=5 replaced-session times=1"] {
        let bench = bench(950, &[fault]).await;
        let workspace = bench.workspace();
        let result = workspace.fetch_profiles(fetch()).await.unwrap();
        assert_eq!((result.rows(), result.counts().session_restarts), (950, 1), "{fault}");
        assert_eq!(rows(&workspace), undisturbed(&bench, 950).await);
        let noted = workspace.sql("select session_restarts from _fetches").unwrap();
        assert_eq!(noted.rows[0][0], json!(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_keeps_losing_the_session_ends_the_run_and_keeps_it() {
    let bench = bench(950, &["pages=5 lost-session times=3"]).await;
    let workspace = bench.workspace();
    let error = workspace.fetch_profiles(fetch()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionLost);
    assert!(workspace.tables().is_err(), "there is no table");
    assert_eq!(workspace.unfinished_runs().unwrap()[0].run_id, error.run_id().unwrap());
    let result = workspace.resume_fetch(resume()).await.unwrap();
    assert_eq!((result.rows(), result.has_failures()), (950, false));
    assert_eq!(rows(&workspace), undisturbed(&bench, 950).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_filters_projects_and_regions_are_refused_by_name() {
    let bench = bench(2_950, &["pages=all delay=30ms"]).await;
    let workspace = bench.workspace();
    let query = ProfileQuery { output_properties: Some(vec!["plan".into()]), ..ProfileQuery::default() };
    stop_after(&workspace, fetch().query(query.clone()), 3).await;
    let other = ProfileQuery { where_: Some("properties[\"plan\"] == \"free\"".into()), ..query.clone() };
    let error = workspace.resume_fetch(resume().expect_query(other)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("where"), "{error}");
    for (project, region, named) in [("99", Region::Us, "project"), ("12345", Region::Eu, "region")] {
        let credentials = Credentials::new("simulator", Secret::new("simulator-secret"), project, region).unwrap();
        let stranger = Workspace::new(credentials, bench.database()).with_base_url(&bench.server.base_url()).unwrap();
        let error = stranger.resume_fetch(resume()).await.unwrap_err();
        assert!(error.message().contains(named), "{error}");
    }
    let result = workspace.resume_fetch(resume().expect_query(query)).await.unwrap();
    assert_eq!(result.rows(), 2_950);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_process_works_on_a_run() {
    let bench = bench(950, &["pages=4 delay=2s"]).await;
    let workspace = bench.workspace();
    let (sender, mut pages) = tokio::sync::mpsc::unbounded_channel();
    let first = tokio::spawn({
        let workspace = workspace.clone();
        async move {
            workspace
                .fetch_profiles(fetch().on_page_complete(move |page| {
                    let _ = sender.send(page.page_index);
                }))
                .await
        }
    });
    pages.recv().await.unwrap();
    let run = workspace.unfinished_runs().unwrap().remove(0);
    assert_eq!(run.held_by, Some(std::process::id()));
    for error in [workspace.resume_fetch(resume()).await.unwrap_err(), workspace.discard_run(&run.run_id).unwrap_err()]
    {
        assert_eq!(error.kind(), ErrorKind::RunBusy);
        assert_eq!(error.detail("holding_pid"), Some(&json!(std::process::id())));
    }
    assert_eq!(first.await.unwrap().unwrap().rows(), 950);
    assert_eq!(workspace.resume_fetch(resume()).await.unwrap_err().kind(), ErrorKind::RunNotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_estimate_requests_page_0_and_the_fetch_reuses_it() {
    let bench = bench(2_950, &[]).await;
    let workspace = bench.workspace();
    let plan = workspace.plan_fetch(fetch()).await.unwrap();
    assert_eq!((plan.pages, plan.requests, plan.expected_rows), (Some(30), Some(29), Some(2_950)));
    assert_eq!((plan.counted_requests, plan.quota_used), (Some(0), 1));
    assert!(plan.expected_bytes.unwrap() > 100_000, "{plan:?}");
    assert_eq!(bench.server.stats().requests, 1);
    assert!(workspace.unfinished_runs().unwrap()[0].is_only_planned());
    let result = workspace.fetch_profiles(fetch()).await.unwrap();
    assert_eq!((result.rows(), bench.server.stats().requests), (2_950, 30), "page 0 is not asked for again");
    assert_eq!(result.run_id(), plan.run_id);
    workspace.plan_fetch(fetch().if_exists(IfExists::Replace)).await.unwrap();
    let filtered = fetch().if_exists(IfExists::Replace).where_("properties[\"plan\"] == \"free\"");
    workspace.fetch_profiles(filtered).await.unwrap();
    assert!(workspace.unfinished_runs().unwrap()[0].is_only_planned(), "another fetch does not take it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_run_leaves_nothing() {
    let bench = bench(950, &["pages=3 status=401"]).await;
    let workspace = bench.workspace();
    let error = workspace.fetch_profiles(fetch()).await.unwrap_err();
    workspace.discard_run(error.run_id().unwrap()).unwrap();
    assert!(bench.files().is_empty(), "{:?}", bench.files());
    assert_eq!(workspace.discard_run("nonsense").unwrap_err().kind(), ErrorKind::RunNotFound);
}
