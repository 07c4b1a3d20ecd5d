//! Opens a database file, with nothing else in reach of what runs in it.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use duckdb::{Config, Connection};

use super::failure::{is_log_failure, opening};
use super::lease::{self, Lease};
use super::location::{Location, check_magic, create, locate, not_found};
use super::staged::as_pattern;
use super::tuning::{Effort, Tuning};
use crate::durable;
use crate::error::{Error, ErrorKind, Result};
use crate::kill_point::kill_point;
use crate::limits::LOCK_POLL_INTERVAL;

/// What a database is opened for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Access<'a> {
    /// To run queries that a user wrote. No file can be reached at all, so nothing can spill to disk either.
    ReadOnly,
    /// To change it with statements of ours. Made if missing.
    ReadWrite,
    /// To load this stage, which is the only folder in reach; a missing database is made.
    Load { stage_folder: &'a Path, tuning: Tuning },
}

/// An open database; closed when dropped.
pub(super) struct Database {
    // Dropped first: the lease ends when the file is closed.
    connection: Connection,
    path: PathBuf,
    /// The file of a database that is open for writing. It is opened before DuckDB writes, because the system tells a
    /// write that failed later to those who had the file open then; and closed after DuckDB has closed it, because
    /// closing it drops DuckDB's lock.
    file: Option<File>,
    _lease: Lease,
}

/// Where the next look into a file is to read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// The system's memory, where everything was written without an error.
    Cache,
    /// The disk: after an error the memory of the system may have what the disk does not have.
    Disk,
}

/// Why a commit did not end well.
#[derive(Debug)]
pub(super) enum CommitError {
    /// DuckDB failed. Only a look into the reopened file tells whether the transaction is in it.
    Unknown(duckdb::Error),
    /// The transaction is in the file, and the file could not be written to the disk. `committed` is what DuckDB said.
    NotOnDisk {
        /// DuckDB's error, if it had one.
        committed: Result<(), duckdb::Error>,
        /// Why.
        error: Error,
    },
}

