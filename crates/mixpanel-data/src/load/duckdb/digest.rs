//! The digest of a table: a number that changes with any row, but not with the order of the rows.
//!
//! It is the sum of a hash of each row, and it is computed twice: by [`RowSum`] from what was received, before DuckDB
//! sees it, and here in SQL from what DuckDB returns. Both use DuckDB's own hash, which may differ between versions,
//! so a recorded digest includes the version.

use duckdb::Connection;

use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::parse::Reject;
use crate::row_sum::RowSum;

use super::tuning::Steps;
use crate::store::failure::statement;

/// Returns the SQL of the hash of one reject.
pub(super) fn reject_hash() -> &'static str {
    "hash(r.page::VARCHAR, r.position::VARCHAR, r.reason, r.raw)"
}

/// Returns a sum in the form recorded in `_metadata`.
pub(super) fn to_text(connection: &Connection, sum: RowSum) -> Result<String, duckdb::Error> {
    Ok(format!("{}{:032x}", prefix(connection)?, sum.hashes))
}

/// Parses the recorded digest of a table of `rows` rows. `None` if another DuckDB version wrote it, or it is
/// malformed.
pub(super) fn read(connection: &Connection, text: &str, rows: u64) -> Result<Option<RowSum>, duckdb::Error> {
    let digits = text.strip_prefix(&prefix(connection)?);
    Ok(digits.and_then(|digits| u128::from_str_radix(digits, 16).ok()).map(|hashes| RowSum { rows, hashes }))
}

fn prefix(connection: &Connection) -> Result<String, duckdb::Error> {
    let version: String = connection.query_row("SELECT version()", [], |row| row.get(0))?;
    Ok(format!("duckdb-{version}:"))
}

/// Counts the rows of a table that meet a condition and sums their hashes, as DuckDB returns them. In the condition,
/// the rows are called `r`.
pub(super) fn sum_of(
    connection: &Connection,
    dataset: &Dataset,
    table: &str,
    condition: &str,
    steps: Steps,
) -> Result<RowSum, duckdb::Error> {
    sum_in_steps(connection, &dataset.row_hash("r"), table, condition, steps)
}

/// Counts the rows of a table, called `r`, and sums a hash of each, reading at most as many rows at once as `steps`
/// allows.
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

/// Counts rows and sums a hash of each.
pub(super) fn sum_hashes(connection: &Connection, hash: &str, rows: &str) -> Result<RowSum, duckdb::Error> {
    let sql = format!("SELECT count(*), coalesce(sum({hash}), 0)::UHUGEINT::VARCHAR FROM {rows}");
    let (rows, sum): (u64, String) = connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(RowSum { rows, hashes: sum.parse().expect("a sum of unsigned numbers is one") })
}

/// Checks that DuckDB hashes as [`RowSum`] does. If it did not, every load would fail with a misleading reason.
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
