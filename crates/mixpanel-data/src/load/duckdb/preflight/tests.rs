use std::fs;

use duckdb::Connection;
use serde_json::Value;

use super::*;
use crate::Workspace;
use crate::dataset::PROFILES;
use crate::error::{Error, ErrorKind};
use crate::limits::PREFLIGHT_LOCK_WAIT;
use crate::load::duckdb::seen::Found;
use crate::load::duckdb::testing::{Fixture, Holder, Mount};

fn check(fixture: &Fixture, if_exists: IfExists) -> Result<()> {
    preflight(
        &fixture.database,
        &PROFILES,
        &TableName::parse("profiles").unwrap(),
        if_exists,
        LoadKind::First,
        PREFLIGHT_LOCK_WAIT,
    )
    .map(|_| ())
}

fn refusal(fixture: &Fixture, if_exists: IfExists) -> Error {
    let bytes = fs::read(&fixture.database).unwrap();
    let error = check(fixture, if_exists).unwrap_err();
    assert!(bytes == fs::read(&fixture.database).unwrap(), "the file was changed");
    error
}

#[test]
fn a_missing_database_stays_missing() {
    let mut fixture = Fixture::new();
    fixture.database = fixture.directory.path().join("a/b/profiles.db");
    for if_exists in [IfExists::Fail, IfExists::Append, IfExists::Replace] {
        check(&fixture, if_exists).unwrap();
    }
    assert_eq!(fs::read_dir(fixture.directory.path().join("a/b")).unwrap().count(), 0);
}

#[test]
fn an_existing_table() {
    let fixture = Fixture::new();
    fixture.load("r1", IfExists::Fail).unwrap();
    let error = refusal(&fixture, IfExists::Fail);
    assert_eq!(error.kind(), ErrorKind::TableExists);
    assert_eq!(error.detail("table_name"), Some(&Value::from("profiles")));
    assert!(error.detail("suggestion").is_some());
    check(&fixture, IfExists::Append).unwrap();
    check(&fixture, IfExists::Replace).unwrap();
    let other = TableName::parse("other").unwrap();
    preflight(&fixture.database, &PROFILES, &other, IfExists::Fail, LoadKind::First, PREFLIGHT_LOCK_WAIT).unwrap();
    let shouted = TableName::parse("PROFILES").unwrap();
    assert_eq!(
        preflight(&fixture.database, &PROFILES, &shouted, IfExists::Fail, LoadKind::First, PREFLIGHT_LOCK_WAIT)
            .unwrap_err()
            .kind(),
        ErrorKind::TableExists
    );
    assert_eq!(
        fixture.texts("SELECT table_name FROM duckdb_tables() ORDER BY 1"),
        ["_fetches", "_metadata", "_properties", "_rejects", "profiles"]
    );
}

#[test]
fn a_target_that_profiles_cannot_be_appended_to() {
    let cases = [
        ("CREATE VIEW profiles AS SELECT 1 AS distinct_id", "is a view"),
        (
            "CREATE TABLE profiles (event_name VARCHAR NOT NULL, event_time TIMESTAMP NOT NULL, distinct_id VARCHAR NOT NULL,
             insert_id VARCHAR PRIMARY KEY, properties JSON)",
            "no column `last_seen`",
        ),
        (
            "CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen VARCHAR)",
            "`last_seen` is VARCHAR, not TIMESTAMP",
        ),
        ("CREATE TABLE profiles (distinct_id BIGINT, properties JSON, last_seen TIMESTAMP)", "`distinct_id` is BIGINT"),
        (
            "CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP, tenant INTEGER NOT NULL)",
            "`tenant` is NOT NULL and has no default",
        ),
        (
            "CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP);
             CREATE TABLE _metadata (table_name VARCHAR PRIMARY KEY, type VARCHAR, fetched_at TIMESTAMP);
             INSERT INTO _metadata VALUES ('Profiles', 'events', '2020-01-01')",
            "it holds events",
        ),
    ];
    for (sql, part) in cases {
        let fixture = Fixture::new();
        fixture.execute(sql);
        let error = refusal(&fixture, IfExists::Append);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{sql}");
        assert!(error.message().contains(part), "{error}");
    }
}

