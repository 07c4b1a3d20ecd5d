//! The last complete load of a table, from which a later one can continue.

#[cfg(test)]
mod tests;

use std::path::Path;

use duckdb::Connection;
use jiff::Timestamp;

use crate::dataset::Dataset;
use crate::error::Result;
use crate::profile_query::ProfileQuery;
use crate::store::access::Access;
use crate::store::database::Database;
use crate::store::failure::statement;
use crate::store::label;
use crate::store::schema::{Target, column_names, find};
use crate::store::table_name::TableName;

/// A complete load: its parameters, and the state of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LastLoad {
    /// When its fetch began. Later changes may not be in the table.
    pub(crate) started_at: Timestamp,
    /// The latest `last_seen` in the table. Profiles with a later one changed after the load, regardless of the
    /// server's clock.
    pub(crate) newest_seen: Option<Timestamp>,
    /// The number of rows in the table now.
    pub(crate) rows: u64,
    /// The number of rows after the last load, complete or not.
    pub(crate) recorded_rows: Option<u64>,
    /// The filters.
    pub(crate) query: ProfileQuery,
    /// The project.
    pub(crate) project_id: String,
    /// The region of the project.
    pub(crate) region: String,
}

/// Returns the newest complete load into the table, or `None` if there is none since the table was created, if
/// `_fetches` lacks the load that `_metadata` names, or if its values cannot be read.
///
/// # Errors
/// `DatabaseNotFound`, `DatabaseLocked`, `DatabaseUnusable`, `Storage`.
pub(crate) fn last_load(database: &Path, dataset: &Dataset, table: &TableName) -> Result<Option<LastLoad>> {
    let database = Database::open(database, Access::ReadOnly)?;
    let connection = database.connection();
    let (Target::Table(table), Target::Table(fetches)) =
        (find(connection, table)?, find(connection, &TableName::listed("_fetches"))?)
    else {
        return Ok(None);
    };
    let label = label::of_table(connection, &table);
    let recorded_rows = label.as_ref().and_then(|label| label.row_count);
    let Some(run_id) = label.and_then(|label| label.run_id) else { return Ok(None) };
    let notes_maker = column_names(connection, &fetches)?.contains("made_table");
    let found = newest(connection, &table, &run_id, if notes_maker { "made_table" } else { "NULL" })
        .and_then(|found| Ok((found, Contents::look(connection, dataset, &table)?)));
    match found {
        Ok((found, contents)) => Ok(found.and_then(|found| found.read(&contents, recorded_rows))),
        // Another program may have created a table of that name, so a failed query only means that there is no load;
        // damage must be reported.
        Err(error) => match statement("read the table `_fetches`", &error) {
            error if error.kind() == crate::error::ErrorKind::Storage => Ok(None),
            error => Err(error),
        },
    }
}

/// The raw values from `_fetches`.
struct FetchRecord {
    started_at: Option<i64>,
    filters: Option<String>,
    project_id: Option<String>,
    region: Option<String>,
}

impl FetchRecord {
    fn read(self, contents: &Contents, recorded_rows: Option<u64>) -> Option<LastLoad> {
        let newest_seen = contents.newest_seen.and_then(|micros| Timestamp::from_microsecond(micros).ok());
        Some(LastLoad {
            newest_seen,
            rows: contents.rows,
            recorded_rows,
            started_at: Timestamp::from_microsecond(self.started_at?).ok()?,
            query: serde_json::from_str(&self.filters?).ok()?,
            project_id: self.project_id?,
            region: self.region?,
        })
    }
}

/// The current contents of the table.
struct Contents {
    rows: u64,
    newest_seen: Option<i64>,
}

impl Contents {
    fn look(connection: &Connection, dataset: &Dataset, table: &TableName) -> Result<Self, duckdb::Error> {
        let newest = dataset.newest;
        let sql = format!(
            "SELECT count(*), system.main.epoch_us(max({newest}) FILTER (system.main.isfinite({newest}))) FROM {}",
            table.quoted()
        );
        connection.query_row(&sql, [], |row| Ok(Self { rows: row.get(0)?, newest_seen: row.get(1)? }))
    }
}

/// Returns the newest complete load since the table was created; the rows of earlier loads no longer exist. If the load
/// that created the table fetched only recently changed profiles, neither it nor any later load is complete.
fn newest(
    connection: &Connection,
    table: &TableName,
    run_id: &str,
    made_table: &str,
) -> Result<Option<FetchRecord>, duckdb::Error> {
    let sql = format!(
        "WITH loads AS (
             SELECT *, rowid AS place, coalesce({made_table}, on_existing IN ('fail', 'replace')) AS made
             FROM main._fetches WHERE system.main.lower(table_name) = system.main.lower(?1)
         )
         SELECT system.main.epoch_us(started_at), filters::VARCHAR, project_id::VARCHAR, region::VARCHAR FROM loads
         WHERE NOT coalesce(partial, true) AND place >= coalesce((SELECT max(place) FROM loads WHERE made), 0)
             AND EXISTS (SELECT 1 FROM loads WHERE run_id = ?2)
             AND NOT EXISTS (
                 SELECT 1 FROM loads WHERE made AND on_existing = 'upsert' AND (filters->>'since') IS NOT NULL
                     AND place = (SELECT max(place) FROM loads WHERE made)
             )
         ORDER BY place DESC LIMIT 1"
    );
    let mut query = connection.prepare(&sql)?;
    let mut found = query.query_map([table.as_str(), run_id], |row| {
        Ok(FetchRecord { started_at: row.get(0)?, filters: row.get(1)?, project_id: row.get(2)?, region: row.get(3)? })
    })?;
    found.next().transpose()
}
