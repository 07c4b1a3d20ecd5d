//! The tables `_metadata`, with one row per table, and `_fetches`, with one row per load.
//!
//! `_metadata` is the Python package's table with columns appended, so that each program can use the other's files. Any
//! program may have written its contents, so they are treated only as data.

mod days;
#[cfg(test)]
mod tests;

use duckdb::types::{TimeUnit, Value};
use duckdb::{Connection, params};
use jiff::Timestamp;

use super::catalogs::Catalogs;
use super::tuning::Steps;
use crate::counts::FetchCounts;
use crate::dataset::Dataset;
use crate::error::Result;
use crate::load::package::DayChange;
use crate::load::run_record::RunRecord;
use crate::profile_query::{FetchMode, IfExists};
use crate::store::failure::statement;
use crate::store::label::{self, Label};
use crate::store::schema::{column_names, ensure_table};
use crate::store::table_name::TableName;

const METADATA: &str = "
    table_name VARCHAR PRIMARY KEY, type VARCHAR NOT NULL, fetched_at TIMESTAMP NOT NULL,
    from_date DATE, to_date DATE, row_count BIGINT NOT NULL";

/// The columns that the table of the Python package, or of an earlier version, may lack.
const METADATA_ADDED: [(&str, &str); 5] = [
    ("filters", "JSON"),
    ("run_id", "VARCHAR"),
    ("partial", "BOOLEAN"),
    ("digest", "VARCHAR"),
    ("partial_run_id", "VARCHAR"),
];

const FETCHES: &str = "
    run_id VARCHAR NOT NULL, table_name VARCHAR NOT NULL, on_existing VARCHAR NOT NULL,
    started_at TIMESTAMP NOT NULL, finished_at TIMESTAMP NOT NULL,
    project_id VARCHAR, region VARCHAR, filters JSON, mode VARCHAR,
    expected_rows BIGINT, received BIGINT, rows BIGINT, duplicates BIGINT, rejected BIGINT,
    page_count BIGINT, failed_pages JSON, requests BIGINT, retries BIGINT, partial BOOLEAN";

/// The columns that the table of an earlier version may lack.
const FETCHES_ADDED: [(&str, &str); 21] = [
    ("load_id", "VARCHAR"),
    ("session_restarts", "BIGINT"),
    ("short_pages", "JSON"),
    ("waited_seconds", "DOUBLE"),
    ("made_table", "BOOLEAN"),
    ("shortfall", "BIGINT"),
    ("property_rules", "JSON"),
    ("updates", "BOOLEAN"),
    ("from_date", "DATE"),
    ("to_date", "DATE"),
    ("time_zone", "VARCHAR"),
    ("conflicting_duplicates", "BIGINT"),
    ("without_insert_id", "BIGINT"),
    ("without_distinct_id", "BIGINT"),
    ("outside", "BIGINT"),
    ("repeated_hour", "BIGINT"),
    ("skipped_hour", "BIGINT"),
    ("received_bytes", "BIGINT"),
    ("replaced_from", "DATE"),
    ("replaced_to", "DATE"),
    ("replaced_rows", "BIGINT"),
];

/// The row counts of a load, as recorded in `_fetches`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) rows: u64,
    pub(super) duplicates: u64,
    pub(super) shortfall: u64,
    /// Rows of earlier loads of the run that others have changed or removed since. Not recorded.
    pub(super) altered: u64,
    /// Duplicates whose properties differ from those of the row that was kept.
    pub(super) conflicting: u64,
}

/// How a load put its rows into the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The load created the table, either a new one or a replacement.
    Made,
    /// The load changed an existing table.
    Changed,
}

/// The result of a load, ready to be recorded.
#[derive(Debug)]
pub(super) struct Loaded {
    /// The table, as the database spells it.
    pub(super) table: TableName,
    pub(super) origin: Origin,
    pub(super) counts: Counts,
    /// Rows of the table that fetched rows replaced; `None` if unknown.
    pub(super) updated: Option<u64>,
    /// Fetched rows that are not in the table because it keeps its own; `None` if unknown.
    pub(super) unchanged: Option<u64>,
    /// The digest of the whole table, as text.
    pub(super) digest: String,
    /// How the load changed the catalog of the table's properties.
    pub(super) catalog: CatalogChange,
    /// The number of rows of the table to read at once.
    pub(super) steps: Steps,
    /// How a load of events changed the days of the table.
    pub(super) days: Option<DayChange>,
}

/// How a load changed the properties of the rows.
#[derive(Debug)]
pub(super) enum CatalogChange {
    /// The catalog of the whole table.
    Whole(Catalogs),
    /// The catalogs of the rows that the load added and removed.
    Rows {
        /// The number of rows in the table before the load.
        rows_before: u64,
        added: Catalogs,
        removed: Catalogs,
    },
    /// It must be computed from the table.
    Unknown,
}

