//! Checks a database path before passing it to DuckDB, and creates new databases.
//!
//! DuckDB downloads an extension for a path such as `s3://…` or a SQLite file, and creates the target of a dangling
//! link.

use std::fs::{self, File};
use std::io::{ErrorKind as IoKind, Read};
use std::path::{Path, PathBuf};

use super::engine::Engine;
use super::failure::{not_duckdb_message, unusable};
use super::table_name::name_excerpt;
use crate::durable;
use crate::error::{Error, ErrorKind, Fault, Result};

/// The offset of DuckDB's magic bytes: after an eight-byte checksum.
const MAGIC_AT: usize = 8;
const MAGIC: &[u8] = b"DUCK";
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";

/// The suffix of DuckDB's write-ahead log.
pub(super) const LOG: &str = ".wal";

/// The suffixes of all logs that DuckDB keeps next to a database.
const LOGS: [&str; 3] = [LOG, ".wal.checkpoint", ".wal.recovery"];

/// An absolute path that can be a database file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// A regular file exists there.
    Present(PathBuf),
    /// Nothing exists there.
    Absent(PathBuf),
}

/// Checks a path without opening the file.
///
/// # Errors
/// `InvalidInput` for a URL, `:memory:`, a path that looks like an option, or a question mark in a directory name;
/// `DatabaseUnusable` for a directory, a dangling link, or an empty file.
pub(crate) fn locate(path: &Path) -> Result<Location> {
    refuse_schemes(path)?;
    let absolute = std::path::absolute(path).map_err(|error| Error::io("find", path, error))?;
    refuse_question_marks(&absolute)?;
    let shown = path.display();
    match fs::metadata(&absolute) {
        Ok(found) if found.is_dir() => Err(unusable(path, format!("`{shown}` is a directory, not a database file"))),
        Ok(found) if !found.is_file() => Err(unusable(path, format!("`{shown}` is not a regular file"))),
        Ok(found) if found.len() == 0 => {
            Err(unusable(path, format!("`{shown}` is an empty file, not a DuckDB database")))
        }
        Ok(_) => check_logs_are_files(&absolute).map(|()| Location::Present(absolute)),
        Err(error) if error.kind() == IoKind::NotFound => {
            if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
                let message = format!("`{shown}` names a directory, not a database file");
                return Err(Error::invalid(message).with_path(path));
            }
            if fs::symlink_metadata(&absolute).is_ok() {
                return Err(unusable(path, format!("`{shown}` is a symbolic link to a file that does not exist")));
            }
            Ok(Location::Absent(absolute))
        }
        Err(error) => Err(Error::io("access", path, error)),
    }
}

fn refuse_schemes(path: &Path) -> Result<()> {
    let Some(text) = path.to_str() else {
        return Err(Error::invalid(format!("the database path `{}` is not UTF-8", path.display())).with_path(path));
    };
    if text.is_empty() || text.contains('\0') {
        return Err(Error::invalid("the database path is empty or contains a NUL character"));
    }
    if text.starts_with('-') {
        let message =
            format!("`{0}` looks like an option; to use a file with this name, write `./{0}`", name_excerpt(text));
        return Err(Error::invalid(message).with_path(path));
    }
    // A drive letter is one character, a scheme at least two.
    let is_scheme = text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.len() != 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_'))
    });
    if is_scheme {
        return Err(Error::invalid(format!(
            "`{}` is not a local file; to use a file with a colon in its name, write `./name`",
            name_excerpt(text)
        ))
        .with_path(path));
    }
    Ok(())
}

/// Rejects a question mark in a directory name. DuckDB treats it as the start of parameters, and derives the path of
/// the write-ahead log from the text before it. A question mark in the file name only changes the name of the log; one
/// in a directory name puts the log into another directory.
fn refuse_question_marks(absolute: &Path) -> Result<()> {
    if !absolute.parent().is_some_and(|directory| directory.to_string_lossy().contains('?')) {
        return Ok(());
    }
    let shown = absolute.display().to_string();
    let message =
        format!("invalid database path `{}`: DuckDB does not support `?` in directory names", name_excerpt(&shown));
    Err(Error::invalid(message).with_path(absolute))
}

/// Checks the first bytes of the file.
///
/// Call this only while this process has no connection to the file: closing the file silently drops DuckDB's lock.
///
/// # Errors
/// `DatabaseUnusable` if they are not those of a DuckDB file; `Storage` if the file cannot be read.
pub(crate) fn check_magic(path: &Path) -> Result<()> {
    let mut head = [0; 16];
    let read =
        File::open(path).and_then(|mut file| file.read(&mut head)).map_err(|error| Error::io("read", path, error))?;
    let head = &head[..read];
    if head.get(MAGIC_AT..).is_some_and(|rest| rest.starts_with(MAGIC)) {
        return Ok(());
    }
    if head.starts_with(SQLITE_MAGIC) {
        return Err(unusable(path, format!("`{}` is a SQLite database, not a DuckDB database", path.display())));
    }
    Err(unusable(path, not_duckdb_message(path)))
}

