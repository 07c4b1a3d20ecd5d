use std::fs;

use crate::dataset::PROFILES;
use crate::limits::PREFLIGHT_LOCK_WAIT;
use crate::load::duckdb::testing::{Fixture, Row};
use crate::load::{preflight, verify};
use crate::store::{drop_tables, tables};

use super::*;

const A: Row<'_> = ("a", r#"{"v":1}"#, Some(1));
const B: Row<'_> = ("b", r#"{"v":1}"#, None);
const C: Row<'_> = ("c", r#"{"v":1}"#, Some(3));
const D: Row<'_> = ("d", r#"{"v":1}"#, None);
/// A newer row with the id of a row in page 0.
const NEWER_A: Row<'_> = ("a", r#"{"v":2}"#, Some(9));

fn rows(fixture: &Fixture) -> Vec<String> {
    fixture.texts("SELECT concat_ws('|', distinct_id, properties, epoch_us(last_seen)) FROM profiles")
}

fn report(rows: u64, duplicates: u64) -> LoadReport {
    LoadReport { rows, duplicates, shortfall: 0, altered: 0 }
}

fn is_partial(fixture: &Fixture) -> bool {
    tables(&fixture.database).unwrap()[0].partial
}

fn assert_intact(fixture: &Fixture) {
    let report = verify(&fixture.database, "profiles").unwrap();
    assert!(report.is_intact(), "{report:?}");
}

/// A partial load of page 0, `[A, B]`, with page 1, `[C, NEWER_A]`, staged afterwards.
fn partial(if_exists: IfExists) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.page(&[A, B]);
    assert_eq!(fixture.load_partial("r1", if_exists).unwrap(), report(2, 0));
    assert!(is_partial(&fixture));
    fixture.all_loaded().page(&[C, NEWER_A]);
    fixture
}

