//! Replacing a table to which users have added columns or objects, and names that are already in use.

use std::path::PathBuf;

use duckdb::Connection;
use serde_json::json;

use crate::snapshot::assert_run;
use crate::support::{Home, Simulator};

fn home(simulator: &Simulator) -> (Home, PathBuf) {
    let home = Home::new().with_server(simulator);
    let path = home.path().join("my.db");
    (home, path)
}

fn execute(path: &PathBuf, sql: &str) {
    let connection = Connection::open(path).expect("a database");
    connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

const REPLACE: [&str; 6] = ["fetch", "profiles", "-q", "--replace", "--db", "my.db"];

#[test]
fn comments_and_indexes_stay() {
    let simulator = Simulator::with_faults(100, &[]);
    let (home, path) = home(&simulator);
    let _made = home.run(&REPLACE).exits(0);
    execute(
        &path,
        "CREATE INDEX by_id ON profiles (distinct_id); COMMENT ON TABLE profiles IS 'it''s \"mine\"';
         COMMENT ON COLUMN profiles.last_seen IS 'UTC'; COMMENT ON INDEX by_id IS 'fast'",
    );
    for _ in 0..2 {
        let run = home.run(&REPLACE).exits(0);
        assert_eq!(run.stderr, "");
    }
    let sql = "SELECT (SELECT comment FROM duckdb_tables() WHERE table_name = 'profiles') AS a,
         (SELECT comment FROM duckdb_columns() WHERE table_name = 'profiles' AND column_name = 'last_seen') AS b,
         (SELECT comment FROM duckdb_indexes() WHERE index_name = 'by_id') AS c";
    let found = home.run(&["query", "sql", sql, "-f", "jsonl", "--db", "my.db"]).exits(0).json();
    assert_eq!(found, json!({ "a": "it's \"mine\"", "b": "UTC", "c": "fast" }));
}

#[test]
fn replace_lists_dropped_objects_before_the_first_request() {
    let simulator = Simulator::with_faults(100, &["pages=0 status=401"]);
    let cases = [
        "ALTER TABLE profiles ADD COLUMN note VARCHAR",
        "CREATE OR REPLACE TABLE profiles (distinct_id VARCHAR PRIMARY KEY, properties JSON, last_seen TIMESTAMP,
             upper_id VARCHAR GENERATED ALWAYS AS (upper(distinct_id)))",
        "CREATE OR REPLACE TABLE profiles (distinct_id VARCHAR NOT NULL, properties JSON, last_seen TIMESTAMP,
             CHECK (distinct_id <> ''))",
        "ALTER TABLE profiles ADD COLUMN note VARCHAR; CREATE VIEW notes AS SELECT distinct_id, note FROM profiles;
             CREATE VIEW ids AS SELECT distinct_id FROM profiles",
    ];
    for sql in cases {
        let (home, path) = home(&simulator);
        execute(&path, "CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)");
        execute(&path, sql);
        let run = assert_run!(home.run(&REPLACE).exits(2));
        assert!(!run.stderr.contains("`ids`"), "{}", run.stderr);
    }
}

#[test]
fn a_violated_index_fails_alike_in_every_mode() {
    let simulator = Simulator::with_faults(100, &[]);
    for mode in ["--append", "--replace", "--upsert"] {
        let (home, path) = home(&simulator);
        execute(
            &path,
            "CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP);
             CREATE UNIQUE INDEX one ON profiles ((length(distinct_id) * 0))",
        );
        let run = home.run(&["fetch", "profiles", "-q", mode, "--db", "my.db"]);
        let run = assert_run!(run.exits(1), mode);
        execute(&path, "DROP INDEX one");
        let _resumed = home.shell(&run.resume_command()).exits(0);
    }
}

#[test]
fn a_new_table_does_not_shadow_engine_tables() {
    let simulator = Simulator::with_faults(20, &[]);
    let names = [
        "duckdb_tables",
        "duckdb_views",
        "DuckDB_Columns",
        "sqlite_master",
        "SQLITE_schema",
        "sqlite_temp_master",
        "pg_class",
        "pg_tables",
        "pg_whatever",
        "information_schema",
        "pragma_database_list",
    ];
    for name in names {
        for exists in [false, true] {
            let (home, path) = home(&simulator);
            if exists {
                execute(&path, "CREATE TABLE t (a INTEGER)");
            }
            for mode in [&[][..], &["--append"], &["--replace"]] {
                let run = home.run(&[&["fetch", "profiles", name, "-q", "--db", "my.db"], mode].concat());
                assert_run!(run.exits(3).prints_nothing(), format!("{name} {mode:?}"));
            }
        }
    }
    assert_eq!(simulator.stats().requests, 0);
    // An existing table of this name remains usable.
    let (home, path) = home(&simulator);
    execute(&path, "CREATE TABLE duckdb_tables (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)");
    let _appended = home.run(&["fetch", "profiles", "duckdb_tables", "-q", "--append", "--db", "my.db"]).exits(0);
    let count = ["query", "sql", "SELECT count(*) FROM main.duckdb_tables", "-f", "plain", "--db", "my.db"];
    assert_eq!(home.run(&count).exits(0).stdout, "20\n");
}

#[test]
fn lock_wait_limits_the_wait_for_the_database() {
    let simulator = Simulator::with_faults(100, &[]);
    let (home, path) = home(&simulator);
    execute(&path, "CREATE TABLE t (a INTEGER)");
    let holder = Connection::open(&path).expect("a database");
    for arguments in [&["fetch", "profiles"][..], &["fetch", "profiles", "other", "--plan"]] {
        let begun = std::time::Instant::now();
        let run = home.run(&[arguments, &["--lock-wait", "0s", "--db", "my.db"]].concat()).exits(1);
        assert_run!(run.says(&[&format!("process {}", std::process::id())]).prints_nothing());
        assert!(begun.elapsed() < std::time::Duration::from_millis(1_900), "{:?}", begun.elapsed());
    }
    assert_eq!(simulator.stats().requests, 0);
    let fetch = home.command(&["fetch", "profiles", "--lock-wait", "60s", "--db", "my.db"]);
    let running = super::attacks::Running::until(fetch, "note: waiting up to");
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    assert_eq!(simulator.stats().requests, 0);
    drop(holder);
    let (_, run) = running.end();
    let result = run.exits(0).json();
    assert_eq!(result["rows"], json!(100));
    // The wait is part of the duration.
    let seconds = |key: &str| result[key].as_f64().expect("seconds");
    let waited = seconds("waited_seconds");
    assert!(waited >= 2.0 && waited <= seconds("duration_seconds"), "{result}");
}