impl Database {
    /// Opens a file at once or not at all.
    ///
    /// # Errors
    /// `DatabaseNotFound` (for reading), `DatabaseLocked`, `DatabaseUnusable`, `InvalidInput` for a path that is none,
    /// `Storage`, `DiskFull`.
    pub(super) fn open(path: &Path, access: Access<'_>) -> Result<Self> {
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

    /// Opens a file, waiting up to `wait` for whoever has it open. Before each pause `on_wait` is told who that is, and
    /// may end the wait.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(super) fn open_waiting(
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
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Commits, moves everything from the write-ahead log into the file, closes it, and has it on the disk.
    ///
    /// # Errors
    /// Whatever failed, and with it how much is known.
    pub(super) fn commit(self) -> Result<(), CommitError> {
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

    /// Closes the file, and returns when it, its log and their names are on the disk: DuckDB syncs what it writes, but
    /// not everything that it needs. Whatever is read with [`Trust::Disk`] afterwards comes from the disk.
    ///
    /// # Errors
    /// `Storage` or `DiskFull`.
    pub(super) fn close_durably(self, trust: Trust) -> Result<()> {
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

    /// Makes the empty write-ahead log before DuckDB would, as private as the database: DuckDB makes it as the umask
    /// says, and a killed process would leave it like that. DuckDB has not opened it yet, and takes an empty one for a
    /// new one.
    #[cfg(unix)]
    fn prepare_log(&self) {
        use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
        let log = self.log_path();
        // Where this fails, the commit will say why.
        let Ok(database) = fs::metadata(&self.path) else { return };
        let mode = database.permissions().mode() & 0o666;
        if fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&log).is_err() {
            let _ = fs::set_permissions(&log, fs::Permissions::from_mode(mode));
        }
    }

    #[cfg(not(unix))]
    fn prepare_log(&self) {}

    /// A commit that went straight into the file left the log that was made for it unused, and DuckDB does not know it.
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

/// Returns where DuckDB has the write-ahead log of a file that it opens by this path.
fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push(".wal");
    PathBuf::from(log)
}

/// Opens the file for reading.
///
/// DuckDB replays some of what a write-ahead log can have, such as `CREATE INDEX`, only into a database that is open for
/// writing. What such a log has is committed, so it is moved into the file first, as any other client would do it.
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
        // That it cannot be written is the reason why it cannot be read.
        Err(reason) if reason.kind() == ErrorKind::Storage => {
            let shown = path.display();
            let message = format!(
                "`{shown}` has changes in its write-ahead log that can only be read once they are written into the file"
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

/// The log's failure is told as the database's.
fn is_log_error(error: &Error) -> bool {
    let mut next = Some(error as &(dyn std::error::Error + 'static));
    std::iter::from_fn(|| {
        let error = next?;
        next = error.source();
        Some(error.to_string())
    })
    .any(|text| is_log_failure(&text) || text.contains("read-only"))
}

/// Opens the file with the settings of `access` and locks them.
fn connect(path: &Path, access: Access<'_>) -> Result<Connection> {
    let open = || -> Result<Connection, duckdb::Error> {
        let connection = Connection::open_in_memory_with_flags(settings(access)?)?;
        attach(&connection, path, access)?;
        connection.execute_batch(&fences(access))?;
        Ok(connection)
    };
    open().map_err(|error| opening(path, &error))
}

/// Opens the file beside an empty database in memory. Only so can its name be chosen, and the size of its row groups.
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

/// The name that a file is opened under.
///
/// It is the one that other clients give it, for views, macros and defaults in the file may hold it. Names of the engine's
/// own databases and schemas are the exception: with `information_schema.db`, `information_schema.tables` would be
/// ambiguous. Then nothing in the file can hold the name, because no client could have used it.
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

/// Makes the file the one whose tables are meant. Every connection has to be told.
fn use_file(connection: &Connection) -> Result<(), duckdb::Error> {
    let sql = "SELECT database_name FROM duckdb_databases() WHERE NOT internal AND path IS NOT NULL";
    let name: String = connection.query_row(sql, [], |row| row.get(0))?;
    connection.execute_batch(&format!("USE {}.main", quoted(&name)))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Settings that must hold before the write-ahead log is replayed, and so cannot be statements.
fn settings(access: Access<'_>) -> Result<Config, duckdb::Error> {
    let config = Config::default().enable_autoload_extension(false)?;
    match access {
        // DuckDB's own limits: four fifths of the machine's memory, all of its cores.
        Access::ReadOnly => config.with("temp_directory", "")?.with("arrow_lossless_conversion", "true"),
        Access::ReadWrite => writing(config, Tuning::SMALL)?.with("temp_directory", ""),
        Access::Load { stage_folder, tuning } => {
            let config = match tuning.effort {
                Effort::Usual => config,
                // Small row groups, of which many rows were deleted, are joined at a commit, and read for that.
                Effort::Frugal | Effort::Last => {
                    config.with("write_buffer_row_group_count", "1")?.with("max_vacuum_tasks", "0")?
                }
            };
            writing(config, tuning)?
                .with("temp_directory", spill_folder(stage_folder).to_string_lossy())?
                // A staged page is read once. Kept, the pages would fill the memory that the load needs.
                .with("enable_external_file_cache", "false")?
                // Its allocator gives memory back after so much has been set free; with its own 128 and 512 MB, a load of ten
                // million rows took 50 MiB more while it counted them.
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
        // A commit then writes into the file at once, instead of into the log first and from there into the file: a fifth less
        // time for 25,000 profiles, start to end.
        .with("checkpoint_threshold", "1KB")
}

/// Where a load spills what does not fit into its memory: inside the stage, which is private and beside the database.
pub(super) fn spill_folder(stage_folder: &Path) -> PathBuf {
    stage_folder.join("spill")
}

/// Statements that put everything else out of reach, for good.
///
/// `enable_external_access=false` still leaves the database's own files and the folders named here open to `COPY`,
/// `ATTACH` and `read_blob`: a query could plant a write-ahead log, or open and close the file and so drop its lock.
/// Where a user's queries run, the file system is therefore switched off altogether.
fn fences(access: Access<'_>) -> String {
    let mut sql = String::new();
    if let Access::Load { stage_folder, .. } = access {
        // The engine asks for the pattern before it looks for files, and for the file when it opens it.
        let folder = stage_folder.to_string_lossy();
        let (path, pattern) = (literal(&folder), literal(&as_pattern(&folder)));
        write!(sql, "SET allowed_directories=[{path}, {pattern}];").expect("a string can be written to");
    }
    sql.push_str("SET enable_external_access=false;");
    if matches!(access, Access::ReadOnly) {
        sql.push_str("SET disabled_filesystems='LocalFileSystem';");
    }
    sql.push_str("SET lock_configuration=true");
    sql
}

/// Returns a text as an SQL literal.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