#[test]
fn compatible_tables_accept_appends() {
    for sql in [
        "CREATE TABLE profiles (distinct_id VARCHAR PRIMARY KEY, properties JSON, last_seen TIMESTAMP)",
        "CREATE TABLE Profiles (LAST_SEEN TIMESTAMP, properties VARCHAR, note INTEGER, distinct_id VARCHAR NOT NULL)",
        "CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP, n INTEGER NOT NULL DEFAULT 1)",
    ] {
        let fixture = Fixture::new();
        fixture.execute(sql);
        check(&fixture, IfExists::Append).unwrap();
    }
}

#[test]
fn a_target_that_cannot_be_replaced() {
    let cases = [
        "CREATE VIEW profiles AS SELECT 1 AS distinct_id",
        "CREATE TABLE profiles (distinct_id VARCHAR PRIMARY KEY); CREATE TABLE t (id VARCHAR REFERENCES profiles (distinct_id))",
        "CREATE TABLE profiles (distinct_id VARCHAR, note VARCHAR); CREATE INDEX i ON profiles (note)",
    ];
    for sql in cases {
        let fixture = Fixture::new();
        fixture.execute(sql);
        assert_eq!(refusal(&fixture, IfExists::Replace).kind(), ErrorKind::InvalidInput, "{sql}");
    }
}

#[test]
fn tables_with_foreign_key_references_cannot_be_upserted() {
    let fixture = Fixture::new();
    fixture.execute(
        "CREATE TABLE profiles (distinct_id VARCHAR PRIMARY KEY, properties JSON, last_seen TIMESTAMP);
         CREATE TABLE orders (id VARCHAR REFERENCES profiles (distinct_id))",
    );
    let error = refusal(&fixture, IfExists::Upsert);
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("table `orders` references them"), "{error}");
    check(&fixture, IfExists::Append).unwrap();
}

