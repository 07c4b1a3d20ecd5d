//! Compares what a fetch saw of its database before its first request with what its load finds. Changes by others are
//! reported before anything is dropped or made again.

use std::fs;
#[cfg(unix)]
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use duckdb::Connection;

use super::dependents::{self, View};
use super::request::LoadRequest;
use crate::counted::counted;
use crate::dataset::Dataset;
use crate::error::{Error, ErrorKind, Result};
use crate::profile_query::OnExisting;
use crate::store::failure::statement;
use crate::store::label;
use crate::store::schema::{Target, find};
use crate::store::table_name::TableName;

/// What exists under the name of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// No table.
    Nothing,
    /// A table to which the load will append, or which it will replace.
    Table,
}

/// What a fetch saw before its first request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// What existed under the name of the table.
    pub(crate) found: Found,
    /// What is lost when the table is replaced; the caller was told.
    pub(super) losses: Vec<String>,
    /// The database file, if there was one.
    file: Option<FileId>,
    contents: Contents,
}

/// The parts of a database that are compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Contents {
    /// The table, as the database spells it.
    table: Option<TableName>,
    rows: u64,
    /// What the table has that a load does not make.
    additions: Vec<String>,
    /// The run of its last load.
    last_run: Option<String>,
    /// The names of all tables.
    tables: Vec<String>,
}

/// Identifies a file. The same for all files where the system has no such numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    file: u64,
}

impl FileId {
    #[cfg(unix)]
    fn of(path: &Path) -> std::io::Result<Self> {
        fs::metadata(path).map(|found| Self { device: found.dev(), file: found.ino() })
    }

    #[cfg(not(unix))]
    fn of(path: &Path) -> std::io::Result<Self> {
        fs::metadata(path).map(|_| Self { device: 0, file: 0 })
    }
}

impl Seen {
    /// Returns the state without a database.
    pub(super) fn nothing() -> Self {
        Self { found: Found::Nothing, losses: Vec::new(), file: None, contents: Contents::default() }
    }

    /// Returns a state in which only the existence of the table is known.
    #[cfg(test)]
    pub(crate) fn assumed(found: Found) -> Self {
        Self { found, ..Self::nothing() }
    }

    /// Examines an open database.
    pub(super) fn look(connection: &Connection, dataset: &Dataset, database: &Path, table: &TableName) -> Result<Self> {
        let contents = Contents::look(connection, dataset, table)?;
        let found = if contents.table.is_some() { Found::Table } else { Found::Nothing };
        Ok(Self { found, losses: Vec::new(), file: FileId::of(database).ok(), contents })
    }

    /// Checks, before the database is opened, that it still exists: opening would create a missing one.
    ///
    /// # Errors
    /// `TableChanged`.
    pub(super) fn check_file(&self, request: &LoadRequest) -> Result<()> {
        match FileId::of(&request.database) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && self.file.is_some() => {
                let message = format!(
                    "the database `{}` had {} of table `{}` when the fetch began and is gone; none was made in its place",
                    request.database.display(),
                    self.contents.rows_of(),
                    &request.options.table
                );
                Err(changed(&request.options.table, message))
            }
            _ => Ok(()),
        }
    }

    /// Compares the open database with what was seen, in the transaction of the load. Returns the views that can be
    /// read now, if the load replaces the table.
    ///
    /// # Errors
    /// `TableChanged`, with the difference.
    pub(super) fn check(&self, connection: &Connection, request: &LoadRequest) -> Result<Vec<View>> {
        let now = Contents::look(connection, request.package.run.dataset, &request.options.table)?;
        if let Some(difference) = self.difference(&now, request) {
            return Err(changed(&request.options.table, difference));
        }
        if request.replaces() { dependents::readable_views(connection) } else { Ok(Vec::new()) }
    }

    /// Describes a difference that matters to the load, if there is one.
    fn difference(&self, now: &Contents, request: &LoadRequest) -> Option<String> {
        let (table, before) = (&request.options.table, &self.contents);
        let is_another = self.file.is_some() && FileId::of(&request.database).ok() != self.file;
        // A copy with the same contents is acceptable; also, not every file system has stable file numbers.
        if is_another && now != before {
            return Some(format!(
                "the database `{}` has been replaced by another file since the fetch began: it had {} of table `{table}` \
                 then and has {} now",
                request.database.display(),
                before.rows_of(),
                now.rows_of()
            ));
        }
        let fresh: Vec<String> =
            now.additions.iter().filter(|addition| !before.additions.contains(addition)).cloned().collect();
        if !fresh.is_empty() && (before.table.is_some() || request.replaces()) {
            return Some(appeared(fresh, request));
        }
        if before.table.is_none() || !matches!(request.options.on_existing, OnExisting::Append | OnExisting::Upsert) {
            return None;
        }
        if now.table.is_none() || (before.rows > 0 && now.rows == 0) {
            let (then, now) = (before.rows_of(), now.rows_of());
            return Some(format!("table `{table}` had {then} when the fetch began and has {now} now"));
        }
        let is_other_load = now.last_run != before.last_run;
        is_other_load.then(|| format!("another load has changed table `{table}` since the fetch began"))
    }

    /// Checks, after the table was replaced, that no view broke except those that the caller was told about.
    ///
    /// # Errors
    /// `TableChanged`.
    pub(super) fn check_views(&self, connection: &Connection, views: &[View], request: &LoadRequest) -> Result<()> {
        let broken = dependents::broken(connection, views);
        let fresh: Vec<String> = broken.into_iter().filter(|view| !self.losses.contains(view)).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        Err(changed(&request.options.table, appeared(fresh, request)))
    }
}

impl Contents {
    fn look(connection: &Connection, dataset: &Dataset, table: &TableName) -> Result<Self> {
        let Target::Table(table) = find(connection, table)? else {
            let tables = tables(connection)?;
            return Ok(Self { table: None, rows: 0, additions: Vec::new(), last_run: None, tables });
        };
        let fail = |error| statement(&format!("count table `{table}`"), &error);
        let count = format!("SELECT count(*) FROM {}", table.quoted());
        Ok(Self {
            rows: connection.query_row(&count, [], |row| row.get(0)).map_err(fail)?,
            additions: dependents::additions(connection, dataset, &table)?,
            last_run: label::of_table(connection, &table).and_then(|label| label.run_id),
            tables: tables(connection)?,
            table: Some(table),
        })
    }

    fn rows_of(&self) -> String {
        match self.table {
            Some(_) => counted(self.rows, "row"),
            None => "no rows".to_owned(),
        }
    }
}

/// Lists the tables, except those that a load makes for itself.
fn tables(connection: &Connection) -> Result<Vec<String>> {
    let fail = |error| statement("list the tables", &error);
    let mut query = connection
        .prepare(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE database_name = current_database()
             AND NOT internal AND table_name NOT IN ('_metadata', '_fetches', '_rejects') ORDER BY 1",
        )
        .map_err(fail)?;
    let names = query.query_map([], |row| row.get(0)).map_err(fail)?;
    names.collect::<Result<_, _>>().map_err(fail)
}

fn appeared(what: Vec<String>, request: &LoadRequest) -> String {
    let verb = if what.len() == 1 { "was" } else { "were" };
    let consequence = if request.replaces() { "; replacing the table drops it" } else { "" };
    format!(
        "{} of table `{}` {verb} not there when the fetch began{consequence}",
        what.join(", "),
        &request.options.table
    )
}

fn changed(table: &TableName, message: String) -> Error {
    Error::new(ErrorKind::TableChanged, message).with_detail("table_name", table.as_str())
}
