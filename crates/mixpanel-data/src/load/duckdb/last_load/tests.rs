use crate::dataset::PROFILES;
use crate::load::duckdb::testing::Fixture;
use crate::load::run_record::RunRecord;
use crate::profile_query::IfExists;

use super::*;

fn last(fixture: &Fixture) -> Option<LastLoad> {
    last_load(&fixture.database, &PROFILES, &TableName::parse("Profiles").unwrap()).unwrap()
}

fn fetch(fixture: &mut Fixture, run_id: &str, second: i64, if_exists: IfExists) -> RunRecord {
    fetch_with(fixture, run_id, second, if_exists, |_| {})
}

fn fetch_with(
    fixture: &mut Fixture,
    run_id: &str,
    second: i64,
    if_exists: IfExists,
    change: impl FnOnce(&mut RunRecord),
) -> RunRecord {
    fixture.restage().page(&[(run_id, "{}", None)]);
    let at = |second| Timestamp::from_second(second).unwrap();
    let mut run = RunRecord { started_at: at(second), finished_at: at(second + 5), ..fixture.run(run_id) };
    change(&mut run);
    fixture.load_run(run.clone(), if_exists).unwrap();
    run
}

fn since(run: &mut RunRecord) {
    run.profiles().since = Some("2024-05-01T00:00:00".to_owned());
}

fn update(run: &mut RunRecord) {
    since(run);
    run.updates = true;
}

/// Returns the start of the load to continue from, and that of the last full load, in seconds.
fn seconds(fixture: &Fixture) -> Option<(i64, Option<i64>)> {
    last(fixture).map(|last| (last.started_at.as_second(), last.full_at.map(Timestamp::as_second)))
}

#[test]
fn last_load_is_the_newest_complete_one() {
    let mut fixture = Fixture::new();
    let mut run = fetch(&mut fixture, "r1", 100, IfExists::Fail);
    let expected = LastLoad {
        started_at: run.started_at,
        full_at: Some(run.started_at),
        full_at_locally: None,
        newest_seen: None,
        rows: 1,
        recorded_rows: Some(1),
        query: run.profiles().clone(),
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
fn only_loads_that_leave_no_gap_count() {
    let mut fixture = Fixture::new();
    fetch(&mut fixture, "r1", 100, IfExists::Fail);
    assert_eq!(seconds(&fixture), Some((100, Some(100))));
    fetch_with(&mut fixture, "r2", 200, IfExists::Upsert, update);
    assert_eq!(seconds(&fixture), Some((200, Some(100))), "an update");
    fetch_with(&mut fixture, "r3", 300, IfExists::Upsert, since);
    assert_eq!(seconds(&fixture), Some((200, Some(100))), "a start time of the user's choice");
    fetch_with(&mut fixture, "r4", 400, IfExists::Upsert, |run| run.profiles().limit = Some(1));
    assert_eq!(seconds(&fixture), Some((200, Some(100))), "a sample");
    fetch(&mut fixture, "r5", 500, IfExists::Append);
    assert_eq!(seconds(&fixture), Some((200, Some(100))), "rows that were not updated");
    fetch(&mut fixture, "r6", 600, IfExists::Upsert);
    assert_eq!(seconds(&fixture), Some((600, Some(100))), "all profiles, but deleted ones stay");
    fetch(&mut fixture, "r7", 700, IfExists::Replace);
    assert_eq!(seconds(&fixture), Some((700, Some(700))));
    // A file of an earlier version, in which only updates had a start time.
    fetch_with(&mut fixture, "r8", 800, IfExists::Upsert, since);
    fixture.execute("ALTER TABLE _fetches DROP COLUMN updates");
    assert_eq!(seconds(&fixture), Some((800, Some(700))));
}

#[test]
fn a_table_of_recent_profiles_is_complete_after_a_load_of_all() {
    for first in [since as fn(&mut RunRecord), update, |run: &mut RunRecord| run.profiles().limit = Some(1)] {
        let mut fixture = Fixture::new();
        fetch_with(&mut fixture, "r1", 100, IfExists::Upsert, first);
        assert_eq!(seconds(&fixture), None);
        fetch_with(&mut fixture, "r2", 200, IfExists::Upsert, update);
        assert_eq!(seconds(&fixture), None, "an update of an incomplete table");
        fetch(&mut fixture, "r3", 300, IfExists::Upsert);
        assert_eq!(seconds(&fixture), Some((300, None)));
        fetch_with(&mut fixture, "r4", 400, IfExists::Upsert, update);
        assert_eq!(seconds(&fixture), Some((400, None)));
    }
}

#[test]
fn a_completed_run_counts_as_the_load_that_made_the_table() {
    for if_exists in [IfExists::Fail, IfExists::Append] {
        let mut fixture = Fixture::new();
        fixture.page(&[("a", "{}", None)]);
        fixture.load_partial("r1", if_exists).unwrap();
        assert_eq!(last(&fixture), None);
        fixture.all_loaded().page(&[("b", "{}", None)]);
        fixture.load("r1", if_exists).unwrap();
        let found = last(&fixture).unwrap();
        assert_eq!((found.rows, found.full_at), (2, Some(found.started_at)), "{if_exists:?}");
    }
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
