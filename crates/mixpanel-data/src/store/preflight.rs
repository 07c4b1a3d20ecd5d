//! Everything that can be known to fail about the database, before the first request.

#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::path::Path;

use super::database::{Access, Database};
use super::failure::statement;
use super::load::LOADING;
use super::load::pages::{self, Loading};
use super::location::{Location, check_writable, ensure_folder, locate};
use super::metadata;
use super::table_name::TableName;
use super::target::{self, LoadKind, Target};
use crate::error::Result;
use crate::limits::PREFLIGHT_LOCK_WAIT;
use crate::profile_query::OnExisting;

/// What there is under the name of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// No table.
    Nothing,
    /// A table that the load will append to or replace.
    Table,
}

/// Proves that a load could succeed, as far as that is possible now, in a moment and without a trace.
///
/// The folder of the database is made if it is missing. An existing database is opened for writing, and the change of
/// tables and what is recorded of it are rehearsed in a transaction that is rolled back. For a load that completes a run,
/// the run's own table may exist.
///
/// # Errors
/// `DatabaseLocked`, `DatabaseUnusable`, `TableExists`; `InvalidInput` for a path that is none, a view, a table that
/// profiles cannot be put into or that cannot be replaced because of what depends on it, or tables of ours that have
/// another shape; `Storage` or `DiskFull` if the folder cannot be written in.
pub(crate) fn preflight(database: &Path, table: &TableName, on_existing: OnExisting, kind: LoadKind) -> Result<Found> {
    let location = locate(database)?;
    let (Location::Present(path) | Location::Absent(path)) = &location;
    check_writable(ensure_folder(path)?)?;
    if matches!(location, Location::Absent(_)) {
        return Ok(Found::Nothing);
    }
    let go_on = &mut |_: &_| ControlFlow::Continue(());
    let database = Database::open_waiting(path, Access::ReadWrite, PREFLIGHT_LOCK_WAIT, go_on)?;
    let connection = database.connection();
    let target = target::check(connection, table, on_existing, kind)?;
    let fail = |error| statement("rehearse the load", &error);
    // Closing the database rolls back.
    connection.execute_batch("BEGIN").map_err(fail)?;
    pages::create(connection, Loading::Permanent)?;
    let loading = TableName::listed(LOADING);
    match &target {
        Target::Table(old) if on_existing == OnExisting::Replace => target::replace(connection, old, &loading)?,
        Target::Table(_) => {}
        Target::Absent | Target::View(_) => target::rename(connection, &loading, table).map_err(fail)?,
    }
    metadata::rehearse(connection, table, on_existing)?;
    Ok(if matches!(target, Target::Table(_)) { Found::Table } else { Found::Nothing })
}
