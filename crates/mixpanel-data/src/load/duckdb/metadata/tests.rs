use crate::dataset::PROFILES;
use crate::error::ErrorKind;
use crate::load::duckdb::testing::Fixture;
use crate::load::{LoadKind, preflight};
use crate::store::{drop_tables, tables};

use super::*;
use crate::limits::PREFLIGHT_LOCK_WAIT;

/// The tables as created by the first version of this program.
const FIRST_VERSION: &str = "
    CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP);
    INSERT INTO profiles VALUES ('a', '{}', NULL);
    CREATE TABLE _metadata (table_name VARCHAR PRIMARY KEY, type VARCHAR NOT NULL, fetched_at TIMESTAMP NOT NULL,
        from_date DATE, to_date DATE, row_count BIGINT NOT NULL, filters JSON, run_id VARCHAR, partial BOOLEAN);
    INSERT INTO _metadata VALUES ('profiles', 'profiles', '2024-01-02', NULL, NULL, 1, '{}', 'r0', true);
    CREATE TABLE _fetches (run_id VARCHAR NOT NULL, table_name VARCHAR NOT NULL, on_existing VARCHAR NOT NULL,
        started_at TIMESTAMP NOT NULL, finished_at TIMESTAMP NOT NULL, project_id VARCHAR, region VARCHAR, filters JSON,
        mode VARCHAR, expected_rows BIGINT, received BIGINT, rows BIGINT, duplicates BIGINT, rejected BIGINT,
        page_count BIGINT, failed_pages JSON, requests BIGINT, retries BIGINT, partial BOOLEAN);
    INSERT INTO _fetches (run_id, table_name, on_existing, started_at, finished_at)
        VALUES ('r0', 'profiles', 'fail', '2024-01-02', '2024-01-02');";

fn table() -> TableName {
    TableName::parse("profiles").unwrap()
}

#[test]
fn databases_of_the_first_version_still_work() {
    let mut fixture = Fixture::new();
    fixture.execute(FIRST_VERSION);
    assert!(tables(&fixture.database).unwrap()[0].partial);
    preflight(&fixture.database, &PROFILES, &table(), IfExists::Append, LoadKind::First, PREFLIGHT_LOCK_WAIT).unwrap();
    fixture.page(&[("b", "{}", None)]);
    let run = fixture.run("r1");
    let counts = FetchCounts { session_restarts: 2, short_pages: vec![3, 5], waited_seconds: 1.25, ..run.counts };
    let run = RunRecord { counts, ..run };
    fixture.load_run(run, IfExists::Append).unwrap();
    assert_eq!(
        fixture.texts("SELECT concat_ws('|', run_id, load_id, session_restarts, short_pages, waited_seconds, made_table) FROM _fetches"),
        ["r0", "r1|r1-1|2|[3,5]|1.25|false"]
    );
    let columns =
        fixture.texts("SELECT column_name FROM duckdb_columns() WHERE table_name = '_fetches' ORDER BY column_index");
    assert_eq!(columns[..2], ["run_id", "table_name"]);
    assert_eq!(
        columns[19..],
        [
            "load_id",
            "session_restarts",
            "short_pages",
            "waited_seconds",
            "made_table",
            "shortfall",
            "property_rules",
            "updates",
            "from_date",
            "to_date",
            "time_zone",
            "conflicting_duplicates",
            "without_insert_id",
            "without_distinct_id",
            "outside",
            "repeated_hour",
            "skipped_hour",
            "received_bytes",
            "replaced_from",
            "replaced_to",
            "replaced_rows"
        ]
    );
    assert!(tables(&fixture.database).unwrap()[0].partial, "the pages of r0 are still missing");
}

#[test]
fn columns_that_others_added_stay() {
    let mut fixture = Fixture::new();
    fixture.page(&[("a", "{}", None)]);
    fixture.load("r1", IfExists::Fail).unwrap();
    fixture.execute(
        "ALTER TABLE _metadata ADD COLUMN note VARCHAR DEFAULT 'n'; ALTER TABLE _fetches ADD COLUMN note VARCHAR DEFAULT 'n'",
    );
    preflight(&fixture.database, &PROFILES, &table(), IfExists::Replace, LoadKind::First, PREFLIGHT_LOCK_WAIT).unwrap();
    fixture.load("r2", IfExists::Replace).unwrap();
    assert_eq!(fixture.texts("SELECT note FROM _metadata"), ["n"]);
    assert_eq!(fixture.texts("SELECT note FROM _fetches"), ["n", "n"]);
}

