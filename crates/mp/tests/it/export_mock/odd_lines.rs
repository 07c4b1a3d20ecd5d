//! Lines from public bug reports of other clients, in every form of a body.

use super::{Framing, Row, assert_rows, generated_id, gzip, gzip_members, serve, table, whole};
use crate::support::Home;

/// What becomes of a line.
enum Becomes {
    /// A row: name, time in milliseconds, distinct id, insert id (generated, if empty) and properties.
    Row(&'static str, i64, &'static str, &'static str, &'static str),
    Duplicate,
    Reject,
}

use Becomes::{Duplicate, Reject, Row as Kept};

/// The public report, the line, and what becomes of it.
const LINES: [(&str, &str, Becomes); 26] = [
    (
        "embulk-input-mixpanel: an earlier upload of an event",
        r#"{"event":"Signed up","properties":{"time":1767225600000,"distinct_id":"u-17","$insert_id":"0c9e2a51-77aa","$mp_api_timestamp_ms":1767225601234,"$city":"Lisboa"}}"#,
        Duplicate,
    ),
    (
        "the same, uploaded again",
        r#"{"event":"Signed up","properties":{"time":1767225600000,"distinct_id":"u-17","$insert_id":"0c9e2a51-77aa","$mp_api_timestamp_ms":1767239999000,"$city":"Porto"}}"#,
        Kept(
            "Signed up",
            1_767_225_600_000,
            "u-17",
            "0c9e2a51-77aa",
            r#"{"$mp_api_timestamp_ms":1767239999000,"$city":"Porto"}"#,
        ),
    ),
    (
        "airbyte#21460: another event with the same insert id",
        r#"{"event":"Page View","properties":{"time":1767225600000,"distinct_id":"u-17","$insert_id":"0c9e2a51-77aa"}}"#,
        Kept("Page View", 1_767_225_600_000, "u-17", "0c9e2a51-77aa", "{}"),
    ),
    (
        "airbyte#30469: another user with the same insert id",
        r#"{"event":"Signed up","properties":{"time":1767225600000,"distinct_id":"u-18","$insert_id":"0c9e2a51-77aa"}}"#,
        Kept("Signed up", 1_767_225_600_000, "u-18", "0c9e2a51-77aa", "{}"),
    ),
    (
        "tap-mixpanel 1.7.0: no insert id; airbyte#36724: names that differ only in case or `$`",
        r#"{"event":"Page View","properties":{"time":1767225600123,"distinct_id":"","order":9007199254740993,"big":1e21,"id":1,"Id":"1","$city":"a","city":"b","flag":"undefined","tags":["x",{"k":null}]}}"#,
        Kept(
            "Page View",
            1_767_225_600_123,
            "",
            "",
            r#"{"order":9007199254740993,"big":1e21,"id":1,"Id":"1","$city":"a","city":"b","flag":"undefined","tags":["x",{"k":null}]}"#,
        ),
    ),
    (
        "posthog: an id before the merge that is a number",
        r#"{"event":"$identify","properties":{"time":1767225601000,"distinct_id":"5f1c","$distinct_id_before_identity":0,"$is_reshuffled":true,"$insert_id":"AbCdEfGhIjKlMnOp"}}"#,
        Kept(
            "$identify",
            1_767_225_601_000,
            "5f1c",
            "AbCdEfGhIjKlMnOp",
            r#"{"$distinct_id_before_identity":0,"$is_reshuffled":true}"#,
        ),
    ),
    (
        "estuary#1893: properties named like columns, an id with other characters",
        r#"{"event":"Bücher 🚀 \"x\"","properties":{"time":1767225602000,"distinct_id":"$device:5f1c","insert_id":"no","event":"nested","properties":{"time":"2025-12-31"},"distinct_id_":"y","$insert_id":"p q/é"}}"#,
        Kept(
            "Bücher 🚀 \"x\"",
            1_767_225_602_000,
            "$device:5f1c",
            "p q/é",
            r#"{"insert_id":"no","event":"nested","properties":{"time":"2025-12-31"},"distinct_id_":"y"}"#,
        ),
    ),
    (
        "estuary#1893: bytes after a name",
        r#"{"event":"A","properties":{"time":1767225603000,"distinct_id":"u","$insert_id":"i1","insert_id\u0000\u0001":"x","$insert_id ":"y"}}"#,
        Kept("A", 1_767_225_603_000, "u", "i1", r#"{"insert_id\u0000\u0001":"x","$insert_id ":"y"}"#),
    ),
    (
        "airbyte#11018: line separators of other languages",
        "{\"event\":\"A\u{2028}\",\"properties\":{\"time\":1767225604000,\"distinct_id\":\"u\u{85}\",\"$insert_id\":\"i2\",\"x\":\"a\u{2028}b\u{2029}c\u{85}d\u{9c}e\u{7f}\"}}",
        Kept("A\u{2028}", 1_767_225_604_000, "u\u{85}", "i2", "{\"x\":\"a\u{2028}b\u{2029}c\u{85}d\u{9c}e\u{7f}\"}"),
    ),
    (
        "airbyte#11018: the same, escaped",
        r#"{"event":"A","properties":{"time":1767225605000,"distinct_id":"u","$insert_id":"i3","x":"a\u2028b\u001cc\u0085\n\r\u000b\u000c\\n\\"}}"#,
        Kept("A", 1_767_225_605_000, "u", "i3", r#"{"x":"a\u2028b\u001cc\u0085\n\r\u000b\u000c\\n\\"}"#),
    ),
    ("airbyte#18846: the first half of a line", r#"{"event":"A","properties":{"time":1767225606000,"dist"#, Reject),
    ("airbyte#18846: its second half", r#"inct_id":"u","$insert_id":"i4"}}"#, Reject),
    (
        "airbyte: times as text",
        r#"{"event":"A","properties":{"time":"2026-01-01T00:00:07","distinct_id":"u","$insert_id":"i5"}}"#,
        Kept("A", 1_767_225_607_000, "u", "i5", "{}"),
    ),
    (
        "a server that ignores `time_in_ms`",
        r#"{"event":"A","properties":{"time":1767225608,"distinct_id":"u","$insert_id":"i6"}}"#,
        Kept("A", 1_767_225_608_000, "u", "i6", "{}"),
    ),
    (
        "posthog: an id that is a number",
        r#"{"event":"A","properties":{"time":1767225609000,"distinct_id":1234567890123456789012,"$insert_id":7}}"#,
        Kept("A", 1_767_225_609_000, "1234567890123456789012", "7", "{}"),
    ),
    (
        "posthog: no id",
        r#"{"event":"A","properties":{"time":1767225610000,"$insert_id":"i8"}}"#,
        Kept("A", 1_767_225_610_000, "", "i8", "{}"),
    ),
    (
        "posthog: an id without a value stays where it is",
        r#"{"event":"A","properties":{"time":1767225611000,"distinct_id":null,"$insert_id":"i9"}}"#,
        Kept("A", 1_767_225_611_000, "", "i9", r#"{"distinct_id":null}"#),
    ),
    (
        "hot shards",
        r#"{"event":"$hotshard_events","properties":{"time":1767225612000,"distinct_id":"","$insert_id":"i10","mp_original_event_name":"A","mp_original_distinct_id":"u"}}"#,
        Kept(
            "$hotshard_events",
            1_767_225_612_000,
            "",
            "i10",
            r#"{"mp_original_event_name":"A","mp_original_distinct_id":"u"}"#,
        ),
    ),
    (
        "airbyte#45068: the last moment of a day",
        r#"{"event":"A","properties":{"time":1767311999999,"distinct_id":"u","$insert_id":"i11"}}"#,
        Kept("A", 1_767_311_999_999, "u", "i11", "{}"),
    ),
    (
        "estuary#1887: earlier than the line before",
        r#"{"event":"A","properties":{"time":1767225600001,"distinct_id":"u","$insert_id":"i12"}}"#,
        Kept("A", 1_767_225_600_001, "u", "i12", "{}"),
    ),
    (
        "times before 1970",
        r#"{"event":"A","properties":{"time":-86400000,"distinct_id":"u","$insert_id":"i13"}}"#,
        Kept("A", -86_400_000, "u", "i13", "{}"),
    ),
    (
        "spaces and equal names stay as they are",
        r#" { "event" : "A" , "properties" : { "time" : 1767225613000 , "distinct_id" : "u" , "$insert_id" : "i14" , "a" : 1.0 , "a" : 1E2 } } "#,
        Kept("A", 1_767_225_613_000, "u", "i14", r#"{ "a" : 1.0 , "a" : 1E2 }"#),
    ),
    (
        "ingestr: texts that are not NULL",
        r#"{"event":"<null>","properties":{"time":1767225614000,"distinct_id":"null","$insert_id":"undefined","x":"<null>"}}"#,
        Kept("<null>", 1_767_225_614_000, "null", "undefined", r#"{"x":"<null>"}"#),
    ),
    ("no event: a number", "17", Reject),
    (
        "estuary: a control character that is not escaped is not JSON",
        "{\"event\":\"A\",\"properties\":{\"time\":1767225616000,\"distinct_id\":\"u\",\"$insert_id\":\"i16\",\"x\":\"a\u{1c}b\"}}",
        Reject,
    ),
    (
        "mixpanel-utils#7: the last event",
        r#"{"event":"Last","properties":{"time":1767225615000,"distinct_id":"u","$insert_id":"i15"}}"#,
        Kept("Last", 1_767_225_615_000, "u", "i15", "{}"),
    ),
];

fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = LINES
        .iter()
        .filter_map(|(_, line, becomes)| match becomes {
            Kept(name, time, distinct_id, insert_id, properties) => {
                let insert_id = if insert_id.is_empty() { generated_id(line) } else { (*insert_id).to_owned() };
                Some(((*name).to_owned(), *time, (*distinct_id).to_owned(), insert_id, (*properties).to_owned()))
            }
            Duplicate | Reject => None,
        })
        .collect();
    rows.sort();
    rows
}

fn fetch(home: &Home) {
    let options = ["fetch", "events", "--from", "2026-01-01", "--to", "2026-01-01", "--append", "--allow-rejects"];
    let result = home.run(&options).exits(0).json();
    let count = |name: &str| result[name].as_u64().unwrap_or_else(|| panic!("no {name} in {result}"));
    assert_eq!((count("received"), count("rejected"), count("conflicting_duplicates")), (26, 4, 1), "{result}");
}

fn rejects(home: &Home) -> Vec<String> {
    let connection = duckdb::Connection::open(home.database()).expect("a database");
    let mut statement = connection.prepare("SELECT raw::VARCHAR FROM _rejects ORDER BY ALL").expect("SQL");
    let rows = statement.query_map([], |row| row.get(0)).expect("rows");
    rows.collect::<Result<_, _>>().expect("texts")
}

#[test]
fn lines_of_bug_reports_become_the_same_rows_in_every_form_of_a_body() {
    let lines: Vec<&str> = LINES.iter().map(|(_, line, _)| *line).collect();
    let (bare, text) = (lines.join("\n").into_bytes(), (lines.join("\n") + "\n").into_bytes());
    let crlf = (lines.join("\r\n\r\n") + "\r\n").into_bytes();
    let mut rejected: Vec<String> = LINES
        .iter()
        .filter(|(_, _, becomes)| matches!(becomes, Reject))
        .map(|(_, line, _)| (*line).to_owned())
        .collect();
    rejected.sort();
    let cases = [
        ("a length", text.clone(), "", Framing::Length),
        ("no last newline", bare.clone(), "", Framing::Length),
        ("CR LF and empty lines", crlf, "", Framing::Chunked(13)),
        ("chunks of a byte", text.clone(), "", Framing::Chunked(1)),
        ("chunks that split characters and escapes", text.clone(), "", Framing::Chunked(3)),
        ("posthog#71141: gzip announced, text sent", text.clone(), "gzip", Framing::Length),
        ("gzip", gzip(&text), "gzip", Framing::Length),
        ("gzip in small chunks", gzip(&bare), "gzip", Framing::Chunked(1)),
        ("gzip up to the end of the connection", gzip(&text), "gzip", Framing::Close),
        ("several members", gzip_members(&text, 301), "gzip", Framing::Chunked(64)),
        ("a member for each byte", gzip_members(&bare, 1), "gzip", Framing::Length),
        ("posthog#68741: compressed twice", gzip(&gzip(&text)), "gzip, gzip", Framing::Chunked(50)),
    ];
    std::thread::scope(|scope| {
        for (case, body, coding, framing) in cases {
            let rejected = &rejected;
            scope.spawn(move || {
                let sent = whole(&body, coding, framing);
                let server = serve(move |_| sent.clone());
                let home = server.home("http");
                fetch(&home);
                assert_rows(&table(&home), &rows(), case);
                assert_eq!(&rejects(&home), rejected, "{case}");
                assert_eq!(server.connections(), 1, "{case}");
            });
        }
    });
}

/// Every row has the same ids in each fetch (posthog: random ids for events that have none).
#[test]
fn a_second_fetch_of_the_same_lines_in_another_order_adds_no_row() {
    let server = serve(|asked| {
        let mut lines: Vec<&str> = LINES.iter().map(|(_, line, _)| *line).collect();
        if asked.attempt == 1 {
            lines.reverse();
        }
        whole(&gzip(lines.join("\n").as_bytes()), "gzip", Framing::Length)
    });
    let home = server.home("http");
    for fetched in ["once", "twice"] {
        fetch(&home);
        assert_rows(&table(&home), &rows(), fetched);
    }
    assert_eq!(server.connections(), 2);
}
