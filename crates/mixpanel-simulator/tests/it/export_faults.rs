//! Limits and faults of the export endpoint.

use std::io::Read as _;
use std::time::{Duration, Instant};

use mixpanel_simulator::{EventOptions, ExportFraming, ExportLimitStyle, Quota, SimulatorConfig};

use crate::client::{Got, Sim, shop, shop_with};

const FROM: &str = "2026-08-01";
const TO: &str = "2026-08-10";

async fn ask(sim: &Sim) -> Got {
    sim.days(FROM, TO).await
}

fn gzip(sim: &Sim) -> reqwest::RequestBuilder {
    sim.export_request(&[("from_date", FROM), ("to_date", TO), ("time_in_ms", "true")])
        .header("Accept-Encoding", "gzip")
}

/// Reads a response to its end; returns the bytes, and whether the transport proves that they are complete.
async fn read(request: reqwest::RequestBuilder) -> (Vec<u8>, bool) {
    let mut response = request.send().await.expect("the head arrives");
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return (bytes, true),
            Err(_) => return (bytes, false),
        }
    }
}

#[tokio::test]
async fn exports_have_limits_of_their_own() {
    let config = SimulatorConfig {
        quota: Some("1/h".parse().expect("a quota")),
        export_quota: Some("3/h".parse().expect("a quota")),
        ..shop()
    };
    let sim = Sim::start(config).await;
    assert_eq!(sim.get(&[]).await.status, 200);
    assert_eq!(sim.get(&[]).await.status, 429);
    for _ in 0..3 {
        assert_eq!(ask(&sim).await.status, 200);
    }
    let full = ask(&sim).await;
    assert_eq!(
        (full.status.as_u16(), full.error().as_str()),
        (429, "too many export requests in progress for this project")
    );
    assert!(!full.headers.contains_key("retry-after"));
    let stats = sim.server.stats();
    assert_eq!((stats.counted_requests, stats.max_counted_in_window), (1, 1));
    assert_eq!((stats.export.requests, stats.export.counted_requests, stats.export.refused_hourly), (4, 3, 1));
    assert_eq!(stats.export.hits_per_slice[&format!("{FROM}..{TO}")], 4);
    assert_eq!(stats.requests, 6);
}

#[tokio::test]
async fn only_so_many_exports_start_in_a_second() {
    let sim = Sim::start(SimulatorConfig { export_per_second: Some(3), ..shop() }).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(sim.days("2026-08-01", "2026-08-01").await.status.as_u16());
    }
    // Unless the machine is so slow that four requests take a second.
    assert!(statuses == [200, 200, 200, 429] || statuses == [200; 4], "{statuses:?}");
    assert!(sim.server.stats().export.max_counted_in_second <= 3);
}

#[tokio::test]
async fn an_export_takes_its_slot_until_the_body_is_sent() {
    let mut config = SimulatorConfig { export_concurrency: Some(1), ..shop().with_profiles(3_000) };
    config.export_faults.push("first=1 stall=1000 for=1h".parse().expect("a fault"));
    let sim = Sim::start(config).await;
    let mut waiting = sim.export_request(&[("from_date", FROM), ("to_date", TO)]).send().await.expect("a head");
    assert!(waiting.chunk().await.expect("bytes").is_some());
    assert_eq!(ask(&sim).await.status, 429);
    drop(waiting);
    while ask(&sim).await.status == 429 {
        tokio::task::yield_now().await;
    }
    // A finished export has freed its slot when its last byte arrives.
    for _ in 0..20 {
        assert_eq!(ask(&sim).await.status, 200);
    }
    assert_eq!(sim.server.stats().export.max_concurrency, 1);
}

