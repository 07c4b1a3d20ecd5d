//! Maps DuckDB's messages to error kinds.
//!
//! DuckDB's failures can only be distinguished by their text. The texts are those of version 1.5.5; an unrecognized one
//! maps to `Storage`, with the text as the cause.

use std::fmt;
use std::path::Path;

use rustix::io::Errno;
use serde_json::Value;

use crate::durable;
use crate::error::{Error, ErrorKind, Fault};

/// A DuckDB message, as the cause of an error.
#[derive(Debug)]
struct Message(String);

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Message {}

/// Returns the error for a failure to open a database.
pub(crate) fn opening(path: &Path, error: &duckdb::Error) -> Error {
    let text = error.to_string();
    let shown = path.display();
    if let Some(holder) = lock_holder(&text) {
        // DuckDB reports the same error if the file system does not support locks.
        return match durable::lock_problem(path) {
            None => locked(path, holder.pid),
            Some(problem) => cannot_lock(path, problem),
        };
    }
    let message = if text.contains("we can only read versions") {
        version_message(path, &text)
    } else if text.contains("WAL does not match") {
        format!("the write-ahead log of `{shown}` belongs to another database; neither file was changed")
    } else if is_log_failure(&text) {
        format!(
            "the write-ahead log of `{shown}` is damaged, belongs to another database, or needs a DuckDB extension \
             that is not available; it may contain committed rows; neither file was changed"
        )
    } else if text.contains("not a valid DuckDB database") {
        not_duckdb_message(path)
    } else if let Some(damage) = damage(path, &text) {
        damage
    } else {
        return statement(&format!("open `{shown}`"), error).with_path(path);
    };
    unusable(path, message).with_source(Message(cleaned(&text)))
}

/// Returns whether a database could not be opened because of the contents of its write-ahead log.
pub(crate) fn is_log_failure(text: &str) -> bool {
    text.contains("replaying WAL") || text.contains("WAL file")
}

/// Returns the error for a file that DuckDB cannot lock although no process has it open.
fn cannot_lock(path: &Path, problem: std::io::Error) -> Error {
    let shown = path.display();
    let message = format!("cannot lock `{shown}`, which DuckDB requires; no other process has it open");
    Error::new(ErrorKind::Storage, message)
        .with_detail("suggestion", "move the database to a file system that supports locks, such as a local disk")
        .with_path(path)
        .with_source(problem)
}

/// Returns the error for a failed internal statement; `what` completes "cannot …".
pub(crate) fn statement(what: &str, error: &duckdb::Error) -> Error {
    let text = error.to_string();
    let kind = if is_disk_full(&text) {
        ErrorKind::DiskFull
    } else if is_out_of_memory(&text) {
        ErrorKind::OutOfMemory
    } else if text.contains("Corrupt database file") || text.contains("Could not read enough bytes from file") {
        ErrorKind::DatabaseUnusable
    } else if is_violation(error) {
        // Caused by an index or key that the user added. A new index is checked only at commit.
        ErrorKind::ConstraintViolated
    } else {
        ErrorKind::Storage
    };
    // DuckDB calls a database invalidated that it only has to open again.
    let original = text.rsplit_once("Original error: ").filter(|(wrapper, _)| wrapper.contains("has been invalidated"));
    let reason = original.map_or(&*text, |(_, reason)| reason);
    let error = Error::new(kind, format!("cannot {what}")).with_source(Message(cleaned(reason)));
    match os_error(&text) {
        Some(number) => error.with_detail("os_error", number.raw_os_error()),
        None => error,
    }
}

