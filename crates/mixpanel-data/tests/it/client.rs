//! Fetches of single pages over real HTTP (T007, `docs/traceability.md`).

use std::time::{Duration, Instant};

use mixpanel_data::{ApiClient, ApiOptions, ErrorKind, ProfileQuery, Timeouts};
use mixpanel_simulator::SimulatorConfig;

use crate::harness::{Bench, credentials};

#[tokio::test]
async fn a_page_reports_the_metadata_of_the_response() {
    let bench = Bench::with_faults(2_500, &[]).await;
    let client = bench.client();
    let query = ProfileQuery::default();
    let first = client.export_profiles_page(0, None, &query).await.unwrap();
    assert_eq!((first.page, first.page_size, first.total, first.num_pages()), (0, 1000, Some(2500), Some(3)));
    assert_eq!((first.profiles.len(), first.has_more), (1000, true));
    let session = first.session_id.unwrap();
    let last = client.export_profiles_page(2, Some(&session), &query).await.unwrap();
    assert_eq!((last.page, last.profiles.len(), last.has_more), (2, 500, false));
    let ids: std::collections::HashSet<_> = last.profiles.iter().map(|row| row.distinct_id.to_owned()).collect();
    assert!(first.profiles.iter().all(|row| !ids.contains(row.distinct_id)));
}

#[tokio::test]
async fn the_request_is_a_form_with_the_project_in_the_query() {
    let bench = Bench::with_faults(10, &[]).await;
    let query = ProfileQuery { where_: Some(r#"properties["plan"] == "free""#.into()), ..ProfileQuery::default() };
    bench.client().export_profiles_page(0, None, &query).await.unwrap();
    let stats = bench.server.stats();
    let seen = stats.recent_requests.back().unwrap();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/api/query/engage"));
    assert_eq!(seen.content_type.as_deref(), Some("application/x-www-form-urlencoded"));
    assert_eq!(seen.params["project_id"], "12345");
    assert_eq!(seen.params["where"], r#"properties["plan"] == "free""#);
    assert!(!seen.params.contains_key("session_id"));
}

#[tokio::test]
async fn later_pages_need_the_session() {
    let bench = Bench::with_faults(10, &[]).await;
    let error = bench.client().export_profiles_page(1, None, &ProfileQuery::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(bench.server.stats().requests, 0);
    let error = bench.client().export_profiles_page(1, Some("0-GONE"), &ProfileQuery::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionLost);
}

#[tokio::test]
async fn faults_are_retried() {
    for fault in [
        "pages=0 status=503 times=1",
        "pages=0 status=500 times=2",
        "pages=0 reset times=1",
        "pages=0 cut=100 times=1",
        "pages=0 html times=1",
        "pages=0 empty times=1",
    ] {
        let bench = Bench::with_faults(10, &[fault]).await;
        let page = bench.client().export_profiles_page(0, None, &ProfileQuery::default()).await;
        assert_eq!(page.unwrap_or_else(|error| panic!("{fault}: {error}")).profiles.len(), 10);
        assert!(bench.server.stats().requests >= 2, "{fault}");
    }
}

#[tokio::test]
async fn refusals_are_not_retried_and_each_has_its_kind() {
    for (status, kind) in [
        (400, ErrorKind::Rejected),
        (401, ErrorKind::Unauthorized),
        (402, ErrorKind::PaymentRequired),
        (403, ErrorKind::Forbidden),
        (404, ErrorKind::NotFound),
        (302, ErrorKind::UnexpectedReply),
    ] {
        let bench = Bench::with_faults(10, &[&format!("pages=0 status={status}")]).await;
        let error = bench.client().export_profiles_page(0, None, &ProfileQuery::default()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}: {error}");
        assert_eq!(bench.server.stats().requests, 1, "{status}");
    }
}

#[tokio::test]
async fn wrong_credentials_are_unauthorized_and_never_shown() {
    let bench = Bench::with_faults(10, &[]).await;
    let client = bench.client_with_secret("canary-93f1");
    let error = client.export_profiles_page(0, None, &ProfileQuery::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(!format!("{error} {error:?} {client:?}").contains("canary"));
}

#[tokio::test]
async fn echoed_credentials_are_not_quoted() {
    for status in [400, 200] {
        // The Base64 text is "simulator:simulator-secret".
        let error = r#"{\"error\":\"bad Basic c2ltdWxhdG9yOnNpbXVsYXRvci1zZWNyZXQ= or simulator-secret\"}"#;
        let script = format!(r#"[{{"pages": 0, "status": {status}, "body": "{error}"}}]"#);
        let mut config = SimulatorConfig::unlimited().with_profiles(10);
        config.faults = mixpanel_simulator::Fault::read_script(&script).unwrap();
        let bench = Bench::start(config).await;
        let error = bench.client().export_profiles_page(0, None, &ProfileQuery::default()).await.unwrap_err();
        assert!(error.message().contains("text not shown"), "{status}: {error}");
        assert!(
            !format!("{error:?}").contains("c2lt") && !format!("{error:?}").contains("-secret"),
            "{status}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_refused_connection_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let options = ApiOptions { base_url: Some(base_url.clone()), ..ApiOptions::default() };
    let client = ApiClient::new(credentials("s"), &options).unwrap();
    let error = client.event_names().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.message().contains(base_url.trim_start_matches("http://")), "{error}");
}

#[tokio::test]
async fn a_stalled_response_is_retried_after_the_timeout() {
    let bench = Bench::with_faults(10, &["pages=0 stall=0 for=30s times=1"]).await;
    let timeouts = Timeouts { first_byte: Duration::from_millis(200), ..Timeouts::default() };
    let options = ApiOptions { base_url: Some(bench.server.base_url()), timeouts, ..ApiOptions::default() };
    let client = ApiClient::new(credentials("simulator-secret"), &options).unwrap();
    let begun = Instant::now();
    let page = client.export_profiles_page(0, None, &ProfileQuery::default()).await.unwrap();
    assert_eq!(page.profiles.len(), 10);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn compressed_replies_are_read() {
    let mut config = SimulatorConfig::unlimited().with_profiles(100);
    config.compression = mixpanel_simulator::Compression::Gzip;
    let bench = Bench::start(config).await;
    let page = bench.client().export_profiles_page(0, None, &ProfileQuery::default()).await.unwrap();
    assert_eq!(page.profiles.len(), 100);
}

#[tokio::test]
async fn event_names_are_a_test_of_credentials() {
    let bench = Bench::with_faults(0, &[]).await;
    assert!(bench.workspace().test_credentials().await.unwrap() > 0);
    let error = bench.client_with_secret("wrong").event_names().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
}