/// Creates both tables, or upgrades those of the Python package and of earlier versions.
pub(super) fn ensure(connection: &Connection) -> Result<()> {
    let found = ensure_table(connection, "_metadata", METADATA, &METADATA_ADDED)?;
    if found.iter().any(|column| column.name == "row_count" && column.kind == "INTEGER") {
        connection
            .execute_batch("ALTER TABLE _metadata ALTER row_count SET DATA TYPE BIGINT")
            .map_err(|error| statement("prepare the table `_metadata`", &error))?;
    }
    ensure_table(connection, "_fetches", FETCHES, &FETCHES_ADDED).map(drop)
}

/// Returns the counts of a load, if it is already committed.
pub(super) fn find_load(connection: &Connection, load_id: &str) -> Result<Option<Counts>> {
    let columns = column_names(connection, &TableName::listed("_fetches"))?;
    // The table may be missing, or be one of the first version.
    if !columns.contains("load_id") {
        return Ok(None);
    }
    let count = |name: &'static str| if columns.contains(name) { name } else { "NULL" };
    let (shortfall, conflicting) = (count("shortfall"), count("conflicting_duplicates"));
    let sql = format!(
        "SELECT rows, duplicates, {shortfall}::UBIGINT, {conflicting}::UBIGINT FROM _fetches WHERE load_id = ?"
    );
    first_counts(connection, &sql, &[load_id])
}

/// Returns the counts of the run's last load into the table.
pub(super) fn last_counts(connection: &Connection, table: &TableName, run_id: &str) -> Result<Option<Counts>> {
    let sql = "SELECT rows, duplicates, shortfall, conflicting_duplicates FROM _fetches WHERE run_id = ? AND system.main.lower(table_name) = system.main.lower(?)
               ORDER BY rowid DESC LIMIT 1";
    first_counts(connection, sql, &[run_id, table.as_str()])
}

fn first_counts(connection: &Connection, sql: &str, values: &[&str]) -> Result<Option<Counts>> {
    let fail = |error| statement("read the table `_fetches`", &error);
    let mut query = connection.prepare(sql).map_err(fail)?;
    let counts = |row: &duckdb::Row<'_>| {
        let [shortfall, conflicting] = [2, 3].map(|column| row.get::<_, Option<u64>>(column));
        let (shortfall, conflicting) = (shortfall?.unwrap_or(0), conflicting?.unwrap_or(0));
        Ok(Counts { rows: row.get(0)?, duplicates: row.get(1)?, shortfall, altered: 0, conflicting })
    };
    let mut found = query.query_map(duckdb::params_from_iter(values), counts).map_err(fail)?;
    found.next().transpose().map_err(fail)
}

/// Returns the run that last created the table, if any. In records of versions that did not store this, a load with
/// `fail` or `replace` counts as one that created it.
pub(super) fn maker(connection: &Connection, table: &TableName) -> Result<Option<String>> {
    let fail = |error| statement("read the table `_fetches`", &error);
    let sql = "SELECT run_id FROM _fetches WHERE system.main.lower(table_name) = system.main.lower(?)
               AND coalesce(made_table, on_existing IN ('fail', 'replace')) ORDER BY rowid DESC LIMIT 1";
    let mut query = connection.prepare(sql).map_err(fail)?;
    let mut found = query.query_map([table.as_str()], |row| row.get(0)).map_err(fail)?;
    found.next().transpose().map_err(fail)
}

/// Records a load: the state of the table, and the run. Returns the number of rows in the table now.
pub(super) fn record(connection: &Connection, loaded: &Loaded, if_exists: IfExists, run: &RunRecord) -> Result<u64> {
    let table_rows = label_table(connection, loaded, run)?;
    let json = |pages: &Vec<u32>| serde_json::Value::from(pages.clone()).to_string();
    let mode = match run.mode {
        FetchMode::Sequential => "sequential",
        FetchMode::Parallel { .. } => "parallel",
    };
    let existing = match if_exists {
        IfExists::Fail => "fail",
        IfExists::Append => "append",
        IfExists::Upsert => "upsert",
        IfExists::Replace => "replace",
    };
    connection
        .execute(
            "INSERT INTO _fetches (run_id, table_name, on_existing, started_at, finished_at, project_id, region, filters,
                 mode, expected_rows, received, rows, duplicates, rejected, page_count, failed_pages, requests, retries,
                 partial, load_id, session_restarts, short_pages, waited_seconds, made_table, shortfall,
                 property_rules, updates)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                run.run_id,
                loaded.table.as_str(),
                existing,
                timestamp(run.started_at),
                timestamp(run.finished_at),
                run.project_id,
                run.region,
                run.filters()?,
                mode,
                run.counts.expected_rows,
                run.counts.received,
                loaded.counts.rows,
                loaded.counts.duplicates,
                run.counts.rejected,
                run.page_count,
                json(&run.failed_pages),
                run.counts.requests,
                run.counts.retries,
                run.is_partial(),
                run.load_id,
                run.counts.session_restarts,
                json(&run.counts.short_pages),
                run.counts.waited_seconds,
                loaded.origin == Origin::Made,
                run.counts.shortfall,
                run.rules()?,
                run.updates,
            ],
        )
        .map_err(|error| statement("record the run in `_fetches`", &error))?;
    days::record(connection, loaded, run)?;
    Ok(table_rows)
}

