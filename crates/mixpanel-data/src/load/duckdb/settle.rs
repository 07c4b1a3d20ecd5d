//! Checks the file again after the commit.

use std::ops::ControlFlow;

use super::digest;
use super::metadata::{self, Counts};
use super::request::{LoadRequest, OnLockWait};
use super::rows::{number, steps_of, sum_of_table};
use crate::error::{ErrorKind, Result};
use crate::limits::{PREFLIGHT_LOCK_WAIT, REOPENS_MAX};
use crate::store::Engine;
use crate::store::access::Access;
use crate::store::database::Database;
use crate::store::failure::{statement, unusable};
use crate::store::label;
use crate::store::schema::{Target, find};
use crate::text::counted;

/// Reopens the file to look for a load whose commit failed.
///
/// After a disk failure, a load that is found is not reported as done, because the page cache may hold data that never
/// reaches the disk. The stage is then kept, and the next attempt reads the table from the disk.
pub(super) fn settle(
    request: &LoadRequest,
    error: &duckdb::Error,
    on_lock_wait: &mut OnLockWait<'_>,
) -> Result<Counts> {
    let failure = statement(&format!("commit the load into table `{}`", &request.options.table), error);
    for _ in 0..REOPENS_MAX {
        let look =
            Database::open_waiting(None, &request.database, Access::ReadOnly, request.options.lock_wait, on_lock_wait)
                .and_then(|database| metadata::find_load(database.connection(), &request.package.run.load_id));
        match look {
            Ok(Some(_)) if is_disk_failure(error) => return Err(failure.with_detail("outcome", "committed")),
            Ok(Some(counts)) => {
                check_contents(request).map_err(|error| error.with_detail("outcome", "committed"))?;
                return Ok(counts);
            }
            Ok(None) => return Err(failure),
            // The wait has expired, or the caller has ended it.
            Err(error) if error.kind() == ErrorKind::DatabaseLocked => break,
            Err(_) => {}
        }
    }
    Err(failure.with_detail("outcome", "unknown"))
}

/// Returns whether the disk failed. Checks the text, because DuckDB reports no error number for a failed sync.
fn is_disk_failure(error: &duckdb::Error) -> bool {
    let text = error.to_string();
    ["fsync failed", "Input/output error"].iter().any(|sign| text.contains(sign))
}

/// Compares the contents of the loaded table with its recorded digest, unless another load has changed it since.
///
/// # Errors
/// `DatabaseUnusable` if the table differs from what was loaded, or cannot be read.
pub(super) fn check_contents(request: &LoadRequest) -> Result<()> {
    let go_on = &mut |_: &_| ControlFlow::Continue(());
    let database = Database::open_waiting(None, &request.database, Access::ReadOnly, request.options.lock_wait, go_on)?;
    let connection = database.connection();
    let Target::Table(table) = find(connection, &request.options.table)? else { return Ok(()) };
    let Some(label) = label::of_table(connection, &table) else { return Ok(()) };
    if label.run_id.as_ref() != Some(&request.package.run.run_id) {
        return Ok(());
    }
    let fail = |error| statement(&format!("read table `{table}`"), &error);
    let found = steps_of(connection, request, &table)
        .and_then(|steps| sum_of_table(connection, request.package.run.dataset, &table, steps));
    let found = found.map_err(fail)?;
    let found = digest::to_text(connection, found).map_err(fail)?;
    match label.digest {
        Some(recorded) if recorded != found => {
            let message = format!("table `{table}` differs from what was loaded: the disk may have lost data");
            Err(unusable(&request.database, message))
        }
        _ => Ok(()),
    }
}

/// Reopens the file and checks that it contains the load and the expected number of rows.
pub(super) fn recount(request: &LoadRequest, engine: Option<Engine>, table_rows: u64) -> Result<()> {
    let go_on = &mut |_: &_| ControlFlow::Continue(());
    let (path, access) = (&request.database, Access::ReadOnly);
    let database = match Database::open_waiting(engine, path, access, PREFLIGHT_LOCK_WAIT, go_on) {
        // Another process opened it first. The load is committed anyway.
        Err(error) if error.kind() == ErrorKind::DatabaseLocked => return Ok(()),
        opened => opened?,
    };
    let connection = database.connection();
    let (table, run) = (&request.options.table, &request.package.run);
    if metadata::find_load(connection, &run.load_id)?.is_none() {
        let message = format!("the committed load into table `{table}` is missing from the file");
        return Err(unusable(&request.database, message));
    }
    let last_run = label::of_table(connection, table).and_then(|label| label.run_id);
    if last_run.as_ref() != Some(&run.run_id) {
        // Another process has loaded or dropped the table since; the run is still in `_fetches`.
        return Ok(());
    }
    let sql = format!("SELECT count(*) FROM {}", table.quoted());
    let found = number(connection, &sql).map_err(|error| statement("count what was loaded", &error))?;
    if found == table_rows {
        return Ok(());
    }
    let message = format!("table `{table}` has {} after the load, not {table_rows}", counted(found, "row"));
    Err(unusable(&request.database, message))
}
