//! Random tables of events, and what tests of the macros share.

use std::collections::BTreeMap;

use duckdb::Connection;
use jiff::civil::Date;

use super::ensure_macros;

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const DAY: i64 = 86_400 * SECOND;

/// An event of a test. `at` is in microseconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    pub(super) name: &'static str,
    pub(super) at: i64,
    pub(super) id: &'static str,
}

/// A seeded random number generator (SplitMix64).
pub(super) struct Draw(pub(super) u64);

impl Draw {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    pub(super) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}

/// Returns the events of a random table: few users and names, many equal times, some rows without a user, in some
/// tables no rows.
pub(super) fn events(seed: u64) -> Vec<Event> {
    let mut draw = Draw(seed);
    let number = draw.one_of(&[0, 1, 3, 10, 40, 120]);
    let step = draw.one_of(&[SECOND, 7 * SECOND, 600 * SECOND, 1_800 * SECOND, DAY / 4, DAY, 5 * DAY]);
    let range = draw.one_of(&[3, 12, 60]);
    let start = draw.one_of(&["2024-12-29", "2025-02-25", "1969-12-30", "2024-02-28"]);
    let start = i64::from(day_number(start.parse().unwrap())) * DAY + draw.one_of(&[0, DAY - SECOND, DAY / 2]);
    (0..number)
        .map(|_| Event {
            name: draw.one_of(&["a", "b", "b", "c", "d", "$identify"]),
            at: start + i64::try_from(draw.below(range)).unwrap() * step + draw.one_of(&[0, 0, SECOND, -2 * SECOND, 1]),
            id: draw.one_of(&["", "u1", "u2", "u2", "u3", "\u{1f600}"]),
        })
        .collect()
}

/// Returns a connection with the macros and a table `events`.
pub(super) fn database(events: &[Event]) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    ensure_macros(&connection).unwrap();
    create(&connection, "events", events);
    connection
}

/// Creates a table of events, as the Python package does.
pub(super) fn create(connection: &Connection, table: &str, events: &[Event]) {
    let sql = format!(
        "CREATE TABLE {table} (event_name VARCHAR NOT NULL, event_time TIMESTAMP NOT NULL, distinct_id VARCHAR NOT NULL,
         insert_id VARCHAR PRIMARY KEY, properties JSON)"
    );
    connection.execute_batch(&sql).unwrap();
    insert(connection, table, events);
}

/// Replaces the contents of the table `events`.
pub(super) fn fill(connection: &Connection, events: &[Event]) {
    connection.execute_batch("TRUNCATE events").unwrap();
    insert(connection, "events", events);
}

fn insert(connection: &Connection, table: &str, events: &[Event]) {
    let rows = events.iter().enumerate().map(|(number, Event { name, at, id })| {
        format!("('{name}', make_timestamp({at}), '{id}', '{number}', '{{}}')")
    });
    let rows = rows.collect::<Vec<_>>().join(", ");
    if !rows.is_empty() {
        connection.execute_batch(&format!("INSERT INTO {table} VALUES {rows}")).unwrap();
    }
}

/// Returns the rows of a query as text, in order, with `-` for NULL.
pub(super) fn rows(connection: &Connection, query: &str) -> Vec<String> {
    let sql = format!(
        "SELECT concat_ws('|', *COLUMNS(lambda c: true)) FROM (SELECT coalesce(COLUMNS(*)::VARCHAR, '-') FROM ({query}))"
    );
    let mut statement = connection.prepare(&sql).unwrap_or_else(|error| panic!("{query}: {error}"));
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{query}: {error}"))
}

/// Returns the times of each user, sorted, of the events that pass the filter. Events without a user are left out.
pub(super) fn by_user(events: &[Event], keep: impl Fn(&Event) -> bool) -> BTreeMap<&str, Vec<i64>> {
    let mut users: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for event in events.iter().filter(|event| !event.id.is_empty() && keep(event)) {
        users.entry(event.id).or_default().push(event.at);
    }
    users.values_mut().for_each(|times| times.sort_unstable());
    users
}

/// Returns the number of the day of a time, counted from 1970.
pub(super) fn day_of(at: i64) -> i32 {
    i32::try_from(at.div_euclid(DAY)).unwrap()
}

pub(super) fn day_number(date: Date) -> i32 {
    (date - Date::constant(1970, 1, 1)).get_days()
}

pub(super) fn date(day: i32) -> Date {
    Date::constant(1970, 1, 1).checked_add(jiff::Span::new().days(day)).unwrap()
}

/// Returns the first day of the period to which a time belongs.
pub(super) fn period_of(unit: &str, at: i64) -> i32 {
    let day = day_of(at);
    match unit {
        "day" => day,
        // 1970 began on a Thursday.
        "week" => day - (day + 3).rem_euclid(7),
        _ => day_number(date(day).first_of_month()),
    }
}

/// Returns the first day of the period that follows the one that begins on this day, or that precedes it.
pub(super) fn moved(unit: &str, day: i32, by: i32) -> i32 {
    match unit {
        "day" => day + by,
        "week" => day + 7 * by,
        _ => day_number(date(day).checked_add(jiff::Span::new().months(by)).unwrap()),
    }
}

/// Formats a share as the macros do.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { float((10_000.0 * part as f64 / whole as f64).round() / 100.0) }
}

/// Formats a number as DuckDB does.
pub(super) fn float(value: f64) -> String {
    format!("{value:?}")
}
