//! The table that a load creates, fills or replaces.

use duckdb::Connection;

use super::by_day::last_event_load_in;
use super::dependents::comments;
use crate::dataset::{Column, Dataset};
use crate::error::{Error, ErrorKind, Result};
use crate::load::package::LoadKind;
use crate::profile_query::IfExists;
use crate::store::failure::{is_violation, refused, statement};
use crate::store::label;
use crate::store::schema::{Target, columns, find, indexes, rename};
use crate::store::table_name::{TableName, name_excerpt};

/// Finds the target of a load and checks that the load can use it.
///
/// # Errors
/// `TableExists` if the table must be new but already exists; `InvalidInput` for a view, or for a table that cannot
/// hold profiles.
pub(super) fn check(
    connection: &Connection,
    dataset: &Dataset,
    table: &TableName,
    if_exists: IfExists,
    kind: LoadKind,
) -> Result<Target> {
    let target = find(connection, table)?;
    let found = match (&target, if_exists, kind) {
        (Target::Absent, ..) => {
            check_name(connection, table)?;
            return Ok(target);
        }
        (Target::Table(_), IfExists::Replace, LoadKind::First) => return Ok(target),
        (_, IfExists::Fail, LoadKind::First) => return Err(exists(connection, dataset, table, &target)),
        (Target::View(_), ..) => {
            return Err(Error::invalid(format!(
                "`{table}` is a view; {} can only be loaded into a table",
                dataset.kind
            ))
            .with_detail("table_name", table.as_str()));
        }
        (Target::Table(found), ..) => found,
    };
    check_shape(connection, dataset, found)?;
    if if_exists == IfExists::Upsert {
        check_unreferenced(connection, found)?;
    }
    Ok(target)
}

/// Rejects a table name that DuckDB, or a client of another database, uses for a system catalog: a client that queries
/// it to list tables would get profiles instead.
///
/// # Errors
/// `InvalidInput`.
pub(super) fn check_name(connection: &Connection, table: &TableName) -> Result<()> {
    let name = table.as_str().to_ascii_lowercase();
    let is_reserved = ["duckdb_", "pg_", "sqlite_"].iter().any(|prefix| name.starts_with(prefix));
    let sql = "SELECT count(*) FROM (
             SELECT view_name AS name FROM duckdb_views() WHERE internal
             UNION ALL SELECT table_name FROM duckdb_tables() WHERE internal
             UNION ALL SELECT schema_name FROM duckdb_schemas() WHERE internal AND schema_name <> 'main'
         ) WHERE system.main.lower(name) = ?";
    let found: u64 = connection
        .query_row(sql, [&name], |row| row.get(0))
        .map_err(|error| statement("look up DuckDB's internal names", &error))?;
    if found == 0 && !is_reserved {
        return Ok(());
    }
    let message = format!("`{table}` cannot be the name of a new table: DuckDB or its clients reserve it");
    Err(Error::invalid(message).with_detail("table_name", table.as_str()))
}

/// Returns the error for a run whose table another run has recreated.
pub(crate) fn recreated_by_another_run(table: &TableName, run_id: &str) -> Error {
    let message = format!("table `{table}` has since been recreated by run `{}`", name_excerpt(run_id));
    Error::new(ErrorKind::TableExists, message)
        .with_detail("table_name", table.as_str())
        .with_detail("suggestion", "append to it, upsert into it, replace it, or discard the run")
}

fn exists(connection: &Connection, dataset: &Dataset, table: &TableName, target: &Target) -> Error {
    let can_hold = matches!(target, Target::Table(found) if check_shape(connection, dataset, found).is_ok());
    let is_foreign =
        dataset.is_by_day() && can_hold && last_event_load_in(connection, table).is_ok_and(|last| last.is_none());
    let error = Error::new(ErrorKind::TableExists, format!("table `{table}` already exists"))
        .with_detail("table_name", table.as_str())
        .with_detail("suggestion", "append to it, replace it, or choose another name");
    if is_foreign { error.with_detail("has_no_load", true) } else { error }
}

