//! Faults, as observed by an HTTP client.

use std::io::Read as _;
use std::time::{Duration, Instant};

use mixpanel_simulator::{Compression, Fault, SimulatorConfig};

use crate::client::{Got, Sim, small, small_with};

/// Returns the number of bytes that arrive before the body breaks off.
async fn broken_body(sim: &Sim) -> usize {
    let mut response = sim.request(&[]).send().await.expect("the head arrives");
    let mut bytes = 0;
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes += chunk.len(),
            Ok(None) => panic!("the body seems whole after {bytes} bytes"),
            Err(_) => return bytes,
        }
    }
}

#[tokio::test]
async fn status_faults_set_body_headers_and_repeat_count() {
    let sim = Sim::start(small_with("pages=0 status=503 times=2 header=Retry-After:7 body=\"back soon\"")).await;
    for _ in 0..2 {
        let got = sim.get(&[]).await;
        assert_eq!((got.status.as_u16(), got.text().as_str()), (503, "back soon"));
        assert_eq!(got.headers["retry-after"], "7");
    }
    assert_eq!(sim.get(&[]).await.status, 200);
    assert_eq!(sim.server.stats().faults_applied, 2);
    for status in [402, 403, 404] {
        let got = Sim::start(small_with(&format!("status={status}"))).await.get(&[]).await;
        assert_eq!(got.status, status);
        assert!(!got.error().is_empty());
    }
}

#[tokio::test]
async fn a_cut_body_breaks_off_at_its_byte() {
    // 2 MB is more than any socket buffer holds.
    for after in [0, 1, 100, 20_000, 2_000_000] {
        for framing in ["content-length", "chunked"] {
            let fault = format!("pages=0 cut={after} framing={framing} times=1").parse().expect("a fault");
            let config = SimulatorConfig { page_size: 3_000, ..small().with_profiles(3_000).with_fault(fault) };
            let sim = Sim::start(config).await;
            assert_eq!(broken_body(&sim).await, after, "{framing}");
            assert_eq!(sim.get(&[]).await.results().len(), 3_000);
        }
    }
}

#[tokio::test]
async fn a_cut_beyond_the_body_drops_the_last_byte() {
    let whole = Sim::start(small()).await.get(&[]).await.body.len();
    assert_eq!(broken_body(&Sim::start(small_with("cut=99999999")).await).await, whole - 1);
}

#[tokio::test]
async fn a_stalled_body_pauses_then_continues() {
    for after in [0, 5_000] {
        let sim = Sim::start(small_with(&format!("stall={after} for=200ms"))).await;
        let started = Instant::now();
        assert_eq!(sim.get(&[]).await.results().len(), 10);
        assert!(started.elapsed() >= Duration::from_millis(200));
    }
    let sim = Sim::start(small_with("stall=5000 for=1h")).await;
    let mut response = sim.request(&[]).send().await.expect("the head arrives");
    let mut bytes = 0;
    while bytes < 5_000 {
        bytes += response.chunk().await.expect("bytes before the pause").expect("more").len();
    }
    assert_eq!(bytes, 5_000);
}

#[tokio::test]
async fn a_reset_sends_nothing() {
    let sim = Sim::start(small_with("reset times=1")).await;
    let error = sim.request(&[]).send().await.expect_err("no reply");
    assert!(error.is_request() && !error.is_timeout(), "{error:?}");
    assert_eq!(sim.get(&[]).await.status, 200);
}

