//! The digest of a table: a number that a change of any row changes, and the order of the rows does not.
//!
//! It is the sum of a hash of each row, and it is computed twice: by [`RowSum`] from what was received, before DuckDB
//! sees it, and here in SQL from what DuckDB hands back. DuckDB's own hash is used; it may be another in another version,
//! so the version stands beside a recorded number.

use duckdb::Connection;

use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::parse::Reject;
use crate::row_sum::RowSum;

use super::failure::statement;
use super::tuning::Steps;

/// Returns the SQL of the hash of one reject.
pub(super) fn reject_hash() -> &'static str {
    "hash(r.page::VARCHAR, r.position::VARCHAR, r.reason, r.raw)"
}

/// Returns the text of a sum that is recorded in `_metadata`.
pub(super) fn to_text(connection: &Connection, sum: RowSum) -> Result<String, duckdb::Error> {
    Ok(format!("{}{:032x}", prefix(connection)?, sum.hashes))
}

/// Reads a recorded text, of a table of `rows` rows. `None` if another engine wrote it, or it is none.
pub(super) fn read(connection: &Connection, text: &str, rows: u64) -> Result<Option<RowSum>, duckdb::Error> {
    let digits = text.strip_prefix(&prefix(connection)?);
    Ok(digits.and_then(|digits| u128::from_str_radix(digits, 16).ok()).map(|hashes| RowSum { rows, hashes }))
}

fn prefix(connection: &Connection) -> Result<String, duckdb::Error> {
    let version: String = connection.query_row("SELECT version()", [], |row| row.get(0))?;
    Ok(format!("duckdb-{version}:"))
}

/// Counts and sums those rows of a table that a condition selects, as DuckDB hands them back. The rows are called `r` in
/// the condition.
pub(super) fn sum_of(
    connection: &Connection,
    dataset: &Dataset,
    table: &str,
    condition: &str,
    steps: Steps,
) -> Result<RowSum, duckdb::Error> {
    sum_in_steps(connection, &dataset.row_hash("r"), table, condition, steps)
}

/// Counts rows of a table, called `r`, and sums a hash of each, of no more rows at once than `steps` allows.
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

/// Proves that the engine hashes as [`RowSum`] does: else every load would be refused for a wrong reason.
///
/// # Errors
/// `Internal` if it does not.
pub(super) fn check_engine(connection: &Connection) -> Result<()> {
    let probe = Reject { position: 7, reason: String::new(), raw: "longer than twelve bytes".to_owned() };
    let rows = format!("(SELECT 3 AS page, {} AS position, '' AS reason, '{}' AS raw) AS r", probe.position, probe.raw);
    let found = sum_hashes(connection, reject_hash(), &rows).map_err(|error| statement("compute a hash", &error))?;
    if found != RowSum::of_rejects(3, &[probe]) {
        return Err(Error::internal("this build of DuckDB hashes rows in another way, so no load could be checked"));
    }
    Ok(())
}
