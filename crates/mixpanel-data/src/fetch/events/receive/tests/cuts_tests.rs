//! Bodies that are cut anywhere.

use super::*;

#[tokio::test]
async fn a_body_cut_at_any_byte_is_incomplete_and_leaves_nothing() {
    let mut bench = Bench::new().await;
    let text = [line(0, "a"), line(1, "é🚀\\u2028"), line(2, "")].concat();
    let modes = [
        (text.clone().into_bytes(), "", Framing::Length),
        (text.clone().into_bytes(), "", Framing::Chunked(50)),
        (gzip(text.as_bytes()), GZIP, Framing::Length),
        (gzip(text.as_bytes()), GZIP, Framing::Chunked(50)),
        ([gzip(&text.as_bytes()[..60]), gzip(&text.as_bytes()[60..])].concat(), GZIP, Framing::Chunked(70)),
    ];
    for (body, coding, framing) in modes {
        let (head, sent) = response(&body, coding, framing);
        for cut in 0..sent.len() {
            bench.server.sends([head.as_slice(), &sent[..cut]].concat());
            let failure = bench.failure().await;
            assert_eq!(failure.kind, FailureKind::Incomplete, "{coding}{framing:?} cut after {cut}: {failure}");
        }
        bench.server.sends([head.as_slice(), &sent].concat());
        let received = bench.receive().await.unwrap();
        assert_eq!((received.facts.rows, received.facts.bytes), (3, text.len() as u64), "{coding}{framing:?}");
        assert_eq!(received.facts.received_bytes, body.len() as u64);
        assert_eq!(bench.stage(received).len(), 3);
        bench.clear();
    }
}

/// Such a body arrives in many reads, and its compressed form has several blocks.
#[tokio::test]
async fn a_large_body_cut_at_random_bytes_is_incomplete_and_leaves_nothing() {
    // The generator of Knuth's MMIX.
    let mut state = 7_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 24
    };
    let bench = Bench::new().await;
    let text: String =
        (0..1_000).map(|number| line(number, &format!("{:x}é\u{2028}{:x}", random(), random()))).collect();
    let (one, other) = text.as_bytes().split_at(text.len() / 3);
    let forms = [
        (text.clone().into_bytes(), "", Framing::Length),
        (text.clone().into_bytes(), "", Framing::Chunked(8_191)),
        (gzip(text.as_bytes()), GZIP, Framing::Length),
        (gzip(text.as_bytes()), GZIP, Framing::Chunked(1_000)),
        ([gzip(one), gzip(other)].concat(), GZIP, Framing::Chunked(1_000)),
    ];
    for (body, coding, framing) in forms {
        let (head, sent) = response(&body, coding, framing);
        for _ in 0..200 {
            let cut = usize::try_from(random()).unwrap() % sent.len();
            bench.server.sends([head.as_slice(), &sent[..cut]].concat());
            let failure = bench.failure().await;
            assert_eq!(failure.kind, FailureKind::Incomplete, "{coding}{framing:?} cut after {cut}: {failure}");
        }
    }
}

#[tokio::test]
async fn a_complete_transfer_of_a_cut_export_is_incomplete() {
    let bench = Bench::new().await;
    let text = [line(0, "a"), line(1, "b")].concat();
    let zipped = gzip(text.as_bytes());
    for cut in 2..zipped.len() {
        let (head, sent) = response(&zipped[..cut], GZIP, Framing::Length);
        bench.server.sends([head, sent].concat());
        let failure = bench.failure().await;
        assert_eq!(failure.kind, FailureKind::Incomplete, "gzip cut after {cut}: {failure}");
    }
    let first = line(0, "a").len();
    for cut in first + 1..text.len() - 1 {
        let (head, sent) = response(&text.as_bytes()[..cut], "", Framing::Length);
        bench.server.sends([head, sent].concat());
        let failure = bench.failure().await;
        assert_eq!(failure.kind, FailureKind::Incomplete, "cut after {cut}: {failure}");
        assert_eq!(failure.message, "the last line of the response is incomplete");
    }
    for position in zipped.len() - 8..zipped.len() {
        let mut damaged = zipped.clone();
        damaged[position] ^= 0x10;
        let (head, sent) = response(&damaged, GZIP, Framing::Chunked(40));
        bench.server.sends([head, sent].concat());
        assert_eq!(bench.failure().await.kind, FailureKind::Incomplete);
    }
}

#[tokio::test]
async fn a_connection_that_ends_with_the_body_proves_nothing_unless_a_checksum_does() {
    let mut bench = Bench::new().await;
    let text = [line(0, "a"), line(1, "b")].concat();
    let (one, other) = text.split_at(line(0, "a").len());
    for body in [text.clone().into_bytes(), Vec::new(), [gzip(one.as_bytes()), gzip(other.as_bytes())].concat()] {
        let (head, sent) = response(&body, "", Framing::Close);
        bench.server.sends([head, sent].concat());
        let failure = bench.failure().await;
        assert_eq!(failure.kind, FailureKind::Incomplete);
        assert!(failure.message.contains("without anything that shows whether it is complete"), "{failure}");
    }
    let (head, sent) = response(&gzip(text.as_bytes()), GZIP, Framing::Close);
    for cut in 0..sent.len() {
        bench.server.sends([head.as_slice(), &sent[..cut]].concat());
        assert_eq!(bench.failure().await.kind, FailureKind::Incomplete, "cut after {cut}");
    }
    bench.server.sends([head, sent].concat());
    let received = bench.receive().await.unwrap();
    assert_eq!(bench.stage(received).len(), 2);
}

