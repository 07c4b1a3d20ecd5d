//! Loads of events: order, generated ids, completed runs, replaced days, and mutated statements.

use std::ops::ControlFlow;
use std::time::Duration;

use jiff::civil::date;

use super::batches::Batch;
use super::slices::StagedSlice;
use super::testing::{Event, Fixture};
use super::{DayState, last_event_load};
use crate::ErrorKind;
use crate::dataset::EVENTS;
use crate::event_query::Dedupe;
use crate::load::duckdb::load::load;
use crate::load::duckdb::load::mutants_tests::with_defect;
use crate::load::duckdb::preflight;
use crate::load::duckdb::verify;
use crate::load::package::LoadKind;
use crate::profile_query::IfExists;
use crate::slice::Slice;
use crate::store::catalog::{drop_tables, tables};
use crate::store::table_name::TableName;

const IDS: &str = "SELECT insert_id FROM events ORDER BY rowid";

fn table() -> TableName {
    TableName::parse("events").unwrap()
}

#[test]
fn rows_are_in_order_and_complete() {
    let mut fixture = Fixture::new();
    let late = Event::new("B", 1, 20, "c").with(r#"{"x":{"y":[1,2]},"x":2}"#, 5);
    fixture.slice(1, 2, &[Event::new("A", 2, 1, "d"), late.clone(), Event::new("A", 1, 3, "a")]);
    fixture.slice(3, 3, &[]);
    fixture.slice(4, 4, &[Event::new("A", 4, 0, "e")]);
    let (report, change) = fixture.load("r1", IfExists::Fail).unwrap();
    assert_eq!((report.rows, report.duplicates, change.table_rows), (4, 0, 4));
    assert_eq!(fixture.texts(IDS), ["a", "c", "d", "e"]);
    assert_eq!(fixture.rows()[1].4, late.properties, "byte for byte");
    assert_eq!(tables(&fixture.database).unwrap()[0].kind, "events");
    let schema = "SELECT column_name || ' ' || data_type FROM duckdb_columns() WHERE table_name = 'events' ORDER BY column_index";
    let columns =
        ["event_name VARCHAR", "event_time TIMESTAMP", "distinct_id VARCHAR", "insert_id VARCHAR", "properties JSON"];
    assert_eq!(fixture.texts(schema), columns);
    let view = "SELECT column_name FROM duckdb_columns() WHERE table_name = 'events_typed' ORDER BY column_index";
    assert_eq!(fixture.texts(view), ["event_name", "event_time", "distinct_id", "insert_id", "x"]);
    assert_eq!(fixture.texts("SELECT x::VARCHAR FROM events_typed WHERE insert_id = 'c'"), [r#"{"y":[1,2]}"#]);
}

#[test]
fn equal_events_without_an_insert_id_all_stay() {
    let mut fixture = Fixture::new();
    let id = format!("gen-{}", "0a".repeat(16));
    let event = Event::new("A", 1, 1, &id);
    let real = Event::new("A", 1, 1, "gen-not-generated");
    let rows = [event.clone(), event.clone(), real.clone(), event.clone(), real];
    fixture.slice(1, 1, &rows);
    let (report, _) = fixture.load("r1", IfExists::Fail).unwrap();
    assert_eq!((report.rows, report.duplicates), (4, 1));
    let mut ids = vec![id.clone(), format!("{id}-2"), format!("{id}-3"), "gen-not-generated".to_owned()];
    ids.sort();
    assert_eq!(fixture.texts("SELECT insert_id FROM events ORDER BY 1"), ids);
    // The next fetch gives them the same ids, so nothing changes.
    fixture.restage().slice(1, 1, &rows);
    let (report, change) = fixture.load("r2", IfExists::Append).unwrap();
    assert_eq!((report.rows, report.duplicates, change.unchanged), (0, 5, Some(4)));
    assert_eq!(fixture.texts("SELECT insert_id FROM events ORDER BY 1"), ids);
    // Without generated ids in the slice, one of this form is a real one.
    let mut fixture = Fixture::new();
    fixture.load.query.dedupe = Dedupe::Exact;
    let event = Event { insert_id: format!("gen-{}", "0A".repeat(16)), ..event };
    fixture.slice(1, 1, &[event.clone(), event]);
    let (report, _) = fixture.load("r1", IfExists::Fail).unwrap();
    assert_eq!((report.rows, report.duplicates), (1, 1));
}

#[test]
fn a_run_is_completed_by_its_other_slices() {
    let mut fixture = Fixture::new();
    fixture.load.query.to = date(2026, 1, 4);
    fixture.slice(9, 9, &[Event::new("A", 9, 1, "mine")]).load("r0", IfExists::Fail).unwrap();
    fixture.restage();
    fixture.failed = vec![1];
    fixture.load.failed_days = vec![(date(2026, 1, 3), date(2026, 1, 4))];
    fixture.slice(1, 2, &[Event::new("A", 1, 1, "a"), Event::new("A", 1, 1, "a")]);
    let (report, change) = fixture.load("r1", IfExists::Append).unwrap();
    assert_eq!((report.rows, report.duplicates), (1, 1));
    assert_eq!(change.days.unwrap().open_days, []);
    assert!(tables(&fixture.database).unwrap()[0].partial);
    fixture.all_loaded();
    (fixture.failed, fixture.load.failed_days) = (Vec::new(), Vec::new());
    fixture.slice(3, 4, &[Event::new("A", 3, 1, "b"), Event::new("A", 1, 1, "a")]);
    let (report, change) = fixture.load("r1", IfExists::Append).unwrap();
    assert_eq!((report.rows, report.duplicates, change.table_rows), (2, 2, 3));
    assert!(!tables(&fixture.database).unwrap()[0].partial);
    assert_eq!(fixture.texts(IDS), ["mine", "a", "b"]);
    assert!(verify(&fixture.database, "events").unwrap().is_intact());
}

#[test]
fn a_partial_table_is_made_again_by_its_own_run() {
    let mut fixture = Fixture::new();
    fixture.failed = vec![1];
    fixture.slice(1, 1, &[Event::new("A", 1, 1, "a")]).load("r1", IfExists::Fail).unwrap();
    fixture.all_loaded().failed.clear();
    fixture.slice(2, 2, &[Event::new("A", 2, 1, "b")]);
    let (report, _) = fixture.load("r1", IfExists::Fail).unwrap();
    assert_eq!((report.rows, report.duplicates), (2, 0));
    assert_eq!(fixture.texts(IDS), ["a", "b"]);
}

#[test]
fn only_days_that_came_completely_are_replaced() {
    let mut fixture = Fixture::new();
    let old: Vec<Event> = (1..=4).map(|day| Event::new("A", day, 1, "old")).collect();
    fixture.slice(1, 4, &old).load("r0", IfExists::Fail).unwrap();
    fixture.restage();
    let half = |from: i8, event: &str| Slice {
        from: date(2026, 1, from),
        to: date(2026, 1, from),
        events: vec![event.to_owned()],
    };
    // Day 2 is complete, of day 3 one half failed, and day 4 was not requested.
    fixture.slice_of(half(2, "A"), &[Event::new("A", 2, 2, "new")]);
    fixture.slice_of(half(2, "B"), &[Event::new("B", 2, 3, "new")]);
    fixture.slice_of(half(3, "A"), &[Event::new("A", 3, 2, "new"), Event::new("A", 4, 2, "outside")]);
    fixture.load.replaced_days = Some((date(2026, 1, 2), date(2026, 1, 3)));
    fixture.load.failed_days = vec![(date(2026, 1, 3), date(2026, 1, 3))];
    fixture.failed = vec![9];
    let (report, change) = fixture.load("r1", IfExists::Append).unwrap();
    let days = change.days.unwrap();
    assert_eq!((report.rows, days.replaced_rows, days.outside), (4, 1, 1));
    assert_eq!(days.open_days, [date(2026, 1, 3)]);
    assert_eq!(fixture.texts(IDS), ["old", "old", "old", "new", "new", "new", "outside"]);
    let recorded = last_event_load(&fixture.database, &table()).unwrap().unwrap();
    let found: Vec<(i8, u64, u64, DayState)> =
        recorded.days.iter().map(|day| (day.day.day(), day.rows, day.received, day.state)).collect();
    let settled = DayState::Settled;
    assert_eq!(found, [(1, 1, 1, settled), (2, 2, 2, settled), (3, 2, 1, DayState::Open), (4, 2, 1, settled)]);
    assert_eq!((recorded.project_id.as_str(), recorded.query), ("12345", fixture.load.query.clone()));
    assert!(recorded.partial);
}

#[test]
fn other_events_of_a_replaced_day_stay() {
    let mut fixture = Fixture::new();
    fixture.slice(1, 1, &[Event::new("A", 1, 1, "a"), Event::new("O'Brien", 1, 1, "b")]);
    fixture.load("r0", IfExists::Fail).unwrap();
    fixture.restage().slice(1, 1, &[]);
    fixture.load.replaced_days = Some((date(2026, 1, 1), date(2026, 1, 1)));
    fixture.load.query.events = vec!["O'Brien".to_owned()];
    fixture.load("r1", IfExists::Append).unwrap();
    assert_eq!(fixture.texts(IDS), ["a"]);
}

#[test]
fn a_day_settles_some_time_after_its_end() {
    for (started_at, limit, open) in [
        ("2026-01-08T23:59:59Z", None, 1),
        ("2026-01-09T00:00:00Z", None, 0),
        ("2026-01-01T00:00:00Z", None, 3),
        ("2026-01-09T00:00:00Z", Some(5), 3),
    ] {
        let mut fixture = Fixture::new();
        fixture.started_at = started_at.parse().unwrap();
        fixture.load.query.limit = limit;
        let (_, change) = fixture.slice(1, 3, &[]).load("r1", IfExists::Fail).unwrap();
        let days = change.days.unwrap();
        assert_eq!(days.open_days.len(), open, "{started_at}");
        let sql = "SELECT count(*) FILTER (state = 'open') || ' of ' || count(*) FROM _days";
        assert_eq!(fixture.texts(sql), [format!("{open} of 3")]);
    }
}

#[test]
fn a_repeated_load_reports_the_same() {
    let mut fixture = Fixture::new();
    fixture.slice(1, 2, &[Event::new("A", 1, 1, "a").with("{}", 1), Event::new("A", 1, 1, "a").with("{\"x\":1}", 2)]);
    fixture.started_at = "2026-01-04T00:00:00Z".parse().unwrap();
    let request = fixture.request("r1", IfExists::Fail);
    let go_on = &mut |_: &_| ControlFlow::Continue(());
    let (first, change) = load(&request, None, go_on).unwrap();
    assert_eq!(change.days.as_ref().unwrap().conflicting_duplicates, 1);
    let (again, repeated) = load(&request, None, go_on).unwrap();
    assert_eq!((first, &change.days), (again, &repeated.days));
    assert_eq!(fixture.texts("SELECT count(*)::VARCHAR FROM _fetches"), ["1"]);
    drop_tables(&fixture.database, &["events".to_owned()]).unwrap();
    assert_eq!(fixture.texts("SELECT count(*)::VARCHAR FROM _days"), ["0"]);
}

#[test]
fn preflight_rehearses_the_days() {
    let fixture = Fixture::new();
    fixture.execute("CREATE TABLE _days (a INTEGER)");
    let check = || preflight(&fixture.database, &EVENTS, &table(), IfExists::Append, LoadKind::First, Duration::ZERO);
    assert_eq!(check().unwrap_err().kind(), ErrorKind::InvalidInput);
    fixture.execute("DROP TABLE _days");
    check().unwrap();
}

#[test]
fn days_of_the_same_slices_are_one_batch() {
    let mut fixture = Fixture::new();
    fixture.slice(1, 2, &[Event::new("A", 1, 1, "a"), Event::new("A", 2, 1, "a"), Event::new("A", 3, 1, "a")]);
    fixture.slice(3, 4, &[Event::new("A", 3, 1, "a"), Event::new("A", 4, 1, "a")]);
    fixture.slice(5, 5, &[]);
    let slices = StagedSlice::look(&fixture.pages).unwrap();
    let batches = Batch::all(&slices);
    assert_eq!(batches.len(), 1, "small days are loaded together: {batches:?}");
    assert_eq!((batches[0].slices.as_slice(), batches[0].days.len()), (&[0, 1][..], 4));
    let mut large = slices;
    large.iter_mut().flat_map(|slice| &mut slice.days).for_each(|day| day.bytes = 50 << 20);
    let batches: Vec<(Vec<usize>, i8, usize)> =
        Batch::all(&large).into_iter().map(|batch| (batch.slices, batch.days[0].day(), batch.days.len())).collect();
    assert_eq!(batches, [(vec![0], 1, 2), (vec![0, 1], 3, 1), (vec![1], 4, 1)]);
}

/// Mutations of the statements of a load of events; each makes the load fail before its commit.
#[test]
fn a_mutated_load_fails() {
    let mut fixture = Fixture::new();
    fixture.slice(1, 1, &[Event::new("A", 1, 1, "a"), Event::new("A", 1, 2, "b").with(r#"{"x":1}"#, 1)]);
    fixture.load("r0", IfExists::Fail).unwrap();
    let id = format!("gen-{}", "0a".repeat(16));
    let event = Event::new("A", 2, 1, &id);
    fixture.restage().slice(
        1,
        2,
        &[
            event.clone(),
            event,
            Event::new("A", 1, 2, "b").with(r#"{"x":2}"#, 2),
            Event::new("A", 1, 1, "a"),
            Event::new("B", 2, 5, "c"),
            Event::new("B", 2, 5, "c"),
        ],
    );
    for (from, to) in [
        (
            "SELECT event_name, event_time, distinct_id, insert_id, properties::JSON FROM",
            "SELECT lower(event_name), event_time, distinct_id, insert_id, properties::JSON FROM",
        ),
        (
            "SELECT event_name, event_time, distinct_id, insert_id, properties::JSON FROM",
            "SELECT event_name, event_time + INTERVAL 1 HOUR, distinct_id, insert_id, properties::JSON FROM",
        ),
        (
            "SELECT event_name, event_time, distinct_id, insert_id, properties::JSON FROM",
            "SELECT event_name, event_time, distinct_id, insert_id, '{}'::JSON FROM",
        ),
        (
            "WHERE d.fate IS NULL OR d.fate = 'renamed'",
            "WHERE d.fate IS NULL OR d.fate = 'renamed' OR d.fate = 'known'",
        ),
        ("WHERE d.fate IS NULL OR d.fate = 'renamed'", "WHERE d.fate IS NULL"),
        ("ORDER BY _day, event_time, _part, _row", "ORDER BY _day, event_time, _part, _row LIMIT 3"),
        (
            "WHERE rowid IN (SELECT place FROM _removed)",
            "WHERE rowid IN (SELECT place FROM _removed) OR insert_id = 'a'",
        ),
    ] {
        let result = with_defect(from, to, || fixture.load("r1", IfExists::Append));
        let error = result.expect_err(to);
        assert_eq!(error.kind(), ErrorKind::Internal, "{to}: {error:?}");
        assert_eq!(fixture.texts("SELECT count(*)::VARCHAR FROM events"), ["2"]);
    }
    fixture.load("r1", IfExists::Append).unwrap();
    assert!(verify(&fixture.database, "events").unwrap().is_intact());
}

#[test]
fn changes_by_others_are_found() {
    let mut fixture = Fixture::new();
    fixture.slice(1, 1, &[Event::new("A", 1, 1, "a"), Event::new("A", 1, 2, "b")]).load("r1", IfExists::Fail).unwrap();
    let problems = || verify(&fixture.database, "events").unwrap().problems.join("; ");
    assert_eq!(problems(), "");
    fixture.execute("UPDATE events SET properties = '{\"x\":1}' WHERE insert_id = 'a'");
    assert!(problems().contains("the digests differ"));
    fixture.execute("INSERT INTO events SELECT * FROM events WHERE insert_id = 'a'");
    assert!(problems().contains("1 row has a duplicate event"), "{}", problems());
}

/// A user's macros with the names of functions change nothing.
#[test]
fn hostile_macros_are_not_called() {
    let mut fixture = Fixture::new();
    fixture.execute(
        "CREATE MACRO hash(a) AS 1; CREATE MACRO json_valid(a) AS false; CREATE MACRO lower(a) AS 'x';
         CREATE MACRO md5(a) AS 'x'; CREATE MACRO regexp_full_match(a, b) AS true; CREATE MACRO make_timestamp(a) AS NULL;
         CREATE MACRO json_extract_string(a, b) AS '9'; CREATE MACRO date_trunc(a, b) AS b;
         CREATE VIEW _fates AS SELECT 1 AS a; CREATE TABLE _pairs (a INTEGER); CREATE TABLE _repeated (h INTEGER)",
    );
    let rows =
        [Event::new("A", 1, 1, "a"), Event::new("A", 1, 1, "a"), Event::new("A", 1, 2, "b").with("{\"x\":1}", 1)];
    fixture.slice(1, 1, &rows).load("r1", IfExists::Fail).unwrap();
    fixture.restage().slice(1, 1, &rows);
    let (report, _) = fixture.load("r2", IfExists::Append).unwrap();
    assert_eq!((report.rows, report.duplicates), (0, 3));
    assert_eq!(fixture.texts(IDS), ["a", "b"]);
}
