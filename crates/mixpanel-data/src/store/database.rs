//! Opens a database file, sandboxed so that its statements cannot access anything else.

use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use duckdb::Connection;

use super::access::{Access, CHECKPOINT_ALWAYS, fences, settings};
use super::engine::Engine;
use super::failure::{is_log_failure, opening, statement};
use super::lease::{self, Lease};
use super::location::{LOG, Location, check_magic, create, locate, log_path, not_found};
use super::sql_text::literal;
use super::undo::{self, Guard};
use crate::clock::Stopwatch;
use crate::durable::{self, Trust};
use crate::error::{Error, ErrorKind, Result};
use crate::kill_point::kill_point;
use crate::limits::LOCK_POLL_INTERVAL;
use crate::warning::Warning;

/// An open database; closed when dropped.
pub(crate) struct Database {
    // Dropped first: the lease must not end before the file is closed.
    connection: Connection,
    path: PathBuf,
    /// Present if the file is open for writing.
    guard: Option<Guard>,
    lease: Lease,
}

/// The names of DuckDB's own databases and schemas.
const OWN_NAMES: [&str; 6] = ["information_schema", "main", "memory", "pg_catalog", "system", "temp"];

/// Why a commit failed.
#[derive(Debug)]
pub(crate) enum CommitError {
    /// The commit was not attempted.
    NotBegun(Error),
    /// DuckDB reported an error. Only reopening the file shows whether it contains the transaction.
    Unknown(duckdb::Error),
    /// The file could not be synced, so the transaction may not be on disk. `committed` is DuckDB's result.
    NotOnDisk {
        /// DuckDB's error, if there was one.
        committed: Result<(), duckdb::Error>,
        /// The error of the sync.
        error: Error,
    },
}

impl CommitError {
    /// Returns the error of a statement that could not do `what`.
    pub(crate) fn into_error(self, what: &str) -> Error {
        match self {
            Self::Unknown(error) | Self::NotOnDisk { committed: Err(error), .. } => statement(what, &error),
            Self::NotBegun(error) | Self::NotOnDisk { committed: Ok(()), error } => error,
        }
    }
}

impl Database {
    /// Opens a database without waiting for another process.
    ///
    /// # Errors
    /// `DatabaseNotFound` (for reading), `DatabaseLocked`, `DatabaseUnusable`, `InvalidInput` for a path that cannot
    /// be a database, `Storage`, `DiskFull`.
    pub(crate) fn open(path: &Path, access: Access<'_>) -> Result<Self> {
        Self::open_with(None, path, access)
    }

    /// Like [`open`](Self::open), with an engine that has been started already.
    fn open_with(engine: Option<Engine>, path: &Path, access: Access<'_>) -> Result<Self> {
        let (path, engine) = match (locate(path)?, access) {
            (Location::Present(path), _) => (path, engine),
            (Location::Absent(_), access) if access.is_read_only() => return Err(not_found(path)),
            (Location::Absent(path), _) => {
                let mut engine = engine.map_or_else(Engine::start, Ok)?;
                create(&path, &mut engine)?;
                (path, Some(engine))
            }
        };
        // A link and its target count as one file, and DuckDB keeps the log next to the file.
        let path = fs::canonicalize(&path).map_err(|error| Error::io("find", &path, error))?;
        let file = path.clone();
        let mut guard = None;
        let connect = || {
            if let Some(warning) = undo::settle(&path)? {
                tracing::warn!("{warning}");
            }
            check_magic(&path)?;
            // Until this returns, no other thread can open the file. After an error, the guard must be dropped by then:
            // closing its file would drop the lock of a database that another thread has opened since.
            let (connection, opened) = open_checked(engine, &path, access)?;
            guard = opened;
            Ok(connection)
        };
        let (connection, lease) = match access {
            Access::ReadOnly => lease::read(file, connect)?,
            // The others have settings of their own, so they do not share the connection of other readers.
            _ => lease::write(file, connect)?,
        };
        let database = Self { connection, path, guard, lease };
        use_file(&database.connection, &database.path).map_err(|error| opening(&database.path, &error))?;
        Ok(database)
    }

    /// Opens a database, waiting up to `wait` for another process to close it. `on_wait` is called before each pause,
    /// with the error that names that process, and can end the wait. The first attempt uses `engine`, if there is one.
    ///
    /// # Errors
    /// Same as [`open`](Self::open).
    pub(crate) fn open_waiting(
        mut engine: Option<Engine>,
        path: &Path,
        access: Access<'_>,
        wait: Duration,
        on_wait: &mut dyn FnMut(&Error) -> ControlFlow<()>,
    ) -> Result<Self> {
        let watch = Stopwatch::start();
        loop {
            match Self::open_with(engine.take(), path, access) {
                Err(error) if error.kind() == ErrorKind::DatabaseLocked && watch.elapsed() < wait => {
                    if on_wait(&error).is_break() {
                        return Err(error);
                    }
                    std::thread::sleep(LOCK_POLL_INTERVAL);
                }
                result => return result,
            }
        }
    }

