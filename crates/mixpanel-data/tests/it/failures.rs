//! Failures during a fetch, and the pages that are kept (US3, `docs/traceability.md#user-stories`).

use std::time::Duration;

use mixpanel_data::{CancellationToken, ErrorKind, IfExists, ProfileFetch, RunOptions};
use mixpanel_simulator::{OddProfile, SimulatorConfig, TotalMode};

use crate::harness::Bench;

fn count(bench: &Bench, table: &str) -> u64 {
    let query = format!("select count(*) from {table}");
    bench.workspace().sql_scalar(&query).expect("the table is there").as_u64().expect("a count")
}

#[tokio::test(flavor = "multi_thread")]
async fn two_permanently_failing_pages_of_ten_leave_eight_thousand_rows() {
    let bench = Bench::with_faults(10_000, &["pages=3,7 status=500"]).await;
    let result = bench.workspace().fetch_profiles(ProfileFetch::new("profiles").parallel()).await.unwrap();
    assert_eq!(result.rows(), 8_000);
    assert_eq!(result.failed_page_indices(), [3, 7]);
    assert!(result.has_failures());
    assert_eq!(count(&bench, "profiles"), 8_000);
    let partial = bench.workspace().sql_scalar("select partial from _metadata where table_name = 'profiles'").unwrap();
    assert_eq!(partial, true);
    assert!(bench.files().contains(&"project.db.stage".to_owned()), "the stage stays for the missing pages");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_failing_once_is_complete() {
    for fault in [
        "pages=all status=503 times=1",
        "pages=all reset times=1",
        "pages=all cut=2000 times=1",
        "pages=all html times=1",
    ] {
        let bench = Bench::with_faults(3_200, &[fault]).await;
        let result = bench.workspace().fetch_profiles(ProfileFetch::new("profiles").parallel()).await.unwrap();
        assert!(!result.has_failures(), "{fault}");
        assert_eq!(result.rows(), 3_200, "{fault}");
        assert_eq!((result.counts().retries, result.counts().requests), (4, 8), "{fault}");
        assert_eq!(bench.files(), ["project.db"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_table_is_created_if_all_pages_fail() {
    for (fault, kind) in [
        ("pages=all status=500", ErrorKind::ServerError),
        ("pages=all status=401", ErrorKind::Unauthorized),
        ("pages=all status=400", ErrorKind::Rejected),
        ("pages=all html", ErrorKind::UnexpectedReply),
        ("pages=all error-in-200", ErrorKind::UnexpectedReply),
        ("pages=all hourly-limit", ErrorKind::RateLimited),
    ] {
        let bench = Bench::with_faults(5_500, &[fault]).await;
        let fetch =
            ProfileFetch::new("profiles").parallel().options(RunOptions::new().max_wait(Duration::from_secs(5)));
        let error = bench.workspace().fetch_profiles(fetch).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{fault}: {error}");
        assert!(bench.files().is_empty(), "{fault}: {:?}", bench.files());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_401_in_the_middle_loads_nothing_and_keeps_the_stage() {
    let bench = Bench::with_faults(9_500, &["pages=6 status=401"]).await;
    let error = bench.workspace().fetch_profiles(ProfileFetch::new("profiles").parallel()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.run_id().is_some());
    assert_eq!(bench.files(), ["project.db.stage"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_replacement_keeps_the_old_table() {
    for fault in ["pages=0 status=401", "pages=3 status=500", "pages=3 status=401"] {
        let bench = Bench::with_faults(400, &[]).await;
        bench.workspace().fetch_profiles(ProfileFetch::new("profiles")).await.unwrap();
        let mut config = SimulatorConfig::unlimited().with_profiles(5_500);
        config.faults.push(fault.parse().unwrap());
        let other = Bench::start(config).await;
        let fetch = ProfileFetch::new("profiles").if_exists(IfExists::Replace).parallel();
        let error = bench.workspace_of(&other).fetch_profiles(fetch).await.unwrap_err();
        let expected = if fault.contains("401") { ErrorKind::Unauthorized } else { ErrorKind::Incomplete };
        assert_eq!(error.kind(), expected, "{fault}: {error}");
        assert_eq!(count(&bench, "profiles"), 400, "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_complete_replacement_replaces_the_old_table() {
    let bench = Bench::with_faults(400, &[]).await;
    bench.workspace().fetch_profiles(ProfileFetch::new("profiles")).await.unwrap();
    let other = Bench::with_faults(2_600, &[]).await;
    let fetch = ProfileFetch::new("profiles").if_exists(IfExists::Replace).parallel();
    assert_eq!(bench.workspace_of(&other).fetch_profiles(fetch).await.unwrap().rows(), 2_600);
    assert_eq!(count(&bench, "profiles"), 2_600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_keeps_staged_pages_and_loads_nothing() {
    let mut config = SimulatorConfig::unlimited().with_profiles(40_000);
    config.latency = Duration::from_millis(100);
    let bench = Bench::start(config).await;
    let token = CancellationToken::new();
    let stop = token.clone();
    let fetch = ProfileFetch::new("profiles").parallel().cancel_with(token).on_page_complete(move |page| {
        if page.page_index == 3 {
            stop.cancel();
        }
    });
    let error = bench.workspace().fetch_profiles(fetch).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let run = error.run_id().expect("pages are staged").to_owned();
    let staged =
        std::fs::read_dir(bench.directory.path().join("project.db.stage").join(run).join("generation-0")).unwrap();
    assert!(staged.count() >= 4);
    assert!(bench.server.stats().requests < 20, "no new requests");
    assert!(!bench.database().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_records_are_counted_and_lose_no_others() {
    let mut config = SimulatorConfig::unlimited().with_profiles(2_400);
    config.odd_profiles = OddProfile::spread(100, 7);
    let odd = config.odd_profiles.len();
    let bench = Bench::start(config).await;
    let result = bench.workspace().fetch_profiles(ProfileFetch::new("profiles").parallel()).await.unwrap();
    let counts = result.counts();
    assert!(!result.has_failures());
    assert_eq!(result.rows() + counts.duplicates + counts.rejected, 2_400);
    assert!(counts.rejected > 0 && counts.rejected < odd as u64, "{counts:?}");
    assert_eq!(count(&bench, "profiles"), result.rows());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_total_is_followed_to_the_end() {
    let totals = [(TotalMode::Missing, 0), (TotalMode::OffBy(-1_700), 0), (TotalMode::OffBy(1_700), 1_700)];
    for (total, shortfall) in totals {
        let mut config = SimulatorConfig::unlimited().with_profiles(4_300);
        config.total = total;
        let bench = Bench::start(config).await;
        let result = bench.workspace().fetch_profiles(ProfileFetch::new("profiles").parallel()).await.unwrap();
        let missing = (result.counts().shortfall, result.has_failures());
        assert_eq!((result.rows(), missing), (4_300, (shortfall, shortfall > 0)), "{total:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_is_waited_out() {
    let bench = Bench::with_faults(6_500, &["pages=2 status=429 header=Retry-After:1 times=1"]).await;
    let result = bench.workspace().fetch_profiles(ProfileFetch::new("profiles").parallel()).await.unwrap();
    assert_eq!(result.rows(), 6_500);
    assert!(result.counts().waited_seconds >= 1.0, "{:?}", result.counts());
}