fn check_shape(connection: &Connection, dataset: &Dataset, table: &TableName) -> Result<()> {
    let refuse = |reason: String| {
        Err(Error::invalid(format!("{} cannot be appended to table `{table}`: {reason}", dataset.kind))
            .with_detail("table_name", table.as_str()))
    };
    let label = label::of_table(connection, table);
    if let Some(kind) = label.map(|label| label.kind).filter(|kind| kind != dataset.kind) {
        return refuse(format!("it holds {}", name_excerpt(&kind)));
    }
    let columns = columns(connection, table)?;
    for Column { name, accepts, .. } in dataset.columns {
        match columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)) {
            None => return refuse(format!("it has no column `{name}`")),
            Some(column) if !accepts.contains(&column.kind.as_str()) => {
                return refuse(format!("its column `{name}` is {}, not {}", column.kind, accepts.join(" or ")));
            }
            Some(_) => {}
        }
    }
    let extra = columns.iter().find(|column| !column.is_optional && !dataset.has_column(&column.name));
    match extra {
        Some(column) => refuse(format!("its column `{}` is NOT NULL and has no default", name_excerpt(&column.name))),
        None => Ok(()),
    }
}

/// Checks that no foreign key references the table, because referenced rows cannot be replaced.
fn check_unreferenced(connection: &Connection, table: &TableName) -> Result<()> {
    let fail = |error| statement("read the constraints of the tables", &error);
    let mut query = connection
        .prepare(
            "SELECT table_name FROM duckdb_constraints() WHERE database_name = current_database() AND schema_name = 'main'
             AND constraint_type = 'FOREIGN KEY' AND referenced_table = ? LIMIT 1",
        )
        .map_err(fail)?;
    let mut names = query.query_map([table.as_str()], |row| row.get::<_, String>(0)).map_err(fail)?;
    match names.next().transpose().map_err(fail)? {
        Some(name) => {
            let message =
                format!("rows of table `{table}` cannot be replaced: table `{}` references them", name_excerpt(&name));
            Err(Error::invalid(message).with_detail("table_name", table.as_str()))
        }
        None => Ok(()),
    }
}

/// Returns whether a table has the schema that a load creates: the dataset's columns, without keys or constraints.
pub(super) fn is_bare(connection: &Connection, dataset: &Dataset, table: &TableName) -> Result<bool> {
    let columns = columns(connection, table)?;
    let columns = columns.iter().map(|column| (column.name.as_str(), column.kind.as_str()));
    let constraints: u64 = connection
        .query_row(
            "SELECT count(*) FROM duckdb_constraints() WHERE database_name = current_database() AND schema_name = 'main'
             AND table_name = ?",
            [table.as_str()],
            |row| row.get(0),
        )
        .map_err(|error| statement("read the constraints of the table", &error))?;
    Ok(constraints == 0 && columns.eq(dataset.columns.iter().map(|column| (column.name, column.kind))))
}

/// Replaces the table `old` with `new`, which takes over its name, indexes and comments. Views refer to it by name.
///
/// # Errors
/// `InvalidInput` if an object such as a foreign key depends on the old table; `ConstraintViolated` if the rows of the
/// new one violate an index of the old one.
pub(super) fn replace(connection: &Connection, dataset: &Dataset, old: &TableName, new: &TableName) -> Result<()> {
    let swap = || -> Result<(), duckdb::Error> {
        let (indexes, comments) = (indexes(connection, old)?, comments(connection, dataset, old)?);
        connection.execute_batch(&format!("DROP TABLE {}", old.quoted()))?;
        rename(connection, new, old)?;
        indexes.iter().chain(&comments).try_for_each(|statement| connection.execute_batch(statement))
    };
    swap().map_err(|error| {
        let error = match is_violation(&error) {
            true => statement(&format!("load into table `{old}`"), &error),
            false => refused(&format!("cannot replace table `{old}`: other objects depend on it"), &error),
        };
        error.with_detail("table_name", old.as_str())
    })
}
