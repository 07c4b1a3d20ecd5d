//! Fetches of events from a server that shares no code with the simulator or the library, written from
//! `docs/mixpanel-api.md#event-export` alone. The expected rows are given by hand or read with `serde_json`.

mod cuts;
mod odd_lines;
mod revisions;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::servers::Server;
use crate::support::Home;

/// A row of the table: name, time in milliseconds, distinct id, insert id and properties.
type Row = (String, i64, String, String, String);

/// How the end of a body is announced.
#[derive(Debug, Clone, Copy)]
enum Framing {
    Length,
    Chunked(usize),
    Close,
}

/// The range of a request, and how many requests for this range came before it.
struct Asked {
    from: Date,
    to: Date,
    attempt: usize,
}

/// Starts a server that answers exports. The function returns the bytes of a whole response.
fn serve(answer: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> Server {
    let attempts = Mutex::new(BTreeMap::new());
    Server::start(move |mut connection, _| {
        let Some(request) = read_head(&mut connection) else { return };
        assert!(request.starts_with("GET /api/2.0/export?"), "{request}");
        let (from, to) = (day_of(&request, "from_date"), day_of(&request, "to_date"));
        let attempt = {
            let mut attempts = attempts.lock().unwrap_or_else(PoisonError::into_inner);
            let count = attempts.entry((from, to)).or_insert(0);
            *count += 1;
            *count - 1
        };
        let _gone = connection.write_all(&answer(&Asked { from, to, attempt }));
    })
}

fn read_head(connection: &mut TcpStream) -> Option<String> {
    connection.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket option");
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        connection.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

fn day_of(request: &str, name: &str) -> Date {
    let value = request.split_once(&format!("{name}=")).expect("a day").1;
    value[..10].parse().expect("a date")
}

/// Returns the start of a day in UTC, in milliseconds.
fn start_of(day: Date) -> i64 {
    TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).expect("a time").as_millisecond()
}

/// Returns the head of a response and its body as it is transferred.
fn response(body: &[u8], coding: &str, framing: Framing) -> (Vec<u8>, Vec<u8>) {
    let (announced, sent) = match framing {
        Framing::Length => (format!("Content-Length: {}\r\n", body.len()), body.to_vec()),
        Framing::Close => (String::new(), body.to_vec()),
        Framing::Chunked(size) => {
            let mut sent = Vec::new();
            for chunk in body.chunks(size) {
                sent.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                sent.extend_from_slice(chunk);
                sent.extend_from_slice(b"\r\n");
            }
            sent.extend_from_slice(b"0\r\n\r\n");
            ("Transfer-Encoding: chunked\r\n".to_owned(), sent)
        }
    };
    let coding = if coding.is_empty() { String::new() } else { format!("Content-Encoding: {coding}\r\n") };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n{coding}{announced}\r\n");
    (head.into_bytes(), sent)
}

fn whole(body: &[u8], coding: &str, framing: Framing) -> Vec<u8> {
    let (head, sent) = response(body, coding, framing);
    [head, sent].concat()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).expect("memory");
    encoder.finish().expect("memory")
}

/// Compresses a body in members of this size, whose ends are anywhere within lines.
fn gzip_members(text: &[u8], size: usize) -> Vec<u8> {
    text.chunks(size).flat_map(gzip).collect()
}

/// Returns the rows of the table, sorted.
fn table(home: &Home) -> Vec<Row> {
    let connection = duckdb::Connection::open(home.database()).expect("a database");
    let sql = "SELECT event_name, epoch_ms(event_time), distinct_id, insert_id, properties::VARCHAR FROM events";
    let mut statement = connection.prepare(sql).expect("SQL");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)));
    let mut rows: Vec<Row> = rows.expect("rows").collect::<Result<_, _>>().expect("rows");
    rows.sort();
    rows
}

/// Compares sorted rows, and shows only those that differ.
#[track_caller]
fn assert_rows(found: &[Row], expected: &[Row], case: &str) {
    if found != expected {
        let only = |of: &[Row], not: &[Row]| of.iter().filter(|row| !not.contains(row)).cloned().collect::<Vec<_>>();
        let (surplus, missing) = (only(found, expected), only(expected, found));
        panic!("{case}: {} rows, not {}; too many: {surplus:#?}\nmissing: {missing:#?}", found.len(), expected.len());
    }
}

/// Returns the id of an event that has none. DuckDB computes the hash.
fn generated_id(line: &str) -> String {
    static CONNECTION: LazyLock<Mutex<duckdb::Connection>> =
        LazyLock::new(|| Mutex::new(duckdb::Connection::open_in_memory().expect("a database")));
    let connection = CONNECTION.lock().unwrap_or_else(PoisonError::into_inner);
    let id = connection.query_row("SELECT 'gen-' || left(sha256(?::VARCHAR), 32)", [line], |row| row.get(0));
    id.expect("a hash")
}

/// Returns the sorted rows of compact lines, of which duplicates were removed: of events with the same name, time and
/// ids, the one received last remains, and all those without an insert id.
fn expected(lines: &[String]) -> Vec<Row> {
    let mut latest: BTreeMap<_, (i64, String)> = BTreeMap::new();
    let mut without_id: BTreeMap<&String, usize> = BTreeMap::new();
    let mut rows = Vec::new();
    for line in lines {
        let mut value: Value = serde_json::from_str(line).expect("JSON");
        let name = value["event"].as_str().expect("a name").to_owned();
        let properties = value["properties"].as_object_mut().expect("an object");
        let time = properties.shift_remove("time").and_then(|time| time.as_i64()).expect("a time");
        let mut lift = |name: &str| properties.shift_remove(name).map(|id| id.as_str().expect("text").to_owned());
        let (distinct_id, insert_id) = (lift("distinct_id").unwrap_or_default(), lift("$insert_id"));
        let (received, rest) =
            (properties["$mp_api_timestamp_ms"].as_i64().expect("a time"), value["properties"].to_string());
        let Some(insert_id) = insert_id else {
            let count = without_id.entry(line).or_insert(0);
            *count += 1;
            let suffix = if *count == 1 { String::new() } else { format!("-{count}") };
            rows.push((name, time, distinct_id, generated_id(line) + &suffix, rest));
            continue;
        };
        let kept = latest.entry((name, time, distinct_id, insert_id)).or_insert((i64::MIN, String::new()));
        if received > kept.0 {
            *kept = (received, rest);
        }
    }
    rows.extend(latest.into_iter().map(|((name, time, id, insert), (_, rest))| (name, time, id, insert, rest)));
    rows.sort();
    rows
}
