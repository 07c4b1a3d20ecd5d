//! Runs after every successful fetch of any test: every record sent must be in the table or be counted as a duplicate
//! or a reject, and each row must equal the record sent. Independent of the code under test.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use duckdb::{AccessMode, Config, Connection};
use mixpanel_simulator::SentPage;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object as text, in order and including duplicates.
struct Members(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    members.push((key, value.get().to_owned()));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}

/// A record that is a valid row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    id: String,
    properties: Vec<(String, String)>,
    /// In Mixpanel's format.
    last_seen: Option<String>,
}

impl Row {
    /// Parses a record as sent; returns `None` unless it is clearly a valid row.
    fn sent(record: &str) -> Option<Self> {
        let members: Members = serde_json::from_str(record).ok()?;
        let last = |name: &str| members.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let id = last("$distinct_id")?;
        let id = match id.as_bytes().first()? {
            b'"' => serde_json::from_str(id).ok()?,
            b'-' | b'0'..=b'9' => id.to_owned(),
            _ => return None,
        };
        let properties = match last("$properties") {
            None | Some("null") => Members(Vec::new()),
            Some(text) => serde_json::from_str(text).ok()?,
        };
        Some(Self::lifted(id, properties.0))
    }

    /// Moves `$last_seen` into its own field if it occurs once, with a time in the usual format. Otherwise it stays.
    fn lifted(id: String, mut properties: Vec<(String, String)>) -> Self {
        let seen: Vec<&String> =
            properties.iter().filter(|(key, _)| key == "$last_seen").map(|(_, value)| value).collect();
        let moment = match seen[..] {
            [seen] => seen.strip_prefix('"').and_then(|seen| seen.strip_suffix('"')).map(str::to_owned),
            _ => None,
        };
        let moment = moment.filter(|seen| is_moment(seen));
        if moment.is_some() {
            properties.retain(|(key, _)| key != "$last_seen");
        }
        Self { id, properties, last_seen: moment }
    }
}

fn is_moment(text: &str) -> bool {
    text.len() == 19
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            10 => byte == b'T',
            13 | 16 => byte == b':',
            // Minutes and seconds begin with 0 to 5.
            14 | 17 => (b'0'..b'6').contains(&byte),
            _ => byte.is_ascii_digit(),
        })
}

/// A load as recorded in `_fetches`.
struct Load {
    table: String,
    made: bool,
    partial: bool,
    received: u64,
    rows: u64,
    duplicates: u64,
    rejected: u64,
    pages: u64,
}

/// Checks the newest load of a database against what the server sent.
pub(crate) fn check(database: &Path, sent: &[SentPage]) {
    let Some(connection) = open(database) else { return };
    let Some(load) = newest_load(&connection) else { return };
    assert_eq!(load.rows + load.duplicates + load.rejected, load.received, "records are not conserved in `_fetches`");
    let sessions = sessions(sent);
    if sessions.is_empty() {
        return;
    }
    let table = rows(&connection, &load.table);
    let every: BTreeSet<&Row> = sessions.iter().flat_map(|session| session.rows.iter()).collect();
    let ids: BTreeSet<&str> = every.iter().map(|row| row.id.as_str()).collect();
    for row in table.iter().filter(|row| ids.contains(row.id.as_str())) {
        // A time in an unusual format may have been parsed as well.
        let is_odd = |sent: &&&Row| {
            sent.last_seen.is_none()
                && sent.id == row.id
                && sent.properties == row.properties
                && row.last_seen.is_some()
        };
        let is_sent = every.contains(row) || every.iter().any(|sent| is_odd(&sent));
        assert!(is_sent || !load.made, "the row of `{}` is not what was sent: {row:?}", row.id);
    }
    if load.partial {
        return;
    }
    // The count is smaller if a page is unknown here, such as one that an earlier server sent.
    let counts: Vec<u64> = sessions.iter().map(|session| session.records(load.pages)).collect();
    let whole = sessions.iter().rev().find(|session| session.records(load.pages) == load.received);
    let Some(session) = whole else {
        let is_resumed = sessions.iter().all(|session| (session.pages.len() as u64) < load.pages);
        assert!(is_resumed, "{} records were received, and the server sent {counts:?}", load.received);
        return;
    };
    let expected: BTreeSet<&str> = session.rows.iter().map(|row| row.id.as_str()).collect();
    let found: BTreeSet<&str> = table.iter().map(|row| row.id.as_str()).collect();
    let missing: Vec<_> = expected.difference(&found).collect();
    assert!(missing.len() as u64 <= load.rejected, "the table lacks {missing:?}");
    if load.made {
        assert_eq!(found.len(), table.len(), "an id is in the table twice");
        assert_eq!(table.len() as u64, load.rows, "`_fetches` has another number of rows than the table");
    }
}

/// Checks the output of `--stdout` against what the server sent.
pub(crate) fn check_stream(output: &str, sent: &[SentPage]) {
    let every: BTreeSet<String> =
        sessions(sent).into_iter().flat_map(|session| session.raw).map(|record| compact(&record)).collect();
    if every.is_empty() {
        return;
    }
    for line in output.lines() {
        let id = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(line).unwrap_or_default();
        let is_raw = id.contains_key("$distinct_id");
        assert!(!is_raw || every.contains(&compact(line)), "no record of the server: {line}");
    }
}

