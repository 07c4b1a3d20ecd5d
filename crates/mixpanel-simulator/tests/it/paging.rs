//! Pages, sessions, credentials and parameters.

use std::collections::HashSet;
use std::time::Duration;

use mixpanel_simulator::{
    AuthRefusal, Compression, PastEnd, RequestedPageSize, Server, ServerError, SessionIdMode, SimulatorConfig,
    TotalMode,
};
use serde_json::json;

use crate::client::{Got, Sim, small};

#[tokio::test]
async fn paging_to_the_end_returns_each_profile_once() {
    let sim = Sim::start(small()).await;
    let whole = sim.get(&[("page_size", "1000")]).await.results();
    let first = sim.get(&[]).await;
    assert_eq!(first.json()["total"], 25);
    assert_eq!(first.json()["page_size"], 10);
    assert_eq!(first.json()["status"], "ok");
    let session = first.session();
    let mut rows = first.results();
    // Out of order, as a parallel client requests them.
    let (third, second) = (sim.page(2, &session).await, sim.page(1, &session).await);
    for page in [&second, &third] {
        assert_eq!(page.session(), session);
        assert!(page.json().get("total").is_none());
        rows.extend(page.results());
    }
    assert_eq!((second.json()["page"].clone(), third.results().len()), (json!(1), 5));
    assert_eq!(rows, whole);
    assert_eq!(rows.iter().map(|row| row["$distinct_id"].to_string()).collect::<HashSet<_>>().len(), 25);
    assert!(sim.page(3, &session).await.results().is_empty());
    let stats = sim.server.stats();
    assert_eq!((stats.sessions_created, stats.hits_per_page[&2]), (2, 1));
}

#[tokio::test]
async fn session_ids_look_like_mixpanels_and_differ() {
    let sim = Sim::start(small()).await;
    let (one, two) = (sim.get(&[]).await.session(), sim.get(&[]).await.session());
    assert_ne!(one, two);
    for id in [one, two] {
        let (digits, letters) = id.split_once('-').expect("a hyphen");
        assert!(digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit()), "{id}");
        assert!(letters.len() == 6 && letters.bytes().all(|byte| byte.is_ascii_uppercase()), "{id}");
    }
}

#[tokio::test]
async fn pages_without_their_session_are_refused() {
    let sim = Sim::start(small()).await;
    let session = sim.get(&[("where", "true")]).await.session();
    let refused = [
        sim.get(&[("page", "1")]).await,
        sim.page(1, "1790012345-QZKRWT").await,
        // The session of another query.
        sim.page(1, &session).await,
        // An empty session ID counts as missing.
        sim.page(1, "").await,
    ];
    for got in refused {
        assert_eq!((got.status.as_u16(), got.error().as_str()), (400, "request for page in uncached query for params"));
    }
    let with_filter = [("page", "1"), ("session_id", &*session), ("where", "true")];
    assert_eq!(sim.get(&with_filter).await.results().len(), 10);
}

#[tokio::test]
async fn sessions_expire_by_age_and_by_requests() {
    let sim = Sim::start(SimulatorConfig { session_max_requests: Some(2), ..small() }).await;
    let session = sim.get(&[]).await.session();
    assert_eq!(sim.page(1, &session).await.status, 200);
    assert_eq!(sim.page(2, &session).await.status, 400);

    let sim = Sim::start(SimulatorConfig { session_max_age: Some(Duration::ZERO), ..small() }).await;
    let session = sim.get(&[]).await.session();
    assert_eq!(sim.page(1, &session).await.status, 400);
}

#[tokio::test]
async fn credentials_and_project_are_checked() {
    let sim = Sim::start(small()).await;
    let url = sim.url("/api/2.0/engage");
    let statuses = [
        (Some("Basic c2ltdWxhdG9yOnNpbXVsYXRvci1zZWNyZXQ="), "?project_id=12345", 200),
        (Some("Basic simulator:simulator-secret"), "?project_id=12345", 200),
        (Some("Basic simulator:wrong"), "?project_id=12345", 401),
        (Some("Bearer simulator:simulator-secret"), "?project_id=12345", 401),
        (None, "?project_id=12345", 401),
        (Some("Basic simulator:simulator-secret"), "?project_id=99", 403),
        (Some("Basic simulator:simulator-secret"), "", 400),
    ];
    for (authorization, query, status) in statuses {
        let mut request = sim.http.get(format!("{url}{query}"));
        if let Some(value) = authorization {
            request = request.header("Authorization", value);
        }
        let got = Got::from(request.send().await.expect("a reply")).await;
        assert_eq!(got.status, status, "{authorization:?} {query}");
        if status != 200 {
            assert!(!got.error().is_empty());
        }
    }
    let stats = sim.server.stats();
    assert_eq!((stats.requests, stats.replies_by_status[&401]), (7, 3));

    let sim = Sim::start(SimulatorConfig { auth_refusal: AuthRefusal::BadRequest, ..small() }).await;
    let request = sim.http.get(sim.url("/api/query/engage?project_id=12345"));
    let got = Got::from(request.send().await.expect("a reply")).await;
    assert_eq!((got.status.as_u16(), got.error().as_str()), (400, "Unable to authenticate request"));
}

