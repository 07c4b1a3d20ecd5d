//! Lists, describes, samples and drops tables.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;

use duckdb::Connection;
use serde_json::Value;

use super::access::Access;
use super::database::Database;
use super::failure::{refused, statement};
use super::label::{self, Label};
use super::location::{Location, locate, not_found};
use super::own_objects;
use super::query::{self, QueryLimits};
use super::schema::{Target, find};
use super::table_name::{TableName, name_excerpt};
use crate::error::{Error, ErrorKind, Result};
use crate::sql_value::SqlPart;
use crate::types::{ColumnInfo, ObjectInfo, SqlResult, TableInfo, TableSchema};

/// The kinds of tables that a fetch creates.
const KINDS: [&str; 2] = ["profiles", "events"];

/// Lists the tables, sorted by name, except internal ones, whose names start with `_`.
pub(crate) fn tables(database: &Path) -> Result<Vec<TableInfo>> {
    let database = Database::open(database, Access::ReadOnly)?;
    let connection = database.connection();
    let mut labels = label::all(connection);
    let mut tables = Vec::new();
    for table in names(connection)? {
        let label = labels.remove(&table.as_str().to_lowercase());
        tables.push(TableInfo {
            kind: kind_of(label.as_ref()).to_owned(),
            row_count: count(connection, &table)?,
            fetched_at: label.as_ref().and_then(|label| label.fetched_at).map(|at| at.to_string()),
            partial: label.as_ref().is_some_and(|label| label.partial),
            name: table.as_str().to_owned(),
        });
    }
    Ok(tables)
}

/// Lists all tables and views of the main schema, sorted by name.
pub(crate) fn objects(database: &Path) -> Result<Vec<ObjectInfo>> {
    let database = Database::open(database, Access::ReadOnly)?;
    let connection = database.connection();
    let fail = |error| statement("list the tables", &error);
    let mut query = connection
        .prepare(
            "SELECT table_name, table_type = 'BASE TABLE' FROM information_schema.tables
             WHERE table_catalog = current_database() AND table_schema = 'main' ORDER BY table_name",
        )
        .map_err(fail)?;
    let found = query.query_map([], |row| Ok((TableName::listed(row.get::<_, String>(0)?), row.get::<_, bool>(1)?)));
    let found: Vec<(TableName, bool)> = found.and_then(Iterator::collect).map_err(fail)?;
    let mut labels = label::all(connection);
    let describe = |(name, is_table): (TableName, bool)| {
        let is_internal = is_table && name.as_str().starts_with('_');
        let row_count = match is_table {
            true => Some(count(connection, &name)?),
            false => None,
        };
        let label = labels.remove(&name.as_str().to_lowercase()).filter(|_| is_table && !is_internal);
        let kind = match (is_table, is_internal) {
            (false, _) => "view",
            (true, true) => "internal",
            (true, false) => kind_of(label.as_ref()),
        };
        Ok(ObjectInfo {
            kind: kind.to_owned(),
            row_count,
            fetched_at: label.as_ref().and_then(|label| label.fetched_at).map(|at| at.to_string()),
            partial: label.is_some_and(|label| label.partial),
            name: name.as_str().to_owned(),
        })
    };
    found.into_iter().map(describe).collect()
}

fn count(connection: &Connection, table: &TableName) -> Result<u64> {
    connection
        .query_row(&format!("SELECT count(*) FROM {}", table.quoted()), [], |row| row.get(0))
        .map_err(|error| statement(&format!("count the rows of table `{table}`"), &error))
}

/// Returns what a table holds according to its entry in `_metadata`.
fn kind_of(label: Option<&Label>) -> &str {
    label.map(|label| label.kind.as_str()).filter(|kind| KINDS.contains(kind)).unwrap_or("unknown")
}

fn names(connection: &Connection) -> Result<Vec<TableName>> {
    let fail = |error| statement("list the tables", &error);
    let mut query = connection
        .prepare(
            "SELECT table_name FROM information_schema.tables WHERE table_catalog = current_database()
             AND table_schema = 'main' AND table_type = 'BASE TABLE' AND NOT system.main.starts_with(table_name, '_') ORDER BY table_name",
        )
        .map_err(fail)?;
    let names = query.query_map([], |row| row.get::<_, String>(0).map(TableName::listed)).map_err(fail)?;
    names.collect::<Result<_, _>>().map_err(fail)
}