#[test]
fn completing_an_untouched_table_equals_a_full_load() {
    for if_exists in [IfExists::Fail, IfExists::Append, IfExists::Upsert, IfExists::Replace] {
        let mut whole = Fixture::new();
        whole.page(&[A, B]).page(&[C, NEWER_A]).page(&[D]);
        whole.load("r1", if_exists).unwrap();

        // The missing page is the middle one.
        let mut fixture = Fixture::new();
        fixture.page(&[A, B]).page(&[D]);
        fixture.load_partial("r1", if_exists).unwrap();
        fixture.execute("CREATE INDEX by_time ON profiles (last_seen); CREATE VIEW v AS SELECT * FROM profiles");
        fixture.all_loaded().page(&[C, NEWER_A]);
        fixture.pages.swap(1, 2);
        let kind = LoadKind::Completing;
        preflight(
            &fixture.database,
            &PROFILES,
            &TableName::parse("profiles").unwrap(),
            if_exists,
            kind,
            PREFLIGHT_LOCK_WAIT,
        )
        .unwrap();
        assert_eq!(fixture.load("r1", if_exists).unwrap(), report(4, 1), "{if_exists:?}");
        assert_eq!(rows(&fixture), rows(&whole), "{if_exists:?}");
        assert_eq!(rows(&fixture), [r#"b|{"v":1}"#, r#"c|{"v":1}|3"#, r#"a|{"v":2}|9"#, r#"d|{"v":1}"#]);
        assert!(!is_partial(&fixture));
        assert_intact(&fixture);
        assert_eq!(fixture.texts("SELECT index_name FROM duckdb_indexes()"), ["by_time"]);
        assert_eq!(fixture.texts("SELECT count(*)::VARCHAR FROM v"), ["4"]);
        assert_eq!(
            fixture.texts("SELECT concat_ws('|', run_id, load_id, partial) FROM _fetches"),
            ["r1|r1-2|true", "r1|r1-3|false"]
        );
        // Repeating the load does nothing.
        assert_eq!(fixture.load("r1", if_exists).unwrap(), report(4, 1));
        assert_eq!(fixture.texts("SELECT count(*)::VARCHAR FROM _fetches"), ["2"]);
    }
}

#[test]
fn a_table_stays_partial_until_all_pages_are_loaded() {
    let mut fixture = partial(IfExists::Fail);
    assert_eq!(fixture.load_partial("r1", IfExists::Fail).unwrap(), report(3, 1));
    assert!(is_partial(&fixture));
    fixture.all_loaded().page(&[D]);
    assert_eq!(fixture.load("r1", IfExists::Fail).unwrap(), report(4, 1));
    assert!(!is_partial(&fixture));
}

#[test]
fn a_new_session_replaces_the_rows_of_an_untouched_table() {
    let mut fixture = Fixture::new();
    fixture.page(&[A, B]);
    fixture.load_partial("r1", IfExists::Fail).unwrap();
    // `b` was deleted in Mixpanel in the meantime.
    fixture.lose_session().page(&[NEWER_A, C]).page(&[D]);
    assert_eq!(fixture.load("r1", IfExists::Fail).unwrap(), report(3, 0));
    assert_eq!(rows(&fixture), [r#"a|{"v":2}|9"#, r#"c|{"v":1}|3"#, r#"d|{"v":1}"#]);
    assert_intact(&fixture);
}

#[test]
fn completing_a_run_keeps_rows_changed_meanwhile() {
    let altered = LoadReport { altered: 1, ..report(2, 2) };
    // Each change and the resulting table: `a` is newer, `c` is new.
    let cases = [
        ("DELETE FROM profiles WHERE distinct_id = 'a'", vec![r#"b|{"v":1}"#, r#"c|{"v":1}|3"#], altered),
        ("DELETE FROM profiles WHERE distinct_id = 'b'", vec![r#"a|{"v":2}|9"#, r#"c|{"v":1}|3"#], altered),
        (
            "UPDATE profiles SET properties = '{\"mine\":1}' WHERE distinct_id = 'a'",
            vec![r#"a|{"mine":1}|1"#, r#"b|{"v":1}"#, r#"c|{"v":1}|3"#],
            altered,
        ),
        (
            "INSERT INTO profiles VALUES ('mine', '{}', NULL), (NULL, '{}', NULL)",
            vec![r#"a|{"v":2}|9"#, r#"b|{"v":1}"#, r#"c|{"v":1}|3"#, "mine|{}", "{}"],
            report(3, 1),
        ),
        (
            "INSERT INTO profiles VALUES ('c', '{\"mine\":1}', NULL)",
            vec![r#"a|{"v":2}|9"#, r#"b|{"v":1}"#, r#"c|{"mine":1}"#],
            report(2, 2),
        ),
        (
            "ALTER TABLE profiles ADD COLUMN note VARCHAR DEFAULT 'n'",
            vec![r#"a|{"v":2}|9"#, r#"b|{"v":1}"#, r#"c|{"v":1}|3"#],
            report(3, 1),
        ),
    ];
    for (sql, mut expected, counts) in cases {
        let fixture = partial(IfExists::Fail);
        fixture.execute(sql);
        assert_eq!(fixture.load("r1", IfExists::Fail).unwrap(), counts, "{sql}");
        let mut found = rows(&fixture);
        found.sort();
        expected.sort_unstable();
        assert_eq!(found, expected, "{sql}");
        assert!(!is_partial(&fixture));
    }
}

#[test]
fn a_dropped_table_is_recreated() {
    let fixture = partial(IfExists::Fail);
    drop_tables(&fixture.database, &["profiles".to_owned()]).unwrap();
    assert_eq!(fixture.load("r1", IfExists::Fail).unwrap(), report(3, 1));
    assert_eq!(rows(&fixture).len(), 3);
}

#[test]
fn completing_a_run_does_not_touch_a_table_of_another_run() {
    for if_exists in [IfExists::Fail, IfExists::Replace] {
        let mut fixture = partial(if_exists);
        let (pages, previous) = (fixture.pages.clone(), fixture.previous.clone());
        fixture.restage().page(&[D]);
        let (mine, stage) = (fixture.pages[0].clone(), fixture.stage.join("d.parquet"));
        fs::rename(&mine, &stage).unwrap();
        fixture.pages = vec![stage];
        fixture.load("r2", IfExists::Replace).unwrap();
        fixture.page(&[A, B]);
        (fixture.pages, fixture.previous) = (pages, previous);
        let error = fixture.load("r1", if_exists).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TableExists, "{error:?}");
        assert!(error.message().contains("run `r2`"), "{error}");
        assert_eq!(rows(&fixture), [r#"d|{"v":1}"#]);
    }
}

/// An older table with `a` as in page 0, and `b` with other properties.
fn into_an_older_table(if_exists: IfExists) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.execute(
        "CREATE TABLE profiles (distinct_id VARCHAR PRIMARY KEY, properties JSON, last_seen TIMESTAMP);
         INSERT INTO profiles VALUES ('b', '{\"old\":1}', NULL), ('d', '{\"old\":1}', NULL), ('z', '{}', NULL)",
    );
    fixture.page(&[A, B]);
    fixture.load_partial("r1", if_exists).unwrap();
    fixture.all_loaded().page(&[C, NEWER_A]).page(&[D]);
    fixture
}

#[test]
fn an_append_is_completed_by_content() {
    let fixture = into_an_older_table(IfExists::Append);
    assert!(is_partial(&fixture));
    assert_eq!(fixture.load("r1", IfExists::Append).unwrap(), report(2, 3));
    let mut found = rows(&fixture);
    found.sort();
    assert_eq!(found, [r#"a|{"v":2}|9"#, r#"b|{"old":1}"#, r#"c|{"v":1}|3"#, r#"d|{"old":1}"#, "z|{}"]);
    assert!(!is_partial(&fixture));
    assert_intact(&fixture);
    let sums = fixture.texts("SELECT (rows + duplicates + rejected = received)::VARCHAR FROM _fetches");
    assert_eq!(sums, ["true", "true"]);
}

#[test]
fn an_upsert_is_completed_by_content() {
    let fixture = into_an_older_table(IfExists::Upsert);
    assert_eq!(fixture.load("r1", IfExists::Upsert).unwrap(), report(4, 1));
    let mut found = rows(&fixture);
    found.sort();
    assert_eq!(found, [r#"a|{"v":2}|9"#, r#"b|{"v":1}"#, r#"c|{"v":1}|3"#, r#"d|{"v":1}"#, "z|{}"]);
    assert!(!is_partial(&fixture));
    assert_intact(&fixture);
}

#[test]
fn append_counts_equal_those_of_a_complete_run() {
    // `a` was in the table before the run and equals the run's row, but never counts as the run's.
    let make = || {
        let mut fixture = Fixture::new();
        fixture.execute(
            "CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP);
             INSERT INTO profiles VALUES ('a', '{\"v\":1}', make_timestamp(1))",
        );
        fixture.page(&[A, B]);
        fixture
    };
    let mut whole = make();
    whole.page(&[C]);
    let expected = whole.load("r1", IfExists::Append).unwrap();
    let mut fixture = make();
    fixture.load_partial("r1", IfExists::Append).unwrap();
    fixture.all_loaded().page(&[C]);
    assert_eq!(fixture.load("r1", IfExists::Append).unwrap(), expected);
    assert_eq!(expected, report(2, 1));
    assert_eq!(rows(&fixture), rows(&whole));
}

#[test]
fn only_the_run_that_left_a_table_partial_completes_it() {
    let mut fixture = partial(IfExists::Fail);
    let (pages, previous) = (fixture.pages.clone(), fixture.previous.clone());
    // Appending a complete run leaves the table partial.
    fixture.pages = pages[1..].to_vec();
    fixture.previous.clear();
    fixture.load("r2", IfExists::Append).unwrap();
    assert!(is_partial(&fixture));
    (fixture.pages, fixture.previous) = (pages, previous);
    fixture.load("r1", IfExists::Fail).unwrap();
    assert!(!is_partial(&fixture));

    // Two partial runs, neither of which can complete the other.
    let mut fixture = partial(IfExists::Fail);
    let page = fixture.pages.pop().unwrap();
    fixture.previous.clear();
    fixture.load_partial("r2", IfExists::Append).unwrap();
    fixture.all_loaded().pages.push(page);
    fixture.load("r1", IfExists::Fail).unwrap();
    assert!(is_partial(&fixture));
    fixture.previous.clear();
    fixture.load("r3", IfExists::Replace).unwrap();
    assert!(!is_partial(&fixture));
}
