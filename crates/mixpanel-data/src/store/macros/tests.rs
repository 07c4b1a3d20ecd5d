//! The macros as a user meets them: with macros and tables of their own, without a table, through another connection.

use std::collections::BTreeSet;

use duckdb::Connection;

use super::testing::{create, database, events, rows};
use super::{ANALYSES, FUNCTIONS, ensure_macros, qualified};
use crate::store::own_objects::{MacroKind, Owner, owner_of_macro};

/// A call of every macro.
const CALLS: [&str; 7] = [
    "FROM mp_funnel(['a', 'b'], INTERVAL 1 DAY)",
    "FROM mp_retention('a', NULL, unit := 'day', n := 3)",
    "FROM mp_active_users()",
    "FROM mp_lifecycle(unit := 'day')",
    "FROM mp_sessions() ORDER BY ALL",
    "FROM mp_identities() ORDER BY ALL",
    "FROM mp_growth()",
];

#[test]
fn a_macro_of_the_user_stays() {
    let connection = database(&events(5));
    connection.execute_batch("CREATE OR REPLACE MACRO mp_funnel(a) AS TABLE SELECT a + 1 AS b").unwrap();
    ensure_macros(&connection).unwrap();
    assert_eq!(owner_of_macro(&connection, "mp_funnel", MacroKind::Table).unwrap(), Owner::User);
    assert_eq!(rows(&connection, "FROM mp_funnel(1)"), ["2"]);
    for Analysis { name, .. } in ANALYSES.iter().skip(1) {
        assert_eq!(owner_of_macro(&connection, name, MacroKind::Table).unwrap(), Owner::Mp, "{name}");
    }
}

use super::Analysis;

/// Each query names every function of DuckDB, and macros with the same names change nothing.
#[test]
fn functions_of_the_user_are_not_called() {
    let keywords = ["coalesce", "nullif", "components", ""];
    for Analysis { name, query, .. } in &ANALYSES {
        for part in qualified(query).split('(').map(|part| part.rsplit([' ', '(', '[', '-']).next().unwrap_or_default())
        {
            let is_name = part.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            assert!(!is_name || keywords.contains(&part), "{name} calls `{part}` by its short name");
        }
    }
    let many = (5..).map(events).find(|events| events.len() >= 40).unwrap();
    let connection = database(&many);
    let found = || CALLS.iter().map(|call| values(&connection, call)).collect::<Vec<_>>();
    let expected = found();
    for function in FUNCTIONS {
        let sql = format!("CREATE MACRO {function}(a) AS 'wrong'; CREATE MACRO {function}(a) AS TABLE SELECT 'wrong'");
        connection.execute_batch(&sql).unwrap();
    }
    assert!(expected.iter().all(|rows| !rows.is_empty()));
    assert_eq!(found(), expected);
}

/// Returns the rows of a query as text, without the help of DuckDB's functions.
fn values(connection: &Connection, query: &str) -> Vec<String> {
    let mut statement = connection.prepare(query).unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut texts = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let columns = row.as_ref().column_count();
        texts.push((0..columns).map(|column| format!("{:?} ", row.get_ref(column).unwrap())).collect());
    }
    texts
}

#[test]
fn the_table_can_come_later_and_go() {
    let connection = Connection::open_in_memory().unwrap();
    ensure_macros(&connection).unwrap();
    for call in CALLS {
        let error = connection.prepare(call).unwrap_err().to_string();
        assert!(error.contains("Table with name events does not exist"), "{call}: {error}");
    }
    create(&connection, "events", &events(5));
    connection.execute_batch("CREATE VIEW odd AS SELECT *, 1 AS unit, 2 AS source, 3 AS n FROM events").unwrap();
    for call in CALLS {
        let of_view = call.replacen(')', ", source := 'odd')", call.matches(')').count()).replace("(, ", "(");
        let of_view = match call.contains('[') {
            true => call.replace("DAY)", "DAY, source := 'odd')"),
            false => of_view,
        };
        assert_eq!(rows(&connection, call), rows(&connection, &of_view), "{of_view}");
    }
    connection.execute_batch("DROP TABLE events CASCADE").unwrap();
    ensure_macros(&connection).unwrap();
}

