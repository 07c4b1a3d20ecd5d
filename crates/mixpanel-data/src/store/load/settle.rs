//! A second look into the file, after the commit.

use std::ops::ControlFlow;

use super::{LoadRequest, OnLockWait, number};
use crate::error::{ErrorKind, Result};
use crate::limits::{PREFLIGHT_LOCK_WAIT, REOPENS_MAX};
use crate::store::database::{Access, Database};
use crate::store::failure::{statement, unusable};
use crate::store::label;
use crate::store::metadata::{self, Counts};

/// Looks into the reopened file whether a load is in it whose commit failed.
pub(super) fn settle(
    request: &LoadRequest<'_>,
    error: &duckdb::Error,
    on_lock_wait: &mut OnLockWait<'_>,
) -> Result<Counts> {
    let failure = statement(&format!("commit the load into table `{}`", request.table), error);
    for _ in 0..REOPENS_MAX {
        let look = Database::open_waiting(request.database, Access::ReadOnly, request.lock_wait, on_lock_wait)
            .and_then(|database| metadata::find_load(database.connection(), &request.run.load_id));
        match look {
            Ok(Some(counts)) => return Ok(counts),
            Ok(None) => return Err(failure),
            // The whole wait is over, or the caller has ended it.
            Err(error) if error.kind() == ErrorKind::DatabaseLocked => break,
            Err(_) => {}
        }
    }
    Err(failure.with_detail("outcome", "unknown"))
}

/// Reopens the file and counts.
pub(super) fn recount(request: &LoadRequest<'_>, table_rows: u64) -> Result<()> {
    let go_on = &mut |_: &_| ControlFlow::Continue(());
    let database = match Database::open_waiting(request.database, Access::ReadOnly, PREFLIGHT_LOCK_WAIT, go_on) {
        // Somebody else was quicker. The load is committed all the same.
        Err(error) if error.kind() == ErrorKind::DatabaseLocked => return Ok(()),
        opened => opened?,
    };
    let connection = database.connection();
    let last_run = label::of_table(connection, request.table).and_then(|label| label.run_id);
    if last_run.as_ref() != Some(&request.run.run_id) {
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
