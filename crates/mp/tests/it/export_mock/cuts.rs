//! Responses that end too early.

use std::fmt::Write as _;
use std::sync::Mutex;

use fastrand::Rng;
use jiff::civil::{Date, date};

use super::{Framing, assert_rows, expected, gzip, gzip_members, response, serve, start_of, table, whole};
use crate::support::Home;

const FIRST: Date = date(2026, 1, 1);

/// Returns compact lines of a day, whose texts can hardly be compressed. One of them is a megabyte long.
fn lines(day: Date, count: i64) -> Vec<String> {
    let mut random = Rng::with_seed(u64::from(day.day().unsigned_abs()));
    let start = start_of(day);
    let mut line = |number: i64| {
        let length = if number == 20 { 1_000_000 } else { random.usize(0..200) };
        let mut text = String::new();
        while text.len() < length {
            write!(text, "{:x}é\u{2028}", random.u64(..)).expect("memory");
        }
        let (time, user) = (start + number * 1_000, number % 7);
        format!(
            r#"{{"event":"A {user}","properties":{{"time":{time},"distinct_id":"u-{user}","$insert_id":"i{number}","$mp_api_timestamp_ms":{time},"x":"{text}"}}}}"#
        )
    };
    (0..count).map(&mut line).collect()
}

fn days(count: i64) -> Vec<Date> {
    (0..count).map(|number| FIRST.checked_add(jiff::ToSpan::days(number)).expect("a day")).collect()
}

/// How the bodies of a case are compressed and announced, and whether the connection may end them.
type Form = (fn(&[u8]) -> Vec<u8>, &'static str, Framing);

const FORMS: [Form; 5] = [
    (<[u8]>::to_vec, "", Framing::Length),
    (<[u8]>::to_vec, "", Framing::Chunked(1_000)),
    (gzip, "gzip", Framing::Length),
    (gzip, "gzip", Framing::Close),
    (|body| gzip_members(body, 9_999), "gzip", Framing::Chunked(4_096)),
];

/// Fetches days of which each is cut once, at a random byte.
fn fetch_with_cuts((compress, coding, framing): Form, seed: u64) {
    let random = Mutex::new(Rng::with_seed(seed));
    let server = serve(move |asked| {
        let body = compress((lines(asked.from, 60).join("\n") + "\n").as_bytes());
        let (head, sent) = response(&body, coding, framing);
        let cut = if asked.attempt == 0 { random.lock().expect("no panic").usize(..sent.len()) } else { sent.len() };
        [&head, &sent[..cut]].concat()
    });
    let home = server.home("http");
    let range = ["--from", "2026-01-01", "--to", "2026-01-06", "--chunk-days", "1", "--parallel"];
    home.run(&[&["fetch", "events"][..], &range].concat()).exits(0);
    let all: Vec<String> = days(6).into_iter().flat_map(|day| lines(day, 60)).collect();
    let case = format!("{coding} {framing:?} seed {seed}");
    assert_rows(&table(&home), &expected(&all), &case);
    assert_eq!(server.connections(), 12, "{case}");
}

#[test]
fn days_that_are_cut_at_random_bytes_are_fetched_again() {
    std::thread::scope(|scope| {
        for (form, seed) in FORMS.into_iter().zip(0..) {
            scope.spawn(move || fetch_with_cuts(form, seed));
        }
    });
}

#[test]
fn a_complete_transfer_of_an_incomplete_export_is_fetched_again() {
    let text = lines(FIRST, 10).join("\n");
    let cases = [
        ("alone", "export terminated early".to_owned()),
        ("in brackets", "[terminated early]".to_owned()),
        ("after events", format!("{text}\nexport terminated early")),
        ("after events, with a newline", format!("{text}\nterminated early\n")),
        ("within a line", format!("{}terminated early", &text[..text.len() - 9])),
        ("an error", format!("{text}\n{{\"error\":\"timeout\"}}\n")),
        ("the start of an error", format!("{text}\n{{\"error\":")),
        ("within an event", text[..text.len() - 1].to_owned()),
    ];
    std::thread::scope(|scope| {
        for ((case, text), (compress, coding, framing)) in cases.into_iter().zip(FORMS.into_iter().cycle()) {
            scope.spawn(move || {
                let server = serve(move |asked| {
                    let whole_text = lines(FIRST, 10).join("\n");
                    let text = if asked.attempt == 0 { &text } else { &whole_text };
                    whole(&compress(text.as_bytes()), coding, framing)
                });
                let home = server.home("http");
                home.run(&["fetch", "events", "--from", "2026-01-01", "--to", "2026-01-01"]).exits(0);
                assert_rows(&table(&home), &expected(&lines(FIRST, 10)), case);
                assert_eq!(server.connections(), 2, "{case}");
            });
        }
    });
}

#[test]
fn an_empty_body_is_a_day_without_events() {
    for (compress, coding, framing) in [FORMS[0], FORMS[1], FORMS[2]] {
        let server = serve(move |_| whole(&compress(b""), coding, framing));
        let home = server.home("http");
        let result = home.run(&["fetch", "events", "--from", "2026-01-01", "--to", "2026-01-01"]).exits(0).json();
        assert_eq!((&result["rows"], server.connections()), (&0.into(), 1), "{coding} {framing:?}");
    }
}

fn has_table(home: &Home) -> bool {
    let sql = "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'events'";
    let connection = duckdb::Connection::open(home.database()).expect("a database");
    connection.query_row(sql, [], |row| row.get(0)).expect("a number")
}

#[test]
fn text_that_only_the_end_of_the_connection_ends_is_never_complete() {
    let server = serve(|_| whole((lines(FIRST, 10).join("\n") + "\n").as_bytes(), "", Framing::Close));
    let home = server.home("http");
    let run = home.run(&["fetch", "events", "--from", "2026-01-01", "--to", "2026-01-01"]).exits(1);
    run.says(&["without anything that shows whether it is complete"]);
    assert!(server.connections() > 1 && !has_table(&home), "{}", server.connections());
}
