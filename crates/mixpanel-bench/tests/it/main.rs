//! Tests of `duckdb-alone`.

use std::process::{Command, Output};

use serde_json::Value;

fn duckdb_alone(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_duckdb-alone")).args(args).output().expect("it starts")
}

#[test]
fn prints_duration_and_changed_rows_of_each_statement() {
    let directory = tempfile::tempdir().expect("a directory");
    let (database, file) = (directory.path().join("x.db"), directory.path().join("x.parquet"));
    let output = duckdb_alone(&[
        "--memory-limit",
        "100MB",
        "--threads",
        "1",
        database.to_str().expect("UTF-8"),
        "CREATE TABLE t AS SELECT * FROM range(7)",
        "INSERT INTO t VALUES (7), (8)",
        "SELECT count(*) FROM t",
        "SET threads = 2",
        &format!("COPY t TO '{}' (FORMAT parquet)", file.display()),
    ]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let rows: Vec<_> = lines.iter().map(|line| line["rows"].as_u64().expect("a count")).collect();
    assert_eq!(rows, [0, 2, 0, 0, 9], "{text}");
    assert!(lines.iter().all(|line| line["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0)), "{text}");
}

#[test]
fn stops_at_the_first_statement_that_fails() {
    let output = duckdb_alone(&[":memory:", "SELECT 1", "SELECT nothing", "SELECT 1"]);
    assert!(!output.status.success());
    assert_eq!(output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count(), 1);
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing"), "{output:?}");
}

#[test]
fn prints_usage() {
    for args in [&[][..], &["x.db"], &["--threads"], &["--fast", "x.db", "SELECT 1"]] {
        let output = duckdb_alone(args);
        assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("usage:"), "{args:?}");
    }
}