/// Returns the path of a log of DuckDB for a file opened at `path`. DuckDB inserts the suffix before a question mark.
pub(super) fn log_path(path: &Path, suffix: &str) -> PathBuf {
    let text = path.to_string_lossy();
    let (name, parameters) = text.split_at(text.find('?').unwrap_or(text.len()));
    PathBuf::from(format!("{name}{suffix}{parameters}"))
}

/// Returns the logs of a database that DuckDB would not expect to be its own: it allows only paths that end with the
/// suffix of a log.
pub(super) fn unexpected_logs(path: &Path) -> Vec<PathBuf> {
    let is_usual = |suffix: &str| log_path(path, suffix).to_string_lossy().ends_with(suffix);
    LOGS.into_iter().filter(|suffix| !is_usual(suffix)).map(|suffix| log_path(path, suffix)).collect()
}

/// Checks that DuckDB can open the logs of a database. Opening a pipe waits for another process, and cannot be stopped.
///
/// # Errors
/// `DatabaseUnusable`; `Storage` if a path cannot be examined.
fn check_logs_are_files(path: &Path) -> Result<()> {
    for log in LOGS.map(|suffix| log_path(path, suffix)) {
        match fs::metadata(&log) {
            Ok(found) if !found.is_file() => return Err(not_a_log(path, &log)),
            Err(error) if error.kind() != IoKind::NotFound => return Err(Error::io("access", &log, error)),
            _ => {}
        }
    }
    Ok(())
}

fn not_a_log(path: &Path, log: &Path) -> Error {
    let message =
        format!("`{}` is where DuckDB keeps its write-ahead log, but it is not a regular file", log.display());
    unusable(path, message)
}

/// Checks that a new database would not get the rows of one that is gone: DuckDB applies the log next to a file without
/// checking whose log it is, as long as the file has no checkpoint yet.
///
/// # Errors
/// `DatabaseUnusable`.
pub(crate) fn check_no_log(path: &Path) -> Result<()> {
    let logs = LOGS.map(|suffix| log_path(path, suffix));
    // Not even a link to an empty file may be there: DuckDB would write the log of the new database to its target.
    let is_taken = |log: &&PathBuf| fs::symlink_metadata(log).is_ok_and(|found| !found.is_file() || found.len() > 0);
    let Some(log) = logs.iter().find(is_taken) else { return Ok(()) };
    if !fs::symlink_metadata(log).is_ok_and(|found| found.is_file()) {
        return Err(not_a_log(path, log));
    }
    let message = format!(
        "`{}` does not exist, but its write-ahead log `{}` does, and DuckDB would apply it to a new database",
        path.display(),
        log.display()
    );
    Err(unusable(path, message).with_fault(Fault::StrayLog).with_path(log))
}

/// Returns the error for reading a database that does not exist.
pub(crate) fn not_found(path: &Path) -> Error {
    Error::new(ErrorKind::DatabaseNotFound, format!("there is no database `{}`", path.display()))
        .with_detail("db_path", path.display().to_string())
        .with_detail("suggestion", "fetch profiles first, or name another file")
        .with_path(path)
}

/// Creates the directory of a database and its parents, accessible only to their owner. Returns the directory. Leaves
/// existing directories unchanged.
pub(crate) fn ensure_directory(path: &Path) -> Result<&Path> {
    let directory =
        path.parent().ok_or_else(|| Error::invalid(format!("`{}` does not name a file", path.display())))?;
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).map_err(|error| Error::io("create the directory", directory, error))?;
    Ok(directory)
}

/// Creates an empty database that only its owner can read, by renaming one. If another process creates the database
/// first, that one is kept.
///
/// # Errors
/// `Storage`, `DiskFull`; those of [`check_no_log`].
pub(super) fn create(path: &Path, engine: &mut Engine) -> Result<()> {
    let directory = ensure_directory(path)?;
    check_no_log(path)?;
    let fail = |error| Error::io("create the database", path, error);
    // One that was written in advance may be on another file system.
    let written = engine.take_empty_database();
    if written.is_none_or(|written| durable::rename_no_replace(&written.file, path).is_err()) {
        engine.write_empty_database(directory, path)?;
        if let Some(written) = engine.take_empty_database() {
            durable::rename_no_replace(&written.file, path).map_err(fail)?;
        }
    }
    // The load is durable only if the file name is.
    durable::sync_directory(directory).map_err(fail)?;
    Ok(())
}
