//! The load: from a finished stage to the table, in one transaction.
//!
//! Until its commit the old table is what everybody sees, and whatever happens, the staged pages stay as they are.
//!
//! **Duplicates.** Of several rows with one id, the one with the latest `last_seen` stays (none at all counts as
//! earliest), among those the one of the lowest page, and within it the first. It stays in its own place. So the table
//! is a function of the pages' content alone.

#[cfg(test)]
mod full_disk_tests;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use duckdb::Connection;

use super::database::{Access, Database, literal, spill_folder};
use super::failure::{is_malformed_json, statement, unusable};
use super::metadata::{self, Counts, RunRecord};
use super::table_name::TableName;
use super::target::{self, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{LOAD_PAGES_PER_STATEMENT, REOPENS_MAX};
use crate::profile_query::OnExisting;

/// The name of the table while it is being filled. It is never committed.
pub(super) const LOADING: &str = "_loading";

/// Removes all but one row of each id. Row numbers of a table that is being filled ascend in the order of insertion.
const REMOVE_DUPLICATES: &str = "
    DELETE FROM _loading WHERE rowid IN (
        SELECT rowid FROM (
            SELECT rowid, row_number() OVER (PARTITION BY distinct_id ORDER BY last_seen DESC NULLS LAST, rowid) AS place
            FROM _loading
            WHERE distinct_id IN (SELECT distinct_id FROM _loading GROUP BY distinct_id HAVING count(*) > 1)
        ) WHERE place > 1
    )";

/// What to load, and what to record of it.
#[derive(Debug)]
pub(crate) struct LoadRequest<'a> {
    /// The database; made if missing, with the folders above it.
    pub(crate) database: &'a Path,
    /// The table.
    pub(crate) table: &'a TableName,
    /// What to do if it exists.
    pub(crate) on_existing: OnExisting,
    /// The stage: the only folder that the load can read, and where it spills (`spill`, removed afterwards).
    pub(crate) stage_folder: &'a Path,
    /// Parquet files with `distinct_id VARCHAR`, `properties VARCHAR`, `last_seen TIMESTAMP`, in page order. None at
    /// all makes an empty table.
    pub(crate) pages: &'a [PathBuf],
    /// The run that this load ends.
    pub(crate) run: RunRecord,
    /// How long to wait for another process that has the database open.
    pub(crate) lock_wait: Duration,
}

/// What a load did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LoadReport {
    /// Rows that went into the table.
    pub(crate) rows: u64,
    /// Staged rows that did not, because another with the same id did, or was there.
    pub(crate) duplicates: u64,
}

/// Loads a stage. Loading the same run again does nothing and reports the same.
///
/// # Errors
/// Nothing went into the table: `DatabaseLocked` after the wait; `DatabaseUnusable`; `TableExists`, `InvalidInput` if
/// the table has changed since [`preflight`](super::preflight); `DiskFull`; `Storage` if a page cannot be read;
/// `Internal` if the pages are not what the run says. If even the outcome of the commit cannot be found out, the detail
/// `outcome` is `unknown`; then loading again does the right thing.
pub(crate) fn load(request: &LoadRequest<'_>) -> Result<LoadReport> {
    let stage_folder = std::path::absolute(request.stage_folder)
        .map_err(|error| Error::io("find the stage", request.stage_folder, error))?;
    let _spill = Spill::create(&stage_folder)?;
    let counts = match attempt(request, &stage_folder) {
        Ok(counts) => counts,
        Err(Failure::Certain(error)) => return Err(error),
        Err(Failure::Unknown(error)) => settle(request, &error)?,
    };
    Ok(LoadReport { rows: counts.rows, duplicates: counts.duplicates })
}

enum Failure {
    /// Nothing was committed.
    Certain(Error),
    /// The commit, or moving it from the log into the file, failed.
    Unknown(duckdb::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Certain(error)
    }
}

