//! What users added to a table that a load replaces. Comments are carried over; other losses are announced in advance.

use std::collections::BTreeSet;

use duckdb::Connection;

use crate::dataset::Dataset;
use crate::error::Result;
use crate::store::failure::statement;
use crate::store::own_objects::is_users_view;
use crate::store::sql_text::literal;
use crate::store::table_name::{TableName, name_excerpt};

/// Returns the statements that copy the comments of a table and its indexes to the table that replaces it.
pub(super) fn comments(
    connection: &Connection,
    dataset: &Dataset,
    table: &TableName,
) -> Result<Vec<String>, duckdb::Error> {
    let mut query = connection.prepare(
        "SELECT 'TABLE', NULL, comment FROM duckdb_tables()
         WHERE database_name = current_database() AND schema_name = 'main' AND table_name = ?1 AND comment IS NOT NULL
         UNION ALL SELECT 'COLUMN', column_name, comment FROM duckdb_columns()
         WHERE database_name = current_database() AND schema_name = 'main' AND table_name = ?1 AND comment IS NOT NULL
         UNION ALL SELECT 'INDEX', index_name, comment FROM duckdb_indexes()
         WHERE database_name = current_database() AND schema_name = 'main' AND table_name = ?1 AND comment IS NOT NULL",
    )?;
    let found = query.query_map([table.as_str()], |row| {
        let (kind, name, comment): (String, Option<String>, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok((kind, name.map(TableName::listed), literal(&comment)))
    })?;
    let mut statements = Vec::new();
    for row in found {
        match row? {
            (kind, None, comment) => statements.push(format!("COMMENT ON {kind} {} IS {comment}", table.quoted())),
            (kind, Some(name), comment) if kind == "INDEX" => {
                statements.push(format!("COMMENT ON INDEX {} IS {comment}", name.quoted()));
            }
            (_, Some(column), comment) if dataset.has_column(column.as_str()) => {
                let column = format!("{}.{}", table.quoted(), column.quoted());
                statements.push(format!("COMMENT ON COLUMN {column} IS {comment}"));
            }
            _ => {}
        }
    }
    Ok(statements)
}

/// A view in any schema of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    /// The name as shown to the user.
    name: String,
    /// The name as an SQL identifier.
    quoted: String,
}

/// Returns the views that are readable now.
pub(super) fn readable_views(connection: &Connection) -> Result<Vec<View>> {
    let fail = |error| statement("list the views", &error);
    // The views that loads maintain are created again.
    let sql = format!(
        "SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = current_database()
         AND NOT internal AND {} ORDER BY ALL",
        is_users_view()
    );
    let mut query = connection.prepare(&sql).map_err(fail)?;
    let read = |row: &duckdb::Row<'_>| {
        let (schema, name): (String, String) = (row.get(0)?, row.get(1)?);
        let quoted = [&schema, &name].map(|name| TableName::listed(name.clone()).quoted()).join(".");
        let name = if schema == "main" { name } else { format!("{schema}.{name}") };
        Ok(View { name: name_excerpt(&name), quoted })
    };
    let views: Vec<View> = query.query_map([], read).and_then(Iterator::collect).map_err(fail)?;
    Ok(views.into_iter().filter(|view| is_readable(connection, view)).collect())
}

/// Describes each of these views that is no longer readable, as a loss.
pub(super) fn broken(connection: &Connection, views: &[View]) -> Vec<String> {
    let broken = views.iter().filter(|view| !is_readable(connection, view));
    broken.map(|view| format!("a column that the view `{}` uses", view.name)).collect()
}

/// Returns whether DuckDB can plan a query on the view. Reads no data.
fn is_readable(connection: &Connection, view: &View) -> bool {
    let plan = format!("EXPLAIN SELECT * FROM {}", view.quoted);
    connection.prepare(&plan).and_then(|mut plan| plan.query([]).map(drop)).is_ok()
}

/// Describes the columns, defaults and constraints of a table that a load does not create, and that are lost when the
/// table is replaced.
pub(super) fn additions(connection: &Connection, dataset: &Dataset, table: &TableName) -> Result<Vec<String>> {
    let fail = |error| statement("read the constraints of the table", &error);
    let columns = columns(connection, table)?;
    let columns = columns.iter().filter_map(|(column, default)| match default {
        _ if !dataset.has_column(column) => Some(extra(column)),
        Some(default) => Some(format!("the default `{}` of column `{column}`", name_excerpt(default))),
        None => None,
    });
    let constraints: BTreeSet<String> = connection
        .prepare(
            "SELECT constraint_text FROM duckdb_constraints() WHERE database_name = current_database()
             AND schema_name = 'main' AND table_name = ? ORDER BY 1",
        )
        .and_then(|mut query| query.query_map([table.as_str()], |row| row.get(0))?.collect())
        .map_err(fail)?;
    let constraints = constraints.iter().map(|text| format!("the constraint `{}`", name_excerpt(text)));
    Ok(columns.chain(constraints).collect())
}

/// Describes the columns that lose their values when rows of the table are replaced; `None` if there are none.
pub(super) fn emptied_columns(connection: &Connection, dataset: &Dataset, table: &TableName) -> Result<Option<String>> {
    let columns = columns(connection, table)?;
    let extra: Vec<String> =
        columns.iter().filter(|(column, _)| !dataset.has_column(column)).map(|(column, _)| extra(column)).collect();
    Ok((!extra.is_empty()).then(|| extra.join(", ")))
}

/// Returns the columns of a table with their defaults.
fn columns(connection: &Connection, table: &TableName) -> Result<Vec<(String, Option<String>)>> {
    connection
        .prepare(
            "SELECT column_name, column_default FROM duckdb_columns() WHERE database_name = current_database()
             AND schema_name = 'main' AND table_name = ? ORDER BY column_index",
        )
        .and_then(|mut query| query.query_map([table.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .map_err(|error| statement("read the columns of the table", &error))
}

fn extra(column: &str) -> String {
    format!("the column `{}`", name_excerpt(column))
}