#[tokio::test]
async fn limits_have_several_formats() {
    for (style, body, has_header) in [
        (ExportLimitStyle::Json, "{\"error\":\"too many export requests in progress for this project\"}", false),
        (ExportLimitStyle::JsonWithRetryAfter, "{\"error\":\"too many", true),
        (ExportLimitStyle::Text, "rate limit reached", false),
        (ExportLimitStyle::TextWithRetryAfter, "rate limit reached", true),
    ] {
        let quota = Some(Quota { requests: 1, window: Duration::from_secs(100) });
        let events = EventOptions { limit_style: style, ..EventOptions::default() };
        let sim = Sim::start(SimulatorConfig { export_quota: quota, ..shop().with_events(events) }).await;
        assert_eq!(ask(&sim).await.status, 200);
        let full = ask(&sim).await;
        assert_eq!(full.status, 429);
        assert!(full.text().starts_with(body), "{}", full.text());
        let wait: Option<u64> = full.headers.get("retry-after").and_then(|wait| wait.to_str().ok()?.parse().ok());
        assert_eq!(wait.is_some_and(|wait| (1..=100).contains(&wait)), has_header, "{wait:?}");
    }
    for (fault, refused) in [("hourly-limit", (1, 0, 0)), ("rate-limit", (0, 1, 0)), ("concurrency-limit", (0, 0, 1))] {
        let sim = Sim::start(shop_with(&format!("first=1 {fault}"))).await;
        assert_eq!((ask(&sim).await.status.as_u16(), ask(&sim).await.status.as_u16()), (429, 200));
        let stats = sim.server.stats().export;
        let counted = (stats.refused_hourly, stats.refused_per_second, stats.refused_concurrency);
        assert_eq!(counted, refused, "{fault}");
        assert_eq!(stats.counted_requests, 1);
    }
}

#[tokio::test]
async fn a_body_is_cut_at_its_byte() {
    let whole = ask(&Sim::start(shop()).await).await.body;
    let (packed, is_whole) = read(gzip(&Sim::start(shop()).await)).await;
    assert!(is_whole && packed.len() < whole.len() && whole.len() > 100_000);
    for (framing, is_noticed) in [("chunked", true), ("content-length", true), ("close", false)] {
        for after in [0, 1, 17, 60_000, whole.len() - 1, whole.len(), 99_999_999] {
            let sim = Sim::start(shop_with(&format!("first=2 cut={after} framing={framing}"))).await;
            let request = sim.export_request(&[("from_date", FROM), ("to_date", TO), ("time_in_ms", "true")]);
            let (bytes, is_whole) = read(request).await;
            assert_eq!(bytes, whole[..after.min(whole.len() - 1)], "{framing} {after}");
            assert_eq!(is_whole, !is_noticed, "{framing} {after}");
            let (bytes, is_whole) = read(gzip(&sim)).await;
            assert_eq!(bytes, packed[..after.min(packed.len() - 1)], "{framing} {after}");
            assert_eq!(is_whole, !is_noticed, "{framing} {after}");
            assert_eq!(ask(&sim).await.body, whole);
        }
    }
    // A day without events.
    let sim = Sim::start(shop_with("cut=0")).await;
    let (bytes, is_whole) = read(sim.export_request(&[("from_date", "2010-01-01"), ("to_date", "2010-01-01")])).await;
    assert!(bytes.is_empty() && !is_whole);
}

#[tokio::test]
async fn a_gzip_stream_may_lack_its_end_without_notice() {
    for (fault, missing) in [("no-gzip-trailer", 8), ("truncated-gzip", 40)] {
        for level in [0, 1] {
            let events = EventOptions { gzip_level: level, ..EventOptions::default() };
            let (packed, _) = read(gzip(&Sim::start(shop().with_events(events.clone())).await)).await;
            let (bytes, is_whole) = read(gzip(&Sim::start(shop_with(fault).with_events(events)).await)).await;
            assert!(is_whole);
            assert_eq!(bytes, packed[..packed.len() - missing]);
            let mut text = Vec::new();
            flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut text).expect_err("a truncated stream");
            assert!(text.starts_with(b"{\"event\":"));
        }
    }
}