fn attempt(request: &LoadRequest<'_>, stage_folder: &Path) -> Result<Counts, Failure> {
    let database = Database::open_waiting(request.database, Access::Load { stage_folder }, request.lock_wait)?;
    if let Some(counts) = metadata::find_run(database.connection(), &request.run.run_id)? {
        return Ok(counts);
    }
    let connection = database.connection();
    connection.execute_batch("BEGIN").map_err(|error| statement("begin the load", &error))?;
    // After an error, closing the database rolls back.
    let (counts, table_rows) = fill(connection, request)?;
    database.commit().map_err(Failure::Unknown)?;
    // What goes wrong from here on does not undo the commit.
    verify(request, table_rows).map_err(|error| error.with_detail("outcome", "committed"))?;
    Ok(counts)
}

/// Does everything between begin and commit. Returns what was done and how many rows the table has now.
fn fill(connection: &Connection, request: &LoadRequest<'_>) -> Result<(Counts, u64)> {
    let fail = |error| statement(&format!("load into table `{}`", request.table), &error);
    metadata::ensure(connection)?;
    let target = target::check(connection, request.table, request.on_existing)?;
    let appends = matches!(target, Target::Table(_)) && request.on_existing == OnExisting::Append;
    create_loading(connection, if appends { Loading::Temporary } else { Loading::Permanent })?;
    let staged = read_pages(connection, request)?;
    check_received(&request.run, staged)?;
    let distinct = number(connection, "SELECT count(DISTINCT distinct_id) FROM _loading").map_err(fail)?;
    if distinct != staged {
        connection.execute_batch(REMOVE_DUPLICATES).map_err(fail)?;
    }
    let loading = TableName::listed(LOADING);
    let (table, rows) = match target {
        Target::Table(found) if appends => {
            let rows = append(connection, &found).map_err(fail)?;
            (found, rows)
        }
        Target::Table(old) => {
            target::replace(connection, &old, &loading)?;
            (old, distinct)
        }
        Target::Absent | Target::View(_) => {
            // What it says of a table that is no more must not be taken for this one's.
            metadata::forget(connection, request.table)?;
            target::rename(connection, &loading, request.table).map_err(fail)?;
            (request.table.clone(), distinct)
        }
    };
    let counts = Counts { rows, duplicates: staged - rows };
    let table_rows = metadata::record(connection, &table, request.on_existing, &request.run, counts)?;
    Ok((counts, table_rows))
}

/// What becomes of the table that the pages are read into.
#[derive(Debug, Clone, Copy)]
pub(super) enum Loading {
    /// It gets the name of the table.
    Permanent,
    /// Its rows are copied. Outside the database, so that the file does not grow by twice their size.
    Temporary,
}

/// Makes the empty table that the pages are read into. It has no primary key: making one takes longer than all the
/// rest.
pub(super) fn create_loading(connection: &Connection, loading: Loading) -> Result<()> {
    let kind = match loading {
        Loading::Permanent => "TABLE",
        Loading::Temporary => "TEMP TABLE",
    };
    connection
        .execute_batch(&format!("CREATE {kind} _loading (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)"))
        .map_err(|error| statement("make a table", &error))
}

/// Reads all pages, in order, and returns how many rows they have.
fn read_pages(connection: &Connection, request: &LoadRequest<'_>) -> Result<u64> {
    let mut staged = 0;
    for pages in request.pages.chunks(LOAD_PAGES_PER_STATEMENT) {
        let files = file_list(pages)?;
        // To JSON is a check, not a change: the text stays byte for byte.
        let sql = format!(
            "INSERT INTO _loading (distinct_id, properties, last_seen)
             SELECT distinct_id, properties::JSON, last_seen FROM read_parquet({files})"
        );
        let rows = connection.execute(&sql, []).map_err(|error| match is_malformed_json(&error) {
            true => malformed_page(connection, &files),
            false => statement("read the staged pages", &error),
        })?;
        staged += rows as u64;
    }
    Ok(staged)
}

/// Returns the files as an SQL list of literals.
fn file_list(pages: &[PathBuf]) -> Result<String> {
    let mut list = String::from("[");
    for page in pages {
        let absolute = std::path::absolute(page).map_err(|error| Error::io("find", page, error))?;
        let Some(text) = absolute.to_str() else {
            return Err(Error::invalid(format!("the path `{}` is not UTF-8", page.display())).with_path(page));
        };
        write!(list, "{},", literal(text)).expect("a string can be written to");
    }
    list.push(']');
    Ok(list)
}