/// Finds the operating system error whose `strerror` text a DuckDB message quotes.
fn os_error(text: &str) -> Option<Errno> {
    let errors = [
        ("File too large", Errno::FBIG),
        ("Too many open files in system", Errno::NFILE),
        ("Too many open files", Errno::MFILE),
        ("No space left on device", Errno::NOSPC),
        ("Disk quota exceeded", Errno::DQUOT),
        ("Read-only file system", Errno::ROFS),
        ("Input/output error", Errno::IO),
        ("Cannot allocate memory", Errno::NOMEM),
        // From the C++ library, not the C library.
        ("bad allocation", Errno::NOMEM),
        ("Permission denied", Errno::ACCESS),
        ("Operation not permitted", Errno::PERM),
        ("No such file or directory", Errno::NOENT),
        ("Not a directory", Errno::NOTDIR),
        ("Is a directory", Errno::ISDIR),
        ("File name too long", Errno::NAMETOOLONG),
        ("Too many levels of symbolic links", Errno::LOOP),
        ("Stale file handle", Errno::STALE),
        ("No locks available", Errno::NOLCK),
    ];
    errors.into_iter().find(|(said, _)| text.contains(said)).map(|(_, number)| number)
}

/// Returns whether rows violate an index or constraint of the table.
pub(crate) fn is_violation(error: &duckdb::Error) -> bool {
    let text = error.to_string();
    text.contains("Constraint Error") || text.contains("constraint violation") || text.contains("constraint violated")
}

/// Returns the error for a change that the contents of the database do not allow.
pub(crate) fn refused(message: &str, error: &duckdb::Error) -> Error {
    let text = error.to_string();
    if is_disk_full(&text) || is_out_of_memory(&text) {
        return statement("change the tables", error);
    }
    Error::invalid(message).with_source(Message(cleaned(&text)))
}

/// Describes the damage to the file, if the text reports any.
fn damage(path: &Path, text: &str) -> Option<String> {
    let shown = path.display();
    // A query can fail with arbitrary text, but not with this class of error.
    let says = |part: &str| text.starts_with("IO Error") && text.contains(part);
    if says("Corrupt database file") {
        return Some(format!("`{shown}` is damaged: a checksum does not match"));
    }
    says("Could not read enough bytes").then(|| format!("`{shown}` is damaged: the file is truncated"))
}

/// Returns the error for a user query. Its message is DuckDB's text, which shows the position in the query.
pub(crate) fn query(path: &Path, sql: &str, error: &duckdb::Error) -> Error {
    let said = error.to_string();
    if let Some(damage) = damage(path, &said) {
        return unusable(path, damage).with_source(Message(cleaned(&said)));
    }
    let text = match error {
        duckdb::Error::InvalidParameterCount(..) => "query parameters (`?` or `$1`) are not supported".to_owned(),
        duckdb::Error::NulError(_) => "the query contains a NUL character".to_owned(),
        // The crate that reads results cannot decode it, and says so without the name of the SQL type.
        duckdb::Error::FromSqlConversionFailure(_, duckdb::types::Type::Variant, _) => {
            "the result has a column of the type VARIANT, which cannot be read; cast it to VARCHAR or another type"
                .to_owned()
        }
        other => cleaned(&other.to_string()),
    };
    // A query can fail with arbitrary text, but not with these classes of error.
    let kind = if said.starts_with("Out of Memory Error") {
        ErrorKind::OutOfMemory
    } else if said.starts_with("IO Error") && is_disk_full(&said) {
        ErrorKind::DiskFull
    } else {
        ErrorKind::Query
    };
    let error = Error::new(kind, text.clone()).with_detail("query", sql).with_detail("error", text);
    // DuckDB's words for a disabled file system, and for a path that is not permitted.
    if said.contains("disabled by configuration") { error.with_fault(Fault::FileAccess) } else { error }
}

/// Returns the error for a database that another process has open.
pub(crate) fn locked(path: &Path, pid: Option<u32>) -> Error {
    let holder = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    let message = format!("`{}` is locked by {holder}", path.display());
    held(path, pid, message, "close it there, then retry")
}

/// Returns the error for a database that this library has open in this process.
pub(crate) fn in_use_here(path: &Path, reason: &str, suggestion: &str) -> Error {
    let pid = std::process::id();
    held(path, Some(pid), format!("`{}` is in use in this process ({pid}): {reason}", path.display()), suggestion)
}

