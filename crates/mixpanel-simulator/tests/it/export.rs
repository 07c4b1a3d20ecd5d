//! The export endpoint without faults.

use std::collections::BTreeSet;
use std::io::Read as _;

use mixpanel_simulator::{Events, ExportFraming, FinalNewline, OddEvent, RowOrder, SimulatorConfig, TimeUnit};

use crate::client::{Got, Sim, date, expected, parsed, shop, sorted, with};

#[tokio::test]
async fn an_export_contains_the_events_of_its_days() {
    let sim = Sim::start(shop()).await;
    let events = Events::new(&shop());
    let got = sim.days("2026-08-01", "2026-08-10").await;
    assert_eq!(got.headers["content-type"], "text/plain; charset=utf-8");
    let lines = got.sorted_lines();
    assert_eq!(lines, expected(&events, "2026-08-01", "2026-08-10", 0));
    assert!(lines.len() > 400, "{}", lines.len());
    for line in &lines {
        let line = parsed(line);
        let members: Vec<&String> = line.as_object().expect("an object").keys().collect();
        assert_eq!(members, ["event", "properties"]);
        let time = line["properties"]["time"].as_u64().expect("milliseconds");
        assert!((1_785_542_400_000..1_786_406_400_000).contains(&time), "{line}");
    }
    assert!(got.body.ends_with(b"}}\n"));
    let again = sim.days("2026-08-01", "2026-08-10").await;
    assert_eq!(again.body, got.body);
}

#[tokio::test]
async fn slices_contain_the_same_rows_however_the_days_are_divided() {
    let mut random = 12_345_u64;
    let mut next = |limit: i64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(random >> 33).expect("31 bits") % limit
    };
    for order in [RowOrder::Fixed, RowOrder::Shuffled] {
        let config = with(|events| {
            events.order = order;
            events.odd = OddEvent::ALL.to_vec();
            events.duplicates = 0.1;
            events.conflicts = 0.1;
        });
        let events = Events::new(&config);
        let sim = Sim::start(config).await;
        let whole = sim.days("2026-08-06", "2026-08-15").await.sorted_lines();
        assert_eq!(whole, expected(&events, "2026-08-06", "2026-08-15", 0));
        for _ in 0..4 {
            let (mut from, mut lines) = (date("2026-08-06"), Vec::new());
            while from <= date("2026-08-15") {
                let to = (from + jiff::Span::new().days(next(6))).min(date("2026-08-15"));
                lines.extend(sim.days(&from.to_string(), &to.to_string()).await.sorted_lines());
                from = to.tomorrow().expect("a day");
            }
            assert_eq!(sorted(lines), whole);
        }
    }
}

#[tokio::test]
async fn parameters_select_events() {
    let sim = Sim::start(shop()).await;
    let get = async |extra: &[(&str, &str)]| {
        let days = [("from_date", "2026-08-01"), ("to_date", "2026-08-31")];
        sim.export(&[&days[..], extra].concat()).await.sorted_lines()
    };
    let all = get(&[]).await;
    let some = get(&[("event", "[\"Purchase\", \"Größe geändert\", \"no such event\"]")]).await;
    let names: BTreeSet<String> = some.iter().map(|line| parsed(line)["event"].to_string()).collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["\"Größe geändert\"", "\"Purchase\""]);
    assert!(get(&[("event", "[\"no such event\"]")]).await.is_empty());
    assert!(get(&[("event", "[]")]).await.is_empty());
    let german = get(&[("where", "properties[\"mp_country_code\"] == \"DE\"")]).await;
    let is_german = |line: &&Vec<u8>| parsed(line)["properties"]["mp_country_code"] == "DE";
    assert_eq!(german, all.iter().filter(is_german).cloned().collect::<Vec<_>>());
    assert!(!german.is_empty());
    for limit in [1, 7, 1_000] {
        let lines = get(&[("limit", &limit.to_string())]).await;
        assert_eq!(lines.len(), limit.min(all.len()));
        assert!(lines.iter().all(|line| all.binary_search(line).is_ok()));
    }
    assert_eq!(get(&[("limit", "3"), ("where", "properties[\"mp_country_code\"] == \"DE\"")]).await.len(), 3);
    // The time is in seconds unless the request says otherwise.
    assert!(all.iter().all(|line| parsed(line)["properties"]["time"].as_u64().is_some_and(|time| time < 1 << 32)));
    let ms = get(&[("time_in_ms", "true")]).await;
    assert_eq!(ms.len(), all.len());
    assert!(ms.iter().all(|line| parsed(line)["properties"]["time"].as_u64().is_some_and(|time| time > 1 << 32)));
    let old = Sim::start(with(|events| events.time_unit = TimeUnit::AlwaysSeconds)).await;
    assert_eq!(old.days("2026-08-01", "2026-08-31").await.sorted_lines(), all);
}