#[tokio::test]
async fn a_delay_combines_with_other_faults() {
    let sim = Sim::start(small_with("delay=150ms").with_fault("status=500".parse().expect("a fault"))).await;
    let started = Instant::now();
    assert_eq!(sim.get(&[]).await.status, 500);
    assert!(started.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn responses_with_status_200_may_be_invalid() {
    let reply = async |fault: &str| {
        let got = Sim::start(small_with(fault)).await.get(&[]).await;
        assert_eq!(got.status, 200);
        got
    };
    let html = reply("html").await;
    assert!(html.headers["content-type"].to_str().expect("text").starts_with("text/html"));
    assert!(html.text().contains("<title>Welcome to Hotel Wi-Fi</title>"));
    assert!(reply("empty").await.body.is_empty());
    assert!(serde_json::from_slice::<serde_json::Value>(&reply("invalid-json").await.body).is_err());
    assert!(reply("error-in-200").await.json().get("results").is_none());
    let not_utf8 = reply("not-utf8").await;
    assert!(std::str::from_utf8(&not_utf8.body).is_err());
    assert!(serde_json::from_str::<serde_json::Value>(&String::from_utf8_lossy(&not_utf8.body)).is_ok());
    assert_eq!(reply("wrong-page").await.json()["page"], 1);
}

#[tokio::test]
async fn a_gzip_stream_may_end_early() {
    let got = Sim::start(small_with("truncated-gzip")).await.get(&[]).await;
    assert_eq!(got.headers["content-encoding"], "gzip");
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&got.body[..]).read_to_end(&mut text).expect_err("a truncated stream");
    assert!(text.starts_with(b"{\"page\":0,"));
}

#[tokio::test]
async fn cuts_count_compressed_bytes() {
    let sim = Sim::start(SimulatorConfig { compression: Compression::Gzip, ..small_with("cut=50") }).await;
    let mut response = sim.request(&[]).header("Accept-Encoding", "gzip").send().await.expect("the head arrives");
    assert!(response.content_length().expect("a length") < 10_000);
    assert_eq!(response.chunk().await.expect("bytes").expect("more").len(), 50);
    response.chunk().await.expect_err("a cut");
}

#[tokio::test]
async fn an_authentication_failure_may_be_a_400() {
    let got = Sim::start(small_with("auth-400")).await.get(&[]).await;
    assert_eq!((got.status.as_u16(), got.error().as_str()), (400, "Unable to authenticate request"));
}

#[tokio::test]
async fn a_session_may_be_lost() {
    let sim = Sim::start(small_with("pages=1 lost-session times=1")).await;
    let session = sim.get(&[]).await.session();
    for page in [1, 2] {
        let got = sim.page(page, &session).await;
        assert_eq!((got.status.as_u16(), got.error().as_str()), (400, "request for page in uncached query for params"));
    }
    let session = sim.get(&[]).await.session();
    assert_eq!(sim.page(1, &session).await.status, 200);

    let sim = Sim::start(small_with("pages=0 lost-session")).await;
    let session = sim.get(&[]).await.session();
    assert_eq!(sim.page(1, &session).await.status, 400);
}

#[tokio::test]
async fn a_session_may_be_replaced_silently() {
    let sim = Sim::start(small_with("pages=1 replaced-session times=1")).await;
    let session = sim.get(&[]).await.session();
    let replaced = sim.page(1, &session).await;
    let right = sim.page(1, &session).await;
    assert_ne!(replaced.session(), session);
    assert_eq!(right.session(), session);
    assert_eq!(replaced.results().len(), 10);
    assert_ne!(replaced.ids(), right.ids());
    assert!(replaced.ids().iter().any(|id| right.ids().contains(id)));
    assert_eq!(sim.page(2, &replaced.session()).await.session(), replaced.session());
}

#[tokio::test]
async fn faulty_pages_are_chosen_by_list_interval_or_probability() {
    let config = SimulatorConfig { page_size: 1, ..small() };
    let failing = async |fault: &str| {
        let sim = Sim::start(config.clone().with_fault(fault.parse().expect("a fault"))).await;
        let session = sim.get(&[]).await.session();
        let mut pages = Vec::new();
        for page in 1..25 {
            if sim.page(page, &session).await.status == 500 {
                pages.push(page);
            }
        }
        pages
    };
    assert_eq!(failing("pages=3,7-9 status=500").await, [3, 7, 8, 9]);
    assert_eq!(failing("every=6 status=500").await, [5, 11, 17, 23]);
    let random = failing("probability=0.3 seed=1 status=500").await;
    assert!((2..=14).contains(&random.len()), "{random:?}");
    assert_eq!(failing("probability=0.3 seed=1 status=500").await, random);
}

#[tokio::test]
async fn fault_scripts_are_json() {
    let script = r#"[
        {"pages": 0, "status": 502, "times": 1, "headers": {"Retry-After": "3"}},
        {"pages": [1, 2], "fault": "html"},
        {"pages": "0", "stall": 10, "for": "1ms", "times": "always"}
    ]"#;
    let faults = Fault::read_script(script).expect("a script");
    let sim = Sim::start(SimulatorConfig { faults, ..small() }).await;
    let first: Got = sim.get(&[]).await;
    assert_eq!((first.status.as_u16(), first.headers["retry-after"].as_bytes()), (502, &b"3"[..]));
    let session = sim.get(&[]).await.session();
    assert!(sim.page(2, &session).await.text().starts_with("<!DOCTYPE html>"));
}
