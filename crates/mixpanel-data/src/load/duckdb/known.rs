//! Looks up earlier loads in a database.

use std::ops::ControlFlow;
use std::path::Path;

use super::metadata;
use crate::error::{ErrorKind, Result};
use crate::limits::PREFLIGHT_LOCK_WAIT;
use crate::store::access::Access;
use crate::store::database::Database;
use crate::store::schema::{Target, find};
use crate::store::table_name::TableName;

/// Returns whether a load is in the database. A process killed right after its commit has recorded it nowhere else.
///
/// # Errors
/// The errors of opening a database for reading, except that a missing database is not an error: it contains no loads.
pub(crate) fn is_loaded(database: &Path, load_id: &str) -> Result<bool> {
    let go_on = &mut |_: &_| ControlFlow::Continue(());
    match Database::open_waiting(database, Access::ReadOnly, PREFLIGHT_LOCK_WAIT, go_on) {
        Ok(database) => Ok(metadata::find_load(database.connection(), load_id)?.is_some()),
        Err(error) if error.kind() == ErrorKind::DatabaseNotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns the run that last created a table, if there is one and the table exists.
///
/// # Errors
/// The errors of opening a database for reading, except that a missing database is not an error: it contains no tables.
pub(crate) fn maker(database: &Path, table: &TableName) -> Result<Option<String>> {
    let go_on = &mut |_: &_| ControlFlow::Continue(());
    let database = match Database::open_waiting(database, Access::ReadOnly, PREFLIGHT_LOCK_WAIT, go_on) {
        Err(error) if error.kind() == ErrorKind::DatabaseNotFound => return Ok(None),
        opened => opened?,
    };
    let connection = database.connection();
    let is_there = |name: &TableName| find(connection, name).map(|found| matches!(found, Target::Table(_)));
    if is_there(table)? && is_there(&TableName::listed("_fetches"))? {
        metadata::maker(connection, table)
    } else {
        Ok(None)
    }
}