    /// Returns the connection.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Commits, checkpoints the write-ahead log, closes the file and syncs it.
    ///
    /// # Errors
    /// What failed, and whether the outcome is known.
    pub(crate) fn commit(mut self) -> Result<(), CommitError> {
        self.lease.check_still_alone().map_err(CommitError::NotBegun)?;
        if let Some(guard) = &mut self.guard {
            guard.save(&self.connection).map_err(CommitError::NotBegun)?;
        }
        self.prepare_log();
        kill_point("load-commit");
        let committed = self.commit_and_checkpoint();
        self.remove_unused_log();
        let trust = if committed.is_ok() { Trust::Cache } else { Trust::Disk };
        match (committed, self.close_durably(trust)) {
            (Ok(()), Ok(())) => Ok(()),
            (Err(error), Ok(())) => Err(CommitError::Unknown(error)),
            (committed, Err(error)) => Err(CommitError::NotOnDisk { committed, error }),
        }
    }

    fn commit_and_checkpoint(&self) -> Result<(), duckdb::Error> {
        self.connection.execute_batch("COMMIT")?;
        kill_point("load-committed");
        // A commit that bypassed the log has checkpointed already, and the undo file covers only one checkpoint.
        if has_log(&self.path) {
            self.connection.execute_batch("CHECKPOINT")?;
        }
        kill_point("load-checkpointed");
        Ok(())
    }

    /// Closes the file and syncs it, its log and its directory: DuckDB syncs its own writes, but not everything they
    /// depend on. [`Trust::Disk`] makes later reads come from the disk.
    ///
    /// # Errors
    /// `Storage` or `DiskFull`.
    pub(crate) fn close_durably(self, trust: Trust) -> Result<()> {
        let log = self.log_path();
        let Self { connection, path, guard, lease: _lease } = self;
        drop(connection);
        let fail = |error| Error::io("sync the database", &path, error);
        guard.map_or(Ok(()), |guard| guard.finish(trust))?;
        match File::open(&log) {
            Ok(log) => log.sync_all().map_err(fail)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(fail(error)),
        }
        let directory = path.parent().unwrap_or(Path::new("."));
        durable::sync_directory(directory).map_err(fail)?;
        Ok(())
    }

    /// Creates an empty write-ahead log with the permissions of the database. Otherwise, DuckDB would create it with
    /// default permissions, and a killed process would leave it readable by others. DuckDB has not opened the log yet,
    /// and treats an empty one as new.
    #[cfg(unix)]
    fn prepare_log(&self) {
        use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
        let log = self.log_path();
        // If this fails, the commit fails too and reports the reason.
        let Ok(database) = fs::metadata(&self.path) else { return };
        let mode = database.permissions().mode() & 0o666;
        if fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&log).is_err() {
            let _ = fs::set_permissions(&log, fs::Permissions::from_mode(mode));
        }
    }

    #[cfg(not(unix))]
    fn prepare_log(&self) {}

    /// Removes the log if it is empty. A commit that writes directly to the file does not use it, and DuckDB then does
    /// not remove it.
    fn remove_unused_log(&self) {
        let log = self.log_path();
        if fs::metadata(&log).is_ok_and(|log| log.len() == 0) {
            let _ = fs::remove_file(&log);
        }
    }

    fn log_path(&self) -> PathBuf {
        log_path(&self.path, LOG)
    }
}

/// Restores what a process that was stopped had overwritten in a database. Returns a warning if it did.
///
/// Every other way to open the file does this, too.
///
/// # Errors
/// `DatabaseLocked` or `Storage` if that may be necessary and is not possible; the errors of [`locate`].
pub(crate) fn repair(path: &Path) -> Result<Option<Warning>> {
    let Location::Present(path) = locate(path)? else { return Ok(None) };
    let path = fs::canonicalize(&path).map_err(|error| Error::io("find", &path, error))?;
    if !undo::is_present(&path) {
        return Ok(None);
    }
    lease::unless_open(&path, || undo::settle(&path))
}

/// Opens the file, with a guard if it is opened for writing.
fn open_checked(engine: Option<Engine>, path: &Path, access: Access<'_>) -> Result<(Connection, Option<Guard>)> {
    match access {
        Access::ReadOnly => Ok((connect_to_read(engine, path)?, None)),
        _ if access.is_read_only() => Ok((connect(engine, path, access, None)?, None)),
        _ => {
            let mut guard = Guard::new(path)?;
            let connection = connect(engine, path, access, Some(&mut guard))?;
            Ok((connection, Some(guard)))
        }
    }
}

