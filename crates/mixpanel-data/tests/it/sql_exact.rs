//! Exact values, and the results of several statements.

use std::ops::ControlFlow;

use duckdb::Connection;
use mixpanel_data::{ErrorKind, SqlPart, SqlValue, Workspace};
use serde_json::json;
use tempfile::TempDir;

fn database(sql: &str) -> (TempDir, Workspace) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("x.db");
    Connection::open(&path).and_then(|connection| connection.execute_batch(sql)).expect("valid SQL");
    let workspace = Workspace::open(path);
    (directory, workspace)
}

/// Returns the results of a query: the column names, then the rows as JSON, each on a line.
fn lines(workspace: &Workspace, sql: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let part = |part: SqlPart<'_>| {
        lines.push(match part {
            SqlPart::Columns(names) => names.join(","),
            SqlPart::Row(values) => SqlValue::List(values).to_string(),
        });
        ControlFlow::Continue(())
    };
    workspace.sql_exact(sql, part).expect(sql);
    lines
}

#[test]
fn json_is_exact_and_parsed_values_are_unchanged() {
    let text = r#"{"big":12345678901234567890123,"e":1E5,"dup":1,"dup":2}"#;
    let (_directory, workspace) =
        database(&format!("CREATE TABLE t AS SELECT '{text}'::JSON AS j, [ '{text}'::JSON ] AS l, 1.50 AS d"));
    let row = format!("[{text},[{text}],1.50]");
    assert_eq!(lines(&workspace, "FROM t"), ["j,l,d".to_owned(), row.clone()]);
    let mut sample = Vec::new();
    let part = |part: SqlPart<'_>| {
        if let SqlPart::Row(values) = part {
            sample.push(SqlValue::List(values).to_string());
        }
        ControlFlow::Continue(())
    };
    workspace.sample_exact("T", 5, part).expect("a sample");
    assert_eq!(sample, [row]);
    let parsed = json!({"big": 1.234_567_890_123_456_8e22, "e": 100_000.0, "dup": 2});
    assert_eq!(workspace.sql("FROM t").expect("rows").rows, [[parsed.clone(), json!([parsed]), json!(1.5)]]);
}

#[test]
fn json_that_only_duckdb_accepts_is_text() {
    let (_directory, workspace) = database("");
    for text in ["[NaN]", "[1,]", "{\"a\":Infinity}"] {
        let mut value = None;
        let part = |part: SqlPart<'_>| {
            if let SqlPart::Row(values) = part {
                value = values.into_iter().next();
            }
            ControlFlow::Continue(())
        };
        if workspace.sql_exact(&format!("SELECT '{text}'::JSON"), part).is_ok() {
            assert_eq!(value, Some(SqlValue::Text(text.to_owned())));
        }
    }
}

/// The statements end where DuckDB ends them.
#[test]
fn statements_are_split_as_duckdb_splits_them() {
    let (_directory, workspace) = database("");
    for (statement, row) in [
        ("SELECT ';'", "[\";\"]"),
        ("SELECT 'it''s;'", "[\"it's;\"]"),
        ("SELECT E'it\\'s;'", "[\"it's;\"]"),
        ("SELECT '\\' || ';'", "[\"\\\\;\"]"),
        ("SELECT $$ ; ' $$", "[\" ; ' \"]"),
        ("SELECT $tag$ ; $$ ; $tag$", "[\" ; $$ ; \"]"),
        ("SELECT /* ; /* ; */ ; */ 1", "[1]"),
        ("SELECT -- ; '\n 1", "[1]"),
        ("SELECT 2 AS \"a;\"\"b\"", "[2]"),
        ("(SELECT 3)", "[3]"),
        ("FROM (VALUES (4))", "[4]"),
        ("WITH a AS (SELECT 5) FROM a", "[5]"),
    ] {
        let results = lines(&workspace, &format!("{statement}; {statement}\n;; {statement}"));
        assert_eq!(results.iter().skip(1).step_by(2).collect::<Vec<_>>(), [row; 3], "{statement}");
        assert_eq!(Workspace::sql_result_count(&format!("{statement};{statement}; BEGIN;")), 2, "{statement}");
    }
}

#[test]
fn a_callback_ends_the_query_and_later_statements() {
    let (_directory, workspace) = database("");
    let mut parts = 0;
    let part = |_: SqlPart<'_>| {
        parts += 1;
        if parts == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    workspace.sql_exact("FROM range(1000000); SELECT error('not reached')", part).expect("it ends early");
    assert_eq!(parts, 3);
    let error = workspace.sql_exact("SELECT 1; SELECT error('reached')", |_| ControlFlow::Continue(()));
    assert_eq!(error.expect_err("the second fails").kind(), ErrorKind::Query);
}

#[test]
fn statements_without_rows_have_a_result_only_alone() {
    let (_directory, workspace) = database("");
    assert_eq!(lines(&workspace, "BEGIN; SELECT 1 AS a; COMMIT"), ["a", "[1]"]);
    assert_eq!(lines(&workspace, "CREATE TEMP TABLE t AS SELECT 7 AS n; FROM t"), ["n", "[7]"]);
    assert!(!lines(&workspace, "BEGIN; CREATE TEMP TABLE t AS SELECT 1").is_empty());
}
