//! A user's queries: read-only, in a database that cannot reach any file.

use std::ops::ControlFlow;
use std::path::Path;

use arrow::array::Array as _;
use serde_json::Value;

use super::database::{Access, Database};
use super::failure::query as query_error;
use super::values;
use crate::error::{Error, ErrorKind, Result};
use crate::types::SqlResult;

/// Runs a query and hands over its rows, of which only a few thousand are in memory at a time.
///
/// Of several statements all are run and the last one's rows are handed over.
pub(crate) fn each(
    database: &Path,
    sql: &str,
    columns: impl FnOnce(&[String]) -> ControlFlow<()>,
    mut row: impl FnMut(Vec<Value>) -> ControlFlow<()>,
) -> Result<()> {
    let database = Database::open(database, Access::ReadOnly)?;
    let fail = |error| query_error(sql, &error);
    let mut statement = database.connection().prepare(sql).map_err(|error| match is_empty(&error) {
        true => Error::new(ErrorKind::Query, "the query is empty").with_detail("query", sql),
        false => fail(error),
    })?;
    // Starts the query. Its iterator would panic where `step` returns an error.
    drop(statement.stream_arrow([]).map_err(fail)?);
    let schema = statement.schema();
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    if columns(&names).is_break() {
        return Ok(());
    }
    let fields: Vec<_> = schema.fields().iter().map(AsRef::as_ref).collect();
    while let Some(batch) = statement.step().map_err(fail)? {
        for index in 0..batch.len() {
            if row(values::row(&fields, &batch, index)).is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
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

/// Returns the first value of the first row of a query; `Null` for no rows.
pub(crate) fn scalar(database: &Path, sql: &str) -> Result<Value> {
    let mut first = Value::Null;
    let row = |row: Vec<Value>| {
        first = row.into_iter().next().unwrap_or_default();
        ControlFlow::Break(())
    };
    each(database, sql, |_| ControlFlow::Continue(()), row)?;
    Ok(first)
}

/// DuckDB gives no reason only when there is no statement at all.
fn is_empty(error: &duckdb::Error) -> bool {
    matches!(error, duckdb::Error::DuckDBFailure(_, None))
}