/// Opens the file for reading.
///
/// DuckDB cannot replay some entries of a write-ahead log, such as `CREATE INDEX`, into a read-only database. These
/// entries are committed, so the log is first checkpointed into the file, as any other client does.
fn connect_to_read(engine: Option<Engine>, path: &Path) -> Result<Connection> {
    let error = match connect(engine, path, Access::ReadOnly, None) {
        Err(error) if has_log(path) && is_log_error(&error) => error,
        connected => return connected,
    };
    let replay = || {
        let mut guard = Guard::new(path)?;
        let connection = connect(None, path, Access::ReadWrite, Some(&mut guard))?;
        connection.execute_batch("CHECKPOINT").map_err(|error| opening(path, &error))
    };
    match replay() {
        Ok(()) => connect(None, path, Access::ReadOnly, None),
        // The log must be replayed, and the file is not writable.
        Err(reason) if reason.kind() == ErrorKind::Storage => {
            let shown = path.display();
            let message = format!(
                "`{shown}` has a write-ahead log that must be applied to the file before the database can be read"
            );
            Err(Error::new(ErrorKind::Storage, message).with_path(path).with_source(reason))
        }
        Err(reason) if matches!(reason.kind(), ErrorKind::DatabaseLocked | ErrorKind::DiskFull) => Err(reason),
        Err(_) => Err(error),
    }
}

fn has_log(path: &Path) -> bool {
    fs::metadata(log_path(path, LOG)).is_ok_and(|log| log.len() > 0)
}

/// Returns whether opening failed because of the write-ahead log. DuckDB reports this as a failure of the database, so
/// the whole error chain is checked.
fn is_log_error(error: &Error) -> bool {
    let mut next = Some(error as &(dyn std::error::Error + 'static));
    std::iter::from_fn(|| {
        let error = next?;
        next = error.source();
        Some(error.to_string())
    })
    .any(|text| is_log_failure(&text) || text.contains("read-only"))
}

/// Opens the file with the settings of `access` and locks the settings. `guard` is needed for writing.
fn connect(engine: Option<Engine>, path: &Path, access: Access<'_>, guard: Option<&mut Guard>) -> Result<Connection> {
    let fail = |error| opening(path, &error);
    let connection = engine.map_or_else(Engine::start, Ok)?.into_connection();
    connection.execute_batch(&settings(access)).map_err(fail)?;
    let name = attached_name(path);
    attach(&connection, path, &name, access).map_err(fail)?;
    if let Some(guard) = guard {
        guard.attached(name);
        if has_log(path) {
            // The next statement may checkpoint the log.
            guard.save(&connection)?;
        }
        connection.execute_batch(CHECKPOINT_ALWAYS).map_err(fail)?;
    }
    use_utc(&connection).map_err(fail)?;
    connection.execute_batch(&fences(path, access)).map_err(fail)?;
    Ok(connection)
}

/// Makes all sessions convert between times with and without a time zone as if they were in UTC, as the times in the
/// tables are. An engine without the extension for time zones always does.
fn use_utc(connection: &Connection) -> Result<(), duckdb::Error> {
    match connection.execute_batch("SET GLOBAL TimeZone='UTC'") {
        Err(error) if error.to_string().contains("icu") => Ok(()),
        result => result,
    }
}

/// Attaches the file to an empty in-memory database, the only way to choose its name and row group size.
fn attach(connection: &Connection, path: &Path, name: &str, access: Access<'_>) -> Result<(), duckdb::Error> {
    let file = literal(&path.to_string_lossy());
    let options = match access {
        Access::ReadOnly | Access::Spilling { .. } | Access::Export { .. } => "READ_ONLY".to_owned(),
        Access::ReadWrite => "READ_WRITE".to_owned(),
        Access::Load { tuning, .. } => format!("READ_WRITE, ROW_GROUP_SIZE {}", tuning.row_group_rows),
    };
    connection.execute_batch(&format!("ATTACH {file} AS {} (TYPE duckdb, {options})", quoted(name)))
}

/// Returns the name under which a file is attached.
///
/// This is the name that other clients use, because views, macros and defaults in the file may contain it. The names of
/// DuckDB's own databases and schemas get a suffix: for a file `information_schema.db`, `information_schema.tables` is
/// ambiguous. Nothing in such a file can contain the name without a suffix, because no client can use it.
fn attached_name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let is_taken = OWN_NAMES.iter().any(|name| stem.eq_ignore_ascii_case(name));
    if is_taken { format!("{stem}_db") } else { stem.into_owned() }
}

/// Makes the file the default database. The setting is per connection.
fn use_file(connection: &Connection, path: &Path) -> Result<(), duckdb::Error> {
    connection.execute_batch(&format!("USE {}.main", quoted(&attached_name(path))))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_duckdb_itself_are_complete() {
        let connection = Connection::open_in_memory().unwrap();
        let sql =
            "SELECT database_name FROM duckdb_databases() UNION SELECT schema_name FROM duckdb_schemas() ORDER BY 1";
        let mut query = connection.prepare(sql).unwrap();
        let found: Vec<String> = query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(found, OWN_NAMES);
    }
}