#[test]
fn the_table_of_a_resumed_run_may_exist() {
    let mut fixture = Fixture::new();
    fixture.page(&[("a", "{}", None)]);
    fixture.load_partial("r1", IfExists::Fail).unwrap();
    let table = TableName::parse("profiles").unwrap();
    for if_exists in [IfExists::Fail, IfExists::Append, IfExists::Upsert, IfExists::Replace] {
        let found =
            preflight(&fixture.database, &PROFILES, &table, if_exists, LoadKind::Completing, PREFLIGHT_LOCK_WAIT);
        assert_eq!(found.unwrap().seen.found, Found::Table, "{if_exists:?}");
    }
    fixture.execute("DROP TABLE profiles; CREATE VIEW profiles AS SELECT 1 AS distinct_id");
    let error =
        preflight(&fixture.database, &PROFILES, &table, IfExists::Fail, LoadKind::Completing, PREFLIGHT_LOCK_WAIT)
            .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn an_incompatible_metadata_table_is_refused_early() {
    let fixture = Fixture::new();
    fixture.execute("CREATE VIEW _metadata AS SELECT 1 AS x");
    assert_eq!(refusal(&fixture, IfExists::Fail).kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_locked_database_names_its_holder() {
    let fixture = Fixture::new();
    fixture.load("r1", IfExists::Fail).unwrap();
    let holder = Holder::open(&fixture.database);
    let error = check(&fixture, IfExists::Replace).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DatabaseLocked);
    assert_eq!(error.detail("holding_pid"), Some(&Value::from(holder.pid())));
}

#[test]
fn files_that_are_not_databases() {
    let page = |start: &[u8]| [start, &[7; 20_000]].concat();
    let cases: [(Vec<u8>, &str); 5] = [
        (Vec::new(), "is an empty file"),
        (page(b"hello"), "is not a DuckDB database"),
        (page(b"SQLite format 3\0"), "is a SQLite database"),
        (b"short".to_vec(), "is not a DuckDB database"),
        (page(b"12345678DUCK"), "a checksum does not match"),
    ];
    for (bytes, part) in cases {
        let fixture = Fixture::new();
        fs::write(&fixture.database, bytes).unwrap();
        let error = refusal(&fixture, IfExists::Fail);
        assert_eq!(error.kind(), ErrorKind::DatabaseUnusable, "{error:?}");
        assert!(error.message().contains(part), "{error}");
    }
}

#[test]
fn a_damaged_or_cut_database() {
    let fixture = Fixture::new();
    fixture.load("r1", IfExists::Fail).unwrap();
    let good = fs::read(&fixture.database).unwrap();
    let mut flipped = good.clone();
    flipped[4_096 * 3 + 100] ^= 1;
    for bytes in [flipped, good[..5_000].to_vec()] {
        fs::write(&fixture.database, bytes).unwrap();
        let error = refusal(&fixture, IfExists::Fail);
        assert_eq!(error.kind(), ErrorKind::DatabaseUnusable, "{error:?}");
    }
}

#[test]
fn a_log_of_another_database() {
    let fixture = Fixture::new();
    let directory = fixture.directory.path().display();
    // Only files of the latest storage version record which log belongs to them.
    let make = |name: &str, leave_log: &str| {
        let connection = Connection::open_in_memory().unwrap();
        let sql = format!(
            "ATTACH '{directory}/{name}' AS d (STORAGE_VERSION 'latest'); CREATE TABLE d.t AS SELECT 1 AS a; CHECKPOINT d; {leave_log}"
        );
        connection.execute_batch(&sql).unwrap();
        connection
    };
    drop(make("profiles.db", ""));
    let open = make("other.db", "INSERT INTO d.t VALUES (2)");
    let log = fixture.directory.path().join("profiles.db.wal");
    fs::copy(fixture.directory.path().join("other.db.wal"), &log).unwrap();
    drop(open);
    let log_bytes = fs::read(&log).unwrap();
    let error = refusal(&fixture, IfExists::Fail);
    assert_eq!(error.kind(), ErrorKind::DatabaseUnusable, "{error:?}");
    assert!(error.message().contains("belongs to another database"), "{error}");
    assert!(log_bytes == fs::read(&log).unwrap(), "the log was changed");
}

#[test]
fn a_database_of_a_newer_duckdb() {
    let fixture = Fixture::new();
    fs::write(&fixture.database, include_bytes!("../../../../tests/it/newer_database.bin")).unwrap();
    let error = refusal(&fixture, IfExists::Fail);
    assert_eq!(error.kind(), ErrorKind::DatabaseUnusable, "{error:?}");
    assert!(error.message().contains("newer DuckDB: storage version 999"), "{error}");
}

#[test]
fn paths_that_are_not_files() {
    let table = TableName::parse("profiles").unwrap();
    let schemes = [
        "http://127.0.0.1:1/x.db",
        "https://x/y",
        "s3://b/k",
        "s3:k",
        "md:",
        "md:foo",
        "postgres:dbname=x",
        "sqlite:x",
        ":memory:",
        ":memory:x",
        "",
    ];
    for path in schemes {
        let error = preflight(Path::new(path), &PROFILES, &table, IfExists::Fail, LoadKind::First, PREFLIGHT_LOCK_WAIT)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{path}");
    }
    let fixture = Fixture::new();
    let directory = fixture.directory.path();
    assert_eq!(
        preflight(directory, &PROFILES, &table, IfExists::Fail, LoadKind::First, PREFLIGHT_LOCK_WAIT)
            .unwrap_err()
            .kind(),
        ErrorKind::DatabaseUnusable
    );
    fs::write(directory.join("file"), "").unwrap();
    assert_eq!(
        preflight(
            &directory.join("file/x.db"),
            &PROFILES,
            &table,
            IfExists::Fail,
            LoadKind::First,
            PREFLIGHT_LOCK_WAIT
        )
        .unwrap_err()
        .kind(),
        ErrorKind::Storage
    );
    for name in ["with:colon.db", "file?x=1", "-rf", "a'b\"c.db", "*.db"] {
        preflight(&directory.join(name), &PROFILES, &table, IfExists::Fail, LoadKind::First, PREFLIGHT_LOCK_WAIT)
            .unwrap();
    }
}

#[cfg(unix)]
#[test]
fn links() {
    let mut fixture = Fixture::new();
    let real = fixture.directory.path().join("real.db");
    std::os::unix::fs::symlink(&real, &fixture.database).unwrap();
    let error = check(&fixture, IfExists::Fail).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DatabaseUnusable);
    assert!(!real.exists());
    drop(Connection::open(&real).unwrap());
    fixture.page(&[("a", "{}", None)]);
    check(&fixture, IfExists::Fail).unwrap();
    fixture.load("r1", IfExists::Fail).unwrap();
    assert!(fs::symlink_metadata(&fixture.database).unwrap().is_symlink());
    assert_eq!(fixture.ids(), ["a"]);
}

#[test]
fn a_directory_that_cannot_be_written_in() {
    let mut fixture = Fixture::new();
    let directory = fixture.directory.path().join("mounted");
    fs::create_dir(&directory).unwrap();
    let Some(mount) = Mount::tmpfs(&directory, 8 << 20) else { return };
    fixture.database = directory.join("profiles.db");
    fixture.page(&[("a", "{}", None)]);
    fixture.load("r1", IfExists::Fail).unwrap();
    mount.make_read_only();
    assert_eq!(refusal(&fixture, IfExists::Replace).kind(), ErrorKind::Storage);
    let workspace = Workspace::open(&fixture.database);
    assert_eq!(workspace.sql_scalar("SELECT distinct_id FROM profiles").unwrap(), "a");
    let missing = directory.join("new.db");
    let table = TableName::parse("profiles").unwrap();
    assert_eq!(
        preflight(&missing, &PROFILES, &table, IfExists::Fail, LoadKind::First, PREFLIGHT_LOCK_WAIT)
            .unwrap_err()
            .kind(),
        ErrorKind::Storage
    );
    assert_eq!(
        preflight(&directory.join("a/b.db"), &PROFILES, &table, IfExists::Fail, LoadKind::First, PREFLIGHT_LOCK_WAIT)
            .unwrap_err()
            .kind(),
        ErrorKind::Storage
    );
    assert_eq!(workspace.drop_tables(&["profiles".to_owned()]).unwrap_err().kind(), ErrorKind::Storage);
}

#[test]
fn macros_of_the_user_are_named() {
    let own = [
        "prop",
        "mp_funnel",
        "mp_retention",
        "mp_active_users",
        "mp_lifecycle",
        "mp_sessions",
        "mp_identities",
        "mp_growth",
    ];
    let fixture = Fixture::new();
    fixture.execute("CREATE TABLE other (a INTEGER)");
    let taken = || {
        let table = TableName::parse("profiles").unwrap();
        let (first, none) = (LoadKind::First, std::time::Duration::ZERO);
        let checked = preflight(&fixture.database, &PROFILES, &table, IfExists::Append, first, none).unwrap();
        let name = |warning: &Warning| match warning {
            Warning::NameTaken { name, table: None } => Some(name.clone()),
            _ => None,
        };
        checked.warnings.iter().filter_map(name).collect::<Vec<_>>()
    };
    for (number, name) in own.iter().enumerate() {
        assert_eq!(taken(), own[..number]);
        let (of_another_kind, kind) = if *name == "prop" { ("TABLE SELECT", "") } else { ("", "TABLE SELECT") };
        fixture.execute(&format!("CREATE MACRO {name}(a) AS {of_another_kind} a"));
        assert_eq!(taken(), own[..number], "{name} of the other kind");
        fixture.execute(&format!("CREATE MACRO {}(a) AS {kind} a", name.to_uppercase()));
    }
    assert_eq!(taken(), own);
    // Those of a load are no user's.
    let fixture = Fixture::new();
    fixture.load("r1", IfExists::Fail).unwrap();
    assert!(macros::taken_names(&Connection::open(&fixture.database).unwrap()).unwrap().is_empty());
}