#[tokio::test]
async fn a_body_may_end_with_something_else() {
    let whole = ask(&Sim::start(shop()).await).await.body;
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    for (fault, rows, tail) in [
        ("terminated-early", 100, "export terminated early"),
        ("terminated-early rows=0", 0, "export terminated early"),
        ("terminated-early rows=3 text=\"terminated early\"", 3, "terminated early"),
        ("terminated-early rows=99999", lines.len(), "export terminated early"),
        ("error-line", 100, "{\"error\": \"An internal error occurred while running the export\"}\n"),
        ("cut-error-line rows=1", 1, "{\"error\":"),
        ("cut-line rows=2", 2, "{\"event\":\"App Open\",\"properties\":{\"ti"),
    ] {
        let sim = Sim::start(shop_with(&format!("{fault} first=2"))).await;
        let expected = [lines[..rows].concat(), tail.as_bytes().to_vec()].concat();
        let (bytes, is_whole) =
            read(sim.export_request(&[("from_date", FROM), ("to_date", TO), ("time_in_ms", "true")])).await;
        assert!(is_whole, "{fault}");
        assert_eq!(String::from_utf8_lossy(&bytes), String::from_utf8_lossy(&expected), "{fault}");
        let (packed, is_whole) = read(gzip(&sim)).await;
        assert!(is_whole, "{fault}");
        if expected.len() > 1_400 {
            let mut text = Vec::new();
            flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut text).expect("a whole stream");
            assert_eq!(text, expected, "{fault}");
        } else {
            assert_eq!(packed, expected, "{fault}");
        }
        assert_eq!(ask(&sim).await.body, whole);
    }
}

#[tokio::test]
async fn other_faults_are_those_of_pages() {
    let first = async |fault: &str| {
        let sim = Sim::start(shop_with(&format!("first=1 {fault}"))).await;
        let got = ask(&sim).await;
        assert!(!ask(&sim).await.sorted_lines().is_empty());
        assert_eq!(sim.server.stats().faults_applied, 1);
        got
    };
    let text = first("status=429 body=\"rate limit reached\" header=Retry-After:7").await;
    assert_eq!((text.status.as_u16(), text.text().as_str()), (429, "rate limit reached"));
    assert_eq!(text.headers["retry-after"], "7");
    assert_eq!(first("status=503").await.status, 503);
    let auth = first("auth-400").await;
    assert_eq!((auth.status.as_u16(), auth.error().as_str()), (400, "Unable to authenticate request"));
    assert!(first("html").await.text().starts_with("<!DOCTYPE html>"));
    assert!(first("empty").await.body.is_empty());
    let sim = Sim::start(shop_with("first=1 reset")).await;
    assert!(sim.export_request(&[]).send().await.is_err());
    for fault in ["stall=0 for=200ms", "stall=5000 for=200ms", "delay=200ms"] {
        let started = Instant::now();
        assert!(!first(fault).await.sorted_lines().is_empty());
        assert!(started.elapsed() >= Duration::from_millis(200), "{fault}");
    }
}

#[tokio::test]
async fn requests_are_chosen_by_number_days_and_length() {
    let failing = async |fault: &str| {
        let sim = Sim::start(shop_with(&format!("{fault} status=500"))).await;
        let mut failed = Vec::new();
        for number in 0..3 {
            for (from, to) in [("2026-08-01", "2026-08-01"), ("2026-08-02", "2026-08-08"), ("2026-08-09", "2026-08-16")]
            {
                if sim.days(from, to).await.status == 500 {
                    failed.push(format!("{number}:{}", &from[8..]));
                }
            }
        }
        failed.join(" ")
    };
    for (fault, expected) in [
        ("first=4", "0:01 0:02 0:09 1:01"),
        ("requests=2,4-5", "0:09 1:02 1:09"),
        ("every=4", "1:01 2:02"),
        ("days=2026-08-08", "0:02 1:02 2:02"),
        ("days=2026-08-08..2026-08-09 times=1", "0:02 0:09"),
        ("days=2026-08-08..2026-08-09 total=3", "0:02 0:09 1:02"),
        ("longer=1", "0:02 0:09 1:02 1:09 2:02 2:09"),
        ("longer=7 times=2", "0:09 1:09"),
        ("first=5 longer=7", "0:09"),
    ] {
        assert_eq!(failing(fault).await, expected, "{fault}");
    }
    let random = failing("probability=0.5 seed=3").await;
    assert!(!random.is_empty() && random == failing("probability=0.5 seed=3").await);
}

#[tokio::test]
async fn a_cut_counts_the_bytes_of_a_body_with_a_length() {
    let events = EventOptions { framing: ExportFraming::ContentLength, ..EventOptions::default() };
    let sim = Sim::start(shop_with("cut=50").with_events(events)).await;
    let mut response = gzip(&sim).send().await.expect("the head arrives");
    assert!(response.content_length().expect("a length") > 1_000);
    assert_eq!(response.chunk().await.expect("bytes").expect("more").len(), 50);
    response.chunk().await.expect_err("a cut");
}