/// Returns the error for a database that another library has open in this process.
pub(crate) fn open_outside(path: &Path) -> Error {
    let pid = std::process::id();
    let message = format!(
        "this process ({pid}) has `{}` open outside mixpanel-data, for example through the `duckdb` module; close that \
         connection, or query through it",
        path.display()
    );
    held(path, Some(pid), message, "close that connection, then retry or resume").with_fault(Fault::AnotherEngine)
}

fn held(path: &Path, pid: Option<u32>, message: String, suggestion: &str) -> Error {
    Error::new(ErrorKind::DatabaseLocked, message)
        .with_detail("db_path", path.display().to_string())
        .with_detail("holding_pid", pid.map_or(Value::Null, Value::from))
        .with_detail("suggestion", suggestion)
        .with_path(path)
}

/// Returns the error for a file that cannot be used as a database.
pub(crate) fn unusable(path: &Path, message: String) -> Error {
    Error::new(ErrorKind::DatabaseUnusable, message).with_detail("db_path", path.display().to_string()).with_path(path)
}

/// Returns the message for a file that is not a DuckDB database.
pub(crate) fn not_duckdb_message(path: &Path) -> String {
    format!("`{}` is not a DuckDB database", path.display())
}

/// Returns whether a load failed because DuckDB rejected staged text as malformed JSON.
pub(crate) fn is_malformed_json(error: &duckdb::Error) -> bool {
    error.to_string().contains("Malformed JSON")
}

struct Holder {
    pid: Option<u32>,
}

/// Parses `Conflicting lock is held in /usr/bin/duckdb (PID 4711)`; the program may be missing or unreadable.
fn lock_holder(text: &str) -> Option<Holder> {
    let by_another_process = text.contains("Could not set lock on file")
        || text.contains("already open in")
        || text.contains("being used by another process");
    let pid =
        text.rsplit_once("(PID ").and_then(|(_, rest)| rest.split_once(')')).and_then(|(pid, _)| pid.parse().ok());
    by_another_process.then_some(Holder { pid })
}

