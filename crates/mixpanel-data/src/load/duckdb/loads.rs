//! The loads of a table that were committed after a certain one.

use std::path::Path;

use duckdb::{Connection, params};
use jiff::Timestamp;

use crate::clock::RunStart;
use crate::error::{Error, ErrorKind, Result};
use crate::store::access::Access;
use crate::store::database::Database;
use crate::store::failure::statement;
use crate::store::schema::{Target, column_names, find};
use crate::store::table_name::TableName;

/// A load as recorded in `_fetches`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordedLoad {
    /// When its fetch began.
    started_at: Timestamp,
    /// Its run.
    pub(crate) run_id: String,
    /// Identifies the load by its contents; the run id in files of earlier versions.
    pub(crate) load_id: String,
    /// Whether it created the table.
    pub(crate) made_table: bool,
    /// Whether it added or replaced rows.
    pub(crate) has_rows: bool,
    /// Whether it has everything that it selects.
    pub(crate) is_whole: bool,
    /// The filters as JSON.
    pub(crate) filters: String,
}

impl RecordedLoad {
    /// Returns when its fetch began, for comparison with others.
    pub(crate) fn start(&self) -> RunStart<'_> {
        RunStart { at: self.started_at, run_id: Some(&self.run_id) }
    }
}

/// The loads that were committed after a certain one, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LoadsAfter {
    /// These are the loads.
    Known(Vec<RecordedLoad>),
    /// That load is not recorded, so that only the start times show which of all loads are newer.
    Unknown(Vec<RecordedLoad>),
}

/// A load whose successors are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base<'a> {
    /// The table had no load.
    NoLoad,
    /// The load with this id.
    Load(&'a str),
    /// It was not recorded.
    Unknown,
}

const OF_TABLE: &str = "system.main.lower(table_name) = system.main.lower(?)";

/// Returns the id of the newest load of a table, whether or not the table still exists.
///
/// # Errors
/// `DatabaseUnusable`.
pub(super) fn newest_load_id(connection: &Connection, table: &TableName) -> Result<Option<String>> {
    let Some(Columns { load_id, .. }) = Columns::find(connection)? else { return Ok(None) };
    let sql = format!("SELECT {load_id} FROM main._fetches WHERE {OF_TABLE} ORDER BY rowid DESC LIMIT 1");
    let read = || connection.prepare(&sql)?.query_map([table.as_str()], |row| row.get(0))?.next().transpose();
    read().or_else(|error| not_ours(&error).map(|()| None))
}

/// Returns the loads of a table that were committed after `base`; none if the table or the database does not exist.
///
/// # Errors
/// `DatabaseLocked`, `DatabaseUnusable`, `Storage`.
pub(crate) fn loads_after(database: &Path, table: &TableName, base: Base<'_>) -> Result<LoadsAfter> {
    let database = match Database::open(database, Access::ReadOnly) {
        Err(error) if error.kind() == ErrorKind::DatabaseNotFound => return Ok(LoadsAfter::Known(Vec::new())),
        opened => opened?,
    };
    let connection = database.connection();
    let (Target::Table(table), Some(columns)) = (find(connection, table)?, Columns::find(connection)?) else {
        return Ok(LoadsAfter::Known(Vec::new()));
    };
    let place = match base {
        Base::NoLoad => Ok(Some(-1)),
        Base::Unknown => Ok(None),
        Base::Load(load_id) => {
            let id = columns.load_id;
            let sql = format!("SELECT max(rowid) FROM main._fetches WHERE {OF_TABLE} AND {id} = ?");
            connection.query_row(&sql, [table.as_str(), load_id], |row| row.get::<_, Option<i64>>(0))
        }
    };
    let found = place.and_then(|place| Ok((place, read(connection, &table, &columns, place.unwrap_or(-1))?)));
    match found {
        Ok((Some(_), loads)) => Ok(LoadsAfter::Known(loads)),
        Ok((None, loads)) => Ok(LoadsAfter::Unknown(loads)),
        Err(error) => not_ours(&error).map(|()| LoadsAfter::Known(Vec::new())),
    }
}

/// Expressions for columns that files of earlier versions lack.
struct Columns {
    load_id: &'static str,
    made_table: &'static str,
}

impl Columns {
    /// Returns `None` without a table of loads.
    fn find(connection: &Connection) -> Result<Option<Self>> {
        let Target::Table(fetches) = find(connection, &TableName::listed("_fetches"))? else { return Ok(None) };
        let columns = column_names(connection, &fetches)?;
        let load_id = if columns.contains("load_id") { "coalesce(load_id, run_id)" } else { "run_id" };
        Ok(Some(Self { load_id, made_table: if columns.contains("made_table") { "made_table" } else { "NULL" } }))
    }
}

fn read(
    connection: &Connection,
    table: &TableName,
    columns: &Columns,
    after: i64,
) -> Result<Vec<RecordedLoad>, duckdb::Error> {
    let Columns { load_id, made_table } = columns;
    let sql = format!(
        "SELECT system.main.epoch_us(started_at), run_id::VARCHAR, ({load_id})::VARCHAR,
             coalesce({made_table}, on_existing IN ('fail', 'replace'), false),
             coalesce(rows, 1) > 0, NOT coalesce(partial, true) AND (filters->>'limit') IS NULL, coalesce(filters::VARCHAR, '')
         FROM main._fetches WHERE {OF_TABLE} AND rowid > ? ORDER BY rowid"
    );
    let mut query = connection.prepare(&sql)?;
    let rows = query.query_map(params![table.as_str(), after], |row| {
        let started_at = Timestamp::from_microsecond(row.get(0)?).unwrap_or_default();
        let (run_id, load_id, made_table) = (row.get(1)?, row.get(2)?, row.get(3)?);
        let (has_rows, is_whole, filters) = (row.get(4)?, row.get(5)?, row.get(6)?);
        Ok(RecordedLoad { started_at, run_id, load_id, made_table, has_rows, is_whole, filters })
    })?;
    rows.collect()
}

/// Returns the error only if it shows damage: another program may have created a table of that name.
fn not_ours(error: &duckdb::Error) -> Result<(), Error> {
    match statement("read the table `_fetches`", error) {
        error if error.kind() == ErrorKind::Storage => Ok(()),
        error => Err(error),
    }
}
