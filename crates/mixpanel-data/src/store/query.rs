//! Runs user queries: read-only, and without access to other files.

use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};

use arrow::array::{Array as _, RecordBatch, StructArray};
use arrow::datatypes::SchemaRef;
use duckdb::Statement;
use serde_json::Value;

use super::access::Access;
use super::database::Database;
use super::failure::query as query_error;
use super::query_stop::QueryStop;
use super::spill::Spill;
use super::{arrow_types, statements, values};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::QUERY_REPLAYS_MAX;
use crate::memory::engine_bytes;
use crate::sql_value::SqlPart;
use crate::types::SqlResult;

/// Runs a query and passes its rows to `row`, parsed. Only a few thousand rows are in memory at a time.
///
/// If there are several statements, all are run, and only the last one returns rows.
pub(crate) fn each(
    path: &Path,
    sql: &str,
    columns: impl FnOnce(&[String]) -> ControlFlow<()>,
    mut row: impl FnMut(Vec<Value>) -> ControlFlow<()>,
) -> Result<()> {
    let database = Database::open(path, Access::ReadOnly)?;
    let mut columns = Some(columns);
    let mut part = |part: SqlPart<'_>| match part {
        SqlPart::Columns(names) => columns.take().map_or(ControlFlow::Continue(()), |columns| columns(names)),
        SqlPart::Row(values) => row(values.into_iter().map(Value::from).collect()),
    };
    run(&database, path, sql, None, &mut in_rows(&mut part)).map(drop)
}

/// The memory that queries may use, and where they spill.
#[derive(Debug, Clone, Default)]
pub(crate) struct QueryLimits {
    /// The memory budget of the process in bytes; by default, DuckDB's.
    pub(crate) memory: Option<u64>,
    /// Created when it is needed, and removed afterwards.
    pub(crate) spill_directory: Option<PathBuf>,
}

