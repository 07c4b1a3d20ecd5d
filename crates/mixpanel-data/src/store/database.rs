//! Opens a database file so that the statements that run in it can reach nothing else.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use duckdb::{Config, Connection};

use super::failure::{is_log_failure, opening};
use super::lease::{self, Lease};
use super::location::{Location, check_magic, create, locate, not_found};
use super::settings::{Effort, Tuning};
use super::sql_text::{as_pattern, literal};
use crate::durable;
use crate::error::{Error, ErrorKind, Result};
use crate::kill_point::kill_point;
use crate::limits::LOCK_POLL_INTERVAL;

/// The purpose for which a database is opened.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access<'a> {
    /// For queries of a user. They can reach no file at all, so they cannot spill to disk either.
    ReadOnly,
    /// For this program's own changes. A missing database is created.
    ReadWrite,
    /// For a load of this stage, the only directory in reach. A missing database is created.
    Load { stage_directory: &'a Path, tuning: Tuning },
}

/// An open database; closed when dropped.
pub(crate) struct Database {
    // Dropped first: the lease must not end before the file is closed.
    connection: Connection,
    path: PathBuf,
    /// The file of a database that is open for writing. It is opened before DuckDB writes, because the system reports
    /// a write that fails later only to those who had the file open then. It is closed after DuckDB has closed it,
    /// because closing it drops DuckDB's lock.
    file: Option<File>,
    _lease: Lease,
}

/// Where the next read of a file must come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The system's page cache, after every write succeeded.
    Cache,
    /// The disk: after an error, the page cache may hold data that the disk does not have.
    Disk,
}

/// Why a commit did not succeed.
#[derive(Debug)]
pub(crate) enum CommitError {
    /// DuckDB failed. Only the reopened file tells whether the transaction is in it.
    Unknown(duckdb::Error),
    /// The transaction is in the file, but the file could not be synced. `committed` is the result from DuckDB.
    NotOnDisk {
        /// DuckDB's error, if there was one.
        committed: Result<(), duckdb::Error>,
        /// The error of the sync.
        error: Error,
    },
}

impl Database {
    /// Opens a file without waiting.
    ///
    /// # Errors
    /// `DatabaseNotFound` (for reading), `DatabaseLocked`, `DatabaseUnusable`, `InvalidInput` for a path that cannot
    /// be a database, `Storage`, `DiskFull`.
    pub(crate) fn open(path: &Path, access: Access<'_>) -> Result<Self> {
        let path = match (locate(path)?, access) {
            (Location::Present(path), _) => path,
            (Location::Absent(_), Access::ReadOnly) => return Err(not_found(path)),
            (Location::Absent(path), Access::ReadWrite | Access::Load { .. }) => {
                create(&path)?;
                path
            }
        };
        // A link and its target are one file, and DuckDB keeps the log beside the file.
        let path = fs::canonicalize(&path).map_err(|error| Error::io("find", &path, error))?;
        let file = path.clone();
        let mut opened = None;
        let connect = || {
            check_magic(&path)?;
            if !matches!(access, Access::ReadOnly) {
                opened = Some(File::open(&path).map_err(|error| Error::io("read", &path, error))?);
            }
            match access {
                Access::ReadOnly => connect_to_read(&path),
                Access::ReadWrite | Access::Load { .. } => connect(&path, access),
            }
        };
        let (connection, lease) = match access {
            Access::ReadOnly => lease::read(file, connect)?,
            Access::ReadWrite | Access::Load { .. } => lease::write(file, connect)?,
        };
        let database = Self { connection, path, file: opened, _lease: lease };
        use_file(&database.connection).map_err(|error| opening(&database.path, &error))?;
        Ok(database)
    }

