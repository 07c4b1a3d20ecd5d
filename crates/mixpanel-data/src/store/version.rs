//! The version of the DuckDB library.

use duckdb::Connection;

use crate::error::Result;

use super::failure::statement;

/// Returns the version of the DuckDB library, such as `v1.5.5`.
///
/// # Errors
/// `Storage`.
pub(crate) fn duckdb_version() -> Result<String> {
    let version = Connection::open_in_memory()
        .and_then(|connection| connection.query_row("SELECT version()", [], |row| row.get(0)));
    version.map_err(|error| statement("read the version of DuckDB", &error))
}
