//! Tables of the Python package, with a primary key on `insert_id`.

use super::testing::{Event, Fixture};
use crate::event_query::Dedupe;
use crate::load::duckdb::verify;
use crate::profile_query::IfExists;

const PYTHON: &str = "
    CREATE TABLE events (event_name VARCHAR NOT NULL, event_time TIMESTAMP NOT NULL, distinct_id VARCHAR NOT NULL,
        insert_id VARCHAR PRIMARY KEY, properties JSON);
    CREATE TABLE _metadata (table_name VARCHAR PRIMARY KEY, type VARCHAR NOT NULL, fetched_at TIMESTAMP NOT NULL,
        from_date DATE, to_date DATE, row_count INTEGER NOT NULL);
    INSERT INTO events VALUES
        ('A', '2026-01-01 01:00:00', 'u', 'a', '{\"p\":1}'),
        ('A', '2026-01-01 02:00:00', 'u', 'b', '{\"p\":1,\"mp_processing_time_ms\":9}');
    INSERT INTO _metadata VALUES ('events', 'events', '2026-01-02', '2025-12-30', '2026-01-01', 2)";

const ROWS: &str =
    "SELECT insert_id || ' ' || event_time || ' ' || properties FROM events ORDER BY event_time, insert_id";

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    fixture.execute(PYTHON);
    fixture
}

#[test]
fn rows_without_milliseconds_are_the_same() {
    let mut fixture = fixture();
    let mut precise = Event::new("A", 1, 1, "a").with(r#"{"p":1}"#, 5);
    precise.time += 123_000;
    let earlier = Event::new("A", 1, 2, "b").with(r#"{"p":2,"mp_processing_time_ms":8}"#, 8);
    fixture.slice(1, 1, &[precise, earlier]);
    let (report, change) = fixture.load("r1", IfExists::Append).unwrap();
    assert_eq!((report.rows, report.duplicates), (1, 1));
    assert_eq!((change.updated, change.unchanged), (Some(1), Some(1)));
    assert_eq!(
        fixture.texts(ROWS),
        [r#"a 2026-01-01 01:00:00.123 {"p":1}"#, r#"b 2026-01-01 02:00:00 {"p":1,"mp_processing_time_ms":9}"#]
    );
    assert_eq!(fixture.texts("SELECT from_date || ' ' || to_date FROM _metadata"), ["2025-12-30 2026-01-31"]);
    assert!(verify(&fixture.database, "events").unwrap().is_intact());
}

#[test]
fn other_rows_with_the_same_id_get_another() {
    let mut fixture = fixture();
    let rows = [
        // Another event, another time, another day.
        Event::new("B", 1, 1, "a"),
        Event::new("A", 1, 5, "a"),
        Event::new("A", 7, 1, "a"),
        // Among themselves.
        Event::new("C", 2, 1, "c"),
        Event::new("C", 2, 2, "c"),
        Event::new("C", 2, 2, "c"),
    ];
    fixture.slice(1, 7, &rows);
    let (report, _) = fixture.load("r1", IfExists::Append).unwrap();
    assert_eq!((report.rows, report.duplicates), (5, 1));
    let first = fixture.texts(ROWS);
    assert_eq!(first.len(), 7);
    assert_eq!(
        first.iter().filter(|row| row.as_bytes()[1] == b'#' && row.as_bytes()[10] == b' ').count(),
        4,
        "{first:?}"
    );
    // Repeated, in another order, they have the same ids.
    let mut reversed = rows;
    reversed.reverse();
    fixture.restage().slice(1, 7, &reversed);
    let (report, change) = fixture.load("r2", IfExists::Append).unwrap();
    assert_eq!((report.rows, report.duplicates, change.unchanged), (0, 6, Some(5)));
    assert_eq!(fixture.texts(ROWS), first);
    assert!(verify(&fixture.database, "events").unwrap().is_intact());
}

#[test]
fn by_day_rows_of_another_time_are_the_same() {
    let (a, b) = (r#"a 2026-01-01 01:00:00 {"p":1}"#, r#"b 2026-01-01 02:00:00 {"p":1,"mp_processing_time_ms":9}"#);
    let mut precise = Event::new("A", 1, 2, "b").with("{}", 8);
    precise.time += 123_000;
    for (event, expected) in [
        (Event::new("A", 1, 5, "a"), [b, "a 2026-01-01 05:00:00 {}"]),
        (Event::new("A", 1, 1, "a").with("{}", None), ["a 2026-01-01 01:00:00 {}", b]),
        // The one ingested later stays, unless it has no milliseconds.
        (Event::new("A", 1, 7, "b").with("{}", 8), [a, b]),
        (Event::new("A", 1, 7, "b").with("{}", 10), [a, "b 2026-01-01 07:00:00 {}"]),
        (precise, [a, "b 2026-01-01 02:00:00.123 {}"]),
    ] {
        let mut fixture = fixture();
        fixture.load.query.dedupe = Dedupe::Day;
        fixture.slice(1, 1, std::slice::from_ref(&event)).load("r1", IfExists::Append).unwrap();
        assert_eq!(fixture.texts(ROWS), expected, "{event:?}");
        assert!(verify(&fixture.database, "events").unwrap().is_intact(), "{event:?}");
    }
}

#[test]
fn by_day_a_row_is_found_by_the_id_that_it_got() {
    let mut fixture = fixture();
    fixture.load.query.dedupe = Dedupe::Day;
    let others =
        "SELECT insert_id[:2] || ' ' || event_time FROM events WHERE insert_id NOT IN ('a', 'b') ORDER BY event_time";
    for hour in [1, 3, 2, 2] {
        fixture.restage().slice(7, 8, &[Event::new("A", 7, hour, "a"), Event::new("A", 8, hour, "a")]);
        fixture.load(&format!("r{hour}"), IfExists::Append).unwrap();
        let expected = [7, 8].map(|day| format!("a# 2026-01-0{day} 0{hour}:00:00"));
        assert_eq!(fixture.texts(others), expected);
        assert!(verify(&fixture.database, "events").unwrap().is_intact());
    }
    assert_eq!(fixture.texts("SELECT count(*)::VARCHAR FROM events"), ["4"]);
}
