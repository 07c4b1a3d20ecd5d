//! The last complete load of a table, from which a later one can continue.

#[cfg(test)]
mod tests;

use std::path::Path;

use duckdb::Connection;
use jiff::Timestamp;

use crate::clock::moment_of;
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
    /// When the load that created the table began, if it fetched all profiles. Only such a load leaves out profiles that
    /// were deleted before it.
    pub(crate) full_at: Option<Timestamp>,
    /// The same by the clock of the machine that loaded it, from the run id.
    pub(crate) full_at_locally: Option<Timestamp>,
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

/// Returns the newest load after which the table was complete, or `None` if there is none since the table was created, if
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
    let columns = column_names(connection, &fetches)?;
    let found = loads(connection, &table, &run_id, |name| columns.contains(name))
        .and_then(|loads| Ok((newest(loads), Contents::look(connection, dataset, &table)?)));
    match found {
        Ok((newest, contents)) => Ok(newest.and_then(|newest| newest.read(&contents, recorded_rows))),
        // Another program may have created a table of that name, so a failed query only means that there is no load;
        // damage must be reported.
        Err(error) => match statement("read the table `_fetches`", &error) {
            error if error.kind() == crate::error::ErrorKind::Storage => Ok(None),
            error => Err(error),
        },
    }
}

/// A load as recorded in `_fetches`.
#[derive(Debug)]
struct FetchRecord {
    started_at: Option<i64>,
    filters: Option<String>,
    project_id: Option<String>,
    region: Option<String>,
    run_id: Option<String>,
    /// Whether it created the table.
    made: bool,
    /// Whether it has every profile that it selects.
    is_whole: bool,
    /// Whether it selects only profiles seen since some time.
    is_recent: bool,
    /// Whether it fetched what changed since the newest load before it.
    updates: bool,
    /// Whether it left existing rows unchanged.
    appends: bool,
}

/// The newest load after which the table was complete, and the one that [`LastLoad::full_at`] describes.
struct Newest {
    load: FetchRecord,
    full: Option<Full>,
}

/// A load of all profiles that created the table.
#[derive(Clone)]
struct Full {
    /// When it began, in microseconds.
    started_at: Option<i64>,
    run_id: Option<String>,
}

impl Newest {
    fn read(self, contents: &Contents, recorded_rows: Option<u64>) -> Option<LastLoad> {
        let moment = |micros: i64| Timestamp::from_microsecond(micros).ok();
        let Self { load, full } = self;
        Some(LastLoad {
            newest_seen: contents.newest_seen.and_then(moment),
            rows: contents.rows,
            recorded_rows,
            started_at: load.started_at.and_then(moment)?,
            full_at: full.as_ref().and_then(|full| full.started_at).and_then(moment),
            full_at_locally: full.and_then(|full| moment_of(&full.run_id?)),
            query: serde_json::from_str(&load.filters?).ok()?,
            project_id: load.project_id?,
            region: load.region?,
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

/// Returns the newest load after which the table had every profile that the filters select. Expects the loads since the
/// table was created, in order; the rows of earlier loads no longer exist.
///
/// A load that selects only recent profiles counts if it continues such a load (`--since last`), but not with a start
/// time of the user's choice, which may leave a gap. Neither does one that appends to rows it does not update.
fn newest(loads: Vec<FetchRecord>) -> Option<Newest> {
    let maker = loads.iter().find(|load| load.made).and_then(|load| load.run_id.clone());
    let mut newest: Option<Newest> = None;
    for load in loads.into_iter().filter(|load| load.is_whole) {
        // A run that was partial when it created the table is completed by another load.
        let is_of_maker = maker.is_some() && load.run_id == maker;
        let full = newest.as_ref().and_then(|newest| newest.full.clone());
        if load.is_recent {
            if load.updates && newest.is_some() && !load.made {
                newest = Some(Newest { load, full });
            }
        } else if is_of_maker {
            let full = Full { started_at: load.started_at, run_id: load.run_id.clone() };
            newest = Some(Newest { load, full: Some(full) });
        } else if !load.appends {
            newest = Some(Newest { load, full });
        }
    }
    newest
}

/// Returns the loads since the table was created, in order; none if `run_id`, the last load according to `_metadata`, is
/// not among those of the table.
fn loads(
    connection: &Connection,
    table: &TableName,
    run_id: &str,
    has_column: impl Fn(&str) -> bool,
) -> Result<Vec<FetchRecord>, duckdb::Error> {
    // Files of earlier versions lack these columns. There, only `--since last` recorded a start time.
    let column = |name: &'static str| if has_column(name) { name } else { "NULL" };
    let (made_table, updates) = (column("made_table"), column("updates"));
    let sql = format!(
        "WITH loads AS (
             SELECT *, rowid AS place, coalesce({made_table}, on_existing IN ('fail', 'replace'), false) AS made
             FROM main._fetches WHERE system.main.lower(table_name) = system.main.lower(?1)
         )
         SELECT system.main.epoch_us(started_at), filters::VARCHAR, project_id::VARCHAR, region::VARCHAR, run_id::VARCHAR, made,
             NOT coalesce(partial, true) AND (filters->>'limit') IS NULL,
             (filters->>'since') IS NOT NULL,
             coalesce({updates}, on_existing = 'upsert', false),
             coalesce(NOT {made_table} AND on_existing = 'append', false)
         FROM loads
         WHERE place >= coalesce((SELECT max(place) FROM loads WHERE made), 0)
             AND EXISTS (SELECT 1 FROM loads WHERE run_id = ?2)
         ORDER BY place"
    );
    let mut query = connection.prepare(&sql)?;
    let found = query.query_map([table.as_str(), run_id], |row| {
        Ok(FetchRecord {
            started_at: row.get(0)?,
            filters: row.get(1)?,
            project_id: row.get(2)?,
            region: row.get(3)?,
            run_id: row.get(4)?,
            made: row.get(5)?,
            is_whole: row.get(6)?,
            is_recent: row.get(7)?,
            updates: row.get(8)?,
            appends: row.get(9)?,
        })
    })?;
    found.collect()
}
