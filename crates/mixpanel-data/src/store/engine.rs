//! Starts DuckDB engines.

use std::path::{Path, PathBuf};

use duckdb::{Config, Connection};
use tempfile::TempDir;

use super::failure::{opening, statement};
use super::sql_text::literal;
use crate::durable;
use crate::error::{Error, Result};

/// A DuckDB engine that has no database open yet.
///
/// Starting one takes longer than opening a database with it, so it is worth starting one while the program waits for
/// something else.
pub(crate) struct Engine {
    connection: Connection,
    empty: Option<EmptyDatabase>,
}

/// An empty database file that only its owner can read. Removed when dropped, unless it was renamed.
pub(super) struct EmptyDatabase {
    pub(super) file: PathBuf,
    _directory: TempDir,
}

impl Engine {
    /// Starts an engine with a single thread.
    ///
    /// # Errors
    /// `Storage`.
    pub(crate) fn start() -> Result<Self> {
        let connection = Config::default()
            .enable_autoload_extension(false)
            .and_then(|config| config.threads(1))
            .and_then(Connection::open_in_memory_with_flags)
            .map_err(|error| statement("start DuckDB", &error))?;
        Ok(Self { connection, empty: None })
    }

    /// Writes an empty database into `directory`, to be renamed to `database` later.
    ///
    /// It is written into a private directory of its own, so that it is never accessible to others.
    ///
    /// # Errors
    /// `Storage`, `DiskFull`.
    pub(crate) fn write_empty_database(&mut self, directory: &Path, database: &Path) -> Result<()> {
        let fail = |error| Error::io("create the database", database, error);
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let private = builder.prefix(".mixpanel-data-").tempdir_in(directory).map_err(fail)?;
        let file = private.path().join("new.duckdb");
        let sql = format!(
            "ATTACH {} AS new_database (TYPE duckdb); CHECKPOINT new_database; DETACH new_database",
            literal(&file.to_string_lossy())
        );
        self.connection.execute_batch(&sql).map_err(|error| opening(database, &error))?;
        durable::make_private(&file).map_err(fail)?;
        self.empty = Some(EmptyDatabase { file, _directory: private });
        Ok(())
    }

    /// Returns the empty database, if one has been written and not been taken yet.
    pub(super) fn take_empty_database(&mut self) -> Option<EmptyDatabase> {
        self.empty.take()
    }

    /// Returns the connection to the engine's own in-memory database.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn into_connection(self) -> Connection {
        self.connection
    }
}
