//! Mutates the load's own statements; each mutant makes the load fail before its commit.

use std::cell::RefCell;

use crate::ErrorKind;
use crate::load::duckdb::testing::{Fixture, Row};
use crate::load::duckdb::verify;
use crate::profile_query::IfExists;
use crate::row_sum::RowSum;

thread_local! {
    /// The text to replace in the statements of loads on this thread, and its replacement.
    static DEFECT: RefCell<Option<(String, String)>> = const { RefCell::new(None) };
}

/// Returns the statement, mutated if the mutation applies.
pub(in crate::load::duckdb) fn defect(sql: &str) -> String {
    DEFECT.with_borrow(|defect| match defect {
        Some((from, to)) => sql.replace(from, to),
        None => sql.to_owned(),
    })
}

/// Loads with mutated statements.
pub(in crate::load::duckdb) fn with_defect<T>(from: &str, to: &str, load: impl FnOnce() -> T) -> T {
    DEFECT.set(Some((from.to_owned(), to.to_owned())));
    let result = load();
    DEFECT.set(None);
    result
}

/// Loads with a mutated statement. The table and the stage must stay unchanged.
fn refuses(fixture: &Fixture, if_exists: IfExists, from: &str, to: &str) {
    let stage = fixture.stage_contents();
    DEFECT.set(Some((from.to_owned(), to.to_owned())));
    let result = fixture.load("r2", if_exists);
    DEFECT.set(None);
    let what = format!("{if_exists:?} with `{to}`");
    let error = result.expect_err(&what);
    assert_eq!(error.kind(), ErrorKind::Internal, "{what}: {error:?}");
    assert!(error.message().contains("staged"), "{what}: {error:?}");
    if if_exists != IfExists::Fail {
        assert_eq!(fixture.texts("SELECT run_id FROM _fetches"), ["r1"], "{what}");
        assert!(verify(&fixture.database, "profiles").unwrap().is_intact(), "{what}");
    } else {
        assert_eq!(fixture.texts("SELECT table_name FROM duckdb_tables()"), [""; 0], "{what}");
    }
    assert_eq!(fixture.stage_contents(), stage, "{what}");
}