/// Rows without a user count for none.
#[test]
fn only_events_without_a_user() {
    let connection = database(&[super::testing::Event { name: "a", at: 0, id: "" }]);
    for call in CALLS {
        let found = rows(&connection, call);
        let expected: &[&str] = match call {
            call if call.contains("funnel") => &["1|a|0|-|-", "2|b|0|-|-"],
            call if call.contains("growth") => &["1969-12-29|1|0|0|0|-|-"],
            _ => &[],
        };
        assert_eq!(found, expected, "{call}");
    }
}

#[test]
fn wrong_arguments_are_refused() {
    let connection = database(&[super::testing::Event { name: "a", at: 0, id: "u1" }]);
    for (call, message) in [
        ("FROM mp_lifecycle(unit := 'hour')", "unit must be day, week or month"),
        ("FROM mp_growth(unit := 'year')", "unit must be day, week or month"),
        ("FROM mp_retention('a', 'b', unit := 'hour')", "unit must be day, week or month"),
        ("FROM mp_retention('a', 'b', mode := 'x')", "mode must be rolling or calendar"),
        ("FROM mp_retention('a', 'b', cohorts := 'x')", "cohorts must be first or each"),
        ("FROM mp_lifecycle(unit := NULL)", "unit must be day, week or month"),
        ("FROM mp_retention('a', 'b', unit := NULL)", "unit must be day, week or month"),
        ("FROM mp_retention('a', 'b', mode := NULL)", "mode must be rolling or calendar"),
        ("FROM mp_retention('a', 'b', cohorts := NULL)", "cohorts must be first or each"),
        ("FROM mp_retention('a', 'b', n := -1)", "n must be at least 0"),
        ("FROM mp_retention('a', 'b', n := NULL)", "n must be at least 0"),
        ("FROM mp_funnel(NULL, INTERVAL 1 DAY)", "steps must be a list of event names"),
        ("FROM mp_funnel(['a'], NULL)", "within must be an interval of at least 0"),
        ("FROM mp_funnel(['a'], INTERVAL '-1' DAY)", "within must be an interval of at least 0"),
        ("FROM mp_funnel(['a'], INTERVAL 1 DAY, grace := NULL)", "grace must be an interval of at least 0"),
        (
            "FROM mp_funnel(['a'], INTERVAL 1 DAY, grace := INTERVAL '-1' DAY)",
            "grace must be an interval of at least 0",
        ),
        ("FROM mp_sessions(gap := NULL)", "gap must be an interval of at least 0"),
        ("FROM mp_sessions(gap := INTERVAL '-1' DAY)", "gap must be an interval of at least 0"),
        ("FROM mp_sessions(at_midnight := NULL)", "at_midnight must be true or false"),
        ("FROM mp_sessions(excluded := NULL)", "excluded must be a list of event names"),
        ("FROM mp_lifecycle(units := 'day')", "units"),
    ] {
        let run = || -> Result<(), duckdb::Error> { connection.prepare(call)?.query([]).map(drop) };
        let error = run().unwrap_err().to_string();
        assert!(error.contains(message), "{call}: {error}");
    }
}

/// Another DuckDB client sees the macros in the file, also when it attaches it.
#[test]
fn the_macros_are_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("project.db");
    let connection = Connection::open(&path).unwrap();
    ensure_macros(&connection).unwrap();
    create(&connection, "events", &events(5));
    let expected: Vec<_> = CALLS.iter().map(|call| rows(&connection, call)).collect();
    drop(connection);
    let connection = Connection::open(&path).unwrap();
    assert_eq!(CALLS.iter().map(|call| rows(&connection, call)).collect::<Vec<_>>(), expected);
    let comments = rows(&connection, "SELECT comment FROM duckdb_functions() WHERE starts_with(function_name, 'mp_')");
    assert_eq!(comments.iter().filter(|comment| comment.ends_with("; maintained by mp")).count(), ANALYSES.len());
    drop(connection);
    let other = Connection::open_in_memory().unwrap();
    other.execute_batch(&format!("ATTACH '{}' AS project", path.display())).unwrap();
    assert_eq!(rows(&other, "FROM project.mp_active_users(source := 'project.main.events')"), expected[2]);
    other.execute_batch("USE project").unwrap();
    assert_eq!(CALLS.iter().map(|call| rows(&other, call)).collect::<Vec<_>>(), expected);
    let names: BTreeSet<_> = ANALYSES.iter().map(|analysis| analysis.name).collect();
    assert!(names.iter().all(|name| CALLS.iter().any(|call| call.contains(name))));
}