#[tokio::test]
async fn wrong_parameters_are_refused() {
    let sim = Sim::start(shop()).await;
    for (from, to, extra, message) in [
        ("2026-09-01", "2026-09-21", ("x", ""), "to_date cannot be later than today"),
        ("1999-12-31", "2026-09-01", ("x", ""), "Error in from_date: invalid date, bad year"),
        ("2026-9-1", "2026-09-01", ("x", ""), "Error in from_date: invalid date"),
        ("2026-09-01", "2026-02-30", ("x", ""), "Error in to_date: invalid date"),
        ("", "2026-09-01", ("x", ""), "from_date is a required parameter"),
        ("2026-09-02", "2026-09-01", ("x", ""), "from_date cannot be later than to_date"),
        ("2026-09-01", "2026-09-01", ("event", "Purchase"), "Error in event selectors: invalid string: Purchase"),
        ("2026-09-01", "2026-09-01", ("event", "\"Purchase\""), "Error in event selectors: invalid string"),
        ("2026-09-01", "2026-09-01", ("where", "plan == 1"), "where: unexpected `plan`"),
        ("2026-09-01", "2026-09-01", ("limit", "0"), "limit: expected a whole number from 1 to 100000"),
        ("2026-09-01", "2026-09-01", ("limit", "100001"), "limit: expected"),
    ] {
        let got = sim.export(&[("from_date", from), ("to_date", to), extra]).await;
        assert_eq!(got.status, 400, "{from} {to} {extra:?}");
        assert!(got.error().starts_with(message), "{}", got.error());
    }
    let url = sim.url("/api/2.0/export?project_id=12345&from_date=2026-09-01&to_date=2026-09-01");
    let wrong = sim.http.get(&url).basic_auth("simulator", Some("wrong")).send().await.expect("a reply");
    assert_eq!(wrong.status(), 401);
    let post = sim.http.post(&url).basic_auth("simulator", Some("simulator-secret")).send().await.expect("a reply");
    assert_eq!(post.status(), 405);
    assert_eq!(sim.export(&[("from_date", "2005-01-01"), ("to_date", "2005-12-31")]).await.sorted_lines().len(), 0);
}

#[tokio::test]
async fn the_history_may_be_limited() {
    let sim = Sim::start(with(|events| events.history_days = Some(30))).await;
    assert_eq!(sim.days("2026-08-21", "2026-08-22").await.status, 200);
    let early = sim.days("2026-08-20", "2026-08-22").await;
    assert_eq!((early.status.as_u16(), early.error().as_str()), (403, "Date range exceeds 30 days into the past"));
}

fn unpacked(got: &Got) -> Vec<u8> {
    assert_eq!(got.headers["content-encoding"], "gzip");
    let mut text = Vec::new();
    flate2::read::MultiGzDecoder::new(&got.body[..]).read_to_end(&mut text).expect("gzip");
    text
}