/// Names the page whose texts DuckDB does not take for JSON. Such a text should not have been staged.
fn malformed_page(connection: &Connection, files: &str) -> Error {
    let sql = format!(
        "SELECT parse_filename(filename), file_row_number
         FROM read_parquet({files}, filename = true, file_row_number = true) WHERE NOT json_valid(properties) LIMIT 1"
    );
    let culprit = connection
        .execute_batch("ROLLBACK")
        .and_then(|()| connection.query_row(&sql, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))));
    Error::internal(match culprit {
        Ok((page, row)) => format!("the properties in row {row} of the staged page `{page}` are not JSON for DuckDB"),
        Err(_) => "some properties in the staged pages are not JSON for DuckDB".to_owned(),
    })
}

/// Every received record must be a staged row or a reject.
fn check_received(run: &RunRecord, staged: u64) -> Result<()> {
    if staged + run.rejected == run.received {
        return Ok(());
    }
    Err(Error::internal(format!(
        "the staged pages have {staged} rows, which with {} rejects are not the {} records received",
        run.rejected, run.received
    )))
}

/// Appends the rows whose ids the table does not have, by column name, and returns how many they were.
fn append(connection: &Connection, table: &TableName) -> Result<u64, duckdb::Error> {
    let table = table.quoted();
    connection.execute_batch(&format!(
        "DELETE FROM _loading WHERE distinct_id IN (SELECT distinct_id FROM {table});
         INSERT INTO {table} (distinct_id, properties, last_seen) SELECT distinct_id, properties, last_seen FROM _loading"
    ))?;
    let rows = number(connection, "SELECT count(*) FROM _loading")?;
    connection.execute_batch("DROP TABLE _loading")?;
    Ok(rows)
}

/// Looks into the reopened file whether a run is in it whose commit failed.
fn settle(request: &LoadRequest<'_>, error: &duckdb::Error) -> Result<Counts> {
    let failure = statement(&format!("commit the load into table `{}`", request.table), error);
    for _ in 0..REOPENS_MAX {
        let look = Database::open_waiting(request.database, Access::ReadOnly, request.lock_wait)
            .and_then(|database| metadata::find_run(database.connection(), &request.run.run_id));
        match look {
            Ok(Some(counts)) => return Ok(counts),
            Ok(None) => return Err(failure),
            Err(_) => {}
        }
    }
    Err(failure.with_detail("outcome", "unknown"))
}

/// Reopens the file and counts.
fn verify(request: &LoadRequest<'_>, table_rows: u64) -> Result<()> {
    let database = match Database::open_waiting(request.database, Access::ReadOnly, request.lock_wait) {
        // Somebody else was quicker. The load is committed all the same.
        Err(error) if error.kind() == ErrorKind::DatabaseLocked => return Ok(()),
        opened => opened?,
    };
    let connection = database.connection();
    let sql = "SELECT run_id FROM _metadata WHERE lower(table_name) = lower(?)";
    let last_run = connection.query_row(sql, [request.table.as_str()], |row| row.get::<_, Option<String>>(0));
    if !matches!(last_run, Ok(Some(run_id)) if run_id == request.run.run_id) {
        // Somebody else has loaded or dropped the table since; the run is in `_fetches` all the same.
        return Ok(());
    }
    let sql = format!("SELECT count(*) FROM {}", request.table.quoted());
    let found = number(connection, &sql).map_err(|error| statement("count what was loaded", &error))?;
    if found == table_rows {
        return Ok(());
    }
    let message = format!("table `{}` has {found} rows after the load, not {table_rows}", request.table);
    Err(unusable(request.database, message))
}

fn number(connection: &Connection, sql: &str) -> Result<u64, duckdb::Error> {
    connection.query_row(sql, [], |row| row.get(0))
}

/// The private folder that a load spills into; removed when dropped.
struct Spill(PathBuf);

impl Spill {
    fn create(stage_folder: &Path) -> Result<Self> {
        let folder = spill_folder(stage_folder);
        let mut builder = fs::DirBuilder::new();
        // A killed load may have left one.
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder).map_err(|error| Error::io("create the folder", &folder, error))?;
        Ok(Self(folder))
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        // What stays behind is removed with the stage.
        let _ = fs::remove_dir_all(&self.0);
    }
}
