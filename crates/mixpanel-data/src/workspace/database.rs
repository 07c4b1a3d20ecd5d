//! The operations of a workspace on its database.

use std::ops::ControlFlow;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::Workspace;
use crate::error::Result;
use crate::load;
use crate::parse;
use crate::properties::PropertyInfo;
use crate::sql_value::SqlPart;
use crate::store::{self, QueryStop};
use crate::types::{ObjectInfo, SqlResult, TableInfo, TableSchema, VerifyReport};
use crate::warning::Warning;

impl Workspace {
    /// Runs a read-only query on the database and returns all rows.
    ///
    /// Values are JSON. Integers beyond 64 bits, decimals beyond 15 digits and non-finite floats become text; dates and
    /// times become ISO 8601 text; blobs become hexadecimal text. A JSON column holds parsed values, whose numbers have
    /// 64-bit precision; [`sql_exact`](Self::sql_exact) returns their exact text. All rows are held in memory; for large
    /// results, see [`sql_each`](Self::sql_each).
    ///
    /// A query can access only the database: no files, no network, no extensions, no settings. It does not spill to
    /// disk, and its memory limit is DuckDB's default, 80 % of the machine's memory. If there are several statements, all are
    /// run and the rows of the last one are returned.
    ///
    /// Queries run in UTC on every machine: `now()::TIMESTAMP` and `current_date` are those of UTC. If another call of this
    /// process writes to the database, such as the load of a fetch, the query waits for it, up to a minute.
    ///
    /// # Errors
    /// `Query` with DuckDB's message, which shows the position; `OutOfMemory` for a query that does not fit into memory;
    /// `DatabaseNotFound`, `DatabaseLocked`, `DatabaseUnusable`, `Storage`.
    pub fn sql(&self, query: &str) -> Result<SqlResult> {
        store::rows(&self.database, query)
    }

    /// Runs a read-only query on the database and passes the column names, then each row, to callbacks, so that the
    /// result can have any size. Either callback can end the query.
    ///
    /// # Errors
    /// Same as [`sql`](Self::sql); an error may occur after some rows were passed on.
    pub fn sql_each(
        &self,
        query: &str,
        columns: impl FnOnce(&[String]) -> ControlFlow<()>,
        row: impl FnMut(Vec<serde_json::Value>) -> ControlFlow<()>,
    ) -> Result<()> {
        store::each(&self.database, query, columns, row)
    }

