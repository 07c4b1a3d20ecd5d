//! Looks up tables, views, columns and indexes in the main schema of a database.

use std::collections::BTreeSet;

use duckdb::Connection;

use super::failure::statement;
use super::table_name::TableName;
use crate::error::Result;

/// The object that a name refers to, with the name as the database spells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Nothing.
    Absent,
    /// A table.
    Table(TableName),
    /// A view.
    View(TableName),
}

/// Looks up a name in the main schema of the file, ignoring ASCII case, as DuckDB does.
pub(crate) fn find(connection: &Connection, name: &TableName) -> Result<Target> {
    let look = || -> Result<Vec<(String, String)>, duckdb::Error> {
        let mut query = connection.prepare(
            "SELECT table_name, table_type FROM information_schema.tables
             WHERE table_catalog = current_database() AND table_schema = 'main' AND system.main.lower(table_name) = system.main.lower(?)",
        )?;
        query.query_map([name.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    let found = look().map_err(|error| statement("look for the table", &error))?;
    let found = found.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name.as_str()));
    Ok(match found {
        Some((name, kind)) if kind == "BASE TABLE" => Target::Table(TableName::listed(name)),
        Some((name, _)) => Target::View(TableName::listed(name)),
        None => Target::Absent,
    })
}

/// A column of a table.
pub(crate) struct FoundColumn {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) is_optional: bool,
}

/// Returns the columns of a table, in order.
pub(crate) fn columns(connection: &Connection, table: &TableName) -> Result<Vec<FoundColumn>> {
    let fail = |error| statement("read the columns of the table", &error);
    let mut query = connection
        .prepare(
            "SELECT column_name, data_type, (is_nullable OR column_default IS NOT NULL)::INTEGER FROM duckdb_columns()
             WHERE database_name = current_database() AND schema_name = 'main' AND table_name = ? ORDER BY column_index",
        )
        .map_err(fail)?;
    let columns = query
        .query_map([table.as_str()], |row| {
            let is_optional: i32 = row.get(2)?;
            Ok(FoundColumn { name: row.get(0)?, kind: row.get(1)?, is_optional: is_optional != 0 })
        })
        .map_err(fail)?;
    columns.collect::<Result<_, _>>().map_err(fail)
}

/// Returns the names of a table's columns, in lower case.
pub(crate) fn column_names(connection: &Connection, table: &TableName) -> Result<BTreeSet<String>> {
    Ok(columns(connection, table)?.into_iter().map(|column| column.name.to_lowercase()).collect())
}

/// Creates one of this program's own tables with the columns `base` and `added`. If it exists, adds those of `added`
/// that it lacks. Returns the columns found before that.
pub(crate) fn ensure_table(
    connection: &Connection,
    table: &str,
    base: &str,
    added: &[(&str, &str)],
) -> Result<Vec<FoundColumn>> {
    let run = |sql: &str| {
        connection.execute_batch(sql).map_err(|error| statement(&format!("prepare the table `{table}`"), &error))
    };
    let all: String = added.iter().map(|(name, kind)| format!(", {name} {kind}")).collect();
    run(&format!("CREATE TABLE IF NOT EXISTS {table} ({base}{all})"))?;
    let found = columns(connection, &TableName::listed(table))?;
    for (name, kind) in added {
        if !found.iter().any(|column| column.name.eq_ignore_ascii_case(name)) {
            run(&format!("ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {name} {kind}"))?;
        }
    }
    Ok(found)
}

/// Renames a table.
pub(crate) fn rename(connection: &Connection, from: &TableName, to: &TableName) -> Result<(), duckdb::Error> {
    connection.execute_batch(&format!("ALTER TABLE {} RENAME TO {}", from.quoted(), to.quoted()))
}

/// Returns the statements that create the table's indexes, as DuckDB writes them.
pub(crate) fn indexes(connection: &Connection, table: &TableName) -> Result<Vec<String>, duckdb::Error> {
    let mut query = connection.prepare(
        "SELECT sql FROM duckdb_indexes() WHERE database_name = current_database() AND schema_name = 'main'
         AND table_name = ? AND sql IS NOT NULL ORDER BY index_oid",
    )?;
    query.query_map([table.as_str()], |row| row.get(0))?.collect()
}