#[tokio::test]
async fn an_export_that_was_terminated_early_is_incomplete_wherever_it_says_so() {
    let bench = Bench::new().await;
    for sentinel in ["export terminated early", "terminated early\n", "\nexport terminated early", "[terminated early]"]
    {
        for before in ["", &line(0, "a"), &line(0, "a").repeat(3_000)] {
            for (coding, framing) in [("", Framing::Length), (GZIP, Framing::Chunked(100))] {
                let text = format!("{before}{sentinel}");
                let body = if coding.is_empty() { text.into_bytes() } else { gzip(text.as_bytes()) };
                let (head, sent) = response(&body, coding, framing);
                bench.server.sends([head, sent].concat());
                let failure = bench.failure().await;
                assert_eq!(failure.kind, FailureKind::TerminatedEarly, "{sentinel:?} {coding}: {failure}");
            }
        }
    }
    for (error, kind) in [
        (r#"{"error":"#, FailureKind::Incomplete),
        (r#"{"error":"too big"}"#, FailureKind::Incomplete),
        (r#"{"error":"secret-7f3a"}"#, FailureKind::Incomplete),
        (
            r#"{"error":"rate limit reached"}"#,
            FailureKind::RateLimited { kind: RateLimitKind::LoadShed, retry_after: None },
        ),
    ] {
        for before in [String::new(), line(0, "a")] {
            let (head, sent) = response(format!("{before}{error}").as_bytes(), "", Framing::Chunked(7));
            bench.server.sends([head, sent].concat());
            let failure = bench.failure().await;
            assert_eq!(failure.kind, kind, "{error}: {failure}");
            assert!(!failure.message.contains("7f3a"));
        }
    }
}

#[tokio::test]
async fn data_after_the_end_of_a_compressed_body_is_not_ignored() {
    let bench = Bench::new().await;
    let half = gzip(line(0, "a").as_bytes());
    let rest = gzip(line(1, "b").as_bytes());
    let limited = FailureKind::RateLimited { kind: RateLimitKind::LoadShed, retry_after: None };
    for (after, kind) in [
        (b"\nexport terminated early".to_vec(), FailureKind::TerminatedEarly),
        (b"terminated early\n".to_vec(), FailureKind::TerminatedEarly),
        (b"\0\0export terminated early".to_vec(), FailureKind::TerminatedEarly),
        (b"\nexport terminated early: deadline exceeded".to_vec(), FailureKind::Incomplete),
        (br#"{"error":"oops"}"#.to_vec(), FailureKind::Incomplete),
        (br#"{"error":"#.to_vec(), FailureKind::Incomplete),
        (br#"{"error":"rate limit reached"}"#.to_vec(), limited),
        (line(1, "b").into_bytes(), FailureKind::Incomplete),
        (b"\n".to_vec(), FailureKind::Incomplete),
        ([&[0; 9], rest.as_slice()].concat(), FailureKind::Incomplete),
        ([rest.as_slice(), b"\0\0", &rest].concat(), FailureKind::Incomplete),
        (rest[..1].to_vec(), FailureKind::Incomplete),
        (rest[..2].to_vec(), FailureKind::Incomplete),
        (rest[..rest.len() - 1].to_vec(), FailureKind::Incomplete),
        ([rest.as_slice(), b"\x1f"].concat(), FailureKind::Incomplete),
    ] {
        let body = [half.as_slice(), &after].concat();
        for framing in [Framing::Length, Framing::Chunked(1), Framing::Chunked(64), Framing::Close] {
            for body in [gzip(&body), body.clone()] {
                let (head, sent) = response(&body, GZIP, framing);
                bench.server.sends([head, sent].concat());
                let failure = bench.failure().await;
                assert_eq!(failure.kind, kind, "{} {framing:?}: {failure}", after.escape_ascii());
            }
        }
    }
    // Padding shows nothing about the end of a body that only the connection ends.
    let (head, sent) = response(&[half.as_slice(), &[0; 9]].concat(), GZIP, Framing::Close);
    bench.server.sends([head, sent].concat());
    assert_eq!(bench.failure().await.kind, FailureKind::Incomplete);
}

#[tokio::test]
async fn an_export_that_ends_with_a_message_is_incomplete() {
    let mut bench = Bench::new().await;
    let rows = [line(0, "a"), line(1, "b")].concat();
    for message in [
        "<html><title>Bad Gateway</title></html>",
        "Internal Server Error",
        "export terminated early: deadline exceeded",
        r#"{"status":"error","message":"secret-7f3a"}"#,
        r#"{"event":"A","properties":{"ti{"error":"timeout"}"#,
    ] {
        for ending in ["", "\n", "\r\n\n"] {
            let text = format!("{rows}{message}{ending}");
            for (body, coding, framing) in [
                (text.clone().into_bytes(), "", Framing::Length),
                (gzip(text.as_bytes()), GZIP, Framing::Chunked(50)),
                (gzip(text.as_bytes()), GZIP, Framing::Close),
            ] {
                let (head, sent) = response(&body, coding, framing);
                bench.server.sends([head, sent].concat());
                let failure = bench.failure().await;
                assert_eq!(failure.kind, FailureKind::Incomplete, "{message} {ending:?} {framing:?}: {failure}");
                assert!(!failure.message.contains("7f3a"), "{failure}");
            }
        }
        let text = format!("{}{message}\n{}", line(0, "a"), line(1, "b"));
        let (head, sent) = response(text.as_bytes(), "", Framing::Length);
        bench.server.sends([head, sent].concat());
        let received = bench.receive().await.unwrap();
        assert_eq!((received.facts.rows, received.facts.rejected), (2, 1), "{message}");
        assert_eq!(bench.stage(received).len(), 2);
        bench.clear();
    }
}
