use std::io::{self, BufReader};

use arrow::array::{Array, Date32Array, Int64Array, StringArray, TimestampMicrosecondArray};
use jiff::civil::{Date, date};
use proptest::prelude::*;

use super::*;
use crate::parse::events::for_each_line;
use crate::parse::events::moment::{DAY_MS, date_of};
use crate::property_rules::rules_for_tests;

mod faults_tests;
mod reference_tests;
mod rules_tests;

/// A row as the stage stores it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    event: String,
    micros: i64,
    distinct_id: String,
    insert_id: String,
    properties: String,
    ingested: Option<i64>,
    day: i32,
}

#[derive(Debug)]
struct Outcome {
    rows: Vec<Row>,
    rejects: Vec<Reject>,
    end: SliceEnd,
}

impl Outcome {
    fn facts(&self) -> &SliceFacts {
        &self.end.facts
    }
}

#[derive(Debug)]
enum Stop {
    Io,
    Fault(BodyFault),
}

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Self {
        Self::Io
    }
}

fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    fn column<T: Array + Clone + 'static>(batch: &RecordBatch, name: &str) -> T {
        batch.column_by_name(name).unwrap().as_any().downcast_ref::<T>().unwrap().clone()
    }
    let text = |name: &str| column::<StringArray>(batch, name);
    let (event, time) = (text("event_name"), column::<TimestampMicrosecondArray>(batch, "event_time"));
    let (distinct_id, insert_id, properties) = (text("distinct_id"), text("insert_id"), text("properties"));
    let (ingested, day) = (column::<Int64Array>(batch, "_ingested"), column::<Date32Array>(batch, "_day"));
    let row = |at: usize| Row {
        event: event.value(at).to_owned(),
        micros: time.value(at),
        distinct_id: distinct_id.value(at).to_owned(),
        insert_id: insert_id.value(at).to_owned(),
        properties: properties.value(at).to_owned(),
        ingested: ingested.is_valid(at).then(|| ingested.value(at)),
        day: day.value(at),
    };
    (0..batch.num_rows()).map(row).collect()
}

fn slice(from: Date, to: Date) -> Slice {
    Slice { from, to, events: Vec::new() }
}

fn january() -> Slice {
    slice(date(2026, 1, 1), date(2026, 1, 31))
}

fn read_with(body: &[u8], chunk: usize, slice: Slice, reading: &EventReading) -> Result<Outcome, BodyFault> {
    let mut reader = EventReader::new(7, slice, reading);
    let (mut rows, mut rejects) = (Vec::new(), Vec::new());
    let bytes = for_each_line(BufReader::with_capacity(chunk, body), |line| {
        reader.line(line).map_err(Stop::Fault)?;
        rows.extend(reader.take_full_group().iter().flat_map(rows_of));
        rejects.extend(reader.take_many_rejects().into_iter().flatten());
        Ok::<(), Stop>(())
    });
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(Stop::Fault(fault)) => return Err(fault),
        Err(Stop::Io) => unreachable!("memory can be read"),
    };
    let (rest, rest_rejects) = reader.take_rest();
    rows.extend(rest.iter().flat_map(rows_of));
    rejects.extend(rest_rejects);
    let end = reader.finish(bytes, bytes)?;
    assert_eq!((end.facts.rows, end.facts.rejected), (rows.len() as u64, rejects.len() as u64));
    assert_eq!(end.facts.days.iter().map(|day| day.rows).sum::<u64>(), end.facts.rows);
    assert_eq!(end.catalogs.total().profiles, end.facts.rows);
    Ok(Outcome { rows, rejects, end })
}

fn read(body: &str) -> Result<Outcome, BodyFault> {
    read_with(body.as_bytes(), 1 << 16, january(), &EventReading::default())
}

fn event(properties: &str) -> String {
    format!("{{\"event\":\"A\",\"properties\":{properties}}}\n")
}

/// Reads one line that must be a row.
fn row(properties: &str) -> Row {
    let outcome = read(&event(properties)).unwrap();
    assert_eq!(outcome.rejects, [], "{properties}");
    outcome.rows[0].clone()
}

