//! Finds the staged file that DuckDB could not read.

use std::path::PathBuf;

use duckdb::Connection;

use super::staged::{Extra, read_parquet};
use crate::error::{Error, ErrorKind};

/// Returns the error for a failed read of several files, with the name of the damaged one, which DuckDB does not always
/// report. Rolls back the transaction.
pub(super) fn name_unreadable(connection: &Connection, files: &[PathBuf], error: Error) -> Error {
    if matches!(error.kind(), ErrorKind::DiskFull | ErrorKind::OutOfMemory)
        || connection.execute_batch("ROLLBACK").is_err()
    {
        return error;
    }
    let unreadable = |file: &&PathBuf| {
        read_parquet(std::slice::from_ref(*file), Extra::Nothing).is_ok_and(|rows| {
            // Computing a hash reads every byte.
            let sql = format!("SELECT count(*) FROM (SELECT system.main.hash(r) AS h FROM {rows} AS r) WHERE h = 0");
            connection.query_row(&sql, [], |row| row.get::<_, u64>(0)).is_err()
        })
    };
    match files.iter().find(unreadable) {
        Some(file) => Error::new(ErrorKind::Storage, format!("the staged file `{}` cannot be read", file.display()))
            .with_path(file)
            .with_source(error),
        None => error,
    }
}