/// Writes the table's row in `_metadata`. Returns the number of rows in the table.
fn label_table(connection: &Connection, loaded: &Loaded, run: &RunRecord) -> Result<u64> {
    let fail = |error| statement("record the table in `_metadata`", &error);
    let table = &loaded.table;
    let count = format!("SELECT count(*) FROM {}", table.quoted());
    let row_count: u64 = connection.query_row(&count, [], |row| row.get(0)).map_err(fail)?;
    let fetched_at = timestamp(run.finished_at);
    let (filters, digest) = (run.filters()?, &loaded.digest);
    let Gaps { partial, run_id: partial_run_id } = match loaded.origin {
        Origin::Made => Gaps::of_made(run),
        Origin::Changed => Gaps::of_changed(label::of_table(connection, table).as_ref(), run),
    };
    // Those of events are recorded with the days of the run.
    let dates = if run.dataset.is_by_day() { "" } else { "from_date = NULL, to_date = NULL," };
    let updated = connection
        .execute(
            &format!(
                "UPDATE _metadata SET type = ?, fetched_at = ?, {dates} row_count = ?, filters = ?,
                     run_id = ?, partial = ?, digest = ?, partial_run_id = ?
                 WHERE system.main.lower(table_name) = system.main.lower(?)"
            ),
            params![
                run.dataset.kind,
                fetched_at,
                row_count,
                filters,
                run.run_id,
                partial,
                digest,
                partial_run_id,
                table.as_str()
            ],
        )
        .map_err(fail)?;
    if updated == 0 {
        connection
            .execute(
                "INSERT INTO _metadata (table_name, type, fetched_at, row_count, filters, run_id, partial, digest,
                     partial_run_id)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                params![
                    table.as_str(),
                    run.dataset.kind,
                    fetched_at,
                    row_count,
                    filters,
                    run.run_id,
                    partial,
                    digest,
                    partial_run_id
                ],
            )
            .map_err(fail)?;
    }
    Ok(row_count)
}

/// Whether a table lacks pages, and the only run that can supply them.
#[derive(Debug, PartialEq, Eq)]
struct Gaps {
    partial: bool,
    /// `None` in a partial table means that pages of several runs, or of an unknown run, are missing, so only replacing
    /// the table completes it.
    run_id: Option<String>,
}

impl Gaps {
    fn of_made(run: &RunRecord) -> Self {
        Self { partial: run.is_partial(), run_id: run.is_partial().then(|| run.run_id.clone()) }
    }

    fn of_changed(label: Option<&Label>, run: &RunRecord) -> Self {
        match label.filter(|label| label.partial) {
            None => Self::of_made(run),
            Some(label) if label.partial_run_id.as_ref() == Some(&run.run_id) => Self::of_made(run),
            Some(_) if run.is_partial() => Self { partial: true, run_id: None },
            Some(label) => Self { partial: true, run_id: label.partial_run_id.clone() },
        }
    }
}

/// Rehearses a load's changes to `_metadata` and `_fetches`, in a transaction that the caller rolls back. `table` must
/// exist in it.
pub(super) fn check_file_system(
    connection: &Connection,
    dataset: &'static Dataset,
    table: &TableName,
    if_exists: IfExists,
) -> Result<()> {
    ensure(connection)?;
    let loaded = Loaded {
        table: table.clone(),
        origin: Origin::Changed,
        counts: Counts { rows: 0, duplicates: 0, shortfall: 0, altered: 0, conflicting: 0 },
        updated: None,
        unchanged: None,
        digest: String::new(),
        catalog: CatalogChange::Unknown,
        steps: Steps::of_staged(&[]),
        days: None,
    };
    // A run may be loaded more than once.
    for load_id in ["rehearsal-1", "rehearsal-2"] {
        record(connection, &loaded, if_exists, &dummy_run(dataset, load_id))?;
    }
    Ok(())
}

fn dummy_run(dataset: &'static Dataset, load_id: &str) -> RunRecord {
    let counts = FetchCounts { expected_rows: Some(0), waited_seconds: 0.5, ..FetchCounts::default() };
    RunRecord { counts, ..RunRecord::empty(dataset, "rehearsal", load_id) }
}

/// Returns a time as a value of a TIMESTAMP column.
pub(super) fn timestamp(at: Timestamp) -> Value {
    Value::Timestamp(TimeUnit::Microsecond, at.as_microsecond())
}
