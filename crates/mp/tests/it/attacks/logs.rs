//! Databases with a write-ahead log, as a killed process leaves them.

use std::path::{Path, PathBuf};

use duckdb::Connection;

use super::tools::all_but_state;
use crate::snapshot::assert_run;
use crate::support::{Home, Simulator};

/// Leaves these changes of a database in its write-ahead log.
fn leave_log(path: &Path, before: &str, changes: &str) {
    let connection = Connection::open(path).expect("a database");
    connection.execute_batch(&format!("{before}; CHECKPOINT")).unwrap_or_else(|error| panic!("{before}: {error}"));
    connection
        .execute_batch("PRAGMA disable_checkpoint_on_shutdown; SET checkpoint_threshold = '1GB'")
        .expect("settings");
    connection.execute_batch(changes).unwrap_or_else(|error| panic!("{changes}: {error}"));
    drop(connection);
    assert!(std::fs::metadata(log_of(path)).is_ok_and(|log| log.len() > 0), "no log of {changes}");
}

fn log_of(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}.wal", path.display()))
}

#[test]
fn a18_committed_wal_contents_are_readable() {
    let simulator = Simulator::with_faults(20, &[]);
    let before = "CREATE TABLE t (a INTEGER, b VARCHAR); INSERT INTO t SELECT range, range::VARCHAR FROM range(100)";
    let changes = [
        "CREATE INDEX i ON t (a)",
        "CREATE UNIQUE INDEX i ON t (b)",
        "CREATE INDEX i ON t (a); CREATE INDEX j ON t (b); DROP INDEX i",
        "CREATE INDEX i ON t (a, b); CHECKPOINT; DROP INDEX i",
        "CREATE TABLE u (a INTEGER PRIMARY KEY, b VARCHAR UNIQUE); INSERT INTO u VALUES (1, 'x')",
        "ALTER TABLE t ADD PRIMARY KEY (a)",
        "ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 7",
        "ALTER TABLE t ALTER a SET NOT NULL",
        "ALTER TABLE t RENAME b TO c",
        "ALTER TABLE t ALTER a TYPE BIGINT",
        "CREATE VIEW v AS SELECT * FROM t",
        "CREATE MACRO m(x) AS x + 1; CREATE MACRO n() AS TABLE SELECT * FROM t",
        "CREATE SEQUENCE s; SELECT nextval('s'); CREATE TABLE w (a INTEGER DEFAULT nextval('s')); INSERT INTO w VALUES (1)",
        "CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TABLE w (m mood); INSERT INTO w VALUES ('good')",
        "CREATE SCHEMA other; CREATE TABLE other.t AS SELECT 1 AS a; CREATE INDEX i ON other.t (a)",
        "COMMENT ON TABLE t IS 'mine'",
        "CREATE TABLE w AS SELECT * FROM t; CREATE INDEX i ON w (a); DROP TABLE w",
        "CREATE INDEX i ON t (a); UPDATE t SET b = 'x' WHERE a = 3; DELETE FROM t WHERE a = 4; INSERT INTO t VALUES (4, 'y')",
    ];
    let commands = [
        &["query", "sql", "SELECT count(*) FROM t", "-f", "plain"][..],
        &["inspect", "tables", "-f", "jsonl"],
        &["fetch", "profiles", "-q", "--append"],
    ];
    for (number, change) in changes.iter().enumerate() {
        let made = tempfile::tempdir().expect("a directory");
        let left = made.path().join("my.db");
        leave_log(&left, before, &format!("{change}; INSERT INTO t BY NAME SELECT 200 AS a"));
        for arguments in [commands[0], commands[1 + number % 2]] {
            let home = Home::new().with_server(&simulator);
            let path = home.path().join("my.db");
            for (from, to) in [(&left, &path), (&log_of(&left), &log_of(&path))] {
                std::fs::copy(from, to).expect("a copy");
            }
            let run = home.run(&[arguments, &["--db", "my.db"]].concat());
            assert_eq!(run.code, Some(0), "{change}: {arguments:?}: {run:?}");
            if arguments[0] == "query" {
                assert_eq!(run.stdout, "101\n", "{change}");
            }
            // No committed change is lost, whichever program opens the file next.
            let count: i64 = Connection::open(&path)
                .and_then(|database| database.query_row("SELECT count(*) FROM t", [], |row| row.get(0)))
                .expect("the table");
            assert_eq!(count, 101, "{change}");
        }
    }
}

#[test]
fn a18_no_hint_causes_data_loss() {
    let simulator = Simulator::with_faults(20, &[]);
    let home = Home::new().with_server(&simulator);
    let path = home.path().join("my.db");
    leave_log(&path, "CREATE TABLE t (a INTEGER)", "CREATE INDEX i ON t (a); INSERT INTO t VALUES (1)");
    let mut log = std::fs::read(log_of(&path)).expect("a log");
    let middle = log.len() / 2;
    log[middle] ^= 1;
    std::fs::write(log_of(&path), &log).expect("a log");
    let contents = || -> Vec<_> {
        all_but_state(home.path()).into_iter().map(|path| (path.clone(), std::fs::read(path).ok())).collect()
    };
    let before = contents();
    for arguments in [&["query", "sql", "FROM t"][..], &["inspect", "tables"], &["fetch", "profiles", "--append", "-q"]]
    {
        let run = home.run(&[arguments, &["--db", "my.db"]].concat()).exits(1).prints_nothing();
        let run = assert_run!(run, arguments[..2].join(" "));
        for word in ["move", "remove", "delete"] {
            assert!(!run.stderr.contains(word), "{word}: {}", run.stderr);
        }
        assert!(contents() == before, "{arguments:?} changed something");
    }
    assert_eq!(simulator.stats().requests, 0);
}

#[test]
fn a18_the_log_of_a_linked_database_is_found_by_its_link() {
    let simulator = Simulator::with_faults(20, &[]);
    let home = Home::new().with_server(&simulator);
    let (path, link) = (home.path().join("real.db"), home.path().join("link.db"));
    let count = |name: &str| {
        let arguments = ["query", "sql", "SELECT count(*) FROM t", "-f", "plain", "--db", name];
        home.run(&arguments).exits(0).stdout
    };
    leave_log(&path, "CREATE TABLE t (a INTEGER)", "CREATE INDEX i ON t (a); INSERT INTO t VALUES (1)");
    std::os::unix::fs::symlink("real.db", &link).expect("a link");
    assert_eq!((count("link.db"), count("real.db")), ("1\n".to_owned(), "1\n".to_owned()));
}
