//! The digest of a table: a number that depends on every row, but not on the order of the rows.
//!
//! It is the sum of the row hashes, computed twice: by [`RowSum`] from the received rows, before DuckDB reads them, and
//! here in SQL from the rows that DuckDB returns. Both use DuckDB's hash function, which may differ between versions,
//! so a recorded digest includes the version.

use duckdb::Connection;

use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::parse::Reject;
use crate::row_sum::RowSum;

use super::tuning::Steps;
use crate::store::failure::statement;

/// Returns the SQL expression for the hash of a reject.
pub(super) fn reject_hash() -> &'static str {
    "system.main.hash(r.page::VARCHAR, r.position::VARCHAR, r.reason, r.raw)"
}

/// Returns a sum in the form recorded in `_metadata`.
pub(super) fn to_text(connection: &Connection, sum: RowSum) -> Result<String, duckdb::Error> {
    Ok(format!("{}{:032x}", prefix(connection)?, sum.hashes))
}

/// Parses the recorded digest of a table with `rows` rows. Returns `None` if another DuckDB version recorded it, or it
/// is malformed.
pub(super) fn read(connection: &Connection, text: &str, rows: u64) -> Result<Option<RowSum>, duckdb::Error> {
    let digits = text.strip_prefix(&prefix(connection)?);
    Ok(digits.and_then(|digits| u128::from_str_radix(digits, 16).ok()).map(|hashes| RowSum { rows, hashes }))
}

fn prefix(connection: &Connection) -> Result<String, duckdb::Error> {
    let version: String = connection.query_row("SELECT version()", [], |row| row.get(0))?;
    Ok(format!("duckdb-{version}:"))
}

/// Counts the rows of a table that match a condition and sums their hashes. The condition refers to the table as `r`.
pub(super) fn sum_of(
    connection: &Connection,
    dataset: &Dataset,
    table: &str,
    condition: &str,
    steps: Steps,
) -> Result<RowSum, duckdb::Error> {
    sum_in_steps(connection, &dataset.row_hash("r"), table, condition, steps)
}

/// Counts the matching rows of a table and sums their hashes, reading at most one step of rows at a time. `hash` and
/// `condition` refer to the table as `r`.
pub(super) fn sum_in_steps(
    connection: &Connection,
    hash: &str,
    table: &str,
    condition: &str,
    steps: Steps,
) -> Result<RowSum, duckdb::Error> {
    steps.conditions(connection, table)?.into_iter().try_fold(RowSum::default(), |sum, step| {
        let rows = format!("{table} AS r WHERE ({condition}) AND {step}");
        Ok(sum.plus(sum_hashes(connection, hash, &rows)?))
    })
}

/// Counts rows and sums their hashes.
pub(super) fn sum_hashes(connection: &Connection, hash: &str, rows: &str) -> Result<RowSum, duckdb::Error> {
    let sql = format!("SELECT count(*), coalesce(sum({hash}), 0)::UHUGEINT::VARCHAR FROM {rows}");
    let (rows, sum): (u64, String) = connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(RowSum { rows, hashes: sum.parse().expect("the sum of unsigned numbers is an unsigned number") })
}

/// Checks that DuckDB and [`RowSum`] compute the same hashes. Otherwise, every load would fail with a misleading error.
///
/// # Errors
/// `Internal` if the hashes differ.
pub(super) fn check_engine(connection: &Connection) -> Result<()> {
    let probe = Reject { position: 7, reason: String::new(), raw: "longer than twelve bytes".to_owned() };
    let rows = format!("(SELECT 3 AS page, {} AS position, '' AS reason, '{}' AS raw) AS r", probe.position, probe.raw);
    let found = sum_hashes(connection, reject_hash(), &rows).map_err(|error| statement("compute a hash", &error))?;
    if found != RowSum::of_rejects(3, &[probe]) {
        return Err(Error::internal("this build of DuckDB hashes rows differently, so loads cannot be checked"));
    }
    Ok(())
}