    /// Runs the statements of a read-only query one after another and passes their results to a callback: the column
    /// names, then each row. Values are exact: JSON columns keep the stored text, and numbers all their digits. The
    /// callback can end the query.
    ///
    /// Statements that return no rows, such as `BEGIN`, have no result, unless no statement returns rows. A single
    /// statement that returns rows can spill, see [`with_spill_directory`](Self::with_spill_directory).
    ///
    /// # Errors
    /// Same as [`sql`](Self::sql), and `DiskFull` if there is no space to spill. An error may occur after some rows were
    /// passed on.
    pub fn sql_exact(&self, query: &str, part: impl FnMut(SqlPart<'_>) -> ControlFlow<()>) -> Result<()> {
        store::exact(&self.database, query, &self.limits, part)
    }

    /// Runs a read-only query on the database and passes the schema, then the rows as Arrow record batches, to callbacks.
    /// Either callback can end the query, and `stop` does so from another thread. Only a few thousand rows are in memory
    /// at a time, unless DuckDB needs all of them, as for a sort.
    ///
    /// A JSON column holds the stored text. Types without a counterpart in Arrow are replaced: HUGEINT becomes
    /// Decimal128(38, 0); UUID, BIT, BIGNUM and TIMETZ become text. Members of a struct without names, such as
    /// `row(1, 2)`, are named `1`, `2` and so on, with the metadata `duckdb.unnamed`. If there are several statements, all
    /// are run and only the last one returns rows. A single statement can spill, see
    /// [`with_spill_directory`](Self::with_spill_directory). Blocks the thread.
    ///
    /// # Errors
    /// Same as [`sql_exact`](Self::sql_exact); `Query` for an integer of more than 38 digits; `Cancelled` if `stop` was
    /// used. An error may occur after some rows were passed on.
    pub fn sql_arrow(
        &self,
        query: &str,
        stop: &QueryStop,
        schema: impl FnOnce(SchemaRef) -> ControlFlow<()>,
        batch: impl FnMut(RecordBatch) -> ControlFlow<()>,
    ) -> Result<()> {
        store::batches(&self.database, query, &self.limits, stop, schema, batch)
    }

    /// Returns the columns of the batches of [`stream_profiles_arrow`](Self::stream_profiles_arrow).
    #[must_use]
    pub fn profile_schema() -> SchemaRef {
        parse::ProfileRows::schema()
    }

    /// Returns the columns of the batches of [`stream_events_arrow`](Self::stream_events_arrow).
    #[must_use]
    pub fn event_schema() -> SchemaRef {
        parse::event_table_schema()
    }

    /// Checks that a query can be run, by binding its last statement; earlier statements are run.
    ///
    /// # Errors
    /// Same as [`sql`](Self::sql).
    pub fn check_sql(&self, query: &str) -> Result<()> {
        store::check(&self.database, query)
    }

    /// Returns the number of statements in a query that return rows, without running it. A statement is judged by its
    /// first word.
    #[must_use]
    pub fn sql_result_count(query: &str) -> usize {
        store::result_count(query)
    }

    /// Returns a query for all rows and columns of a table or view, for [`export_parquet`](Self::export_parquet) and
    /// [`sql_exact`](Self::sql_exact). For a typed view, it takes less memory than `SELECT *`.
    /// Views that other programs made are read as they are. Blocks the thread.
    ///
    /// # Errors
    /// `TableNotFound`; `DatabaseNotFound`, `DatabaseLocked`, `DatabaseUnusable`, `Storage`.
    pub fn table_query(&self, table: &str) -> Result<String> {
        load::table_query(&self.database, table)
    }

    /// Writes the result of a query to a Parquet file, compressed with zstd, in the order of the result, and returns the
    /// number of rows. An existing file is overwritten; after an error its contents are undefined, so write to a
    /// temporary name.
    ///
    /// JSON columns keep the stored text. HUGEINT and UHUGEINT become DECIMAL(38,0), or text if a value has more digits;
    /// INTERVAL, BIT, BIGNUM and TIMETZ become text; UNION becomes a JSON object with the name of its
    /// member, in which DuckDB rewrites numbers and escapes. Columns of the same name are numbered. The metadata of
    /// the file contains the query, or, if `table` names the exported table, its project, run and filters.
    ///
    /// `memory` is the approximate memory budget of the process in bytes, as in
    /// [`RunOptions::memory`](crate::RunOptions::memory). A budget below 200 MB counts as 200 MB. Larger sorts and joins
    /// spill to a private directory beside the file, with `.spill` added to its name, which is removed at the end. While
    /// the export runs, this process cannot use the database for anything else. Blocks the thread.
    ///
    /// # Errors
    /// `Query` for a query that fails, has several statements or accesses files; `OutOfMemory` for one that needs more
    /// memory although it spills; `Storage` or `DiskFull` if the file cannot be written; `DatabaseNotFound`, `DatabaseLocked`, `DatabaseUnusable`.
    pub fn export_parquet(&self, query: &str, table: Option<&str>, file: &Path, memory: u64) -> Result<u64> {
        store::export::parquet(&self.database, store::export::Export { query, table, file, memory })
    }

    /// Runs a query and returns the first value of the first row; `Null` if there are no rows.
    ///
    /// # Errors
    /// Same as [`sql`](Self::sql).
    pub fn sql_scalar(&self, query: &str) -> Result<serde_json::Value> {
        store::scalar(&self.database, query)
    }

    /// Lists the tables in name order, excluding views and names that start with `_`.
    ///
    /// # Errors
    /// `DatabaseNotFound`, `DatabaseLocked`, `DatabaseUnusable`, `Storage`.
    pub fn tables(&self) -> Result<Vec<TableInfo>> {
        store::tables(&self.database)
    }

    /// Lists all tables and views in name order, including internal tables, whose names start with `_`.
    ///
    /// # Errors
    /// Same as [`tables`](Self::tables).
    pub fn objects(&self) -> Result<Vec<ObjectInfo>> {
        store::objects(&self.database)
    }

    /// Returns the properties of the profiles in a table or view, those that most profiles have first.
    ///
    /// Reads every row, so that the result also counts changes made since the last load; about 3 s for a million
    /// profiles of 1 KB. With more than [`PROPERTY_NAMES_MAX`](crate::limits::PROPERTY_NAMES_MAX) properties, the
    /// others are not listed.
    ///
    /// # Errors
    /// `InvalidInput` for a table without a column `properties`; otherwise the same as
    /// [`table_schema`](Self::table_schema).
    pub fn properties(&self, table: &str) -> Result<Vec<PropertyInfo>> {
        load::examine(&self.database, table)
    }

    /// Returns the columns of a table or view. The name is case-insensitive.
    ///
    /// # Errors
    /// `TableNotFound`, with the existing tables in
    /// [`Error::available_tables`](crate::Error::available_tables); otherwise the same as [`tables`](Self::tables).
    pub fn table_schema(&self, table: &str) -> Result<TableSchema> {
        store::table_schema(&self.database, table)
    }

    /// Reads a whole table and compares it with what the last load recorded: the number of rows, the uniqueness of ids,
    /// and the digest of the contents. Detects any later change, down to one digit; another load does not count as a
    /// change.
    ///
    /// # Errors
    /// `InvalidInput` for a table that no load recorded; otherwise the same as [`table_schema`](Self::table_schema). A
    /// table that differs from what was loaded is not an error: see [`VerifyReport::problems`].
    pub fn verify_table(&self, table: &str) -> Result<VerifyReport> {
        load::verify(&self.database, table)
    }

    /// Returns `rows` random rows of a table or view, or all of them if it has fewer.
    ///
    /// # Errors
    /// Same as [`table_schema`](Self::table_schema); `Query` if DuckDB cannot sample that many rows.
    pub fn sample(&self, table: &str, rows: u32) -> Result<SqlResult> {
        store::sample(&self.database, table, rows)
    }

    /// Like [`sample`](Self::sample), but passes the column names and the rows to a callback, with exact values as in
    /// [`sql_exact`](Self::sql_exact).
    ///
    /// # Errors
    /// Same as [`sample`](Self::sample).
    pub fn sample_exact(&self, table: &str, rows: u32, part: impl FnMut(SqlPart<'_>) -> ControlFlow<()>) -> Result<()> {
        store::sample_exact(&self.database, table, rows, part)
    }

    /// Restores what a process that was stopped, or a machine that lost power, had overwritten in the database. Returns
    /// a warning if there was something to restore.
    ///
    /// Every method that opens the database does this by itself; call this first to show the warning. A database that is
    /// missing, or that this library has open, is left alone. Blocks the thread. See `docs/decisions/0014-torn-writes.md`.
    ///
    /// # Errors
    /// `Storage` if something must be restored and the file cannot be written: copy it with its undo file to a writable
    /// directory. `DatabaseLocked` if something must be restored and another process, or another library of this one, has
    /// the file open: try again later.
    /// `InvalidInput` or `DatabaseUnusable` if the path cannot be that of a database.
    pub fn repair_database(&self) -> Result<Option<Warning>> {
        store::repair(&self.database)
    }

    /// Drops tables and views, all or none.
    ///
    /// # Errors
    /// `TableNotFound`; `InvalidInput` for a name that starts with `_` or a table that others depend on; `DiskFull`;
    /// otherwise the same as [`tables`](Self::tables). After an error nothing has been dropped, unless only the final
    /// checkpoint failed.
    pub fn drop_tables(&self, tables: &[String]) -> Result<()> {
        store::drop_tables(&self.database, tables)
    }
}
