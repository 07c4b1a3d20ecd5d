//! Attacks A12 and A13: responses designed to be expensive. The other attacks are tested with the command.

use std::io::{Read as _, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use mixpanel_data::limits::{ERROR_EXCERPT_CHARS, JSON_DEPTH_MAX};
use mixpanel_data::{ApiClient, ApiOptions, Error, ErrorKind, Fault, ProfilePageResult, ProfileQuery, Timeouts};

use crate::harness::credentials;

/// The response of a server.
type Answer = Arc<dyn Fn(&mut Counted) -> std::io::Result<()> + Send + Sync>;

/// A connection that counts the bytes written to it.
struct Counted(TcpStream, Arc<AtomicU64>);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.0.write(bytes)?;
        self.1.fetch_add(written as u64, Ordering::SeqCst);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// Starts a server that sends this, and returns its URL and the number of bytes sent.
fn serve(answer: Answer) -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let base_url = format!("http://{}", listener.local_addr().expect("an address"));
    let sent = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&sent);
    // The thread runs until the process ends.
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = Counted(connection.expect("a connection"), Arc::clone(&count));
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || {
                let mut request = [0; 64 << 10];
                // The client closes most of these connections early.
                let _heard = connection.0.read(&mut request).and_then(|_| answer(&mut connection));
            });
        }
    });
    (base_url, sent)
}

fn sends(bytes: Vec<u8>) -> Answer {
    Arc::new(move |connection| connection.write_all(&bytes))
}

/// Sends a beginning, and then repeats `part` without end.
fn sends_endlessly(beginning: &str, part: &str) -> Answer {
    let (beginning, part) = (beginning.to_owned(), part.repeat((64 << 10) / part.len().min(64 << 10)));
    Arc::new(move |connection| {
        connection.write_all(beginning.as_bytes())?;
        loop {
            connection.write_all(part.as_bytes())?;
        }
    })
}

/// Sends a beginning, and then repeats `part` slowly without end.
fn drips(beginning: &'static str, part: &'static str) -> Answer {
    Arc::new(move |connection| {
        connection.write_all(beginning.as_bytes())?;
        loop {
            connection.write_all(part.as_bytes())?;
            std::thread::sleep(Duration::from_millis(10));
        }
    })
}