fn compact(record: &str) -> String {
    record.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn open(database: &Path) -> Option<Connection> {
    if !database.is_file() {
        return None;
    }
    let config = Config::default().access_mode(AccessMode::ReadOnly).expect("a mode");
    // A test may hold the database open itself.
    Connection::open_with_flags(database, config).ok()
}

fn newest_load(connection: &Connection) -> Option<Load> {
    let sql = "SELECT table_name, made_table, partial, received, rows, duplicates, rejected, page_count
               FROM main._fetches ORDER BY rowid DESC LIMIT 1";
    let load = connection.query_row(sql, [], |row| {
        Ok(Load {
            table: row.get(0)?,
            made: row.get(1)?,
            partial: row.get(2)?,
            received: row.get(3)?,
            rows: row.get(4)?,
            duplicates: row.get(5)?,
            rejected: row.get(6)?,
            pages: row.get(7)?,
        })
    });
    load.ok()
}

fn rows(connection: &Connection, table: &str) -> Vec<Row> {
    let sql = format!(
        "SELECT distinct_id, properties::VARCHAR, strftime(last_seen, '%Y-%m-%dT%H:%M:%S') FROM main.\"{}\"",
        table.replace('"', "\"\"")
    );
    let mut query = connection.prepare(&sql).expect("the table of the load");
    let found = query.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?))).expect("its rows");
    found
        .map(|row| {
            let (id, properties, last_seen) = row.expect("a row");
            let properties: Members = serde_json::from_str(&properties).expect("an object");
            Row { id, properties: properties.0, last_seen }
        })
        .collect()
}

/// The pages that the server sent in one session.
#[derive(Default)]
struct Session {
    /// The number of records per page; the latest response counts.
    pages: BTreeMap<u64, u64>,
    rows: Vec<Row>,
    raw: Vec<String>,
}

impl Session {
    fn records(&self, pages: u64) -> u64 {
        self.pages.range(..pages).map(|(_, records)| records).sum()
    }
}

#[derive(Deserialize)]
struct Envelope {
    session_id: Option<String>,
    results: Vec<Box<RawValue>>,
}

/// Returns the sessions in the order in which they began. Responses that are not pages are ignored.
fn sessions(sent: &[SentPage]) -> Vec<Session> {
    let mut order: Vec<String> = Vec::new();
    let mut sessions: BTreeMap<String, Session> = BTreeMap::new();
    for page in sent {
        let Ok(envelope) = serde_json::from_slice::<Envelope>(&page.body) else { continue };
        let Some(id) = page.session_id.clone().or(envelope.session_id) else { continue };
        if !order.contains(&id) {
            order.push(id.clone());
        }
        let session = sessions.entry(id).or_default();
        session.pages.insert(page.page, envelope.results.len() as u64);
        session.rows.extend(envelope.results.iter().filter_map(|record| Row::sent(record.get())));
        session.raw.extend(envelope.results.iter().map(|record| record.get().to_owned()));
    }
    order.iter().filter_map(|id| sessions.remove(id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(session: &str, page: u64, records: &str) -> SentPage {
        SentPage::new(page, Some(session.to_owned()), format!(r#"{{"results":[{records}]}}"#))
    }

    const A: &str = r#"{"$distinct_id":"a","$properties":{"n":1.50,"$last_seen":"2026-01-01T00:00:00"}}"#;
    const B: &str = r#"{"$distinct_id":7,"$properties":null}"#;

    /// Creates a database as a load leaves it, with these rows and counts.
    fn database(directory: &Path, rows: &str, counts: &str) -> std::path::PathBuf {
        let path = directory.join("x.db");
        let _ = std::fs::remove_file(&path);
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(&format!(
                "CREATE TABLE t (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP); INSERT INTO t VALUES {rows};
                 CREATE TABLE _fetches AS SELECT 't' AS table_name, true AS made_table, false AS partial, {counts}"
            ))
            .unwrap();
        path
    }

    #[test]
    fn the_conservation_check_finds_lost_and_changed_rows() {
        let directory = tempfile::tempdir().unwrap();
        let sent = [page("s", 0, A), page("s", 1, B)];
        let good = r#"('a', '{"n":1.50}', '2026-01-01'), ('7', '{}', NULL)"#;
        let counts = |rows: u64, duplicates: u64, rejected: u64, received: u64| {
            format!(
                "{received} AS received, {rows} AS rows, {duplicates} AS duplicates, {rejected} AS rejected, 2 AS page_count"
            )
        };
        let passes = |rows: &str, counts: &str| {
            let path = database(directory.path(), rows, counts);
            std::panic::catch_unwind(|| check(&path, &sent)).is_ok()
        };
        assert!(passes(good, &counts(2, 0, 0, 2)));
        for (rows, counts) in [
            (good, counts(2, 0, 0, 3)),
            (good, counts(3, 0, 0, 3)),
            (good, counts(1, 1, 0, 2)),
            (r#"('a', '{"n":1.5}', '2026-01-01'), ('7', '{}', NULL)"#, counts(2, 0, 0, 2)),
            (r#"('a', '{"n":1.50}', '2026-01-02'), ('7', '{}', NULL)"#, counts(2, 0, 0, 2)),
            (r#"('a', '{"n":1.50}', NULL), ('7', '{}', NULL)"#, counts(2, 0, 0, 2)),
            (r#"('a', '{"n":1.50}', '2026-01-01')"#, counts(1, 1, 0, 2)),
            (
                r#"('a', '{"n":1.50}', '2026-01-01'), ('a', '{"n":1.50}', '2026-01-01'), ('7', '{}', NULL)"#,
                counts(3, 0, 0, 3),
            ),
        ] {
            assert!(!passes(rows, &counts), "{rows} {counts}");
        }
    }
}
