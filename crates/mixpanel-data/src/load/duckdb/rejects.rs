//! The table `_rejects`, which holds rejected records as received.

use std::path::PathBuf;

use duckdb::{Connection, params};

use super::digest::{reject_hash, sum_in_steps};
use super::staged::{Extra, read_parquet, sum_of_rejects};
use super::tuning::Steps;
use super::unreadable::name_unreadable;
use crate::error::{Error, Result};
use crate::limits::LOAD_PAGES_PER_STATEMENT;
use crate::load::run_record::RunRecord;
use crate::store::failure::statement;
use crate::store::sql_text::literal;
use crate::store::table_name::TableName;

/// `raw` is not a JSON column, because a reject need not be JSON.
const CREATE: &str = "
    CREATE TABLE IF NOT EXISTS _rejects (
        run_id VARCHAR NOT NULL, table_name VARCHAR NOT NULL, page INTEGER NOT NULL, position INTEGER NOT NULL,
        reason VARCHAR, raw VARCHAR
    )";

/// Whether the rejects of other runs still apply to the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OtherRunsRejects {
    /// The rows of other runs stay in the table, and so do their rejects.
    Keep,
    /// The table is recreated.
    Remove,
}

/// Replaces the recorded rejects of a run.
///
/// # Errors
/// `Storage` if a file cannot be read; `Internal` if their number differs from the run's count.
pub(super) fn record(
    connection: &Connection,
    table: &TableName,
    run: &RunRecord,
    files: &[PathBuf],
    earlier: OtherRunsRejects,
) -> Result<()> {
    let fail = |error| statement("record the rejects in `_rejects`", &error);
    // It exists even without rejects, so that a query for them finds none instead of failing.
    connection.execute_batch(CREATE).map_err(fail)?;
    let runs = if earlier == OtherRunsRejects::Keep { "AND run_id = ?2" } else { "AND ?2 IS NOT NULL" };
    let sql = format!("DELETE FROM _rejects WHERE system.main.lower(table_name) = system.main.lower(?1) {runs}");
    connection.execute(&sql, params![table.as_str(), run.run_id]).map_err(fail)?;
    if files.is_empty() {
        return Ok(());
    }
    let mut rows = 0;
    // The files are in page order, and the rejects of a page in the order received.
    for files in files.chunks(LOAD_PAGES_PER_STATEMENT) {
        let sql = format!(
            "INSERT INTO _rejects (run_id, table_name, page, position, reason, raw)
             SELECT ?, ?, page, position, reason, raw FROM {}",
            read_parquet(files, Extra::Nothing)?
        );
        let inserted = connection.execute(&sql, params![run.run_id, table.as_str()]);
        rows += inserted
            .map_err(|error| name_unreadable(connection, files, statement("read the staged rejects", &error)))?;
    }
    if rows as u64 != run.counts.rejected {
        return Err(Error::internal(format!("the staged files have {rows} rejects, not {}", run.counts.rejected)));
    }
    check(connection, run, files)
}

/// Compares the recorded rejects with the staged ones, as the load does for rows.
fn check(connection: &Connection, run: &RunRecord, files: &[PathBuf]) -> Result<()> {
    let Some(expected) = sum_of_rejects(files)? else { return Ok(()) };
    let of_run = format!("r.run_id = {}", literal(&run.run_id));
    let found = sum_in_steps(connection, reject_hash(), "_rejects", &of_run, Steps::of_staged(files))
        .map_err(|error| statement("read the table `_rejects`", &error))?;
    if found == expected {
        return Ok(());
    }
    Err(Error::internal(format!("the {} rejects in `_rejects` differ from the staged ones", found.rows)))
}

/// Rehearses [`record`] with a dummy reject.
pub(super) fn check_file_system(connection: &Connection, table: &TableName) -> Result<()> {
    let attempt = || {
        connection.execute_batch(CREATE)?;
        connection.execute(
            "INSERT INTO _rejects (run_id, table_name, page, position, reason, raw) VALUES ('rehearsal', ?, 0, 0, 'none', 'none')",
            [table.as_str()],
        )?;
        connection.execute("DELETE FROM _rejects WHERE run_id = 'rehearsal'", [])
    };
    attempt().map(drop).map_err(|error| statement("record the rejects in `_rejects`", &error))
}
