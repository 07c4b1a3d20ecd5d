//! Statements that count, sum and move rows.

use duckdb::Connection;

use super::digest;
use super::request::LoadRequest;
use super::staged;
use super::tuning::Steps;
use crate::dataset::Dataset;
use crate::error::Result;
use crate::parse::Catalog;
use crate::row_sum::RowSum;
use crate::store::failure::statement;
use crate::store::schema::{Target, find};
use crate::store::table_name::TableName;

/// Sums the rows of a table.
pub(super) fn sum_of_table(
    connection: &Connection,
    dataset: &Dataset,
    table: &TableName,
    steps: Steps,
) -> Result<RowSum, duckdb::Error> {
    digest::sum_of(connection, dataset, &table.quoted(), "true", steps)
}

/// Returns the number of rows of an existing table to read at once.
pub(super) fn steps_of(
    connection: &Connection,
    request: &LoadRequest,
    table: &TableName,
) -> Result<Steps, duckdb::Error> {
    let rows = number(connection, &format!("SELECT count(*) FROM {}", table.quoted()))?;
    Ok(Steps::of_table(&request.database, rows))
}

/// The rows of the staged pages.
pub(super) struct StagedRows {
    /// The number of rows in the pages.
    pub(super) staged: u64,
    /// The sum of the rows without duplicates.
    pub(super) kept: RowSum,
    /// The number of rows to read back at once.
    pub(super) steps: Steps,
    /// The properties of the removed duplicates.
    pub(super) duplicates: Catalog,
}

/// Compares the staged rows with those that DuckDB returns, before the commit. The two sums are computed independently
/// from the received bytes, so they do not share errors.
///
/// # Errors
/// `Storage` if a page has changed since it was staged; `Internal` if the load is wrong.
pub(super) fn check(request: &LoadRequest, what: &str, expected: RowSum, found: RowSum) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(staged::differs(request.package.run.dataset, &request.package.pages, what, expected, found))
}

/// Runs a statement that moves rows.
pub(super) fn run(connection: &Connection, sql: &str) -> Result<usize, duckdb::Error> {
    #[cfg(test)]
    let sql = &super::load::mutants_tests::defect(sql);
    connection.execute(sql, [])
}

/// Counts the rows of a table.
pub(super) fn count_rows(connection: &Connection, table: &TableName) -> Result<u64> {
    let sql = format!("SELECT count(*) FROM {}", table.quoted());
    number(connection, &sql).map_err(|error| statement(&format!("count table `{table}`"), &error))
}

/// Counts the rows of a table that may have been dropped since; it then has none.
pub(super) fn rows_now(connection: &Connection, table: &TableName) -> Result<u64> {
    match find(connection, table)? {
        Target::Table(found) => count_rows(connection, &found),
        Target::Absent | Target::View(_) => Ok(0),
    }
}

/// Runs a query that returns a single number.
pub(super) fn number(connection: &Connection, sql: &str) -> Result<u64, duckdb::Error> {
    connection.query_row(sql, [], |row| row.get(0))
}