fn reply(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

async fn ask(answer: Answer) -> (Result<ProfilePageResult, Error>, u64) {
    ask_within(answer, Timeouts::default()).await
}

async fn ask_within(answer: Answer, timeouts: Timeouts) -> (Result<ProfilePageResult, Error>, u64) {
    let (base_url, sent) = serve(answer);
    let options = ApiOptions { base_url: Some(base_url), timeouts, ..ApiOptions::default() };
    let client = ApiClient::new(credentials("secret"), &options).expect("it is on loopback");
    let page = client.export_profiles_page(0, None, &ProfileQuery::default()).await;
    (page, sent.load(Ordering::SeqCst))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// Returns an empty page after this many spaces, which JSON allows.
fn padded(blanks: usize) -> Vec<u8> {
    let mut body = vec![b' '; blanks];
    body.extend_from_slice(br#"{"results":[],"page":0,"session_id":"s","total":0}"#);
    body
}

#[tokio::test]
async fn a12_bombs_do_not_grow_beyond_their_limits() {
    let bomb = gzip(&padded(65 << 20));
    assert!(bomb.len() < 80 << 10, "{}", bomb.len());
    let beyond_ratio = gzip(&padded(20 << 20));
    for body in [bomb.clone(), beyond_ratio, [gzip(&padded(1)), bomb.clone()].concat()] {
        let (page, _) = ask(sends(reply("200 OK", "Content-Encoding: gzip\r\n", &body))).await;
        let error = page.expect_err("it is a bomb");
        assert_eq!(error.kind(), ErrorKind::UnexpectedReply);
        assert!(error.message().contains("expands beyond the limit"), "{error}");
    }
    // Small bodies may exceed the compression ratio.
    let small = gzip(&padded(500 << 10));
    assert!(small.len() * 200 < 500 << 10);
    ask(sends(reply("200 OK", "Content-Encoding: gzip\r\n", &small))).await.0.expect("it is a page");
    let (page, _) = ask(sends(reply("404 Not Found", "Content-Encoding: gzip\r\n", &bomb))).await;
    assert_eq!(page.expect_err("it is an error").kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a12_at_most_two_encodings_are_decoded_and_others_named() {
    let body = gzip(&padded(1));
    let cases = [
        ("Content-Encoding: gzip, gzip, gzip\r\n", "compressed 3 times"),
        ("Content-Encoding: br\r\n", "compressed with `br`"),
        ("Content-Encoding: gzip, zstd\r\n", "compressed with `zstd`"),
        ("Content-Encoding: x-unknown\r\n", "compressed with `x-unknown`"),
        ("Content-Encoding: deflate\r\n", "the compressed response is damaged"),
    ];
    let asked = cases.map(|(headers, _)| ask(sends(reply("200 OK", headers, &body))));
    for (case, asked) in cases.iter().zip(together(asked).await) {
        let error = asked.0.expect_err(case.0);
        assert!(error.message().contains(case.1), "{case:?}: {error}");
    }
}

/// Runs futures concurrently, because retries of failed requests take a while.
async fn together<T: Send + 'static>(work: impl IntoIterator<Item: Future<Output = T> + Send + 'static>) -> Vec<T> {
    let tasks: Vec<_> = work.into_iter().map(tokio::spawn).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.expect("no panic"));
    }
    results
}

#[tokio::test]
async fn a12_endless_bodies_are_read_up_to_the_limit() {
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let chunked = "Transfer-Encoding: chunked\r\n\r\n";
    let huge = "Content-Length: 9000000000000000000\r\n\r\n";
    let page = |framing: &str| sends_endlessly(&format!("HTTP/1.1 200 OK\r\n{framing}"), &chunk);
    for (framing, result) in [chunked, huge].into_iter().zip(together([ask(page(chunked)), ask(page(huge))]).await) {
        let (page, sent) = result;
        let error = page.expect_err("it is endless");
        assert!(error.message().contains("larger than 64 MiB"), "{framing}: {error}");
        assert_eq!(error.fault(), Some(Fault::PageSize), "{framing}");
        // Four attempts, plus the socket buffers.
        assert!(sent < 4 * (80 << 20), "{framing}: {sent}");
    }
    for status in ["400 Bad Request", "401 Unauthorized", "302 Found"] {
        let (page, sent) = ask(sends_endlessly(&format!("HTTP/1.1 {status}\r\n{chunked}"), &chunk)).await;
        let error = page.expect_err("it is an error");
        assert!(error.message().chars().count() < ERROR_EXCERPT_CHARS + 100, "{error}");
        assert!(sent < 16 << 20, "{status}: {sent}");
    }
}

#[tokio::test]
async fn a12_endless_headers_and_trailers_end_the_attempt() {
    let ok = "HTTP/1.1 200 OK\r\n";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let cases = [
        ("status line", "HTTP/1.1 200 ", "x"),
        ("header", "HTTP/1.1 200 OK\r\nX: ", "x"),
        ("header name", ok, "x"),
        ("headers", ok, "X: y\r\n"),
        ("chunk extension", &format!("{chunked}5;"), "x"),
        ("trailers", &format!("{chunked}0\r\n"), "X: y\r\n"),
    ];
    let asked: Vec<_> = cases.iter().map(|(_, beginning, part)| ask(sends_endlessly(beginning, part))).collect();
    for ((name, ..), (page, sent)) in cases.iter().zip(together(asked).await) {
        let error = page.expect_err(name);
        assert!(matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::UnexpectedReply), "{name}: {error:?}");
        assert!(sent < 4 * (8 << 20), "{name}: {sent}");
    }
    let many = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\n{{}}", "X: y\r\n".repeat(10_000));
    let (page, _) = ask(sends(many.into_bytes())).await;
    assert_eq!(page.expect_err("too many").kind(), ErrorKind::Unreachable);
}

#[tokio::test]
async fn a12_responses_that_never_complete_time_out() {
    let soon = Duration::from_millis(300);
    let timeouts = Timeouts { first_byte: soon, idle: soon, ..Timeouts::default() };
    let announcements = drips("", "HTTP/1.1 103 Early Hints\r\n\r\n");
    let length_without_end = drips("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "0");
    for (page, _) in together([announcements, length_without_end].map(|answer| ask_within(answer, timeouts))).await {
        let error = page.expect_err("it never comes");
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        assert!(error.message().contains("did not arrive within"), "{error}");
    }
}

fn page(results: &str) -> Answer {
    let body = format!(r#"{{"page":0,"page_size":1000,"session_id":"s","total":1,"results":{results}}}"#);
    sends(reply("200 OK", "Content-Type: application/json\r\n", body.as_bytes()))
}

fn profile(properties: &str) -> String {
    format!(r#"[{{"$distinct_id":"a","$properties":{properties}}},{{"$distinct_id":"b","$properties":{{}}}}]"#)
}

fn nested(open: &str, close: &str, levels: usize) -> String {
    format!("{}{}", open.repeat(levels), close.repeat(levels))
}

#[tokio::test]
async fn a13_too_deeply_nested_record_is_rejected_and_others_are_kept() {
    const MANY: usize = 1_000_000;
    for properties in [
        format!("{{\"k\":{}}}", nested("[", "]", MANY)),
        format!("{}1{}", "{\"k\":".repeat(MANY), "}".repeat(MANY)),
        format!("{{\"k\":{}}}", nested("[", "]", JSON_DEPTH_MAX)),
    ] {
        let page = ask(page(&profile(&properties))).await.0.expect("it is a page");
        assert_eq!((page.profiles.len(), page.profiles.received()), (1, 2));
        assert!(page.profiles.rejects()[0].reason.contains("deeper"), "{:?}", page.profiles.rejects()[0].reason);
    }
    let just = format!("{{\"k\":{}}}", nested("[", "]", JSON_DEPTH_MAX - 1));
    assert_eq!(ask(page(&profile(&just))).await.0.expect("it is a page").profiles.len(), 2);
    // Outside profiles, the depth is not limited.
    for results in [format!("[{}]", nested("[", "]", MANY)), format!("[],\"x\":{}", nested("[", "]", MANY))] {
        assert_eq!(ask(page(&results)).await.0.expect("it is a page").profiles.len(), 0);
    }
}

#[tokio::test]
async fn a13_long_keys_numbers_and_objects_stay_as_they_are() {
    let keys: Vec<String> = (0..200_000).map(|number| format!("\"k{number}\":{number}")).collect();
    for properties in [
        format!("{{\"{}\":1}}", "k".repeat(3 << 20)),
        format!("{{{}}}", keys.join(",")),
        format!("{{\"n\":{}}}", "9".repeat(1_000_000)),
        format!("{{\"n\":1e{}}}", "9".repeat(1_000_000)),
        format!("{{\"n\":\"{}\"}}", "\\u0041".repeat(600_000)),
    ] {
        let page = ask(page(&profile(&properties))).await.0.expect("it is a page");
        let kept = page.profiles.iter().next().expect("a profile").properties == properties;
        assert!(kept, "{}", &properties[..20]);
    }
    // A profile too large for DuckDB's memory limit is rejected.
    let page = ask(page(&profile(&format!("{{\"{}\":1}}", "k".repeat(5 << 20))))).await.0.expect("it is a page");
    assert_eq!((page.profiles.len(), page.profiles.received()), (1, 2));
    assert!(page.profiles.rejects()[0].reason.contains("larger than 4 MiB"));
    let id = "9".repeat(1_000_000);
    let page = ask(super::attacks::page(&format!("[{{\"$distinct_id\":{id},\"$properties\":{{}}}}]")))
        .await
        .0
        .expect("it is a page");
    assert!(page.profiles.iter().next().expect("a profile").distinct_id == id);
}

#[tokio::test]
async fn a13_duplicate_results_are_refused() {
    let (page, _) = ask(page("[],\"results\":[]")).await;
    let error = page.expect_err("which of them?");
    assert_eq!(error.kind(), ErrorKind::UnexpectedReply);
    assert!(error.message().contains("`results` twice"), "{error}");
}

#[tokio::test]
async fn a13_long_server_errors_are_truncated() {
    let long =
        [format!("\"{}\"", "x".repeat(5 << 20)), nested("[", "]", 1_000_000), format!("{{{}}}", "\"a\":1,".repeat(9))];
    let asked = long.map(|said| {
        let body = format!("{{\"results\":[],\"error\":{said}}}");
        ask(sends(reply("200 OK", "", body.as_bytes())))
    });
    for (page, _) in together(asked).await {
        let error = page.expect_err("it is an error");
        assert!(error.message().chars().count() < ERROR_EXCERPT_CHARS + 100, "{}", error.message().len());
    }
}

#[tokio::test]
async fn a13_worst_case_pages_parse_in_linear_time() {
    let times = |part: &str, bytes: usize| vec![part; bytes / (part.len() + 1)].join(",");
    let most = 16 << 20;
    let pages = [
        // Each element is a reject, which takes a hundred bytes.
        format!("[{}]", times("[]", most)),
        format!("[{}]", times("{\"$distinct_id\":1}", most)),
        profile(&format!("{{{}}}", times("\"$last_seen\":\"2024-01-01T00:00:00\"", most))),
        profile(&format!("{{{}}}", times("\"\\u0024last_see\":1", most))),
        profile(&format!("{{\"k\":[{}]}}", times("{}", most))),
        profile(&format!("{{\"k\":\"{}\"}}", "\\\\\\\"".repeat(most / 4))),
        profile(&format!("{{\"k\":\"{}\"}}", "\\ud83d\\ude00".repeat(most / 12))),
    ];
    for results in pages {
        let begun = Instant::now();
        if let Err(error) = ask(page(&results)).await.0 {
            assert!(error.message().contains("more than 200000 records"), "{error}");
        }
        // About half a second on an idle machine; a non-linear algorithm takes many minutes.
        assert!(begun.elapsed() < Duration::from_secs(20), "{}: {:?}", &results[..60], begun.elapsed());
    }
}
