//! The state of the database before the first request, which the load compares with the state it finds.

use std::path::Path;

use duckdb::Connection;

use super::dependents;
use super::loads::newest_load_id;
use crate::dataset::Dataset;
use crate::error::Result;
use crate::store::failure::statement;
use crate::store::label;
use crate::store::open_files::FileId;
use crate::store::schema::{Target, find};
use crate::store::table_name::TableName;
use crate::text::counted;

/// Whether the table exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// No table.
    Nothing,
    /// A table that the load adds to or replaces.
    Table,
}

/// The state of a database before the first request of a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Whether the table existed.
    pub(crate) found: Found,
    /// What is lost when the table is replaced, as reported to the caller.
    pub(super) losses: Vec<String>,
    /// The database file, if there was one.
    pub(super) file: Option<FileId>,
    pub(super) contents: Contents,
}

/// The parts of a database that are compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// The table, as the database spells it.
    pub(super) table: Option<TableName>,
    pub(super) rows: u64,
    /// Columns, defaults and constraints that a load does not create.
    pub(super) additions: Vec<String>,
    /// The id of the run that last loaded the table.
    pub(super) last_run: Option<String>,
    /// The id of the newest load of the table, even if it no longer exists.
    pub(super) last_load: Option<String>,
    /// The names of all tables.
    tables: Vec<String>,
}

impl Seen {
    /// Returns the state of a missing database.
    pub(super) fn nothing() -> Self {
        Self { found: Found::Nothing, losses: Vec::new(), file: None, contents: Contents::default() }
    }

    /// Returns whether the database existed.
    pub(super) fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Returns the id of the newest load of the table.
    pub(crate) fn last_load(&self) -> Option<&str> {
        self.contents.last_load.as_deref()
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
}

impl Contents {
    pub(super) fn look(connection: &Connection, dataset: &Dataset, table: &TableName) -> Result<Self> {
        let last_load = newest_load_id(connection, table)?;
        let Target::Table(table) = find(connection, table)? else {
            let tables = tables(connection)?;
            return Ok(Self { last_load, tables, ..Self::default() });
        };
        let fail = |error| statement(&format!("count table `{table}`"), &error);
        let count = format!("SELECT count(*) FROM {}", table.quoted());
        Ok(Self {
            rows: connection.query_row(&count, [], |row| row.get(0)).map_err(fail)?,
            additions: dependents::additions(connection, dataset, &table)?,
            last_run: label::of_table(connection, &table).and_then(|label| label.run_id),
            last_load,
            tables: tables(connection)?,
            table: Some(table),
        })
    }

    pub(super) fn rows_of(&self) -> String {
        match self.table {
            Some(_) => counted(self.rows, "row"),
            None => "no rows".to_owned(),
        }
    }
}

/// Lists the tables, except internal ones.
fn tables(connection: &Connection) -> Result<Vec<String>> {
    let fail = |error| statement("list the tables", &error);
    let mut query = connection
        .prepare(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE database_name = current_database()
             AND NOT internal AND NOT system.main.starts_with(table_name, '_') ORDER BY 1",
        )
        .map_err(fail)?;
    let names = query.query_map([], |row| row.get(0)).map_err(fail)?;
    names.collect::<Result<_, _>>().map_err(fail)
}
