//! Finds predictable failures of the database before the first request.

#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use duckdb::Connection;

use super::by_day;
use super::dependents;
use super::known::is_keyword;
use super::metadata;
use super::pages::{self, LOADING, LoadingTable};
use super::properties;
use super::rejects;
use super::seen::Seen;
use super::target;
use crate::dataset::Dataset;
use crate::durable;
use crate::error::{Error, ErrorKind, Result};
use crate::load::package::LoadKind;
use crate::load::run_record::RunRecord;
use crate::profile_query::IfExists;
use crate::store::access::Access;
use crate::store::check_undo_name;
use crate::store::database::Database;
use crate::store::failure::statement;
use crate::store::location::{Location, check_no_log, ensure_directory, locate};
use crate::store::macros;
use crate::store::own_objects::{self, Owner};
use crate::store::schema::{Target, rename};
use crate::store::table_name::TableName;
use crate::warning::Warning;

/// The result of a preflight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checked {
    /// The state of the database, which the load must find unchanged.
    pub(crate) seen: Seen,
    /// Warnings about missing file system features, and about data that a replacement drops.
    pub(crate) warnings: Vec<Warning>,
    /// Whether queries must put the table's name in double quotes because it is an SQL keyword.
    pub(crate) is_keyword: bool,
}

/// Checks quickly that a load can succeed, leaving the database unchanged.
///
/// Creates the directory of the database if it is missing, and rehearses there all file operations of staging and
/// loading. Opens an existing database for writing, and rehearses the changes to the table and to the internal tables
/// in a transaction that is rolled back. For a load that completes a run, the run's own table may exist. Waits up to
/// `wait` for another process to close the database.
///
/// # Errors
/// `DatabaseLocked`, `DatabaseUnusable`, `TableExists`; `InvalidInput` for a path that cannot be a database, a view, a
/// table that cannot hold profiles or cannot be replaced because other objects depend on it, or internal tables with an
/// unexpected schema; `Storage` or `DiskFull` if the directory is not writable, or its file system lacks features that
/// a database needs.
pub(crate) fn preflight(
    database: &Path,
    dataset: &'static Dataset,
    table: &TableName,
    if_exists: IfExists,
    kind: LoadKind,
    wait: Duration,
) -> Result<Checked> {
    let location = locate(database)?;
    let (Location::Present(path) | Location::Absent(path)) = &location;
    let directory = ensure_directory(path)?;
    // The undo file is next to the target of a link.
    check_undo_name(&std::fs::canonicalize(path).unwrap_or_else(|_| path.clone()))?;
    let lacking = durable::check_file_system(directory)?;
    let mut warnings = Vec::new();
    if !lacking.is_empty() {
        let lacks = lacking.into_iter().map(str::to_owned).collect();
        warnings.push(Warning::FileSystem { directory: directory.to_owned(), lacks });
    }
    let (seen, is_keyword) = match location {
        Location::Present(path) => check(&path, dataset, table, if_exists, kind, wait, &mut warnings)?,
        Location::Absent(path) => {
            check_no_log(&path)?;
            let fail = |error| statement("look up DuckDB's internal names", &error);
            let connection = Connection::open_in_memory().map_err(fail)?;
            target::check_name(&connection, table)?;
            (Seen::nothing(), is_keyword(&connection, table)?)
        }
    };
    Ok(Checked { seen, warnings, is_keyword })
}

/// Repeats the checks of [`preflight`] whose results other processes may have changed since.
///
/// # Errors
/// Same as [`preflight`].
pub(crate) fn look(
    database: &Path,
    dataset: &'static Dataset,
    table: &TableName,
    if_exists: IfExists,
    kind: LoadKind,
    wait: Duration,
) -> Result<Seen> {
    match locate(database)? {
        Location::Present(path) => Ok(check(&path, dataset, table, if_exists, kind, wait, &mut Vec::new())?.0),
        Location::Absent(path) => check_no_log(&path).map(|()| Seen::nothing()),
    }
}

/// Looks at an existing database and rehearses the load. Also returns whether the table's name is a keyword.
fn check(
    path: &Path,
    dataset: &'static Dataset,
    table: &TableName,
    if_exists: IfExists,
    kind: LoadKind,
    wait: Duration,
    warnings: &mut Vec<Warning>,
) -> Result<(Seen, bool)> {
    let go_on = &mut |_: &_| ControlFlow::Continue(());
    let database = Database::open_waiting(None, path, Access::ReadWrite, wait, go_on)?;
    let connection = database.connection();
    let mut seen = Seen::look(connection, dataset, path, table)?;
    let target = target::check(connection, dataset, table, if_exists, kind)?;
    let fail = |error| statement("do a dry run of the load", &error);
    let views = dependents::readable_views(connection)?;
    warnings.extend(names_taken(connection, table)?);
    // Closing the database rolls back.
    connection.execute_batch("BEGIN").map_err(fail)?;
    pages::create(connection, dataset, LoadingTable::Permanent)?;
    let loading = TableName::listed(LOADING);
    match &target {
        Target::Table(old) if if_exists == IfExists::Replace && kind == LoadKind::First => {
            seen.losses = dependents::additions(connection, dataset, old)?;
            target::replace(connection, dataset, old, &loading)?;
            seen.losses.extend(dependents::broken(connection, &views));
            if !seen.losses.is_empty() {
                warnings.push(Warning::ReplacementDrops { table: old.to_string(), losses: seen.losses.clone() });
            }
        }
        Target::Table(old) if if_exists == IfExists::Replace => {
            target::replace(connection, dataset, old, &loading)?;
        }
        Target::Table(old) if if_exists == IfExists::Upsert => {
            if let Some(columns) = dependents::emptied_columns(connection, dataset, old)? {
                warnings.push(Warning::UpsertEmpties { table: old.to_string(), columns });
            }
        }
        Target::Table(_) => {}
        Target::Absent | Target::View(_) => rename(connection, &loading, table).map_err(fail)?,
    }
    let recorded = metadata::check_file_system(connection, dataset, table, if_exists);
    recorded
        .and_then(|()| properties::check_file_system(connection, table, &RunRecord::empty(dataset, "rehearsal", "")))
        .and_then(|()| rejects::check_file_system(connection, table))
        .and_then(|()| if dataset.is_by_day() { by_day::check_file_system(connection, table) } else { Ok(()) })
        .map_err(not_ours)?;
    Ok((seen, is_keyword(connection, table)?))
}

/// Returns a warning for each object of the user that has the name of one that the load would maintain.
fn names_taken(connection: &Connection, table: &TableName) -> Result<Vec<Warning>> {
    let taken = macros::taken_names(connection)?;
    let mut warnings: Vec<Warning> =
        taken.into_iter().map(|name| Warning::NameTaken { name: name.to_owned(), table: None }).collect();
    if own_objects::owner_of_view(connection, table)? == Owner::User {
        let name = own_objects::typed_view(table).to_string();
        warnings.push(Warning::NameTaken { name, table: Some(table.to_string()) });
    }
    Ok(warnings)
}

/// Returns the error for internal tables whose schema is neither this program's nor the Python package's.
fn not_ours(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Storage | ErrorKind::InvalidInput | ErrorKind::ConstraintViolated => Error::invalid(
            "`_metadata`, `_fetches`, `_properties`, `_days` or `_rejects` in this database has an unexpected schema",
        )
        .with_detail("suggestion", "rename that table, or use another database file")
        .with_source(error),
        _ => error,
    }
}
