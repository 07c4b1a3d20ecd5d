use crate::dataset::PROFILES;
use crate::load::duckdb::testing::Fixture;
use crate::load::run_record::RunRecord;
use crate::profile_query::IfExists;

use super::*;

fn last(fixture: &Fixture) -> Option<LastLoad> {
    last_load(&fixture.database, &PROFILES, &TableName::parse("Profiles").unwrap()).unwrap()
}

fn fetch(fixture: &mut Fixture, run_id: &str, second: i64, if_exists: IfExists) -> RunRecord {
    fixture.restage().page(&[(run_id, "{}", None)]);
    let at = |second| Timestamp::from_second(second).unwrap();
    let run = RunRecord { started_at: at(second), finished_at: at(second + 5), ..fixture.run(run_id) };
    fixture.load_run(run.clone(), if_exists).unwrap();
    run
}

#[test]
fn last_load_is_the_newest_complete_one() {
    let mut fixture = Fixture::new();
    let run = fetch(&mut fixture, "r1", 100, IfExists::Fail);
    let expected = LastLoad {
        started_at: run.started_at,
        newest_seen: None,
        rows: 1,
        recorded_rows: Some(1),
        query: run.query,
        project_id: "12345".to_owned(),
        region: "eu".to_owned(),
    };
    assert_eq!(last(&fixture), Some(expected.clone()));
    let run = fetch(&mut fixture, "r2", 200, IfExists::Upsert);
    let newer = LastLoad { started_at: run.started_at, rows: 2, recorded_rows: Some(2), ..expected };
    assert_eq!(last(&fixture), Some(newer.clone()));
    fixture.restage().page(&[("x", "{}", None)]);
    fixture.load_partial("r3", IfExists::Upsert).unwrap();
    let newer = LastLoad { rows: 3, recorded_rows: Some(3), ..newer };
    assert_eq!(last(&fixture), Some(newer), "a load that lacks pages is not one to go on from");
    assert_eq!(last_load(&fixture.database, &PROFILES, &TableName::parse("other").unwrap()).unwrap(), None);
}

#[test]
fn loads_of_a_dropped_table_do_not_count() {
    let mut fixture = Fixture::new();
    fetch(&mut fixture, "r1", 100, IfExists::Fail);
    fixture.execute("DROP TABLE profiles");
    assert_eq!(last(&fixture), None);
    fixture.restage().page(&[("x", "{}", None)]);
    fixture.load_partial("r2", IfExists::Append).unwrap();
    assert_eq!(last(&fixture), None);
    // A user's own table with the same name.
    fixture.execute("DROP TABLE profiles; CREATE TABLE profiles (a INTEGER); UPDATE _metadata SET run_id = 'x'");
    assert_eq!(last(&fixture), None);
}

#[test]
fn unexpected_contents_are_tolerated() {
    let mut fixture = Fixture::new();
    fetch(&mut fixture, "r1", 100, IfExists::Fail);
    let bytes = std::fs::read(&fixture.database).unwrap();
    for sql in [
        "UPDATE _fetches SET filters = '[1]'",
        "UPDATE _fetches SET filters = NULL",
        "UPDATE _fetches SET project_id = NULL",
        "UPDATE _fetches SET started_at = 'infinity'",
        "UPDATE _fetches SET partial = NULL",
        "ALTER TABLE _fetches DROP COLUMN filters",
        "ALTER TABLE _fetches ALTER started_at SET DATA TYPE VARCHAR",
        "DROP TABLE _fetches; CREATE VIEW _fetches AS SELECT 1 AS a",
        "DROP TABLE _fetches; CREATE TABLE _fetches (a INTEGER)",
        "DROP TABLE _fetches",
        "DROP TABLE _metadata",
        "DROP TABLE _metadata; CREATE TABLE _metadata (table_name BLOB, type INTEGER)",
        "UPDATE _metadata SET run_id = 'another'",
    ] {
        fixture.execute(sql);
        assert_eq!(last(&fixture), None, "{sql}");
        std::fs::write(&fixture.database, &bytes).unwrap();
    }
    // A file of an earlier version.
    fixture.execute("ALTER TABLE _fetches DROP COLUMN made_table; ALTER TABLE _fetches DROP COLUMN load_id");
    assert!(last(&fixture).is_some());
}