#[test]
fn tables_of_another_shape_are_found_before_the_first_request() {
    for sql in [
        "CREATE VIEW _metadata AS SELECT 1 AS x",
        "CREATE VIEW _fetches AS SELECT 1 AS x",
        "CREATE VIEW _rejects AS SELECT 1 AS x",
        "CREATE TABLE _metadata (a INTEGER)",
        "CREATE TABLE _fetches (a INTEGER)",
        "CREATE TABLE _rejects (a INTEGER)",
        "CREATE TABLE _fetches (run_id INTEGER, table_name VARCHAR, on_existing VARCHAR, started_at TIMESTAMP,
             finished_at TIMESTAMP, project_id VARCHAR, region VARCHAR, filters JSON, mode VARCHAR, expected_rows BIGINT,
             received BIGINT, rows BIGINT, duplicates BIGINT, rejected BIGINT, page_count BIGINT, failed_pages JSON,
             requests BIGINT, retries BIGINT, partial BOOLEAN)",
        &format!("{FIRST_VERSION}; ALTER TABLE _fetches ADD COLUMN load_id INTEGER"),
        &format!("{FIRST_VERSION}; CREATE UNIQUE INDEX one_load_a_run ON _fetches (run_id)"),
        "CREATE TABLE _metadata (table_name VARCHAR, type VARCHAR, fetched_at TIMESTAMP, from_date DATE, to_date DATE,
             row_count BIGINT, tenant INTEGER NOT NULL)",
    ] {
        let fixture = Fixture::new();
        fixture.execute(sql);
        let bytes = std::fs::read(&fixture.database).unwrap();
        for if_exists in [IfExists::Replace, IfExists::Append, IfExists::Upsert] {
            let error = preflight(&fixture.database, &PROFILES, &table(), if_exists, LoadKind::First, PREFLIGHT_LOCK_WAIT).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{sql}: {error:?}");
            assert!(error.message().contains("has an unexpected schema"), "{sql}: {error:?}");
            assert!(error.detail("suggestion").is_some());
        }
        assert!(bytes == std::fs::read(&fixture.database).unwrap(), "the file was changed");
    }
}

#[test]
fn rejects_belong_to_their_run_and_their_table() {
    let mut fixture = Fixture::new();
    let rejects = |fixture: &Fixture| {
        fixture.texts("SELECT concat_ws('|', run_id, table_name, page, position, reason, raw) FROM _rejects")
    };
    let load = |fixture: &Fixture, run_id: &str, rejected: u64, if_exists| {
        let run = fixture.run(run_id);
        let counts = FetchCounts { rejected, received: run.counts.received + rejected, ..run.counts };
        fixture.load_run(RunRecord { counts, ..run }, if_exists).unwrap()
    };
    fixture.page(&[("a", "{}", None)]).reject(0, &[(2, "no id", "{\"a\":\"\\ud800\""), (5, "not JSON", "\u{0}x'\"")]);
    load(&fixture, "r1", 2, IfExists::Fail);
    assert_eq!(rejects(&fixture), ["r1|profiles|0|2|no id|{\"a\":\"\\ud800\"", "r1|profiles|0|5|not JSON|\u{0}x'\""]);
    // The run is resumed: all its rejects are loaded again, with those of the missing page.
    fixture.all_loaded().page(&[("b", "{}", None)]).reject(1, &[(0, "no id", "null")]);
    load(&fixture, "r1", 3, IfExists::Fail);
    assert_eq!(rejects(&fixture).len(), 3);
    // Another run appends and adds its own rejects.
    fixture.restage().page(&[("c", "{}", None)]).reject(0, &[(1, "no id", "{}")]);
    load(&fixture, "r2", 1, IfExists::Append);
    assert_eq!(rejects(&fixture).len(), 4);
    fixture.execute("INSERT INTO _rejects VALUES ('r9', 'other', 0, 0, NULL, NULL)");
    // The table is replaced.
    fixture.restage().page(&[("d", "{}", None)]);
    fixture.load("r3", IfExists::Replace).unwrap();
    assert_eq!(rejects(&fixture), ["r9|other|0|0"]);
    fixture.restage().page(&[("e", "{}", None)]).reject(7, &[(1, "no id", "{}")]);
    load(&fixture, "r4", 1, IfExists::Append);
    assert_eq!(rejects(&fixture).len(), 2);
    drop_tables(&fixture.database, &["Profiles".to_owned()]).unwrap();
    assert_eq!(rejects(&fixture), ["r9|other|0|0"]);
}

#[test]
fn rejects_that_cannot_be_read_or_are_too_few() {
    let mut fixture = Fixture::new();
    fixture.page(&[("a", "{}", None)]).reject(0, &[(1, "no id", "{}")]);
    let run = fixture.run("r1");
    let run = RunRecord { counts: FetchCounts { rejected: 2, received: 3, ..run.counts.clone() }, ..run };
    let error = fixture.load_run(run.clone(), IfExists::Fail).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal, "{error:?}");
    std::fs::write(&fixture.rejects[0], "no Parquet").unwrap();
    let error = fixture.load_run(run, IfExists::Fail).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage, "{error:?}");
    assert!(error.message().contains("rejects-000000.parquet"), "{error:?}");
    assert!(tables(&fixture.database).unwrap().is_empty());
}