/// Stages 2,000 rows with times, ids in upper and lower case, and a few duplicates.
fn staged(fixture: &mut Fixture) {
    for page in 0..2 {
        let rows: Vec<(String, String, Option<i64>)> = (0..1_000)
            .map(|row| {
                let number = page * 1_000 + row;
                let id = if row == 7 { "Twice".to_owned() } else { format!("Id-{number}") };
                (id, format!(r#"{{"n":{number}}}"#), (row % 3 > 0).then_some(number * 1_000_000))
            })
            .collect();
        let rows: Vec<Row<'_>> = rows.iter().map(|(id, text, seen)| (id.as_str(), text.as_str(), *seen)).collect();
        fixture.page(&rows);
    }
}

const COLUMNS: &str = "SELECT distinct_id, properties::JSON, last_seen FROM";

/// Mutations of the statements that read the staged pages.
const IN_THE_READING: [(&str, &str); 11] = [
    (COLUMNS, "SELECT '5', properties::JSON, last_seen FROM"),
    (COLUMNS, "SELECT lower(distinct_id), properties::JSON, last_seen FROM"),
    (COLUMNS, "SELECT trim(distinct_id, '1'), properties::JSON, last_seen FROM"),
    (COLUMNS, "SELECT distinct_id, '{}'::JSON, last_seen FROM"),
    (COLUMNS, "SELECT distinct_id, json_object('n', 1.0), last_seen FROM"),
    (COLUMNS, "SELECT distinct_id, (properties || ' ')::JSON, last_seen FROM"),
    (COLUMNS, "SELECT distinct_id, properties::JSON, NULL FROM"),
    (COLUMNS, "SELECT distinct_id, properties::JSON, last_seen + INTERVAL 1 HOUR FROM"),
    (COLUMNS, "SELECT distinct_id, properties::JSON, coalesce(last_seen, make_timestamp(0)) FROM"),
    ("filename = false, file_row_number = false)", "file_row_number = true) WHERE file_row_number % 999 <> 3"),
    ("filename = false, file_row_number = false)", "filename = false) LIMIT 1999"),
];

const REMOVAL: &str = "DELETE FROM _loading WHERE rowid IN (SELECT place FROM _removed)";
const ADDED: &str = "SELECT distinct_id, properties, last_seen FROM _loading WHERE true";

#[test]
fn a_mutated_load_fails() {
    let mut fixture = Fixture::new();
    staged(&mut fixture);
    for (from, to) in IN_THE_READING {
        refuses(&fixture, IfExists::Fail, from, to);
    }
    refuses(&fixture, IfExists::Fail, REMOVAL, &format!("{REMOVAL} OR distinct_id = 'Id-5'"));
    refuses(&fixture, IfExists::Fail, REMOVAL, "DELETE FROM _loading WHERE distinct_id = 'Id-5'");
    refuses(&fixture, IfExists::Fail, "WHERE place > 1", "WHERE place > 0");
    fixture.load("r2", IfExists::Fail).unwrap();
}

/// Returns a table with rows, and staged pages that are not in it yet; they share one id.
fn table_with_other_rows() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.page(&[("Id-6", "{}", Some(1)), ("Id-5", "{}", Some(1 << 50)), ("mine", "{}", None)]);
    fixture.load("r1", IfExists::Fail).unwrap();
    staged(fixture.restage());
    fixture
}

/// Mutations of the statements that put rows into an existing table.
const IN_THE_ADDING: [&str; 5] = [
    "SELECT lower(distinct_id), properties, last_seen FROM _loading",
    "SELECT distinct_id, '{}', last_seen FROM _loading",
    "SELECT distinct_id, properties, last_seen - INTERVAL 2 HOUR FROM _loading",
    "SELECT distinct_id, properties, last_seen FROM _loading WHERE rowid % 1000 <> 0",
    "FROM _loading UNION ALL SELECT distinct_id, properties, last_seen FROM _loading LIMIT 2003",
];

#[test]
fn a_mutated_append_fails() {
    let fixture = table_with_other_rows();
    for (from, to) in IN_THE_READING {
        refuses(&fixture, IfExists::Append, from, to);
    }
    for to in IN_THE_ADDING {
        refuses(&fixture, IfExists::Append, ADDED, to);
    }
    refuses(&fixture, IfExists::Append, REMOVAL, &format!("{REMOVAL} OR distinct_id = 'Id-9'"));
}

/// An upsert reads rows as an append does, and a replacement as a new table does, so some of the mutations are enough.
#[test]
fn mutated_replacements_fail() {
    let fixture = table_with_other_rows();
    for (from, to) in IN_THE_READING.into_iter().step_by(5) {
        refuses(&fixture, IfExists::Replace, from, to);
        refuses(&fixture, IfExists::Upsert, from, to);
    }
    for to in IN_THE_ADDING {
        refuses(&fixture, IfExists::Upsert, ADDED, to);
    }
    refuses(&fixture, IfExists::Upsert, REMOVAL, &format!("{REMOVAL} OR distinct_id = 'Id-9'"));
    let removal = "DELETE FROM \"profiles\" WHERE rowid IN (SELECT place FROM _removed)";
    refuses(&fixture, IfExists::Upsert, removal, &format!("{removal} OR distinct_id = 'mine'"));
    fixture.load("r2", IfExists::Upsert).unwrap();
    assert!(verify(&fixture.database, "profiles").unwrap().is_intact());
    assert_eq!(fixture.texts("SELECT properties FROM profiles WHERE distinct_id IN ('Id-5', 'mine')"), ["{}", "{}"]);
}

#[test]
fn a_mutated_completion_fails() {
    let mut fixture = Fixture::new();
    fixture.page(&[("a", "{}", None), ("b", "{}", None)]);
    fixture.load_partial("r1", IfExists::Fail).unwrap();
    fixture.execute("CREATE INDEX i ON profiles (last_seen); INSERT INTO profiles VALUES ('mine', '{}', NULL)");
    fixture.all_loaded().page(&[("c", "{}", None)]);
    DEFECT.set(Some((
        "SELECT distinct_id, last_seen, system.main.hash".to_owned(),
        "SELECT 'a', last_seen, 1 + system.main.hash".to_owned(),
    )));
    let result = fixture.load("r1", IfExists::Fail);
    DEFECT.set(None);
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Internal);
    fixture.load("r1", IfExists::Fail).unwrap();
    assert_eq!(fixture.texts("SELECT distinct_id FROM profiles ORDER BY 1"), ["a", "b", "c", "mine"]);
}

/// A page that has changed since it was staged is named in the error, which is not `Internal`.
#[test]
fn a_changed_page_is_named_in_the_error() {
    let mut fixture = Fixture::new();
    staged(&mut fixture);
    let another = RowSum { rows: 0, hashes: 42 };
    fixture.record_sum(1, another);
    let error = fixture.load("r1", IfExists::Fail).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage, "{error:?}");
    assert!(error.message().contains("page-000001.parquet` cannot be read"), "{error:?}");
    // Pages without a recorded sum, such as these, can still be loaded.
    fixture.restage();
    staged(&mut fixture);
    fixture.load("r1", IfExists::Fail).unwrap();
}