/// Runs the statements of a query one after another and passes the results of those that return rows to `part`; that
/// of the last statement if none returns rows. A single statement that returns rows may spill.
pub(crate) fn exact(
    path: &Path,
    sql: &str,
    limits: &QueryLimits,
    mut part: impl FnMut(SqlPart<'_>) -> ControlFlow<()>,
) -> Result<()> {
    let statements = statements::split(sql);
    if let ([range], Some(directory)) = (statements.as_slice(), &limits.spill_directory)
        && statements::returns_rows(&sql[range.clone()])
    {
        return spilling(path, sql, limits.memory, directory, None, &mut in_rows(&mut part));
    }
    let database = Database::open(path, Access::ReadOnly)?;
    if statements.len() < 2 {
        return run(&database, path, sql, None, &mut in_rows(&mut part)).map(drop);
    }
    // The line ends keep the line numbers in DuckDB's messages right.
    let text = |range: &Range<usize>| "\n".repeat(sql[..range.start].matches('\n').count()) + &sql[range.clone()];
    let statements: Vec<String> = statements.iter().map(text).collect();
    check_all(&database, path, &statements)?;
    let has_rows = result_count(sql) > 0;
    let last = statements.len() - 1;
    for (number, text) in statements.into_iter().enumerate() {
        let is_shown = if has_rows { statements::returns_rows(&text) } else { number == last };
        let mut shown = |of: SqlPart<'_>| if is_shown { part(of) } else { ControlFlow::Continue(()) };
        if run(&database, path, &text, None, &mut in_rows(&mut shown))?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Runs a query and passes its schema, then its rows as record batches, to callbacks, until one returns `Break` or
/// `stop` is used. If there are several statements, all are run, and only the last one returns rows. A single statement
/// that returns rows may spill.
///
/// Types that only DuckDB has are replaced, see [`arrow_types`].
pub(crate) fn batches(
    path: &Path,
    sql: &str,
    limits: &QueryLimits,
    stop: &QueryStop,
    schema: impl FnOnce(SchemaRef) -> ControlFlow<()>,
    mut batch: impl FnMut(RecordBatch) -> ControlFlow<()>,
) -> Result<()> {
    let mut schema = Some(schema);
    let mut failure = None;
    let mut receive = |part: Part<'_>| match part {
        Part::Schema(found) => match schema.take() {
            Some(schema) => schema(arrow_types::schema(found)),
            None => ControlFlow::Continue(()),
        },
        Part::Rows(rows, found) => match arrow_types::batch(rows, found) {
            Ok(rows) => batch(rows),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        },
    };
    match &statements::split(sql)[..] {
        [range] if statements::returns_rows(&sql[range.clone()]) && limits.spill_directory.is_some() => {
            let directory = limits.spill_directory.as_deref().unwrap_or(path);
            spilling(path, sql, limits.memory, directory, Some(stop), &mut receive)?;
        }
        _ => drop(run(&Database::open(path, Access::ReadOnly)?, path, sql, Some(stop), &mut receive)?),
    }
    failure.map_or(Ok(()), Err)
}

/// Checks that a query can be run, without running its last statement.
pub(crate) fn check(path: &Path, sql: &str) -> Result<()> {
    prepare(&Database::open(path, Access::ReadOnly)?, path, sql).map(drop)
}

/// Checks every statement before the first one runs. A name that is not found may be created by an earlier statement.
fn check_all(database: &Database, path: &Path, statements: &[String]) -> Result<()> {
    let mut may_create = false;
    for text in statements {
        match database.connection().prepare(text) {
            Err(error) if !(may_create && is_about_names(&error)) => return Err(query_error(path, text, &error)),
            _ => {}
        }
        // The database is read-only, which only running the statement shows; earlier statements may have created
        // temporary tables.
        if !may_create && statements::changes(text) {
            database.connection().execute_batch(text).map_err(|error| query_error(path, text, &error))?;
        }
        may_create |= !statements::returns_rows(text);
    }
    Ok(())
}

fn is_about_names(error: &duckdb::Error) -> bool {
    let text = error.to_string();
    ["Catalog Error", "Binder Error"].iter().any(|kind| text.contains(kind))
}

/// Runs a query that spills if it does not fit into the budget, or, without a budget, into DuckDB's default.
///
/// A connection that can spill could also access the files of the database. So the query is bound, or run until it has
/// used up the memory, in a connection that can access no file at all.
fn spilling(
    path: &Path,
    sql: &str,
    memory: Option<u64>,
    directory: &Path,
    stop: Option<&QueryStop>,
    receive: &mut dyn FnMut(Part<'_>) -> ControlFlow<()>,
) -> Result<()> {
    let database = Database::open(path, Access::ReadOnly)?;
    if memory.is_some() {
        database.connection().prepare(sql).map_err(|error| query_error(path, sql, &error))?;
    } else {
        let mut has_begun = false;
        let result = run(&database, path, sql, stop, &mut |part| {
            has_begun = true;
            receive(part)
        });
        match result {
            Err(error) if error.kind() == ErrorKind::OutOfMemory && !has_begun => {}
            result => return result.map(drop),
        }
    }
    drop(database);
    let spill = Spill::create(directory).map_err(|error| {
        Error::new(error.kind(), "the query does not fit into memory and cannot spill to disk").with_source(error)
    })?;
    let memory_mb = memory.map(|memory| engine_bytes(memory, 0, 0) / 1_000_000);
    let database = Database::open(path, Access::Spilling { spill_directory: spill.path(), memory_mb })?;
    run(&database, path, sql, stop, receive).map(drop)
}

/// Returns the number of statements that return rows, judged by their first words.
pub(crate) fn result_count(sql: &str) -> usize {
    statements::split(sql).into_iter().filter(|range| statements::returns_rows(&sql[range.clone()])).count()
}

/// A part of the result of a query.
enum Part<'a> {
    /// The columns; once, before the rows.
    Schema(&'a SchemaRef),
    Rows(StructArray, &'a SchemaRef),
}

/// Returns a receiver that passes the column names, then each row, to `part`.
fn in_rows(part: &mut dyn FnMut(SqlPart<'_>) -> ControlFlow<()>) -> impl FnMut(Part<'_>) -> ControlFlow<()> {
    move |of| match of {
        Part::Schema(schema) => {
            let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
            part(SqlPart::Columns(&names))
        }
        Part::Rows(rows, schema) => {
            let fields: Vec<_> = schema.fields().iter().map(AsRef::as_ref).collect();
            (0..rows.len()).try_for_each(|row| part(SqlPart::Row(values::row(&fields, &rows, row))))
        }
    }
}

/// Runs a query. Returns whether `receive` ended it.
fn run(
    database: &Database,
    path: &Path,
    sql: &str,
    stop: Option<&QueryStop>,
    receive: &mut dyn FnMut(Part<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    let _running = stop.map(|stop| stop.begin(database.connection())).transpose()?;
    let mut statement = prepare(database, path, sql)?;
    let fail = |statement: &mut Statement<'_>, error| match stop {
        Some(stop) if stop.is_asked() => QueryStop::error(),
        _ => query_error(path, sql, &cause(statement, error)),
    };
    start(&mut statement).map_err(|error| fail(&mut statement, error))?;
    let schema = statement.schema();
    let mut has_columns = false;
    loop {
        let batch = statement.step().map_err(|error| fail(&mut statement, error))?;
        // Only now, so that a query that fails before its first row has passed nothing.
        if !has_columns && receive(Part::Schema(&schema)).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        has_columns = true;
        let Some(batch) = batch else { return Ok(ControlFlow::Continue(())) };
        if receive(Part::Rows(batch, &schema)).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
}

/// Binds a query. If there are several statements, the others are run.
fn prepare<'a>(database: &'a Database, path: &Path, sql: &str) -> Result<Statement<'a>> {
    database.connection().prepare(sql).map_err(|error| match is_empty(&error) {
        true => Error::new(ErrorKind::Query, "the query is empty").with_detail("query", sql),
        false => query_error(path, sql, &error),
    })
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
