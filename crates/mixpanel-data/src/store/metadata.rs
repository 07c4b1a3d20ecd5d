//! `_metadata`, one row for each table, and `_fetches`, one row for each load.
//!
//! `_metadata` is the Python package's, with columns added at its end, so that either program goes on with the other's
//! file. What stands in it may come from anybody and is only ever data.

use std::collections::BTreeMap;

use duckdb::types::{TimeUnit, Value};
use duckdb::{Connection, params};
use jiff::Timestamp;

use super::failure::statement;
use super::table_name::TableName;
use super::target::{Target, find};
use crate::error::{Error, Result};
use crate::profile_query::{FetchMode, OnExisting, ProfileQuery};

/// What `_metadata` says of a table of profiles.
const PROFILES: &str = "profiles";

const CREATE: &str = "
    CREATE TABLE IF NOT EXISTS _metadata (
        table_name VARCHAR PRIMARY KEY, type VARCHAR NOT NULL, fetched_at TIMESTAMP NOT NULL,
        from_date DATE, to_date DATE, row_count BIGINT NOT NULL
    );
    ALTER TABLE _metadata ADD COLUMN IF NOT EXISTS filters JSON;
    ALTER TABLE _metadata ADD COLUMN IF NOT EXISTS run_id VARCHAR;
    ALTER TABLE _metadata ADD COLUMN IF NOT EXISTS partial BOOLEAN;
    CREATE TABLE IF NOT EXISTS _fetches (
        run_id VARCHAR NOT NULL, table_name VARCHAR NOT NULL, on_existing VARCHAR NOT NULL,
        started_at TIMESTAMP NOT NULL, finished_at TIMESTAMP NOT NULL,
        project_id VARCHAR, region VARCHAR, filters JSON, mode VARCHAR,
        expected_rows BIGINT, received BIGINT, rows BIGINT, duplicates BIGINT, rejected BIGINT,
        page_count BIGINT, failed_pages JSON, requests BIGINT, retries BIGINT, partial BOOLEAN
    )";

/// What is recorded of the run that a load ends. Times and counts are the caller's: the store has no clock.
#[derive(Debug, Clone)]
pub(crate) struct RunRecord {
    /// Identifies the run; a run is loaded once.
    pub(crate) run_id: String,
    /// When the fetch began.
    pub(crate) started_at: Timestamp,
    /// When the last page was staged; becomes `fetched_at`.
    pub(crate) finished_at: Timestamp,
    /// The project.
    pub(crate) project_id: String,
    /// Its region, such as `us`.
    pub(crate) region: String,
    /// The filters.
    pub(crate) query: ProfileQuery,
    /// Sequential or parallel.
    pub(crate) mode: FetchMode,
    /// Profiles that the server said there are.
    pub(crate) expected_rows: Option<u64>,
    /// Records in all staged pages, rejects included.
    pub(crate) received: u64,
    /// Records among them that could not be rows.
    pub(crate) rejected: u64,
    /// Staged pages, failed ones not counted.
    pub(crate) page_count: u32,
    /// Pages that failed for good; the table is partial if there are any.
    pub(crate) failed_pages: Vec<u32>,
    /// Requests sent.
    pub(crate) requests: u64,
    /// Requests among them that repeated a failed one.
    pub(crate) retries: u64,
}

impl RunRecord {
    fn is_partial(&self) -> bool {
        !self.failed_pages.is_empty()
    }

    fn filters(&self) -> Result<String> {
        serde_json::to_string(&self.query)
            .map_err(|error| Error::internal("cannot write the filters").with_source(error))
    }
}

/// What a load did, as `_fetches` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) rows: u64,
    pub(super) duplicates: u64,
}

/// What `_metadata` says of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) kind: String,
    pub(super) fetched_at: Option<Timestamp>,
}

/// Makes both tables, and brings a `_metadata` of the Python package up to date.
pub(super) fn ensure(connection: &Connection) -> Result<()> {
    let fail = |error| statement("prepare the tables `_metadata` and `_fetches`", &error);
    connection.execute_batch(CREATE).map_err(fail)?;
    let narrow: i64 = connection
        .query_row(
            "SELECT count(*) FROM duckdb_columns() WHERE database_name = current_database() AND schema_name = 'main'
             AND table_name = '_metadata' AND column_name = 'row_count' AND data_type = 'INTEGER'",
            [],
            |row| row.get(0),
        )
        .map_err(fail)?;
    if narrow > 0 {
        connection.execute_batch("ALTER TABLE _metadata ALTER row_count SET DATA TYPE BIGINT").map_err(fail)?;
    }
    Ok(())
}

/// Looks for a run that is loaded already.
pub(super) fn find_run(connection: &Connection, run_id: &str) -> Result<Option<Counts>> {
    if !matches!(find(connection, &TableName::listed("_fetches"))?, Target::Table(_)) {
        return Ok(None);
    }
    let fail = |error| statement("read the table `_fetches`", &error);
    let mut query = connection.prepare("SELECT rows, duplicates FROM _fetches WHERE run_id = ?").map_err(fail)?;
    let mut found =
        query.query_map([run_id], |row| Ok(Counts { rows: row.get(0)?, duplicates: row.get(1)? })).map_err(fail)?;
    found.next().transpose().map_err(fail)
}

