//! The hourly limit, the concurrency limit, and their 429 responses.

use std::time::Duration;

use mixpanel_simulator::{Quota, RateLimitStyle, SessionPages, SimulatorConfig};
use serde_json::json;

use crate::client::{Got, Sim, small, small_with};

fn two_an_hour() -> SimulatorConfig {
    SimulatorConfig { quota: Some("2/h".parse().expect("a quota")), ..small() }
}

#[tokio::test]
async fn the_hourly_limit_counts_queries_and_not_session_pages() {
    let sim = Sim::start(two_an_hour()).await;
    let session = sim.get(&[]).await.session();
    for _ in 0..5 {
        assert_eq!(sim.page(1, &session).await.status, 200);
    }
    assert_eq!(sim.get(&[]).await.status, 200);
    let full = sim.get(&[("page_size", "3")]).await;
    assert_eq!(full.status, 429);
    assert_eq!(full.headers["retry-after"], "3600");
    assert_eq!(
        full.headers["ratelimit-policy"],
        r#""project";q=2;w=3600, "project-concurrency";q=5;qu="concurrent-requests""#
    );
    assert_eq!(full.headers["ratelimit"], r#""project";r=0;t=3600, "project-concurrency";r=5"#);
    assert!(full.error().starts_with("Query rate limit exceeded for project_id: 12345"));
    assert!(full.error().contains("(3/2 queries running in the last hour)"), "{}", full.error());
    let url = format!("{}?project_id=12345&page_size=3", sim.url("/api/query/engage"));
    assert_eq!(full.json()["request"], json!(url));
    // Session pages are still free, and the 429 itself was not counted.
    assert_eq!(sim.page(1, &session).await.status, 200);
    let stats = sim.server.stats();
    assert_eq!((stats.counted_requests, stats.too_many_requests.hourly), (2, 1));
}

#[tokio::test]
async fn session_pages_are_counted_if_configured() {
    let sim = Sim::start(SimulatorConfig { session_pages: SessionPages::Counted, ..two_an_hour() }).await;
    let session = sim.get(&[]).await.session();
    assert_eq!(sim.page(1, &session).await.status, 200);
    assert_eq!(sim.page(2, &session).await.status, 429);
}

#[tokio::test]
async fn the_window_rolls() {
    let window = Duration::from_millis(300);
    let sim = Sim::start(SimulatorConfig { quota: Some(Quota { requests: 1, window }), ..small() }).await;
    assert_eq!(sim.get(&[]).await.status, 200);
    let started = std::time::Instant::now();
    // The first request was counted before now, so the wait ends within one window.
    while sim.get(&[]).await.status == 429 {
        assert!(started.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(sim.server.stats().counted_requests, 2);
}

#[tokio::test]
async fn some_statuses_are_not_counted() {
    for (status, counted) in [(401, 0), (402, 0), (429, 0), (400, 1), (403, 1), (500, 1)] {
        let fault = format!("status={status} times=1");
        let config = small_with(&fault);
        let sim =
            Sim::start(SimulatorConfig { quota: Some(Quota { requests: 1, ..Quota::default() }), ..config }).await;
        assert_eq!(sim.get(&[]).await.status, status);
        assert_eq!(sim.server.stats().counted_requests, counted, "{status}");
        assert_eq!(sim.get(&[]).await.status, if counted == 0 { 200 } else { 429 }, "{status}");
    }
}

#[tokio::test]
async fn concurrent_requests_are_limited_until_their_delay_ends() {
    let config = SimulatorConfig { concurrency: Some(2), ..small_with("pages=0 delay=1h") };
    let sim = Sim::start(config).await;
    let waiting: Vec<_> = (0..2).map(|_| tokio::spawn(sim.request(&[]).send())).collect();
    while sim.server.stats().requests < 2 {
        tokio::task::yield_now().await;
    }
    let refused = sim.page(1, "x").await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.headers["ratelimit"], r#""project";r=58, "project-concurrency";r=0;t=10"#);
    assert_eq!(refused.headers["retry-after"], "10");
    assert!(refused.error().contains("(3/2 queries running concurrently)"), "{}", refused.error());
    assert!(refused.json().get("request").is_none());
    let stats = sim.server.stats();
    assert_eq!((stats.max_concurrency, stats.too_many_requests.concurrency), (2, 1));
    // A client that disconnects frees its slot.
    for task in waiting {
        task.abort();
    }
    while sim.page(1, "x").await.status == 429 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn limits_by_fault_have_the_shape_of_real_ones() {
    let shape = async |fault: &str| Sim::start(small_with(fault)).await.get(&[]).await;
    let hourly = shape("hourly-limit").await;
    assert!(hourly.headers["ratelimit"].to_str().expect("text").contains("r=0;t=3600"));
    assert!(hourly.error().contains("(61/60 queries running in the last hour)"));
    let concurrency = shape("concurrency-limit").await;
    assert!(concurrency.error().contains("(6/5 queries running concurrently)"));
    let shed = shape("load-shed").await;
    let old = shape("body-only-limit").await;
    assert!(old.error().contains("1/5 queries running concurrently and 61/60 queries running in the last hour."));
    assert_eq!(old.json()["request"], "/api/query/engage?project_id=12345");
    for got in [&shed, &old] {
        assert_eq!(got.status, 429);
        for header in ["ratelimit", "ratelimit-policy", "retry-after"] {
            assert!(!got.headers.contains_key(header));
        }
    }
    let after_id = shed.error().replace("12345", "");
    assert!(!after_id.contains(|character: char| character.is_ascii_digit()), "{after_id}");
}

#[tokio::test]
async fn body_only_rate_limits_have_no_headers() {
    let sim = Sim::start(SimulatorConfig { rate_limit_style: RateLimitStyle::BodyOnly, ..two_an_hour() }).await;
    let got: Vec<Got> = vec![sim.get(&[]).await, sim.get(&[]).await, sim.get(&[]).await];
    assert_eq!(got[2].status, 429);
    assert!(!got[2].headers.contains_key("ratelimit"));
    assert!(got[2].error().contains("and 3/2 queries running in the last hour."), "{}", got[2].error());
}
