//! What a fetch saw of its database before its first request, compared with what its load finds. What others changed
//! since is reported before anything of it is dropped, or made again.

use std::fs;
#[cfg(unix)]
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use duckdb::Connection;

use super::dependents::{self, View};
use super::failure::statement;
use super::label;
use super::load::LoadRequest;
use super::preflight::Found;
use super::table_name::TableName;
use super::target::{self, LoadKind, Target};
use crate::counted::counted;
use crate::error::{Error, ErrorKind, Result};
use crate::profile_query::OnExisting;

/// What a fetch saw before its first request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// What had the name of the table.
    pub(crate) found: Found,
    /// What the replacement of the table drops; the caller was told of it.
    pub(super) losses: Vec<String>,
    /// The database, if there was one.
    file: Option<FileId>,
    contents: Contents,
}

/// What is compared of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Contents {
    /// The table in the spelling of the database.
    table: Option<TableName>,
    rows: u64,
    /// What the table has that a load does not make.
    additions: Vec<String>,
    /// The run of its last load.
    last_run: Option<String>,
    /// The names of all tables.
    tables: Vec<String>,
}

/// Which file has a name. Always the same where the system does not tell.
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
    /// There was no database.
    pub(super) fn nothing() -> Self {
        Self { found: Found::Nothing, losses: Vec::new(), file: None, contents: Contents::default() }
    }

    /// Nothing is known but whether there is a table.
    #[cfg(test)]
    pub(crate) fn assumed(found: Found) -> Self {
        Self { found, ..Self::nothing() }
    }

    /// Looks at an open database.
    pub(super) fn look(connection: &Connection, database: &Path, table: &TableName) -> Result<Self> {
        let contents = Contents::look(connection, table)?;
        let found = if contents.table.is_some() { Found::Table } else { Found::Nothing };
        Ok(Self { found, losses: Vec::new(), file: FileId::of(database).ok(), contents })
    }

    /// Checks that the database is still there, before it is opened: a missing one would be made.
    ///
    /// # Errors
    /// `TableChanged`.
    pub(super) fn check_file(&self, request: &LoadRequest<'_>) -> Result<()> {
        match FileId::of(request.database) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && self.file.is_some() => {
                let message = format!(
                    "the database `{}` had {} of table `{}` when the fetch began and is gone; none was made in its place",
                    request.database.display(),
                    self.contents.rows_of(),
                    request.table
                );
                Err(changed(request.table, message))
            }
            _ => Ok(()),
        }
    }

    /// Compares the open database with what was seen, in the transaction of the load. Returns the views that can be read
    /// now, if the load replaces the table.
    ///
    /// # Errors
    /// `TableChanged` with what is different.
    pub(super) fn check(&self, connection: &Connection, request: &LoadRequest<'_>) -> Result<Vec<View>> {
        let now = Contents::look(connection, request.table)?;
        if let Some(difference) = self.difference(&now, request) {
            return Err(changed(request.table, difference));
        }
        if request.replaces() { dependents::readable_views(connection) } else { Ok(Vec::new()) }
    }

    /// Says what is different in a way that matters to the load.
    fn difference(&self, now: &Contents, request: &LoadRequest<'_>) -> Option<String> {
        let (table, before) = (request.table, &self.contents);
        let is_another = self.file.is_some() && FileId::of(request.database).ok() != self.file;
        // A copy of the same contents is as good; and not every file system has lasting numbers for its files.
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
        if before.table.is_none() || !matches!(request.on_existing, OnExisting::Append | OnExisting::Upsert) {
            return None;
        }
        if now.table.is_none() || (before.rows > 0 && now.rows == 0) {
            let (then, now) = (before.rows_of(), now.rows_of());
            return Some(format!("table `{table}` had {then} when the fetch began and has {now} now"));
        }
        let is_other_load = now.last_run != before.last_run;
        is_other_load.then(|| format!("another load has changed table `{table}` since the fetch began"))
    }

    /// Checks, after the replacement of the table, that no view broke that the caller was not told of.
    ///
    /// # Errors
    /// `TableChanged`.
    pub(super) fn check_views(&self, connection: &Connection, views: &[View], request: &LoadRequest<'_>) -> Result<()> {
        let broken = dependents::broken(connection, views);
        let fresh: Vec<String> = broken.into_iter().filter(|view| !self.losses.contains(view)).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        Err(changed(request.table, appeared(fresh, request)))
    }
}

impl LoadRequest<'_> {
    fn replaces(&self) -> bool {
        self.on_existing == OnExisting::Replace && self.kind == LoadKind::First
    }
}

impl Contents {
    fn look(connection: &Connection, table: &TableName) -> Result<Self> {
        let Target::Table(table) = target::find(connection, table)? else {
            let tables = tables(connection)?;
            return Ok(Self { table: None, rows: 0, additions: Vec::new(), last_run: None, tables });
        };
        let fail = |error| statement(&format!("count table `{table}`"), &error);
        let count = format!("SELECT count(*) FROM {}", table.quoted());
        Ok(Self {
            rows: connection.query_row(&count, [], |row| row.get(0)).map_err(fail)?,
            additions: dependents::additions(connection, &table)?,
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

/// Those that a load makes for itself are not the user's.
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

fn appeared(what: Vec<String>, request: &LoadRequest<'_>) -> String {
    let verb = if what.len() == 1 { "was" } else { "were" };
    let consequence = if request.replaces() { "; replacing the table drops it" } else { "" };
    format!("{} of table `{}` {verb} not there when the fetch began{consequence}", what.join(", "), request.table)
}

fn changed(table: &TableName, message: String) -> Error {
    Error::new(ErrorKind::TableChanged, message).with_detail("table_name", table.as_str())
}
