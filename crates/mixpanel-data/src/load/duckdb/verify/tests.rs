use std::fmt::Write as _;

use crate::ErrorKind;
use crate::load::duckdb::testing::{Fixture, Row};
use crate::profile_query::IfExists;

use super::*;

const ROWS: usize = 200;

/// Returns a table whose properties hold a number, with a time in every row.
fn loaded() -> (Fixture, Vec<u8>) {
    let mut fixture = Fixture::new();
    let texts: Vec<(String, String)> =
        (0..ROWS).map(|row| (format!("id-{row}"), format!(r#"{{"n":{}}}"#, 1_000 + row))).collect();
    for page in texts.chunks(50) {
        let rows: Vec<Row<'_>> = page.iter().map(|(id, text)| (id.as_str(), text.as_str(), Some(7))).collect();
        fixture.page(&rows);
    }
    fixture.load("r1", IfExists::Fail).unwrap();
    let bytes = std::fs::read(&fixture.database).unwrap();
    (fixture, bytes)
}

fn check(fixture: &Fixture) -> VerifyReport {
    verify(&fixture.database, "PROFILES").unwrap()
}

#[test]
fn a_table_as_it_was_loaded_is_intact() {
    let (fixture, _) = loaded();
    let report = check(&fixture);
    assert!(report.is_intact(), "{report:?}");
    assert_eq!((report.rows, report.expected_rows, report.distinct_ids), (200, Some(200), 200));
    assert_eq!(report.expected_digest.as_deref(), Some(report.digest.as_str()));
    assert!(report.digest.starts_with("duckdb-v"), "{report:?}");
    assert_eq!(report.run_id.as_deref(), Some("r1"));
    assert_eq!(report.fetched_at.as_deref(), Some("2024-05-06T08:08:09.5Z"));
    assert!(!report.partial);
    // The digest does not depend on the order of the rows, or on other changes such as an index.
    fixture.execute(
        "CREATE TABLE sorted AS SELECT * FROM profiles ORDER BY distinct_id DESC; DELETE FROM profiles;
         INSERT INTO profiles SELECT * FROM sorted; CREATE INDEX i ON profiles (last_seen)",
    );
    assert!(check(&fixture).is_intact());
}

#[test]
fn every_single_change_is_found() {
    let (fixture, _) = loaded();
    // A copy of the table for every fourth row, with that row changed.
    let mut sql = String::new();
    for row in (0..ROWS).step_by(4) {
        let change = match row % 3 {
            0 => format!("properties = '{{\"n\":{}}}'", 1_000 + (row + 1 + row % 7) % ROWS),
            1 => "distinct_id = distinct_id || '000'".to_owned(),
            _ => "last_seen = make_timestamp(8)".to_owned(),
        };
        write!(
            sql,
            "CREATE TABLE t{row} AS FROM profiles;
             INSERT INTO _metadata SELECT * REPLACE ('t{row}' AS table_name) FROM _metadata WHERE table_name = 'profiles';
             UPDATE t{row} SET {change} WHERE distinct_id = 'id-{row}';"
        )
        .unwrap();
    }
    fixture.execute(&format!("BEGIN; {sql} COMMIT"));
    // The readers below share the database opened here.
    let _open = Database::open(&fixture.database, Access::ReadOnly).unwrap();
    assert!(check(&fixture).is_intact());
    for row in (0..ROWS).step_by(4) {
        let report = verify(&fixture.database, &format!("t{row}")).unwrap();
        assert_eq!((report.rows, report.expected_rows), (200, Some(200)));
        assert_eq!(report.problems.len(), 1, "row {row}: {report:?}");
        assert!(report.problems[0].contains("digest"), "{report:?}");
    }
}

#[test]
fn lost_and_duplicated_rows_are_found() {
    let (fixture, bytes) = loaded();
    let problems = |sql: &str| {
        fixture.execute(sql);
        let problems = check(&fixture).problems.join("; ");
        std::fs::write(&fixture.database, &bytes).unwrap();
        problems
    };
    let found = problems("DELETE FROM profiles WHERE distinct_id = 'id-17'");
    assert!(found.contains("it has 199 rows, and had 200"), "{found}");
    // The row count is the same, and each row existed before.
    let found = problems(
        "DELETE FROM profiles WHERE distinct_id = 'id-17';
         INSERT INTO profiles SELECT * FROM profiles WHERE distinct_id = 'id-18'",
    );
    assert!(found.contains("1 row has a duplicate id") && found.contains("digest"), "{found}");
    let found = problems("UPDATE profiles SET distinct_id = NULL WHERE distinct_id = 'id-3'");
    assert!(found.contains("1 row has no id") && found.contains("digest"), "{found}");
    // Swapping values between two rows is also detected.
    let found = problems(
        "UPDATE profiles SET properties = CASE distinct_id WHEN 'id-1' THEN '{\"n\":1002}' ELSE '{\"n\":1001}' END
         WHERE distinct_id IN ('id-1', 'id-2')",
    );
    assert!(found.contains("digest"), "{found}");
}

#[test]
fn appending_keeps_external_changes_detectable() {
    let (mut fixture, bytes) = loaded();
    fixture.restage().page(&[("id-0", "{}", Some(9)), ("new", r#"{"v":1}"#, None), ("new", r#"{"v":1}"#, None)]);
    for if_exists in [IfExists::Append, IfExists::Upsert] {
        fixture.load("r2", if_exists).unwrap();
        assert!(check(&fixture).is_intact(), "{if_exists:?}");
        std::fs::write(&fixture.database, &bytes).unwrap();
        fixture.execute("UPDATE profiles SET properties = '{}' WHERE distinct_id = 'id-5'");
        fixture.load("r2", if_exists).unwrap();
        assert!(!check(&fixture).is_intact(), "{if_exists:?}");
        std::fs::write(&fixture.database, &bytes).unwrap();
    }
    fixture.execute("UPDATE profiles SET properties = '{}' WHERE distinct_id = 'id-5'");
    fixture.load("r2", IfExists::Replace).unwrap();
    assert!(check(&fixture).is_intact());
}

#[test]
fn verify_reports_incomparable_records() {
    let (fixture, _) = loaded();
    for (sql, part) in [
        ("UPDATE _metadata SET digest = 'duckdb-v0.0.0:' || split_part(digest, ':', 2)", "another version"),
        ("UPDATE _metadata SET digest = digest || 'x'", "another version"),
        ("UPDATE _metadata SET digest = NULL", "no digest is recorded"),
        ("ALTER TABLE _metadata DROP COLUMN digest", "no digest is recorded"),
        ("UPDATE _metadata SET row_count = -1", "no row count is recorded"),
    ] {
        fixture.execute(sql);
        let report = check(&fixture);
        assert!(report.problems.iter().any(|problem| problem.contains(part)), "{sql}: {report:?}");
    }
}

#[test]
fn verify_requires_a_recorded_load() {
    let fixture = Fixture::new();
    fixture.execute("CREATE TABLE profiles (distinct_id VARCHAR)");
    let error = verify(&fixture.database, "profiles").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("has no record of a load"), "{error}");
    assert_eq!(verify(&fixture.database, "other").unwrap_err().kind(), ErrorKind::TableNotFound);
    let (fixture, _) = loaded();
    fixture.execute("ALTER TABLE profiles DROP COLUMN properties");
    let error = verify(&fixture.database, "profiles").unwrap_err();
    assert!(error.message().contains("no column `properties`"), "{error}");
}

#[test]
fn a_table_of_an_unknown_kind_is_not_verified() {
    let (fixture, _) = loaded();
    fixture.execute("UPDATE _metadata SET type = 'cohorts'");
    let error = verify(&fixture.database, "profiles").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("it holds cohorts"), "{error}");
}
