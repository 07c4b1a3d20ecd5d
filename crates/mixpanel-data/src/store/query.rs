//! Runs user queries: read-only, and without access to other files.

use std::ops::ControlFlow;
use std::path::Path;

use arrow::array::Array as _;
use duckdb::Statement;
use serde_json::Value;

use super::database::{Access, Database};
use super::failure::query as query_error;
use super::values;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::QUERY_REPLAYS_MAX;
use crate::types::SqlResult;

/// Runs a query and passes its rows to `row`. Only a few thousand rows are in memory at a time.
///
/// If there are several statements, all are run, and only the last one returns rows.
pub(crate) fn each(
    database: &Path,
    sql: &str,
    columns: impl FnOnce(&[String]) -> ControlFlow<()>,
    mut row: impl FnMut(Vec<Value>) -> ControlFlow<()>,
) -> Result<()> {
    let path = database;
    let database = Database::open(path, Access::ReadOnly)?;
    let fail = |error| query_error(path, sql, &error);
    let mut statement = database.connection().prepare(sql).map_err(|error| match is_empty(&error) {
        true => Error::new(ErrorKind::Query, "the query is empty").with_detail("query", sql),
        false => fail(error),
    })?;
    start(&mut statement).map_err(|error| fail(cause(&mut statement, error)))?;
    let schema = statement.schema();
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    if columns(&names).is_break() {
        return Ok(());
    }
    let fields: Vec<_> = schema.fields().iter().map(AsRef::as_ref).collect();
    loop {
        let batch = match statement.step() {
            Ok(Some(batch)) => batch,
            Ok(None) => return Ok(()),
            Err(error) => return Err(fail(cause(&mut statement, error))),
        };
        for index in 0..batch.len() {
            if row(values::row(&fields, &batch, index)).is_break() {
                return Ok(());
            }
        }
    }
}

/// Starts a query. Its rows are fetched with `step`, because the crate's own row iterator panics on an error.
fn start(statement: &mut Statement<'_>) -> Result<(), duckdb::Error> {
    statement.stream_arrow([]).map(drop)
}

/// Returns the actual cause of a failed query.
///
/// When a DuckDB thread fails, it interrupts the others, and sometimes the interrupt is reported instead of the failure
/// (measured: 1 in 300 failures with two threads, 4 in 300 with four). Nothing else interrupts a query, so it is rerun
/// to get the actual error.
fn cause(statement: &mut Statement<'_>, error: duckdb::Error) -> duckdb::Error {
    let is_interrupt = |error: &duckdb::Error| error.to_string().contains("INTERRUPT Error");
    let run_again = |statement: &mut Statement<'_>| -> Result<(), duckdb::Error> {
        start(statement)?;
        while statement.step()?.is_some() {}
        Ok(())
    };
    if is_interrupt(&error) {
        for _ in 0..QUERY_REPLAYS_MAX {
            match run_again(statement) {
                Err(reason) if !is_interrupt(&reason) => return reason,
                Err(_) => {}
                Ok(()) => break,
            }
        }
    }
    error
}

/// Runs a query and returns all its rows.
pub(crate) fn rows(database: &Path, sql: &str) -> Result<SqlResult> {
    let mut result = SqlResult { columns: Vec::new(), rows: Vec::new() };
    let columns = |names: &[String]| {
        result.columns = names.to_vec();
        ControlFlow::Continue(())
    };
    let row = |row| {
        result.rows.push(row);
        ControlFlow::Continue(())
    };
    each(database, sql, columns, row)?;
    Ok(result)
}

/// Returns the first value of the first row of a query; `Null` if there are no rows.
pub(crate) fn scalar(database: &Path, sql: &str) -> Result<Value> {
    let mut first = Value::Null;
    let row = |row: Vec<Value>| {
        first = row.into_iter().next().unwrap_or_default();
        ControlFlow::Break(())
    };
    each(database, sql, |_| ControlFlow::Continue(()), row)?;
    Ok(first)
}

/// Returns whether the query has no statement, the only case in which DuckDB gives no reason.
fn is_empty(error: &duckdb::Error) -> bool {
    matches!(error, duckdb::Error::DuckDBFailure(_, None))
}
