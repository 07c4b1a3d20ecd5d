use std::collections::BTreeSet;
use std::fs;

use duckdb::Connection;
use serde_json::Value;

use super::*;
use crate::counts::FetchCounts;
use crate::limits::LOAD_PAGES_PER_STATEMENT;
use crate::load::duckdb::rows::number;
use crate::load::duckdb::testing::{Fixture, Holder, Row};
use crate::load::run_record::RunRecord;
use std::ops::ControlFlow;
use std::time::Duration;

const PYTHON_TABLES: &str = "
    CREATE TABLE profiles (distinct_id VARCHAR PRIMARY KEY, properties JSON, last_seen TIMESTAMP);
    CREATE TABLE _metadata (table_name VARCHAR PRIMARY KEY, type VARCHAR NOT NULL, fetched_at TIMESTAMP NOT NULL,
        from_date DATE, to_date DATE, row_count INTEGER NOT NULL);
    INSERT INTO profiles VALUES ('a', '{\"from\":\"python\"}', '2020-01-01'), ('b', '{}', NULL);
    INSERT INTO _metadata VALUES ('profiles', 'profiles', '2020-01-02', NULL, NULL, 2);";

fn report(rows: u64, duplicates: u64) -> LoadReport {
    LoadReport { rows, duplicates, shortfall: 0, altered: 0 }
}

#[test]
fn makes_a_table_in_page_order() {
    let mut fixture = Fixture::named("a directory/it's.db", "the user's stage \"1\"");
    let mut expected = Vec::new();
    for page in 0..60 {
        let ids: Vec<String> =
            (0..500).map(|row| format!("{:08x}-{page}-{row}", (page * 500 + row) * 40_503 % 65_536)).collect();
        let rows: Vec<Row<'_>> = ids.iter().map(|id| (id.as_str(), r#"{"n":1}"#, Some(1))).collect();
        fixture.page(&rows);
        expected.extend(ids);
    }
    assert_eq!(fixture.load("r1", IfExists::Fail).unwrap(), report(30_000, 0));
    assert!(fixture.ids() == expected, "the rows are not in page order");
    assert_eq!(
        fixture.texts("SELECT column_name || ' ' || data_type FROM duckdb_columns() WHERE table_name = 'profiles'"),
        ["distinct_id VARCHAR", "properties JSON", "last_seen TIMESTAMP"]
    );
}