/// Records a load: the state of the table, and the run. Returns how many rows the table has now.
pub(super) fn record(
    connection: &Connection,
    table: &TableName,
    on_existing: OnExisting,
    run: &RunRecord,
    counts: Counts,
) -> Result<u64> {
    let table_rows = label_table(connection, table, on_existing, run)?;
    let failed_pages = serde_json::Value::from(run.failed_pages.clone()).to_string();
    let mode = match run.mode {
        FetchMode::Sequential => "sequential",
        FetchMode::Parallel { .. } => "parallel",
    };
    let existing = match on_existing {
        OnExisting::Fail => "fail",
        OnExisting::Append => "append",
        OnExisting::Replace => "replace",
    };
    connection
        .execute(
            "INSERT INTO _fetches (run_id, table_name, on_existing, started_at, finished_at, project_id, region, filters,
                 mode, expected_rows, received, rows, duplicates, rejected, page_count, failed_pages, requests, retries, partial)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                run.run_id,
                table.as_str(),
                existing,
                timestamp(run.started_at),
                timestamp(run.finished_at),
                run.project_id,
                run.region,
                run.filters()?,
                mode,
                run.expected_rows,
                run.received,
                counts.rows,
                counts.duplicates,
                run.rejected,
                run.page_count,
                failed_pages,
                run.requests,
                run.retries,
                run.is_partial(),
            ],
        )
        .map_err(|error| statement("record the run in `_fetches`", &error))?;
    Ok(table_rows)
}

/// Writes the table's row of `_metadata`. Something appended to a partial table leaves it partial.
fn label_table(connection: &Connection, table: &TableName, on_existing: OnExisting, run: &RunRecord) -> Result<u64> {
    let fail = |error| statement("record the table in `_metadata`", &error);
    let count = format!("SELECT count(*) FROM {}", table.quoted());
    let row_count: u64 = connection.query_row(&count, [], |row| row.get(0)).map_err(fail)?;
    let fetched_at = timestamp(run.finished_at);
    let (filters, partial) = (run.filters()?, run.is_partial());
    let stays_partial = matches!(on_existing, OnExisting::Append);
    let updated = connection
        .execute(
            "UPDATE _metadata SET type = ?, fetched_at = ?, from_date = NULL, to_date = NULL, row_count = ?, filters = ?,
                 run_id = ?, partial = ? OR (? AND coalesce(partial, false))
             WHERE lower(table_name) = lower(?)",
            params![PROFILES, fetched_at, row_count, filters, run.run_id, partial, stays_partial, table.as_str()],
        )
        .map_err(fail)?;
    if updated == 0 {
        connection
            .execute(
                "INSERT INTO _metadata (table_name, type, fetched_at, row_count, filters, run_id, partial)
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
                params![table.as_str(), PROFILES, fetched_at, row_count, filters, run.run_id, partial],
            )
            .map_err(fail)?;
    }
    Ok(row_count)
}

/// Says whether `_metadata` knows the table as something else than profiles, and as what.
pub(super) fn other_kind(connection: &Connection, table: &TableName) -> Option<String> {
    labels(connection)
        .remove(&table.as_str().to_ascii_lowercase())
        .map(|label| label.kind)
        .filter(|kind| kind != PROFILES)
}

/// Reads `_metadata`, by table name in lower case. A `_metadata` that is missing or has another shape says nothing.
pub(super) fn labels(connection: &Connection) -> BTreeMap<String, Label> {
    let read = || -> Result<BTreeMap<String, Label>, duckdb::Error> {
        let mut query = connection.prepare(
            "SELECT lower(table_name), type, epoch_us(fetched_at) FROM main._metadata WHERE type IS NOT NULL",
        )?;
        let labels = query.query_map([], |row| {
            let micros: Option<i64> = row.get(2)?;
            let fetched_at = micros.and_then(|micros| Timestamp::from_microsecond(micros).ok());
            Ok((row.get(0)?, Label { kind: row.get(1)?, fetched_at }))
        })?;
        labels.collect()
    };
    if matches!(find(connection, &TableName::listed("_metadata")), Ok(Target::Table(_))) {
        read().unwrap_or_default()
    } else {
        BTreeMap::new()
    }
}

/// Removes the table's row, if there is a `_metadata`.
pub(super) fn forget(connection: &Connection, table: &TableName) -> Result<()> {
    if !matches!(find(connection, &TableName::listed("_metadata"))?, Target::Table(_)) {
        return Ok(());
    }
    connection
        .execute("DELETE FROM _metadata WHERE lower(table_name) = lower(?)", [table.as_str()])
        .map_err(|error| statement("remove the table from `_metadata`", &error))?;
    Ok(())
}

fn timestamp(at: Timestamp) -> Value {
    Value::Timestamp(TimeUnit::Microsecond, at.as_microsecond())
}