/// Returns a message with the version numbers from `… version number 999, but we can only read versions between 64 and
/// 68`.
fn version_message(path: &Path, text: &str) -> String {
    let after = |marker: &str| -> Option<u64> {
        let (_, rest) = text.split_once(marker)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    let (found, oldest, newest) = (after("version number "), after("versions between "), after(" and "));
    let shown = path.display();
    match (found, oldest, newest) {
        (Some(found), Some(oldest), Some(newest)) if found < oldest => {
            format!(
                "`{shown}` was written by an older DuckDB: storage version {found}, this version reads {oldest} to \
                 {newest}"
            )
        }
        (Some(found), Some(oldest), Some(newest)) => {
            format!(
                "`{shown}` was written by a newer DuckDB: storage version {found}, this version reads {oldest} to {newest}"
            )
        }
        _ => format!("`{shown}` was written by an unsupported version of DuckDB"),
    }
}

fn is_disk_full(text: &str) -> bool {
    ["No space left on device", "Disk quota exceeded", "max_temp_directory_size", "not enough space on the disk"]
        .iter()
        .any(|sign| text.contains(sign))
}

/// Returns whether DuckDB ran out of memory. Commits and statements report this with different texts.
fn is_out_of_memory(text: &str) -> bool {
    [
        "Out of Memory Error",
        "failed to pin block",
        "failed to allocate data of size",
        "could not allocate block of size",
    ]
    .iter()
    .any(|sign| text.contains(sign))
}

/// Cleans up DuckDB's text: the error class in lower case, no blank lines, no links.
fn cleaned(text: &str) -> String {
    // The suggestions refer to settings that this program does not expose.
    let text = text.split("\nPossible solutions:").next().unwrap_or_default();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with("See the storage page"))
        .map(|line| line.split(" See also https://").next().unwrap_or(line))
        .map(str::trim_end)
        .collect();
    let text = lines.join("\n");
    match text.split_once(": ") {
        Some((class, rest)) if class.ends_with("Error") => format!("{}: {rest}", class.to_lowercase()),
        _ if text.is_empty() => "no reason given".to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> duckdb::Error {
        duckdb::Error::DuckDBFailure(duckdb::ffi::Error::new(1), Some(text.to_owned()))
    }

    #[test]
    fn maps_duckdb_errors_on_open() {
        use ErrorKind::{DatabaseUnusable, DiskFull, Storage};
        let cases = [
            (
                "IO Error: Trying to read a database file with version number 999, but we can only read versions between 64 \
                 and 68.\nThe database file was created with an newer version of DuckDB.\n\nNewer DuckDB version might",
                DatabaseUnusable,
                "newer DuckDB: storage version 999, this version reads 64 to 68",
            ),
            (
                "IO Error: Trying to read a database file with version number 40, but we can only read versions between 64 and 68.",
                DatabaseUnusable,
                "older DuckDB: storage version 40",
            ),
            (
                "IO Error: Failure while replaying WAL file \"/x/u.db.wal\": WAL does not match database file.",
                DatabaseUnusable,
                "belongs to another database",
            ),
            (
                "IO Error: Failure while replaying WAL file \"/x/w4.db.wal\": Corrupt WAL file: entry at byte position 120",
                DatabaseUnusable,
                "is damaged, belongs",
            ),
            (
                "IO Error: Corrupt database file: computed checksum 119 does not match stored checksum 133 in block",
                DatabaseUnusable,
                "checksum",
            ),
            (
                "IO Error: Could not read enough bytes from file \"/x/trunc.db\": attempted to read 3192 bytes",
                DatabaseUnusable,
                "truncated",
            ),
            ("IO Error: Cannot open file \"/x/y.db\": Permission denied", Storage, "cannot open"),
            ("IO Error: Could not write: No space left on device", DiskFull, "cannot open"),
        ];
        for (text, kind, part) in cases {
            let mapped = opening(Path::new("/x/y.db"), &error(text));
            assert_eq!(mapped.kind(), kind, "{text}");
            assert!(mapped.message().contains(part), "{}", mapped.message());
            assert_eq!(mapped.path().unwrap(), Path::new("/x/y.db"));
        }
    }

    #[test]
    fn a_lock_names_its_holder() {
        let text = "IO Error: Could not set lock on file \"/x/g.db\": Conflicting lock is held in /usr/bin/py (thon) (PID 31617). \
                    However, you would be able to open this database in read-only mode. See also https://duckdb.org/docs";
        let mapped = opening(Path::new("/x/g.db"), &error(text));
        assert_eq!(mapped.kind(), ErrorKind::DatabaseLocked);
        assert_eq!(mapped.detail("holding_pid"), Some(&Value::from(31617)));
        assert_eq!(mapped.detail("db_path"), Some(&Value::from("/x/g.db")));

        let unknown =
            opening(Path::new("/x/g.db"), &error("IO Error: Could not set lock on file \"/x/g.db\": Resource busy"));
        assert_eq!(unknown.kind(), ErrorKind::DatabaseLocked);
        assert_eq!(unknown.detail("holding_pid"), Some(&Value::Null));
    }

    #[test]
    fn memory_that_the_system_refuses_is_told_apart_from_the_budget() {
        for (text, number) in [
            ("Out of Memory Error: Failed to allocate block of 262144 bytes (bad allocation)", Some(Errno::NOMEM)),
            ("Out of Memory Error: failed to allocate data of size 32.0 MiB (380.0 MiB/381.4 MiB used)", None),
        ] {
            let found = statement("load", &error(text));
            assert_eq!(found.kind(), ErrorKind::OutOfMemory, "{text}");
            assert_eq!(found.os_error(), number.map(Errno::raw_os_error), "{text}");
        }
    }

    #[test]
    fn a_query_error_keeps_the_position() {
        let text = "Parser Error: syntax error at or near \"selec\"\n\nLINE 1: selec\n        ^";
        assert_eq!(
            query(Path::new("x.db"), "selec", &error(text)).message(),
            "parser error: syntax error at or near \"selec\"\nLINE 1: selec\n        ^"
        );
    }
}