/// Returns the columns of a table or view.
pub(crate) fn table_schema(database: &Path, table: &str) -> Result<TableSchema> {
    let database = Database::open(database, Access::ReadOnly)?;
    let connection = database.connection();
    let table = existing(connection, table)?;
    let fail = |error| statement(&format!("read the columns of table `{table}`"), &error);
    let mut query = connection
        .prepare(
            "SELECT column_name, data_type, is_nullable::INTEGER, column_name IN (
                 SELECT unnest(constraint_column_names) FROM duckdb_constraints() AS c
                 WHERE c.database_name = current_database() AND c.schema_name = 'main' AND c.table_name = ?1
                 AND constraint_type = 'PRIMARY KEY'
             )::INTEGER
             FROM duckdb_columns() WHERE database_name = current_database() AND schema_name = 'main' AND table_name = ?1
             ORDER BY column_index",
        )
        .map_err(fail)?;
    let columns = query
        .query_map([table.as_str()], |row| {
            let (nullable, primary_key): (i32, i32) = (row.get(2)?, row.get(3)?);
            Ok(ColumnInfo {
                name: row.get(0)?,
                kind: row.get(1)?,
                nullable: nullable != 0,
                primary_key: primary_key != 0,
            })
        })
        .map_err(fail)?;
    let columns = columns.collect::<Result<_, _>>().map_err(fail)?;
    Ok(TableSchema { table_name: table.as_str().to_owned(), columns })
}

/// Returns `rows` random rows of a table or view, or all rows if it has fewer.
pub(crate) fn sample(database: &Path, table: &str, rows: u32) -> Result<SqlResult> {
    query::rows(database, &sample_query(database, table, rows)?)
}

/// Like [`sample`], but passes the exact values to `part`.
pub(crate) fn sample_exact(
    database: &Path,
    table: &str,
    rows: u32,
    part: impl FnMut(SqlPart<'_>) -> ControlFlow<()>,
) -> Result<()> {
    query::exact(database, &sample_query(database, table, rows)?, &QueryLimits::default(), part)
}

fn sample_query(database: &Path, table: &str, rows: u32) -> Result<String> {
    let table = existing(Database::open(database, Access::ReadOnly)?.connection(), table)?;
    Ok(format!("SELECT * FROM {} USING SAMPLE {rows} ROWS", table.quoted()))
}

/// Drops tables and views, with their typed views and their entries in the internal tables, in one transaction.
pub(crate) fn drop_tables(database: &Path, tables: &[String]) -> Result<()> {
    if matches!(locate(database)?, Location::Absent(_)) {
        return Err(not_found(database));
    }
    let database = Database::open(database, Access::ReadWrite)?;
    let connection = database.connection();
    connection.execute_batch("BEGIN").map_err(|error| statement("drop tables", &error))?;
    // Drop a repeated name only once.
    let mut seen = BTreeSet::new();
    let mut views_dropped = BTreeSet::new();
    for name in tables.iter().filter(|name| seen.insert(name.to_ascii_lowercase())) {
        if name.starts_with('_') {
            let message =
                format!("table `{}` cannot be dropped: names that start with `_` are reserved", name_excerpt(name));
            return Err(Error::invalid(message).with_detail("table_name", name.as_str()));
        }
        let (kind, table) = match find(connection, &TableName::listed(name))? {
            Target::Table(table) => ("TABLE", table),
            Target::View(view) => ("VIEW", view),
            Target::Absent if views_dropped.contains(&name.to_ascii_lowercase()) => continue,
            Target::Absent => return Err(table_not_found(connection, name)),
        };
        if kind == "TABLE" {
            own_objects::drop_view(connection, &table)?;
            views_dropped.insert(own_objects::typed_view(&table).as_str().to_ascii_lowercase());
        }
        connection.execute_batch(&format!("DROP {kind} {}", table.quoted())).map_err(|error| {
            refused(&format!("cannot drop table `{table}`: other objects depend on it"), &error)
                .with_detail("table_name", table.as_str())
        })?;
        label::forget(connection, &table)?;
    }
    database.commit().map_err(|error| error.into_error("drop tables"))
}

/// Finds a table or view. Returns its name as the database spells it.
pub(crate) fn existing(connection: &Connection, name: &str) -> Result<TableName> {
    match find(connection, &TableName::listed(name))? {
        Target::Table(table) | Target::View(table) => Ok(table),
        Target::Absent => Err(table_not_found(connection, name)),
    }
}

fn table_not_found(connection: &Connection, name: &str) -> Error {
    let available: Vec<Value> =
        names(connection).unwrap_or_default().iter().map(|table| Value::from(table.as_str())).collect();
    Error::new(ErrorKind::TableNotFound, format!("there is no table `{}`", name_excerpt(name)))
        .with_detail("table_name", name)
        .with_detail("available_tables", available)
}