#[tokio::test]
async fn parameters_are_read_from_url_form_and_json() {
    let sim = Sim::start(small()).await;
    let post = |query: &str| {
        let request = sim.http.post(sim.url(&format!("/api/query/engage?project_id=12345{query}")));
        request.basic_auth("simulator", Some("simulator-secret"))
    };
    let send = async |request: reqwest::RequestBuilder| Got::from(request.send().await.expect("a reply")).await;
    let from_form = send(post("").form(&[("page_size", "3")])).await;
    let from_json = send(post("").header("Content-Type", "text/plain").body(r#"{"page_size": 4}"#)).await;
    let overridden = send(post("&page_size=7").form(&[("page_size", "5")])).await;
    let not_an_object = send(post("&page_size=7").body("[1]")).await;
    let sizes = [&from_form, &from_json, &overridden, &not_an_object].map(|got| got.results().len());
    assert_eq!(sizes, [3, 4, 5, 7]);

    let stats = send(sim.http.get(sim.url("/_sim/stats"))).await;
    assert!(!stats.text().contains("secret"));
    let recent = &stats.json()["recent_requests"];
    assert_eq!(recent[0]["content_type"], "application/x-www-form-urlencoded");
    assert_eq!(recent[1]["params"], json!({"page_size": "4", "project_id": "12345"}));
    assert_eq!(recent[2]["params"]["page_size"], "5");
    assert_eq!(send(sim.http.post(sim.url("/_sim/reset"))).await.status, 200);
    assert_eq!(sim.server.stats().requests, 0);
}

#[tokio::test]
async fn wrong_parameters_and_paths_are_refused() {
    let sim = Sim::start(small()).await;
    for (name, value) in [("page", "-1"), ("page", "x"), ("page_size", "0"), ("include_all_users", "maybe")] {
        let got = sim.get(&[(name, value)]).await;
        assert_eq!(got.status, 400);
        assert!(got.error().starts_with(name), "{}", got.error());
    }
    let unknown = Got::from(sim.http.get(sim.url("/api/query/other")).send().await.expect("a reply")).await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.error().contains("/api/query/other"));
}

#[tokio::test]
async fn page_size_is_capped_or_ignored() {
    let capped = SimulatorConfig { requested_page_size: RequestedPageSize::UpTo(15), ..small() };
    assert_eq!(Sim::start(capped).await.get(&[("page_size", "999")]).await.json()["page_size"], 15);
    let ignored = SimulatorConfig { requested_page_size: RequestedPageSize::Ignored, ..small() };
    assert_eq!(Sim::start(ignored).await.get(&[("page_size", "5")]).await.json()["page_size"], 10);
}

#[tokio::test]
async fn total_and_session_id_have_their_modes() {
    let cases = [
        (TotalMode::FirstPage, [json!(25), json!(null)]),
        (TotalMode::EveryPage, [json!(25), json!(25)]),
        (TotalMode::Missing, [json!(null), json!(null)]),
        (TotalMode::OffBy(-5), [json!(20), json!(20)]),
        (TotalMode::DriftPerPage(3), [json!(25), json!(31)]),
    ];
    for (total, expected) in cases {
        let sim = Sim::start(SimulatorConfig { total, session_id: SessionIdMode::NullOnLastPage, ..small() }).await;
        let first = sim.get(&[]).await;
        let last = sim.page(2, &first.session()).await;
        assert_eq!([first.json()["total"].clone(), last.json()["total"].clone()], expected, "{total:?}");
        assert!(last.json()["session_id"].is_null());
    }
}

#[tokio::test]
async fn a_page_past_the_end_may_be_an_error() {
    let sim = Sim::start(SimulatorConfig { past_end: PastEnd::BadRequest, ..small() }).await;
    let session = sim.get(&[]).await.session();
    assert_eq!(sim.page(2, &session).await.status, 200);
    assert_eq!(sim.page(3, &session).await.status, 400);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_bytes() {
    let pages = async |seed| {
        let sim = Sim::start(SimulatorConfig { seed, ..small() }).await;
        let first = sim.get(&[]).await;
        let second = sim.page(1, &first.session()).await;
        [first.body, second.body]
    };
    assert_eq!(pages(7).await, pages(7).await);
    assert_ne!(pages(7).await, pages(8).await);
}

#[tokio::test]
async fn replies_are_compressed_on_request_only() {
    let sim = Sim::start(SimulatorConfig { compression: Compression::Gzip, ..small() }).await;
    let plain = sim.get(&[]).await;
    assert!(!plain.headers.contains_key("content-encoding"));
    let packed = Got::from(sim.request(&[]).header("Accept-Encoding", "gzip").send().await.expect("a reply")).await;
    assert_eq!(packed.headers["content-encoding"], "gzip");
    assert!(packed.body.starts_with(&[0x1F, 0x8B]) && packed.body.len() < plain.body.len() / 2);
}

#[tokio::test]
async fn event_names_are_listed() {
    let sim = Sim::start(SimulatorConfig { event_names: vec!["Größe".to_owned()], ..small() }).await;
    for path in ["/api/query/events/names", "/api/2.0/events/names"] {
        let request = sim.http.get(sim.url(path)).query(&[("project_id", "12345")]);
        let refused = Got::from(request.try_clone().expect("no body").send().await.expect("a reply")).await;
        assert_eq!(refused.status, 401);
        let request = request.basic_auth("simulator", Some("simulator-secret"));
        let untyped = request.try_clone().expect("no body").send().await.expect("a reply");
        assert_eq!(Got::from(untyped).await.status, 400, "`type` is required");
        let request = request.query(&[("type", "general")]);
        assert_eq!(Got::from(request.send().await.expect("a reply")).await.json(), json!(["Größe"]));
    }
    assert_eq!(sim.server.stats().counted_requests, 4);
}

#[tokio::test]
async fn server_binds_only_to_loopback_and_shuts_down() {
    let refused = Server::start(small(), ([0, 0, 0, 0], 0).into()).await;
    assert!(matches!(refused, Err(ServerError::NotLoopback(_))));
    let sim = Sim::start(small()).await;
    let request = sim.request(&[]);
    assert_eq!(sim.get(&[]).await.status, 200);
    sim.server.shutdown().await;
    assert!(request.send().await.expect_err("nobody listens").is_connect());
}