#[tokio::test]
async fn larger_bodies_are_compressed_for_those_who_accept_it() {
    let get = async |config: SimulatorConfig, limit: &str| {
        let sim = Sim::start(config).await;
        let days = [("from_date", "2026-08-01"), ("to_date", "2026-08-31"), ("limit", limit)];
        let packed =
            sim.export_request(&days).header("Accept-Encoding", "deflate, gzip").send().await.expect("a reply");
        (Got::from(packed).await, sim.export(&days).await)
    };
    for (level, members) in [(0, 1), (1, 1), (1, 3), (9, 40), (0, 5)] {
        let config = with(|events| (events.gzip_level, events.gzip_members) = (level, members));
        let (packed, plain) = get(config, "2000").await;
        assert!(!plain.headers.contains_key("content-encoding"));
        assert_eq!(unpacked(&packed), plain.body, "level {level}, {members} members");
        let count = packed.body.windows(4).filter(|bytes| bytes[..3] == [0x1f, 0x8b, 8] && bytes[3] == 0).count();
        assert!(count >= members as usize, "{count} of {members} members");
    }
    // About 450 bytes a row: two rows are small.
    let (small, plain) = get(shop(), "2").await;
    assert!(plain.body.len() < 1_400 && !small.headers.contains_key("content-encoding"));
    assert_eq!(small.body, plain.body);
    let (large, _) = get(shop(), "9").await;
    assert_eq!(large.headers["content-encoding"], "gzip");
    let (always, plain) = get(with(|events| events.gzip_threshold = 0), "1").await;
    assert_eq!(unpacked(&always), plain.body);
}

#[tokio::test]
async fn the_framing_and_the_last_newline_are_set() {
    for (framing, header) in [
        (ExportFraming::Chunked, Some(("transfer-encoding", "chunked"))),
        (ExportFraming::ContentLength, None),
        (ExportFraming::CloseDelimited, None),
    ] {
        for (final_newline, chunk_size) in
            [(FinalNewline::Present, 1), (FinalNewline::Missing, 7), (FinalNewline::Missing, 1 << 20)]
        {
            let config = with(|events| {
                (events.framing, events.final_newline, events.chunk_size) = (framing, final_newline, chunk_size);
            });
            let events = Events::new(&config);
            let got = Sim::start(config).await.days("2026-08-01", "2026-08-03").await;
            assert_eq!(got.sorted_lines(), expected(&events, "2026-08-01", "2026-08-03", 0));
            assert_eq!(got.body.ends_with(b"\n"), final_newline == FinalNewline::Present);
            if let Some((name, value)) = header {
                assert_eq!(got.headers[name], value);
            }
            let has_length = got.headers.contains_key("content-length");
            assert_eq!(has_length, framing == ExportFraming::ContentLength);
        }
    }
    // An empty body stays empty.
    let missing = Sim::start(with(|events| events.final_newline = FinalNewline::Missing)).await;
    assert!(missing.days("2010-01-01", "2010-01-01").await.body.is_empty());
}

#[tokio::test]
async fn chunks_have_the_configured_size() {
    let sim = Sim::start(with(|events| events.chunk_size = 3)).await;
    let address = sim.server.address();
    let head = format!(
        "GET /api/2.0/export?project_id=12345&from_date=2026-08-01&to_date=2026-08-01&limit=3 HTTP/1.1\r\nHost: {address}\r\n\
         Authorization: Basic simulator:simulator-secret\r\nConnection: close\r\n\r\n"
    );
    let response = tokio::task::spawn_blocking(move || {
        use std::io::Write as _;
        let mut stream = std::net::TcpStream::connect(address).expect("a connection");
        stream.write_all(head.as_bytes()).expect("a request");
        let mut response = Vec::new();
        stream.read_to_end(&mut response).expect("a response");
        response
    });
    let text = String::from_utf8_lossy(&response.await.expect("a response")).into_owned();
    let (_, body) = text.split_once("\r\n\r\n").expect("a head");
    assert!(body.starts_with("3\r\n{\"e\r\n3\r\nven\r\n"), "{body}");
    assert!(body.ends_with("\r\n0\r\n\r\n"));
}

#[tokio::test]
async fn shuffled_rows_have_another_order_each_time() {
    let sim = Sim::start(with(|events| events.order = RowOrder::Shuffled)).await;
    let mut bodies = BTreeSet::new();
    let mut sets = BTreeSet::new();
    for _ in 0..4 {
        let got = sim.days("2026-08-01", "2026-08-20").await;
        sets.insert(got.sorted_lines());
        bodies.insert(got.body);
    }
    assert_eq!((bodies.len(), sets.len()), (4, 1));
}
