//! The load that a later one can go on from.

#[cfg(test)]
mod tests;

use std::path::Path;

use duckdb::Connection;
use jiff::Timestamp;

use super::database::{Access, Database};
use super::failure::statement;
use super::label;
use super::table_name::TableName;
use super::target::{Target, column_names, find};
use crate::error::Result;
use crate::profile_query::ProfileQuery;

/// What was asked for in a load that nothing was missing from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LastLoad {
    /// When its fetch began: whatever changed later may not be in the table.
    pub(crate) started_at: Timestamp,
    /// The greatest `last_seen` in the table: whatever was seen later came after the load, whatever its clock said.
    pub(crate) newest_seen: Option<Timestamp>,
    /// The filters.
    pub(crate) query: ProfileQuery,
    /// The project.
    pub(crate) project_id: String,
    /// Its region.
    pub(crate) region: String,
}

/// Returns the newest load into the table that nothing was missing from. `None` if there is none since the table was
/// made, or `_fetches` does not know the load that `_metadata` names, or what stands there cannot be read.
///
/// # Errors
/// `DatabaseNotFound`, `DatabaseLocked`, `DatabaseUnusable`, `Storage`.
pub(crate) fn last_load(database: &Path, table: &TableName) -> Result<Option<LastLoad>> {
    let database = Database::open(database, Access::ReadOnly)?;
    let connection = database.connection();
    let (Target::Table(table), Target::Table(fetches)) =
        (find(connection, table)?, find(connection, &TableName::listed("_fetches"))?)
    else {
        return Ok(None);
    };
    let Some(run_id) = label::of_table(connection, &table).and_then(|label| label.run_id) else { return Ok(None) };
    let notes_maker = column_names(connection, &fetches)?.contains("made_table");
    let found = newest(connection, &table, &run_id, if notes_maker { "made_table" } else { "NULL" })
        .and_then(|found| Ok((found, newest_seen(connection, &table)?)));
    match found {
        Ok((found, newest_seen)) => Ok(found.and_then(|found| found.read(newest_seen))),
        // Anybody can have made a table of that name; that it is damaged must not stay hidden.
        Err(error) => match statement("read the table `_fetches`", &error) {
            error if error.kind() == crate::error::ErrorKind::Storage => Ok(None),
            error => Err(error),
        },
    }
}

/// Values as they stand there.
struct Found {
    started_at: Option<i64>,
    filters: Option<String>,
    project_id: Option<String>,
    region: Option<String>,
}

impl Found {
    fn read(self, newest_seen: Option<i64>) -> Option<LastLoad> {
        Some(LastLoad {
            newest_seen: newest_seen.and_then(|micros| Timestamp::from_microsecond(micros).ok()),
            started_at: Timestamp::from_microsecond(self.started_at?).ok()?,
            query: serde_json::from_str(&self.filters?).ok()?,
            project_id: self.project_id?,
            region: self.region?,
        })
    }
}

fn newest_seen(connection: &Connection, table: &TableName) -> Result<Option<i64>, duckdb::Error> {
    let sql = format!("SELECT epoch_us(max(last_seen) FILTER (isfinite(last_seen))) FROM {}", table.quoted());
    connection.query_row(&sql, [], |row| row.get(0))
}

/// The loads before the one that made the table are of rows that are gone.
fn newest(
    connection: &Connection,
    table: &TableName,
    run_id: &str,
    made_table: &str,
) -> Result<Option<Found>, duckdb::Error> {
    let sql = format!(
        "WITH loads AS (
             SELECT *, rowid AS place, coalesce({made_table}, on_existing IN ('fail', 'replace')) AS made
             FROM main._fetches WHERE lower(table_name) = lower(?1)
         )
         SELECT epoch_us(started_at), filters::VARCHAR, project_id::VARCHAR, region::VARCHAR FROM loads
         WHERE NOT coalesce(partial, true) AND place >= coalesce((SELECT max(place) FROM loads WHERE made), 0)
             AND EXISTS (SELECT 1 FROM loads WHERE run_id = ?2)
         ORDER BY place DESC LIMIT 1"
    );
    let mut query = connection.prepare(&sql)?;
    let mut found = query.query_map([table.as_str(), run_id], |row| {
        Ok(Found { started_at: row.get(0)?, filters: row.get(1)?, project_id: row.get(2)?, region: row.get(3)? })
    })?;
    found.next().transpose()
}
