//! Reads the entries of `_metadata`. Any program may have written them, so a value that cannot be read counts as
//! missing.

use std::collections::{BTreeMap, BTreeSet};

use duckdb::Connection;
use jiff::Timestamp;

use super::failure::statement;
use super::schema::{Target, column_names, find};
use super::table_name::TableName;
use crate::error::Result;

/// The entry of one table in `_metadata`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) kind: String,
    pub(crate) fetched_at: Option<Timestamp>,
    pub(crate) row_count: Option<u64>,
    /// The id of the run that loaded the table last.
    pub(crate) run_id: Option<String>,
    /// Whether pages are missing.
    pub(crate) partial: bool,
    /// The id of the run with missing pages, if there is exactly one.
    pub(crate) partial_run_id: Option<String>,
    pub(crate) digest: Option<String>,
}

/// Returns all entries of `_metadata`, keyed by table name in lower case.
pub(crate) fn all(connection: &Connection) -> BTreeMap<String, Label> {
    let metadata = TableName::listed("_metadata");
    if !matches!(find(connection, &metadata), Ok(Target::Table(_))) {
        return BTreeMap::new();
    }
    let Ok(columns) = column_names(connection, &metadata) else { return BTreeMap::new() };
    read(connection, &columns).unwrap_or_default()
}

fn read(connection: &Connection, columns: &BTreeSet<String>) -> Result<BTreeMap<String, Label>, duckdb::Error> {
    // The Python package's table has only some of the columns.
    let value = |name: &str, kind: &str| match columns.contains(name) {
        true => format!("TRY_CAST({name} AS {kind})"),
        false => format!("NULL::{kind}"),
    };
    let sql = format!(
        "SELECT system.main.lower(table_name), type::VARCHAR, system.main.epoch_us({}), {}, {}, {}, {}, {}
         FROM main._metadata WHERE table_name IS NOT NULL AND type IS NOT NULL",
        value("fetched_at", "TIMESTAMP"),
        value("row_count", "BIGINT"),
        value("run_id", "VARCHAR"),
        value("partial", "BOOLEAN"),
        value("partial_run_id", "VARCHAR"),
        value("digest", "VARCHAR"),
    );
    let mut query = connection.prepare(&sql)?;
    let labels = query.query_map([], |row| {
        let (micros, rows): (Option<i64>, Option<i64>) = (row.get(2)?, row.get(3)?);
        let label = Label {
            kind: row.get(1)?,
            fetched_at: micros.and_then(|micros| Timestamp::from_microsecond(micros).ok()),
            row_count: rows.and_then(|rows| u64::try_from(rows).ok()),
            run_id: row.get(4)?,
            partial: row.get::<_, Option<bool>>(5)?.unwrap_or(false),
            partial_run_id: row.get(6)?,
            digest: row.get(7)?,
        };
        Ok((row.get(0)?, label))
    })?;
    labels.collect()
}

/// Returns the entry of one table in `_metadata`.
pub(crate) fn of_table(connection: &Connection, table: &TableName) -> Option<Label> {
    all(connection).remove(&table.as_str().to_lowercase())
}

/// Removes the entries of a table that no longer exists: its row in `_metadata`, its properties, days and rejects.
pub(crate) fn forget(connection: &Connection, table: &TableName) -> Result<()> {
    remove_entries(connection, table, &["_metadata", "_properties", "_rejects"])?;
    forget_days(connection, table)
}

/// Removes what is recorded about the days of a table of events.
pub(crate) fn forget_days(connection: &Connection, table: &TableName) -> Result<()> {
    remove_entries(connection, table, &["_days", "_day_counts"])
}

/// Returns those of the named tables that exist.
fn present<'a>(connection: &Connection, names: &[&'a str]) -> Result<Vec<&'a str>> {
    let fail = |error| statement("list the tables", &error);
    let sql = "SELECT system.main.lower(table_name) FROM duckdb_tables()
               WHERE database_name = current_database() AND schema_name = 'main'";
    let mut query = connection.prepare(sql).map_err(fail)?;
    let found: BTreeSet<String> =
        query.query_map([], |row| row.get(0)).map_err(fail)?.collect::<Result<_, _>>().map_err(fail)?;
    Ok(names.iter().copied().filter(|name| found.contains(*name)).collect())
}

fn remove_entries(connection: &Connection, table: &TableName, own_tables: &[&str]) -> Result<()> {
    for own in present(connection, own_tables)? {
        connection
            .execute(
                &format!("DELETE FROM {own} WHERE system.main.lower(table_name) = system.main.lower(?)"),
                [table.as_str()],
            )
            .map_err(|error| statement(&format!("remove the table from `{own}`"), &error))?;
    }
    Ok(())
}
