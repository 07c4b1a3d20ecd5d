//! Bodies in every form that a server may send.

use super::*;

#[tokio::test]
async fn the_request_is_as_documented() {
    let bench = Bench::new().await;
    let (head, sent) = response(b"", "", Framing::Length);
    bench.server.sends([head, sent].concat());
    let received = bench.receive().await.unwrap();
    assert_eq!((received.facts.rows, received.facts.slice), (0, request().slice));
    let request = bench.server.requests.lock().unwrap()[0].clone();
    let (first, fields) = request.split_once("\r\n").unwrap();
    assert_eq!(
        first,
        "GET /api/2.0/export?project_id=12345&from_date=2026-01-01&to_date=2026-01-02&event=%5B%22A+%5C%22b%5C%22%22%5D\
         &where=properties%5B%22a%22%5D+%3E+1&limit=100000&time_in_ms=true HTTP/1.1"
    );
    let fields = fields.to_ascii_lowercase();
    for field in ["accept-encoding: gzip\r\n", "accept: text/plain\r\n", "authorization: basic "] {
        assert!(fields.contains(field), "{fields}");
    }
}

#[tokio::test]
async fn every_framing_and_coding_gives_the_same_rows() {
    let mut bench = Bench::new().await;
    let texts = ["a", "\u{2028}\u{85}\u{2029}\u{7f}", "\\u0000\\n", "é🚀", ""];
    let lines: Vec<String> = texts.iter().enumerate().map(|(number, text)| line(number, text)).collect();
    let text = lines.concat();
    let expected: Vec<String> =
        texts.iter().enumerate().map(|(number, text)| format!("{{\"n\":{number},\"x\":\"{text}\"}}")).collect();
    let bare = text.trim_end().as_bytes().to_vec();
    let crlf = text.replace('\n', "\r\n\r\n").into_bytes();
    for body in [text.clone().into_bytes(), bare, crlf, format!("\n{text}\n\n").into_bytes()] {
        let zipped = gzip(&body);
        let (one, other) = body.split_at(41);
        for (sent, coding) in [
            (body.clone(), ""),
            (zipped.clone(), GZIP),
            // Decompressed by an intermediary that left the header as it was.
            (body.clone(), GZIP),
            // Compressed without saying so, twice, and in several members, with padding.
            (zipped.clone(), ""),
            (gzip(&zipped), "Content-Encoding: gzip, gzip\r\n"),
            ([gzip(one), gzip(other)].concat(), GZIP),
            ([zipped.as_slice(), &[0; 9]].concat(), "Content-Encoding: x-gzip\r\n"),
        ] {
            for framing in [Framing::Length, Framing::Chunked(1), Framing::Chunked(3), Framing::Chunked(64)] {
                let (head, sent) = response(&sent, coding, framing);
                bench.server.sends([head, sent].concat());
                let received = bench.receive().await.unwrap();
                assert_eq!(bench.stage(received), expected, "{coding} {framing:?}");
                bench.clear();
            }
        }
    }
}

#[tokio::test]
async fn lines_may_be_long_and_chunks_may_end_anywhere() {
    let mut bench = Bench::new().await;
    let long = line(0, &"x".repeat(1 << 20));
    let text = [long.as_str(), &line(1, "é🚀\\\"\\\\"), &long].concat();
    let (head, sent) = response(text.as_bytes(), "", Framing::Chunked(100_000));
    bench.server.sends([head, sent].concat());
    let received = bench.receive().await.unwrap();
    assert_eq!(bench.stage(received).len(), 3);
    bench.clear();
    let text = [line(0, "é🚀"), line(1, "\\\"")].concat();
    for size in 1..text.len() {
        let (head, sent) = response(text.as_bytes(), "", Framing::Chunked(size));
        bench.server.sends([head, sent].concat());
        let received = bench.receive().await.unwrap();
        assert_eq!(bench.stage(received), ["{\"n\":0,\"x\":\"é🚀\"}", "{\"n\":1,\"x\":\"\\\"\"}"], "chunks of {size}");
        bench.clear();
    }
}

#[tokio::test]
async fn rejects_are_staged_beside_the_rows() {
    let mut bench = Bench::new().await;
    let text = format!("{}[]\n{}{{\"event\":\"A\",\"properties\":{{}}}}\n", line(0, "a"), line(1, "b"));
    let (head, sent) = response(text.as_bytes(), "", Framing::Length);
    bench.server.sends([head, sent].concat());
    let received = bench.receive().await.unwrap();
    assert_eq!((received.facts.rows, received.facts.rejected), (2, 2));
    assert_eq!(received.unstored.warnings(), Vec::<String>::new());
    bench.stage.commit_slice(received.file).unwrap();
    assert_eq!(bench.files(), 2);
    let rejects = read_part(&bench.stage.rejects_path(3).unwrap()).unwrap();
    assert_eq!(rejects.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 2);
}

#[tokio::test]
async fn what_is_not_an_export_is_no_slice() {
    let bench = Bench::new().await;
    for (body, coding, kind, message) in [
        ("<html><title>Log in</title>\n</html>\n", "", FailureKind::BadReply, "web page titled `Log in`"),
        ("Unknown error\n", "", FailureKind::BadReply, "not an export of events: Unknown error"),
        ("Unknown error", "", FailureKind::BadReply, "not an export of events: Unknown error"),
        ("x", "Content-Encoding: br\r\n", FailureKind::BadReply, "compressed with `br`"),
        (
            "rate limit reached",
            "",
            FailureKind::RateLimited { kind: RateLimitKind::LoadShed, retry_after: None },
            "rate limit reached",
        ),
    ] {
        let (head, sent) = response(body.as_bytes(), coding, Framing::Length);
        bench.server.sends([head, sent].concat());
        let failure = bench.failure().await;
        assert_eq!(failure.kind, kind, "{body}: {failure}");
        assert!(failure.message.contains(message), "{body}: {failure}");
    }
    let (head, sent) = response(b"to_date cannot be later than today", "", Framing::Length);
    let head = String::from_utf8(head).unwrap().replace("200 OK", "400 Bad Request");
    bench.server.sends([head.into_bytes(), sent].concat());
    assert_eq!(bench.failure().await.kind, FailureKind::FutureDate);
}

#[tokio::test]
async fn a_server_that_ignores_the_limit_sends_more_than_is_kept() {
    let mut bench = Bench::new().await;
    let body: String = (0..100).map(|number| line(number, "a")).collect();
    for limit in [1, 5, 99, 100, 101] {
        bench.request.limit = Some(limit);
        for framing in [Framing::Length, Framing::Chunked(64)] {
            let (head, sent) = response(&gzip(body.as_bytes()), GZIP, framing);
            bench.server.sends([head, sent].concat());
            let received = bench.receive().await.unwrap();
            let rows = u64::from(limit.min(100));
            assert_eq!((received.facts.rows, received.facts.rejected), (rows, 0), "{limit} {framing:?}");
            let first: Vec<String> = (0..rows).map(|number| format!("{{\"n\":{number},\"x\":\"a\"}}")).collect();
            assert_eq!(bench.stage(received), first, "{limit} {framing:?}");
            bench.clear();
        }
    }
}
