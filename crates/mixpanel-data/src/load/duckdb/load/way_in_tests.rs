//! Tests that the name and path of the file, and DuckDB's limits, do not affect what is loaded.

use std::time::Duration;

use crate::ErrorKind;
use crate::counts::FetchCounts;
use crate::dataset::PROFILES;
use crate::limits::MEMORY_RANGE;
use crate::load::duckdb::testing::Fixture;
use crate::load::package::LoadReport;
use crate::load::{LoadKind, RunRecord, preflight, verify};
use crate::profile_query::IfExists;
use crate::store::{TableName, drop_tables, scalar, tables};

#[test]
fn other_objects_in_the_database_are_preserved() {
    let mut fixture = Fixture::new();
    fixture.page(&[("old", "{}", Some(1))]);
    fixture.load("r1", IfExists::Fail).unwrap();
    fixture.execute(
        "CREATE SEQUENCE numbers;
         CREATE TABLE other (n BIGINT DEFAULT nextval('numbers'), id VARCHAR UNIQUE, CHECK (n > 0));
         CREATE VIEW seen AS SELECT p.distinct_id, o.n FROM profiles AS p, other AS o;
         CREATE MACRO twice(x) AS TABLE SELECT x, (SELECT count(*) FROM profiles);
         CREATE INDEX by_time ON profiles (last_seen)",
    );
    fixture.restage().page(&[("new", "{}", Some(2))]);
    fixture.load("r2", IfExists::Replace).unwrap();
    fixture.restage().page(&[("newer", "{}", Some(3))]);
    fixture.load("r3", IfExists::Upsert).unwrap();
    fixture.execute("INSERT INTO other (id) VALUES ('x')");
    assert_eq!(fixture.texts("SELECT distinct_id || n FROM seen ORDER BY 1"), ["new1", "newer1"]);
    assert_eq!(fixture.texts("SELECT column1::VARCHAR FROM twice(1) AS t (column0, column1)"), ["2"]);
}

#[test]
fn a_database_file_may_have_a_reserved_name() {
    let stems = [
        "memory",
        "temp",
        "system",
        "main",
        "Main",
        "information_schema",
        "INFORMATION_SCHEMA",
        "pg_catalog",
        "a.b",
        "",
        "it's \"one\"; -- $1",
        "select",
        "_metadata",
        "profiles",
        "default",
    ];
    let sql = "SELECT (SELECT count(*) FROM profiles) || '|' || count(*) FROM information_schema.tables
               WHERE table_name = 'profiles'";
    for (number, stem) in stems.into_iter().enumerate() {
        let mut fixture = Fixture::named(&format!("{stem}.db"), "stage");
        fixture.page(&[("a", "{}", None)]).reject(0, &[(1, "why", "{")]);
        fixture.load_run(rejecting(&fixture, "r1"), IfExists::Fail).unwrap();
        assert_eq!(scalar(&fixture.database, sql).unwrap(), "1|1", "{stem}");
        // All operations attach the file under the same name, so the others are tested with only some of the names.
        if number % 5 == 0 {
            preflight(&fixture.database, &PROFILES, &profiles(), IfExists::Upsert, LoadKind::First, Duration::ZERO)
                .unwrap();
            fixture.restage().page(&[("b", "{}", None)]);
            fixture.load("r2", IfExists::Append).unwrap();
            assert!(verify(&fixture.database, "profiles").unwrap().is_intact(), "{stem}");
            assert_eq!(tables(&fixture.database).unwrap().len(), 1, "{stem}");
            drop_tables(&fixture.database, &["profiles".to_owned()]).unwrap();
            assert!(tables(&fixture.database).unwrap().is_empty(), "{stem}");
        }
    }
}

/// A view may refer to its database by the name under which its creator attached the file.
#[test]
fn views_that_name_their_database_still_work() {
    let mut fixture = Fixture::named("mine.db", "stage");
    fixture.page(&[("a", "{}", None)]);
    fixture.load("r1", IfExists::Fail).unwrap();
    fixture.execute(
        "CREATE VIEW seen AS SELECT * FROM mine.main.profiles; CREATE SEQUENCE n;
         ALTER TABLE profiles ADD COLUMN number BIGINT DEFAULT nextval('mine.main.n')",
    );
    fixture.restage().page(&[("b", "{}", None)]);
    fixture.load("r2", IfExists::Append).unwrap();
    assert_eq!(scalar(&fixture.database, "SELECT max(number) FROM mine.seen").unwrap(), 2);
    assert_eq!(fixture.texts("SELECT distinct_id FROM mine.main.seen"), ["a", "b"]);
}