/// 2026-01-01 in UTC, in milliseconds.
const NEW_YEAR: i64 = 1_767_225_600_000;

#[test]
fn ids_and_time_are_lifted_and_everything_else_stays() {
    for (properties, distinct_id, insert_id, rest) in [
        (r#"{"time":1767225600123,"distinct_id":"u","$insert_id":"i","a":1}"#, "u", Some("i"), r#"{"a":1}"#),
        (r#"{ "a" : 1 , "time" : 1767225600123 , "b":2}"#, "", None, r#"{ "a" : 1 , "b":2}"#),
        (r#"{"distinct_id":12,"time":1767225600123,"$insert_id":34}"#, "12", Some("34"), "{}"),
        (r#"{"distinct_id":-1.5e3,"time":1767225600123}"#, "-1.5e3", None, "{}"),
        (r#"{"distinct_id":"","time":1767225600123,"$insert_id":""}"#, "", None, r#"{"$insert_id":""}"#),
        (
            r#"{"distinct_id":null,"time":1767225600123,"$insert_id":null}"#,
            "",
            None,
            r#"{"distinct_id":null,"$insert_id":null}"#,
        ),
        (
            r#"{"distinct_id":["u"],"time":1767225600123,"$insert_id":true}"#,
            "",
            None,
            r#"{"distinct_id":["u"],"$insert_id":true}"#,
        ),
        (
            r#"{"time":1767225600123,"time":2,"distinct_id":"a","distinct_id":"b","$insert_id":"c","$insert_id":"d"}"#,
            "a",
            Some("c"),
            r#"{"time":2,"distinct_id":"b","$insert_id":"d"}"#,
        ),
        (r#"{"\u0074ime":1767225600123,"\u0024insert_id":"\u00e9\"","d":1}"#, "", Some("é\""), r#"{"d":1}"#),
        (
            r#"{"event":"x","properties":{"time":1},"insert_id":"x","time":1767225600123}"#,
            "",
            None,
            r#"{"event":"x","properties":{"time":1},"insert_id":"x"}"#,
        ),
        (r#"{"time":1767225600123,"distinct_id":"a\u2028\n"}"#, "a\u{2028}\n", None, "{}"),
    ] {
        let found = row(properties);
        assert_eq!((found.distinct_id.as_str(), found.properties.as_str()), (distinct_id, rest), "{properties}");
        assert_eq!((found.micros, found.day), ((NEW_YEAR + 123) * 1_000, 20_454), "{properties}");
        match insert_id {
            Some(insert_id) => assert_eq!(found.insert_id, insert_id),
            None => assert!(found.insert_id.starts_with("gen-") && found.insert_id.len() == 36, "{}", found.insert_id),
        }
    }
}

#[test]
fn a_generated_id_depends_on_the_line_alone() {
    let line = event(r#"{"time":1767225600123,"a":1}"#);
    let body = format!("{line}{}{line}", event(r#"{"time":1767225600123,"a":2}"#)).replace("}\n{", "}\r\n{");
    let outcome = read(&body).unwrap();
    let ids: Vec<&str> = outcome.rows.iter().map(|row| row.insert_id.as_str()).collect();
    assert_eq!((ids[0], ids[0] == ids[1]), (ids[2], false));
    // SHA-256, so that other programs and versions find the same id.
    assert_eq!(ids[0], format!("gen-{}", &sha256(line.trim_end())[..32]));
    assert_eq!(outcome.facts().without_insert_id, 3);
}

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn when_it_was_ingested_is_noted() {
    for (properties, expected) in [
        (r#""$mp_api_timestamp_ms":5,"mp_processing_time_ms":7"#, Some(5)),
        (r#""mp_processing_time_ms":7,"$mp_api_timestamp_ms":5"#, Some(5)),
        (r#""mp_processing_time_ms":7.0"#, Some(7)),
        (r#""mp_processing_time_ms":"7","$mp_api_timestamp_ms":null"#, None),
        (r#""$mp_api_timestamp_ms":null,"mp_processing_time_ms":7"#, Some(7)),
        (r#""a":1"#, None),
    ] {
        let found = row(&format!("{{\"time\":1767225600123,{properties}}}"));
        assert_eq!((found.ingested, found.properties), (expected, format!("{{{properties}}}")));
    }
}

#[test]
fn rows_outside_the_slice_are_kept_and_counted() {
    let times =
        [NEW_YEAR - 1, NEW_YEAR, NEW_YEAR + 31 * DAY_MS - 1, NEW_YEAR + 31 * DAY_MS, -86_400, 4_102_444_800_000];
    let body: String = times.iter().map(|time| event(&format!("{{\"time\":{time}}}"))).collect();
    let outcome = read(&body).unwrap();
    assert_eq!(outcome.rows.iter().map(|row| row.micros).collect::<Vec<_>>(), times.map(|time| time * 1_000));
    assert_eq!((outcome.facts().outside, outcome.facts().rows), (4, 6));
    let days: Vec<String> = outcome.facts().days.iter().map(|day| format!("{} {}", day.day, day.rows)).collect();
    assert_eq!(days, ["1969-12-31 1", "2025-12-31 1", "2026-01-01 1", "2026-01-31 1", "2026-02-01 1", "2100-01-01 1"]);
    let bytes: u64 = outcome.facts().days.iter().map(|day| day.bytes).sum();
    assert_eq!((bytes, outcome.facts().bytes), ((body.len() - 6) as u64, body.len() as u64));
}

#[test]
fn times_in_seconds_are_recognized_and_counted() {
    for (time, ms, is_in_seconds) in [
        ("1767225600", 0, true),
        ("1767225600123", 123, false),
        ("1767225600123.0", 123, false),
        ("1.767225600123e12", 123, false),
        ("1767225601.0", 1_000, true),
        ("1.767225601e9", 1_000, true),
        ("\"1767225602\"", 2_000, true),
        ("1767225602.5", 2_500, true),
        ("1767225602.123", 2_123, true),
        ("1767225602123e-3", 2_123, true),
        ("\"1767225602.25\"", 2_250, true),
    ] {
        let outcome = read(&event(&format!("{{\"time\":{time}}}"))).unwrap();
        let times: Vec<i64> = outcome.rows.iter().map(|row| row.micros - NEW_YEAR * 1_000).collect();
        assert_eq!((times, outcome.facts().in_seconds), (vec![ms * 1_000], u64::from(is_in_seconds)), "{time}");
    }
}

#[test]
fn local_times_become_utc_and_keep_their_local_day() {
    let reading =
        EventReading { timezone: ProjectTimeZone::parse("Europe/Berlin").unwrap(), ..EventReading::default() };
    let march = slice(date(2025, 3, 30), date(2025, 3, 30));
    let table = [
        ("\"2025-03-30T00:30:00\"", "2025-03-29T23:30:00Z", "2025-03-30"),
        ("\"2025-03-30T02:30:00.5\"", "2025-03-30T01:30:00.5Z", "2025-03-30"),
        ("1743301800000", "2025-03-30T01:30:00Z", "2025-03-30"),
        ("1743292800", "2025-03-29T23:00:00Z", "2025-03-30"),
        ("\"2025-03-29T23:30:00Z\"", "2025-03-29T23:30:00Z", "2025-03-30"),
        ("\"2025-03-30T22:30:00Z\"", "2025-03-30T22:30:00Z", "2025-03-31"),
        ("\"2025-10-26T02:30:00\"", "2025-10-26T00:30:00Z", "2025-10-26"),
    ];
    let body: String = table.iter().map(|(time, _, _)| event(&format!("{{\"time\":{time}}}"))).collect();
    let outcome = read_with(body.as_bytes(), 64, march, &reading).unwrap();
    for (row, (time, utc, day)) in outcome.rows.iter().zip(table) {
        assert_eq!(jiff::Timestamp::from_microsecond(row.micros).unwrap().to_string(), utc, "{time}");
        assert_eq!(date_of(row.day).unwrap().to_string(), day, "{time}");
    }
    let facts = outcome.facts();
    assert_eq!((facts.outside, facts.skipped_hour, facts.repeated_hour, facts.in_seconds), (2, 2, 1, 1));
}

#[test]
fn odd_lines_are_rejected_once_and_their_neighbours_are_not() {
    let good = event(r#"{"time":1767225600123,"$insert_id":"i"}"#);
    let deep = format!("{{\"time\":1,\"d\":{}{}}}", "[".repeat(128), "]".repeat(128));
    for (line, reason) in [
        ("42", "not an event: not an object"),
        ("null", "not an event: not an object"),
        (r#"["event"]"#, "not an event: not an object"),
        ("{}", "not an event: `event` is missing"),
        (r#"{"event":null,"properties":{"time":1}}"#, "not an event: `event` is not text"),
        (r#"{"event":7,"properties":{"time":1}}"#, "not an event: `event` is not text"),
        (r#"{"event":"A"}"#, "`properties` is missing"),
        (r#"{"event":"A","properties":null}"#, "`properties` is not an object"),
        (r#"{"event":"A","properties":[]}"#, "`properties` is not an object"),
        (r#"{"event":"A","event":"B","properties":{"time":1}}"#, "not an event: it has `event` twice"),
        (r#"{"event":"A","properties":{"time":1},"properties":{}}"#, "not an event: it has `properties` twice"),
        (r#"{"event":"A","properties":{}}"#, "`time` is missing"),
        (r#"{"event":"A","properties":{"time":"soon"}}"#, "`time` is not a time"),
        (r#"{"event":"A","properties":{"time":null}}"#, "`time` is not a time"),
        (r#"{"event":"A","properties":{"time":1767225600123.5}}"#, "`time` is not in whole milliseconds"),
        (r#"{"event":"A","properties":{"time":1.5}}"#, "`time` is not in whole milliseconds"),
        (r#"{"event":"A","properties":{"time":1767225600.1234}}"#, "`time` is not a time"),
        (r#"{"event":"A","properties":{"time":1767225600123.00001}}"#, "`time` is not a time"),
        (r#"{"event":"A","properties":{"time":253402300800000}}"#, "`time` is outside the years 1 to 9999"),
        (r#"{"event":"A","properties":{"time":-62135596800001}}"#, "`time` is outside the years 1 to 9999"),
        (r#"{"event":"A","properties":{"time":9223372036854775807}}"#, "`time` is outside the years 1 to 9999"),
        (r#"{"event":"A","properties":{"time":1,"x":"\ud83d"}}"#, "half a surrogate pair"),
        (r#"{"event":"\udc00","properties":{"time":1}}"#, "half a surrogate pair"),
        (r#"{"event":"A","properties":{"time":1,"x":"\ud83d\n\udc00"}}"#, "half a surrogate pair"),
        (&format!(r#"{{"event":"A","properties":{deep}}}"#), "nested deeper than 128 levels"),
        (r#"{"event":"A","properties":{"time":1}"#, "not JSON"),
        (r#"{"event":"A","properties":{"time":1}} {}"#, "not JSON"),
        ("{\"event\":\"A\",\"properties\":{\"time\":1,\"x\":\"\u{1}\"}}", "not JSON"),
        ("garbage", "not JSON"),
    ] {
        let outcome = read(&format!("{good}{line}\n{good}")).unwrap();
        assert_eq!((outcome.rows.len(), outcome.rejects.len()), (2, 1), "{line}");
        let reject = &outcome.rejects[0];
        assert!(reject.reason.contains(reason), "{line}: {}", reject.reason);
        assert_eq!((reject.position, reject.raw.as_str()), (1, line));
    }
    let body = [good.as_bytes(), b"{\"event\":\"A\",\"properties\":{\"x\":\"\xff\"}}\n", good.as_bytes()].concat();
    let outcome = read_with(&body, 16, january(), &EventReading::default()).unwrap();
    assert!(outcome.rejects[0].reason.starts_with("not UTF-8 at byte 32"), "{}", outcome.rejects[0].reason);
    assert!(outcome.rejects[0].raw.contains("\\xFF"));
}

#[test]
fn blank_lines_and_a_byte_order_mark_are_skipped() {
    let line = event(r#"{"time":1767225600123,"$insert_id":"i"}"#);
    for body in [
        format!("\u{feff}{line}"),
        format!("\n\r\n  \n{line}\n\n"),
        format!("  {line}"),
        line.trim_end().to_owned(),
        format!("{}\r\n", line.trim_end()),
        format!("{}  ", line.trim_end()),
    ] {
        assert_eq!(read(&body).unwrap().rows, [row(r#"{"time":1767225600123,"$insert_id":"i"}"#)], "{body:?}");
    }
    for body in ["", "\n", "\r\n\r\n", " \n", "\u{feff}"] {
        assert_eq!(read(body).unwrap().facts().rows, 0, "{body:?}");
    }
}

#[test]
fn the_order_of_members_does_not_matter_and_others_are_noted() {
    let expected = row(r#"{"time":1767225600123,"$insert_id":"i","a":1}"#);
    for line in [
        r#"{"properties":{"time":1767225600123,"$insert_id":"i","a":1},"event":"A"}"#,
        r#"{"x":1,"event":"A","properties":{"time":1767225600123,"$insert_id":"i","a":1}}"#,
        r#"{"\u0065vent":"\u0041","properties":{"time":1767225600123,"$insert_id":"i","a":1}}"#,
        r#"{"event":"A","properties":{"time":1767225600123,"$insert_id":"i","a":1},"error":"none"}"#,
    ] {
        let outcome = read(line).unwrap();
        assert_eq!(outcome.rows, std::slice::from_ref(&expected), "{line}");
        let catalog = &outcome.end.catalogs.0[0];
        assert_eq!((catalog.0.as_deref(), catalog.1.properties.len()), (Some("A"), 1), "{line}");
    }
    let outcome = read(r#"{"x":1,"event":"A","properties":{"time":1767225600123},"error":2}"#).unwrap();
    assert_eq!(outcome.end.unstored.names(), ["x", "error"]);
    assert!(outcome.end.unstored.warnings()[0].contains("other than `event` and `properties`"));
}

#[test]
fn raw_rows_are_the_lines_as_received() {
    let reading = EventReading { form: RecordForm::Raw, ..EventReading::default() };
    for line in [
        r#"{"event":"A","properties":{"time":1767225600123,"distinct_id":"u","a":1}}"#,
        r#"{"x":1,"event":"A","properties":{"time":1767225600123,"distinct_id":"u"},"y":null}"#,
    ] {
        let outcome = read_with(line.as_bytes(), 8, january(), &reading).unwrap();
        assert_eq!(outcome.rows[0].properties, line);
        assert_eq!((outcome.rows[0].distinct_id.as_str(), outcome.rows[0].day), ("u", 20_454));
        assert!(outcome.end.unstored.warnings().is_empty(), "nothing is left out: {line}");
    }
}

#[test]
fn row_groups_and_held_rejects_are_bounded() {
    let mut reader = EventReader::new(0, january(), &EventReading::default());
    let long = event(&format!("{{\"time\":1767225600123,\"x\":\"{}\"}}", "y".repeat(3 << 20)));
    let short = event(r#"{"time":1767225600123}"#);
    let body = format!("{long}{}{}", short.repeat(20_000), "[]\n".repeat(30_000));
    let (mut groups, mut rejects) = (Vec::new(), 0);
    for_each_line(BufReader::new(body.as_bytes()), |line| {
        reader.line(line).map_err(|fault| io::Error::other(format!("{fault:?}")))?;
        groups.extend(reader.take_full_group().map(|rows| rows.num_rows()));
        if let Some(many) = reader.take_many_rejects() {
            assert!(many.len() < 20_000);
            rejects += many.len();
        }
        Ok::<(), io::Error>(())
    })
    .unwrap();
    assert_eq!(groups, [1, 8_192, 8_192]);
    let (rest, rest_rejects) = reader.take_rest();
    assert_eq!((rest.unwrap().num_rows(), rejects + rest_rejects.len()), (3_616, 30_000));
}