    /// Opens a file, waiting up to `wait` for a process that has it open. `on_wait` is called before each pause, with
    /// the error that names that process, and may end the wait.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn open_waiting(
        path: &Path,
        access: Access<'_>,
        wait: Duration,
        on_wait: &mut dyn FnMut(&Error) -> ControlFlow<()>,
    ) -> Result<Self> {
        let mut polls = wait.as_millis() / LOCK_POLL_INTERVAL.as_millis();
        loop {
            match Self::open(path, access) {
                Err(error) if error.kind() == ErrorKind::DatabaseLocked && polls > 0 => {
                    if on_wait(&error).is_break() {
                        return Err(error);
                    }
                    polls -= 1;
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

    /// Commits, moves everything from the write-ahead log into the file, closes the file and syncs it.
    ///
    /// # Errors
    /// What failed, and how much is known about the outcome.
    pub(crate) fn commit(self) -> Result<(), CommitError> {
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
        self.connection.execute_batch("CHECKPOINT")?;
        kill_point("load-checkpointed");
        Ok(())
    }

    /// Closes the file and syncs it, its log and their directory entries: DuckDB syncs what it writes, but not
    /// everything that it depends on. After [`Trust::Disk`], later reads come from the disk.
    ///
    /// # Errors
    /// `Storage` or `DiskFull`.
    pub(crate) fn close_durably(self, trust: Trust) -> Result<()> {
        let log = self.log_path();
        let Self { connection, path, file, _lease } = self;
        drop(connection);
        let fail = |error| Error::io("sync the database", &path, error);
        if let Some(file) = &file {
            file.sync_all().map_err(fail)?;
            if trust == Trust::Disk {
                durable::forget_cached(file);
            }
        }
        match File::open(&log) {
            Ok(log) => log.sync_all().map_err(fail)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(fail(error)),
        }
        let directory = path.parent().unwrap_or(Path::new("."));
        durable::sync_directory(directory).map_err(fail)?;
        Ok(())
    }

    /// Creates the empty write-ahead log before DuckDB does, as private as the database: DuckDB would create it with
    /// the umask's permissions, and a killed process would leave it that way. DuckDB has not opened it yet, and takes
    /// an empty log for a new one.
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

    /// Removes the log if it is empty: a commit that wrote straight into the file did not use it, and DuckDB does not
    /// know of it.
    fn remove_unused_log(&self) {
        let log = self.log_path();
        if fs::metadata(&log).is_ok_and(|log| log.len() == 0) {
            let _ = fs::remove_file(&log);
        }
    }

    fn log_path(&self) -> PathBuf {
        log_of(&self.path)
    }
}

/// Returns the path of DuckDB's write-ahead log for a file that is opened by this path.
fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push(".wal");
    PathBuf::from(log)
}

/// Opens the file for reading.
///
/// DuckDB replays some entries of a write-ahead log, such as `CREATE INDEX`, only into a database that is open for
/// writing. The entries of such a log are committed, so it is first moved into the file, as any other client would do.
fn connect_to_read(path: &Path) -> Result<Connection> {
    let error = match connect(path, Access::ReadOnly) {
        Err(error) if has_log(path) && is_log_error(&error) => error,
        connected => return connected,
    };
    let replay = || {
        let connection = connect(path, Access::ReadWrite)?;
        connection.execute_batch("CHECKPOINT").map_err(|error| opening(path, &error))
    };
    match replay() {
        Ok(()) => connect(path, Access::ReadOnly),
        // The file cannot be read because it cannot be written.
        Err(reason) if reason.kind() == ErrorKind::Storage => {
            let shown = path.display();
            let message = format!(
                "`{shown}` has a write-ahead log that must be applied to the file before the database can be read"
            );
            Err(Error::new(ErrorKind::Storage, message).with_path(path).with_source(reason))
        }
        Err(reason) if reason.kind() == ErrorKind::DatabaseLocked => Err(reason),
        Err(_) => Err(error),
    }
}

fn has_log(path: &Path) -> bool {
    fs::metadata(log_of(path)).is_ok_and(|log| log.len() > 0)
}

/// Returns whether the write-ahead log made the opening fail. DuckDB reports that as a failure of the database, so
/// every error of the chain is checked.
fn is_log_error(error: &Error) -> bool {
    let mut next = Some(error as &(dyn std::error::Error + 'static));
    std::iter::from_fn(|| {
        let error = next?;
        next = error.source();
        Some(error.to_string())
    })
    .any(|text| is_log_failure(&text) || text.contains("read-only"))
}

/// Opens the file with the settings of `access` and locks the settings.
fn connect(path: &Path, access: Access<'_>) -> Result<Connection> {
    let open = || -> Result<Connection, duckdb::Error> {
        let connection = Connection::open_in_memory_with_flags(settings(access)?)?;
        attach(&connection, path, access)?;
        connection.execute_batch(&fences(access))?;
        Ok(connection)
    };
    open().map_err(|error| opening(path, &error))
}

/// Attaches the file beside an empty in-memory database. Only this way can its name and its row group size be chosen.
fn attach(connection: &Connection, path: &Path, access: Access<'_>) -> Result<(), duckdb::Error> {
    let file = literal(&path.to_string_lossy());
    let name = quoted(&attached_name(connection, path)?);
    let options = match access {
        Access::ReadOnly => "READ_ONLY".to_owned(),
        Access::ReadWrite => "READ_WRITE".to_owned(),
        Access::Load { tuning, .. } => format!("READ_WRITE, ROW_GROUP_SIZE {}", tuning.row_group_rows),
    };
    connection.execute_batch(&format!("ATTACH {file} AS {name} (TYPE duckdb, {options})"))
}

/// Returns the name under which a file is attached.
///
/// It is the name that other clients use, because views, macros and defaults in the file may contain it. The exception
/// are the names of DuckDB's own databases and schemas: with `information_schema.db`, `information_schema.tables`
/// would be ambiguous. Nothing in such a file can contain the name, because no client could have used it.
fn attached_name(connection: &Connection, path: &Path) -> Result<String, duckdb::Error> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let taken: bool = connection.query_row(
        "SELECT lower(?) IN (SELECT lower(database_name) FROM duckdb_databases()
             UNION SELECT lower(schema_name) FROM duckdb_schemas())",
        [&stem],
        |row| row.get(0),
    )?;
    Ok(if taken { format!("{stem}_db") } else { stem.into_owned() })
}

/// Makes the file the default database. This applies to one connection, so every connection needs it.
fn use_file(connection: &Connection) -> Result<(), duckdb::Error> {
    let sql = "SELECT database_name FROM duckdb_databases() WHERE NOT internal AND path IS NOT NULL";
    let name: String = connection.query_row(sql, [], |row| row.get(0))?;
    connection.execute_batch(&format!("USE {}.main", quoted(&name)))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns the settings that must apply before the write-ahead log is replayed, and so cannot be statements.
fn settings(access: Access<'_>) -> Result<Config, duckdb::Error> {
    let config = Config::default().enable_autoload_extension(false)?;
    match access {
        // DuckDB's own limits: four fifths of the machine's memory, and all of its cores.
        Access::ReadOnly => config.with("temp_directory", "")?.with("arrow_lossless_conversion", "true"),
        Access::ReadWrite => writing(config, Tuning::SMALL)?.with("temp_directory", ""),
        Access::Load { stage_directory, tuning } => {
            let config = match tuning.effort {
                Effort::Usual => config,
                // At a commit, DuckDB would read and merge small row groups with many deleted rows.
                Effort::Frugal | Effort::Last => {
                    config.with("write_buffer_row_group_count", "1")?.with("max_vacuum_tasks", "0")?
                }
            };
            writing(config, tuning)?
                .with("temp_directory", spill_directory(stage_directory).to_string_lossy())?
                // A staged page is read once. Cached pages would fill the memory that the load needs.
                .with("enable_external_file_cache", "false")?
                // DuckDB's allocator returns memory to the system once this much is free. With its defaults, 128 and
                // 512 MB, a load of ten million rows took 50 MiB more while it counted them.
                .with("allocator_flush_threshold", "16MB")?
                .with("allocator_bulk_deallocation_flush_threshold", "16MB")
        }
    }
}

fn writing(config: Config, tuning: Tuning) -> Result<Config, duckdb::Error> {
    config
        .max_memory(&format!("{}MB", tuning.memory_mb))?
        .threads(i64::from(tuning.threads))?
        .with("preserve_insertion_order", "true")?
        // A commit then writes straight into the file, not into the log first: a fifth less time for 25,000 profiles,
        // start to end.
        .with("checkpoint_threshold", "1KB")
}

/// Returns the directory into which a load spills. It is inside the stage, which is private and beside the database.
pub(crate) fn spill_directory(stage_directory: &Path) -> PathBuf {
    stage_directory.join("spill")
}

/// Returns the statements that put everything else out of reach, irrevocably.
///
/// `enable_external_access=false` still leaves the database's own files and the directories named here open to `COPY`,
/// `ATTACH` and `read_blob`: a query could plant a write-ahead log, or open and close the file and so drop its lock.
/// Where a user's queries run, the file system is therefore switched off altogether.
fn fences(access: Access<'_>) -> String {
    let mut sql = String::new();
    if let Access::Load { stage_directory, .. } = access {
        // DuckDB checks the pattern before it searches for files, and each file when it opens it.
        let directory = stage_directory.to_string_lossy();
        let (path, pattern) = (literal(&directory), literal(&as_pattern(&directory)));
        write!(sql, "SET allowed_directories=[{path}, {pattern}];").expect("a string can be written to");
    }
    sql.push_str("SET enable_external_access=false;");
    if matches!(access, Access::ReadOnly) {
        sql.push_str("SET disabled_filesystems='LocalFileSystem';");
    }
    sql.push_str("SET lock_configuration=true");
    sql
}
