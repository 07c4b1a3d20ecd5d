use crate::load::duckdb::testing::Fixture;
use crate::load::duckdb::verify;

use super::*;

const PYTHON_TABLE: &str = "
    CREATE TABLE profiles (distinct_id VARCHAR PRIMARY KEY, properties JSON, last_seen TIMESTAMP);
    INSERT INTO profiles VALUES ('a', '{\"v\":0}', NULL), ('b', '{\"v\":0}', make_timestamp(5)), ('c', '{\"v\":0}', NULL);";

fn rows(fixture: &Fixture) -> Vec<String> {
    fixture.texts("SELECT concat_ws('|', distinct_id, properties, epoch_us(last_seen)) FROM profiles ORDER BY ALL")
}

fn report(rows: u64, duplicates: u64) -> LoadReport {
    LoadReport { rows, duplicates, shortfall: 0, altered: 0 }
}

fn assert_intact(fixture: &Fixture) {
    let report = verify(&fixture.database, "profiles").unwrap();
    assert!(report.is_intact(), "{report:?}");
}

#[test]
fn upserted_rows_replace_existing_ones_and_others_stay() {
    let mut fixture = Fixture::new();
    fixture.page(&[("a", r#"{"v":1}"#, None), ("b", r#"{"v":1}"#, Some(5)), ("c", r#"{"v":1}"#, Some(1))]);
    fixture.load("r1", IfExists::Fail).unwrap();
    fixture.restage().page(&[
        ("b", r#"{"v":2}"#, Some(5)),
        ("a", r#"{"v":2}"#, None),
        ("d", r#"{"v":2}"#, None),
        ("d", r#"{"v":3}"#, Some(1)),
    ]);
    assert_eq!(fixture.load("r2", IfExists::Upsert).unwrap(), report(3, 1));
    assert_eq!(rows(&fixture), [r#"a|{"v":2}"#, r#"b|{"v":2}|5"#, r#"c|{"v":1}|1"#, r#"d|{"v":3}|1"#]);
    assert_eq!(fixture.texts("SELECT on_existing FROM _fetches"), ["fail", "upsert"]);
    assert_intact(&fixture);
}

#[test]
fn a_load_tells_how_it_changed_the_table() {
    let change = |fixture: &Fixture, if_exists| {
        let request = fixture.request(fixture.run("r2"), if_exists);
        load(&request, None, &mut |_| std::ops::ControlFlow::Continue(())).unwrap().1
    };
    for (if_exists, updated, unchanged, table_rows) in
        [(IfExists::Append, 0, 3, 5), (IfExists::Upsert, 2, 1, 5), (IfExists::Replace, 0, 0, 4)]
    {
        let mut fixture = Fixture::new();
        fixture.page(&[("a", "{}", None), ("b", "{}", Some(5)), ("c", "{}", Some(9)), ("z", "{}", None)]);
        fixture.load("r1", IfExists::Fail).unwrap();
        fixture.restage().page(&[
            ("a", r#"{"v":2}"#, None),
            ("b", r#"{"v":2}"#, Some(6)),
            ("c", r#"{"v":2}"#, Some(8)),
            ("d", r#"{"v":2}"#, None),
            ("d", r#"{"v":2}"#, None),
        ]);
        let expected = TableChange { table_rows, updated: Some(updated), unchanged: Some(unchanged), days: None };
        assert_eq!(change(&fixture, if_exists), expected, "{if_exists:?}");
        // The record of a load does not tell this.
        let again = TableChange { table_rows, updated: None, unchanged: None, days: None };
        assert_eq!(change(&fixture, if_exists), again, "{if_exists:?}");
    }
}

#[test]
fn upsert_never_overwrites_with_older_data() {
    let mut fixture = Fixture::new();
    fixture.page(&[
        ("later here", r#"{"v":1}"#, Some(9)),
        ("equal", r#"{"v":1}"#, Some(5)),
        ("unknown there", r#"{"v":1}"#, Some(5)),
        ("unknown here", r#"{"v":1}"#, None),
    ]);
    fixture.load("r1", IfExists::Fail).unwrap();
    fixture.restage().page(&[
        ("later here", r#"{"v":2}"#, Some(8)),
        ("equal", r#"{"v":2}"#, Some(5)),
        ("unknown there", r#"{"v":2}"#, None),
        ("unknown here", r#"{"v":2}"#, Some(1)),
    ]);
    assert_eq!(fixture.load("r2", IfExists::Upsert).unwrap(), report(3, 1));
    assert_eq!(
        rows(&fixture),
        [r#"equal|{"v":2}|5"#, r#"later here|{"v":1}|9"#, r#"unknown here|{"v":2}|1"#, r#"unknown there|{"v":2}"#]
    );
    assert_intact(&fixture);
}

#[test]
fn into_a_keyed_table_of_the_python_package() {
    let mut fixture = Fixture::new();
    fixture.execute(PYTHON_TABLE);
    fixture.page(&[("b", r#"{"v":1}"#, Some(6)), ("a", r#"{"v":1}"#, Some(2)), ("d", "{}", None)]);
    assert_eq!(fixture.load("r1", IfExists::Upsert).unwrap(), report(3, 0));
    assert_eq!(rows(&fixture), [r#"a|{"v":1}|2"#, r#"b|{"v":1}|6"#, r#"c|{"v":0}"#, "d|{}"]);
    assert_intact(&fixture);
    // The primary key is still in effect.
    fixture.execute("INSERT OR IGNORE INTO profiles VALUES ('d', '{}', NULL)");
    assert_eq!(rows(&fixture).len(), 4);
    // The same ids are removed and inserted in one transaction.
    fixture.restage().page(&[("b", r#"{"v":2}"#, Some(7)), ("d", r#"{"v":2}"#, None)]);
    assert_eq!(fixture.load("r2", IfExists::Upsert).unwrap(), report(2, 0));
    assert_eq!(rows(&fixture), [r#"a|{"v":1}|2"#, r#"b|{"v":2}|7"#, r#"c|{"v":0}"#, r#"d|{"v":2}"#]);
    assert_intact(&fixture);
}

#[test]
fn makes_a_missing_table_and_keeps_columns_that_are_not_ours() {
    let mut fixture = Fixture::new();
    fixture.page(&[("a", "{}", Some(1))]);
    assert_eq!(fixture.load("r1", IfExists::Upsert).unwrap(), report(1, 0));
    fixture.execute(
        "ALTER TABLE profiles ADD COLUMN note VARCHAR DEFAULT 'n'; CREATE UNIQUE INDEX i ON profiles (distinct_id)",
    );
    fixture.restage().page(&[("a", r#"{"v":2}"#, Some(1)), ("b", "{}", None)]);
    assert_eq!(fixture.load("r2", IfExists::Upsert).unwrap(), report(2, 0));
    assert_eq!(
        fixture.texts("SELECT concat_ws('|', distinct_id, properties, note) FROM profiles ORDER BY ALL"),
        [r#"a|{"v":2}|n"#, "b|{}|n"]
    );
}

#[test]
fn many_rows_in_little_memory() {
    let mut fixture = Fixture::new();
    let text = format!(r#"{{"t":"{}"}}"#, "x".repeat(500));
    let newer = text.replace('t', "u");
    let ids: Vec<String> = (0..60_000).map(|id| id.to_string()).collect();
    let page = |ids: &[String], text: &str| -> Vec<(String, String)> {
        ids.iter().map(|id| (id.clone(), text.replace('x', &id[..1]))).collect()
    };
    for (chunk, text) in [(&ids[..40_000], &text), (&ids[20_000..], &newer)] {
        fixture.restage();
        for part in chunk.chunks(5_000) {
            let rows = page(part, text);
            let rows: Vec<_> = rows.iter().map(|(id, text)| (id.as_str(), text.as_str(), Some(1))).collect();
            fixture.page(&rows);
        }
        let run = if text == &newer { "r2" } else { "r1" };
        assert_eq!(fixture.load(run, IfExists::Upsert).unwrap(), report(40_000, 0));
    }
    assert_eq!(
        fixture.texts("SELECT concat(count(*), ' ', count(DISTINCT distinct_id), ' ', count(*) FILTER (properties LIKE '{\"u%')) FROM profiles"),
        ["60000 60000 40000"]
    );
    assert_intact(&fixture);
}

#[test]
fn a_partial_replacement_never_replaces_a_table() {
    let mut fixture = Fixture::new();
    fixture.page(&[("new", "{}", None)]);
    // The table did not exist when the run began.
    fixture.execute("CREATE TABLE profiles (distinct_id VARCHAR); INSERT INTO profiles VALUES ('whole')");
    let error = fixture.load_partial("r1", IfExists::Replace).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incomplete);
    assert_eq!(fixture.ids(), ["whole"]);
}