#[test]
fn pages_of_several_statements_are_one_table() {
    let mut fixture = Fixture::new();
    let ids: Vec<String> = (0..LOAD_PAGES_PER_STATEMENT + 2).map(|page| format!("id-{page}")).collect();
    for id in &ids {
        fixture.page(&[(id, "{}", Some(1))]);
    }
    // The last page repeats the first page's profile.
    fixture.page(&[(&ids[0], r#"{"later":true}"#, Some(2))]);
    assert_eq!(fixture.load("r1", IfExists::Fail).unwrap(), report(ids.len() as u64, 1));
    assert!(fixture.ids() == [&ids[1..], &ids[..1]].concat(), "the rows are not in page order");
}

#[test]
fn texts_stay_byte_for_byte() {
    let texts = [
        r#"{"big":123456789012345678901234567890,"exp":1.50E+10,"zero":-0.0,"huge":1e400}"#,
        r#"{"a":1,"a":2, "z" : [ 1 ,2],"":{}}"#,
        "{\"nul\":\"\\u0000\",\"slash\":\"\\/\",\"pair\":\"\\ud83d\\ude00\",\"line\":\"\u{2028}\u{feff}\u{10ffff}\"}",
        r#"{"'); DROP TABLE profiles; --":"'); DROP TABLE profiles; --"}"#,
        &format!(r#"{{"deep":{}{}}}"#, "[".repeat(5_000), "]".repeat(5_000)),
        "{}",
    ];
    let ids = ["'); DROP TABLE profiles; --", "", "12345678901234567890", "a\u{0}b", "é\u{202e}", "x\n\"y"];
    let mut fixture = Fixture::new();
    let rows: Vec<Row<'_>> = ids.iter().zip(&texts).map(|(id, text)| (*id, *text, None)).collect();
    fixture.page(&rows);
    fixture.load("'; DROP TABLE _fetches; --", IfExists::Fail).unwrap();
    assert_eq!(fixture.ids(), ids);
    assert_eq!(fixture.texts("SELECT properties::VARCHAR FROM profiles"), texts);
    assert_eq!(fixture.texts("SELECT run_id FROM _fetches"), ["'; DROP TABLE _fetches; --"]);
}

#[test]
fn one_row_per_id_keeps_its_position() {
    let mut fixture = Fixture::new();
    fixture
        .page(&[
            ("same", "{}", Some(5)),
            ("x", "{}", None),
            ("later", r#"{"v":1}"#, Some(1)),
            ("null", r#"{"v":1}"#, None),
        ])
        .page(&[("tie", r#"{"v":1}"#, Some(7)), ("same", "{}", Some(5)), ("null", r#"{"v":2}"#, Some(-1))])
        .page(&[
            ("later", r#"{"v":3}"#, Some(9)),
            ("tie", r#"{"v":2}"#, Some(7)),
            ("later", r#"{"v":2}"#, Some(8)),
            ("y", "{}", None),
        ]);
    assert_eq!(fixture.load("r1", IfExists::Fail).unwrap(), report(6, 5));
    assert_eq!(
        fixture.texts("SELECT distinct_id || properties FROM profiles"),
        ["same{}", "x{}", r#"tie{"v":1}"#, r#"null{"v":2}"#, r#"later{"v":3}"#, "y{}"]
    );
}

#[test]
fn many_duplicates_leave_the_order_alone() {
    let mut fixture = Fixture::new();
    for page in 0..40 {
        let ids: Vec<String> = (0..1_000).map(|row| format!("{}", page * 900 + row)).collect();
        let rows: Vec<Row<'_>> = ids.iter().map(|id| (id.as_str(), "{}", Some(page))).collect();
        fixture.page(&rows);
    }
    assert_eq!(fixture.load("r1", IfExists::Fail).unwrap(), report(36_100, 3_900));
    let expected: Vec<String> = (0..36_100).map(|id| id.to_string()).collect();
    assert!(fixture.ids() == expected, "an id that came again stands where its later row was");
}

#[test]
fn no_pages_make_an_empty_table() {
    let fixture = Fixture::new();
    assert_eq!(fixture.load("r1", IfExists::Fail).unwrap(), report(0, 0));
    assert_eq!(fixture.texts("SELECT row_count::VARCHAR FROM _metadata"), ["0"]);
}

#[test]
fn appends_to_a_keyed_table_of_the_python_package() {
    let mut fixture = Fixture::new();
    fixture.execute(PYTHON_TABLES);
    fixture.page(&[("b", r#"{"new":1}"#, Some(3)), ("c", "{}", Some(4)), ("c", "{}", Some(4)), ("d", "{}", None)]);
    assert_eq!(fixture.load("r1", IfExists::Append).unwrap(), report(2, 2));
    assert_eq!(
        fixture.texts("SELECT distinct_id || properties FROM profiles"),
        [r#"a{"from":"python"}"#, "b{}", "c{}", "d{}"]
    );
    assert_eq!(
        fixture.texts("SELECT concat_ws('|', table_name, type, fetched_at, row_count, run_id, partial) FROM _metadata"),
        ["profiles|profiles|2024-05-06 08:08:09.5|4|r1|false"]
    );
    let first_columns =
        fixture.texts("SELECT column_name FROM duckdb_columns() WHERE table_name = '_metadata' LIMIT 6");
    assert_eq!(first_columns, ["table_name", "type", "fetched_at", "from_date", "to_date", "row_count"]);
    // The Python package still finds its key.
    fixture.execute("INSERT OR IGNORE INTO profiles VALUES ('a', '{}', NULL)");
    assert_eq!(fixture.ids().len(), 4);
}

#[test]
fn appended_rows_are_in_page_order() {
    let mut fixture = Fixture::new();
    let ids: Vec<String> = (0..30_000).map(|id| format!("{:05}", id * 7_919 % 30_000)).collect();
    let rows: Vec<Row<'_>> = ids.iter().map(|id| (id.as_str(), "{}", None)).collect();
    fixture.page(&rows[..10]);
    fixture.load("r1", IfExists::Fail).unwrap();
    fixture.restage();
    for page in rows.chunks(500) {
        fixture.page(page);
    }
    assert_eq!(fixture.load("r2", IfExists::Append).unwrap(), report(29_990, 10));
    assert!(fixture.ids() == ids, "the rows are not in page order");
}

#[test]
fn append_goes_by_column_names_and_makes_a_missing_table() {
    let mut fixture = Fixture::new();
    fixture.page(&[("a", "{}", Some(1))]);
    assert_eq!(fixture.load("r1", IfExists::Append).unwrap(), report(1, 0));
    fixture.execute(
        "DROP TABLE profiles; CREATE TABLE Profiles (note VARCHAR DEFAULT 'n', last_seen TIMESTAMP, properties VARCHAR, distinct_id VARCHAR)",
    );
    assert_eq!(fixture.load("r2", IfExists::Append).unwrap(), report(1, 0));
    assert_eq!(
        fixture.texts("SELECT concat_ws('|', note, epoch_us(last_seen), properties, distinct_id) FROM profiles"),
        ["n|1|{}|a"]
    );
}

#[test]
fn records_the_run() {
    let mut fixture = Fixture::new();
    fixture.page(&[("a", "{}", Some(1)), ("a", "{}", Some(1))]);
    let mut run = fixture.run("r1");
    (run.counts.rejected, run.counts.received, run.failed_pages, run.counts.expected_rows) =
        (2, 4, vec![3, 7], Some(9));
    fixture.load_run(run, IfExists::Replace).unwrap();
    assert_eq!(
        fixture.texts(
            "SELECT concat_ws('|', run_id, table_name, on_existing, started_at, finished_at, project_id, region, mode, expected_rows,
                 received, rows, duplicates, rejected, page_count, failed_pages, requests, retries, partial) FROM _fetches"
        ),
        ["r1|profiles|replace|2024-05-06 07:08:09|2024-05-06 08:08:09.5|12345|eu|parallel|9|4|1|1|2|1|[3,7]|3|1|true"]
    );
    assert_eq!(
        fixture.texts("SELECT filters ->> 'where_' FROM _metadata WHERE partial"),
        ["properties[\"plan\"] == 'pro'"]
    );

    fixture.restage().page(&[("b", "{}", None)]);
    fixture.load("r2", IfExists::Append).unwrap();
    assert_eq!(fixture.texts("SELECT partial::VARCHAR FROM _metadata"), ["true"], "what is missing is still missing");
    fixture.load("r3", IfExists::Replace).unwrap();
    assert_eq!(fixture.texts("SELECT partial::VARCHAR FROM _metadata"), ["false"]);
    assert_eq!(fixture.texts("SELECT run_id FROM _fetches"), ["r1", "r2", "r3"]);
}

#[test]
fn a_run_is_loaded_once() {
    let mut fixture = Fixture::new();
    fixture.page(&[("a", "{}", None), ("a", "{}", None), ("b", "{}", None)]);
    let first = fixture.load("r1", IfExists::Fail).unwrap();
    // As after a commit with an unknown outcome: it is not an error that the table exists.
    assert_eq!(fixture.load("r1", IfExists::Fail).unwrap(), first);
    assert_eq!(fixture.load("r1", IfExists::Append).unwrap(), first);
    assert_eq!(fixture.ids(), ["a", "b"]);
    assert_eq!(fixture.load("r2", IfExists::Fail).unwrap_err().kind(), ErrorKind::TableExists);
}

#[test]
fn an_unknown_commit_outcome_is_settled_by_inspection() {
    let mut fixture = Fixture::new();
    fixture.page(&[("a", "{}", None)]);
    let settle = |run_id: &str, error: &duckdb::Error| {
        let request = fixture.request(fixture.run(run_id), IfExists::Fail);
        settle::settle(&request, error, &mut |_| ControlFlow::Continue(()))
    };
    let error = duckdb::Error::DuckDBFailure(duckdb::ffi::Error::new(1), Some("FATAL Error: it broke".to_owned()));
    fixture.load("r1", IfExists::Fail).unwrap();
    assert_eq!(
        settle("r1", &error).unwrap(),
        Counts { rows: 1, duplicates: 0, shortfall: 0, altered: 0, conflicting: 0 }
    );

    let failed = settle("r2", &error).unwrap_err();
    assert_eq!((failed.kind(), failed.detail("outcome")), (ErrorKind::Storage, None));

    let _holder = Holder::open(&fixture.database);
    let unknown = settle("r1", &error).unwrap_err();
    assert_eq!(unknown.detail("outcome"), Some(&Value::from("unknown")));
}

#[test]
fn a_failed_load_leaves_table_and_stage_alone() {
    let mut fixture = Fixture::new();
    fixture.page(&[("old", "{}", None)]);
    fixture.load("r1", IfExists::Fail).unwrap();
    fixture.restage();
    for page in 0..20 {
        fixture.page(&[(&format!("new{page}"), "{}", None)]);
    }
    let check = |fixture: &Fixture, kind: ErrorKind, part: &str| {
        let before = fixture.stage_contents();
        let run = fixture.run("r2");
        for if_exists in [IfExists::Replace, IfExists::Append] {
            let error = fixture.load_run(run.clone(), if_exists).unwrap_err();
            assert_eq!(error.kind(), kind, "{error:?}");
            assert!(format!("{error:?}").contains(part), "{error:?}");
            assert_eq!(fixture.ids(), ["old"]);
            assert_eq!(fixture.texts("SELECT run_id FROM _fetches"), ["r1"]);
            assert_eq!(fixture.stage_contents(), before);
        }
    };
    let good = std::fs::read(&fixture.pages[13]).unwrap();
    let footer = good.len() - 8 - u32::from_le_bytes(good[good.len() - 8..][..4].try_into().unwrap()) as usize;
    let with_noise = |at: usize| [&good[..at], &[0xa5; 24], &good[at + 24..]].concat();
    // Overwrites bytes at the start of the first column, in its rows, and in the footer. DuckDB does not notice damage
    // in bytes that it does not read; the checksum in a page's name detects it.
    let [at_start, in_rows, in_footer, at_end] = [4, 40, footer, good.len() - 60].map(with_noise);
    for damaged in [good[..good.len() - 9].to_vec(), Vec::new(), at_start, in_rows, in_footer, at_end] {
        std::fs::write(&fixture.pages[13], damaged).unwrap();
        check(&fixture, ErrorKind::Storage, "page-000013.parquet` cannot be read");
    }
    std::fs::remove_file(&fixture.pages[13]).unwrap();
    check(&fixture, ErrorKind::Storage, "page-000013.parquet` cannot be read");
    std::fs::write(&fixture.pages[13], &good).unwrap();
    fixture.page(&[("fine", "{}", None), ("poison", r#"{"a":"\ud800"}"#, None)]);
    check(&fixture, ErrorKind::Storage, "row 1 of the staged page `page-000020.parquet`");
    fixture.pages.pop();
    let run = fixture.run("r2");
    let run = RunRecord { counts: FetchCounts { received: 22, ..run.counts.clone() }, ..run };
    let error = fixture.load_run(run, IfExists::Replace).unwrap_err();
    assert!(error.message().contains("the staged pages have 20 rows"), "{error:?}");
    assert_eq!(fixture.ids(), ["old"]);
}

#[test]
fn replace_keeps_indexes_and_views() {
    let mut fixture = Fixture::new();
    fixture.page(&[("old", "{}", Some(1))]);
    fixture.load("r1", IfExists::Fail).unwrap();
    fixture.execute(
        "CREATE VIEW seen AS SELECT distinct_id FROM profiles WHERE last_seen IS NOT NULL;
         CREATE INDEX \"by time\" ON profiles (last_seen);
         CREATE UNIQUE INDEX by_id ON profiles ((lower(distinct_id)))",
    );
    fixture.restage().page(&[("New", "{}", Some(2)), ("other", "{}", None)]);
    assert_eq!(fixture.load("r2", IfExists::Replace).unwrap(), report(2, 0));
    assert_eq!(fixture.texts("SELECT distinct_id FROM seen"), ["New"]);
    assert_eq!(fixture.texts("SELECT index_name FROM duckdb_indexes() ORDER BY 1"), ["by time", "by_id"]);

    fixture.restage().page(&[("x", "{}", None), ("X", "{}", None)]);
    let error = fixture.load("r3", IfExists::Replace).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConstraintViolated, "{error:?}");
    assert_eq!(fixture.ids(), ["New", "other"], "the unique index does not allow it");
}

#[test]
fn waits_for_a_lock_and_then_names_its_holder() {
    let mut fixture = Fixture::new();
    fixture.page(&[("a", "{}", None)]);
    fixture.load("r1", IfExists::Fail).unwrap();
    let holder = Holder::open(&fixture.database);
    let error = fixture.load("r2", IfExists::Append).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DatabaseLocked);
    assert_eq!(error.detail("holding_pid"), Some(&Value::from(holder.pid())));

    let mut request = fixture.request(fixture.run("r2"), IfExists::Append);
    request.options.lock_wait = Duration::from_secs(60);
    let error = load(&request, None, &mut |_| ControlFlow::Break(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DatabaseLocked, "the caller can end the wait");

    // The callback receives the id of the process that has the database open; the load continues once that process
    // exits.
    let (mut holder, mut told) = (Some(holder), Vec::new());
    let loaded = load(&request, None, &mut |error| {
        told.push((error.kind(), error.detail("holding_pid").cloned()));
        drop(holder.take());
        ControlFlow::Continue(())
    });
    let change = TableChange { table_rows: 1, updated: Some(0), unchanged: Some(1), days: None };
    assert_eq!(loaded.unwrap(), (report(0, 1), change));
    assert_eq!(told[0].0, ErrorKind::DatabaseLocked);
    assert!(told[0].1.as_ref().is_some_and(Value::is_u64), "{told:?}");
}

#[test]
fn this_process_never_opens_a_file_twice() {
    let mut fixture = Fixture::new();
    fixture.page(&[("a", "{}", None)]);
    fixture.load("r1", IfExists::Fail).unwrap();
    let reader = Database::open(&fixture.database, Access::ReadOnly).unwrap();
    let another = Database::open(&fixture.database, Access::ReadOnly).unwrap();
    drop(reader);
    let error = fixture.load("r2", IfExists::Replace).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DatabaseLocked);
    assert_eq!(error.detail("holding_pid"), Some(&Value::from(std::process::id())));
    assert_eq!(number(another.connection(), "SELECT count(*) FROM profiles").unwrap(), 1);
    drop(another);
    fixture.load("r2", IfExists::Replace).unwrap();
}

#[cfg(unix)]
#[test]
fn new_databases_and_directories_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut fixture = Fixture::new();
    fixture.database = fixture.directory.path().join("new/directories/profiles.db");
    fixture.page(&[("a", "{}", None)]);
    fixture.load("r1", IfExists::Fail).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&fixture.database), 0o600);
    let directory = fixture.database.parent().unwrap();
    assert_eq!((mode(directory), mode(directory.parent().unwrap())), (0o700, 0o700));
    let names: BTreeSet<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, BTreeSet::from(["profiles.db".into()]));

    // Permissions that a user has set on an existing file are kept.
    fs::set_permissions(&fixture.database, fs::Permissions::from_mode(0o640)).unwrap();
    fixture.load("r2", IfExists::Replace).unwrap();
    assert_eq!(mode(&fixture.database), 0o640);
}

#[test]
fn the_load_can_access_only_the_stage_directory() {
    let fixture = Fixture::new();
    let elsewhere = Fixture::new();
    fixture.load("r1", IfExists::Fail).unwrap();
    fs::write(elsewhere.stage.join("secret"), "x").unwrap();
    let access = Access::Load { stage_directory: &fixture.stage, tuning: Tuning::SMALL };
    let database = Database::open(&fixture.database, access).unwrap();
    let run = |sql: String| Connection::execute_batch(database.connection(), &sql);
    let secret = elsewhere.stage.display();
    for sql in [
        format!("SELECT * FROM read_text('{secret}/secret')"),
        format!("COPY (SELECT 1) TO '{secret}/out.csv'"),
        format!("ATTACH '{secret}/other.db'"),
        "INSTALL httpfs".to_owned(),
        "SET enable_external_access = true".to_owned(),
        "SET memory_limit = '8GB'".to_owned(),
    ] {
        assert!(run(sql.clone()).is_err(), "{sql}");
    }
}