/// DuckDB interprets `name=value` in a path as a column, and `*`, `?` and `[` as patterns.
#[test]
fn special_characters_in_file_paths_do_not_affect_a_load() {
    let others = ["a", "abc", "axc", "x", "back", "~"];
    for (name, file) in [
        ("distinct_id=5/properties=x/last_seen=2020-01-01/page=7", "distinct_id=5.db"),
        ("*/a*", "a*.db"),
        ("[a]/a[b]*", "a[b]*.db"),
        ("{a,b}/back\\*", "{a,b}.db"),
        ("it's/\"/~/a b\nc", "it's \"\n*.db"),
        ("é*/$HOME/a,b/-r", "-r.db"),
    ] {
        // Other files that the patterns match are next to it.
        let mut fixture = Fixture::named(&format!("{name}/{file}"), &format!("{name}/stage"));
        let inner = others.iter().flat_map(|first| others.map(|second| format!("{first}/{second}")));
        for other in inner.chain(others.map(str::to_owned)) {
            let directory = fixture.directory.path().join(other).join("stage");
            std::fs::create_dir_all(&directory).unwrap();
            for file in ["page-000000.parquet", "rejects-000000.parquet"] {
                std::fs::write(directory.join(file), "another").unwrap();
            }
        }
        fixture.page(&[("a", r#"{"n":1}"#, Some(1)), ("b", "{}", None)]).reject(0, &[(1, "why", "{")]);
        fixture.load_run(rejecting(&fixture, "r1"), IfExists::Fail).unwrap();
        for if_exists in [IfExists::Append, IfExists::Upsert, IfExists::Replace] {
            fixture.load_run(rejecting(&fixture, &format!("{if_exists:?}")), if_exists).unwrap();
        }
        let row = "SELECT concat_ws('|', distinct_id, properties, epoch_us(last_seen)) FROM profiles";
        assert_eq!(fixture.texts(row), [r#"a|{"n":1}|1"#, "b|{}"], "{name}");
        assert!(verify(&fixture.database, "profiles").unwrap().is_intact(), "{name}");
        std::fs::write(&fixture.pages[0], "damaged").unwrap();
        let error = fixture.load("r5", IfExists::Replace).unwrap_err();
        assert!(error.message().contains("page-000000.parquet` cannot be read"), "{name}: {error:?}");
    }
}

/// DuckDB would put the write-ahead log into another directory.
#[test]
fn a_question_mark_in_a_directory_is_refused_at_once() {
    for path in ["?/x.db", "a?b/x.db"] {
        let fixture = Fixture::named(path, "stage");
        let error =
            preflight(&fixture.database, &PROFILES, &profiles(), IfExists::Fail, LoadKind::First, Duration::ZERO)
                .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
        assert!(error.message().contains("`?`"), "{error:?}");
    }
}

fn rejecting(fixture: &Fixture, run_id: &str) -> RunRecord {
    let run = fixture.run(run_id);
    let counts = FetchCounts { received: run.counts.received + 1, rejected: 1, ..run.counts };
    RunRecord { counts, ..run }
}

fn profiles() -> TableName {
    TableName::parse("profiles").unwrap()
}

#[test]
fn rows_stay_in_page_order_for_any_memory_and_page_size() {
    let ids: Vec<String> = (0..3_000).map(|row| format!("{:x}", row * 7_919 % 3_001)).collect();
    let text = format!(r#"{{"k":"{}"}}"#, "x".repeat(10_000));
    // Large pages have several row groups; the duplicate is in a different one.
    let mut rows: Vec<_> = ids.iter().map(|id| (id.as_str(), text.as_str(), None)).collect();
    rows.insert(2_300, (&ids[100], "{}", None));
    for page_rows in [250, 2_500] {
        let mut fixture = Fixture::new();
        for page in rows.chunks(page_rows) {
            fixture.page(page);
        }
        for memory in [*MEMORY_RANGE.start(), *MEMORY_RANGE.end()] {
            let mut request = fixture.request(fixture.run(&memory.to_string()), IfExists::Replace);
            request.options.memory = memory;
            assert_eq!(
                super::load(&request, None, &mut |_| std::ops::ControlFlow::Continue(())).unwrap().0,
                LoadReport { rows: 3_000, duplicates: 1, shortfall: 0, altered: 0 }
            );
            assert_eq!(fixture.ids(), ids, "{page_rows} {memory}");
            assert_eq!(fixture.texts("SELECT count(*)::VARCHAR FROM profiles WHERE properties = '{}'"), ["0"]);
        }
        let groups = "SELECT count(DISTINCT row_group_id)::VARCHAR FROM pragma_storage_info('profiles')";
        assert_ne!(fixture.texts(groups), ["1"], "one row group has an order of its own");
    }
}
