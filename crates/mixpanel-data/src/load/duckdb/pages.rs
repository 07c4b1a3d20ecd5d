//! Reads the staged pages into `_loading`, with one row per id.

use std::path::PathBuf;

use duckdb::Connection;

use super::catalogs::CatalogCollector;
use super::digest::sum_of;
use super::request::LoadRequest;
use super::rows::{StagedRows, number, run};
use super::staged::{Extra, read_parquet, sum_of_pages};
use super::tuning::Steps;
use super::unreadable::name_unreadable;
use crate::dataset::Dataset;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::LOAD_PAGES_PER_STATEMENT;
use crate::load::run_record::RunRecord;
use crate::mutant::{Mutant, is_active};
use crate::row_sum::RowSum;
use crate::store::failure::{is_malformed_json, statement};
use crate::text::counted;

/// The name of the table while it is being filled. Never committed under this name.
pub(super) const LOADING: &str = "_loading";

/// What happens to the table that the pages are read into.
#[derive(Debug, Clone, Copy)]
pub(super) enum LoadingTable {
    /// It is renamed to the target table.
    Permanent,
    /// Its rows are copied. It is a temporary table, so that the file does not grow by twice their size.
    Temporary,
}

/// Creates the empty table that the pages are read into. It has no primary key: building one takes longer than the rest
/// of the load.
pub(super) fn create(connection: &Connection, dataset: &Dataset, loading: LoadingTable) -> Result<()> {
    let kind = match loading {
        LoadingTable::Permanent => "TABLE",
        LoadingTable::Temporary => "TEMP TABLE",
    };
    connection
        .execute_batch(&format!("CREATE {kind} _loading ({})", dataset.definitions()))
        .map_err(|error| statement("make a table", &error))
}

/// Reads all pages in order and removes duplicates. The returned sums come from the stage, not from DuckDB; the caller
/// compares them with the rows in `_loading` or in the target table.
pub(super) fn read(connection: &Connection, request: &LoadRequest) -> Result<StagedRows> {
    let fail = |error| statement(&format!("load into table `{}`", &request.options.table), &error);
    let dataset = request.package.run.dataset;
    let received = sum_of_pages(dataset, &request.package.pages)?;
    check_received(&request.package.run, received.rows)?;
    insert(connection, request)?;
    let steps = Steps::of_staged(&request.package.pages);
    let count = |what: &str| number(connection, &format!("SELECT count(DISTINCT {what}) FROM _loading")).map_err(fail);
    // If all hashes are distinct, so are all keys, and counting hashes takes a fraction of the memory.
    let (names, key) = (dataset.key_names(), dataset.key(None));
    let distinct = match count(&format!("system.main.hash({names})"))? {
        hashes if hashes == received.rows => hashes,
        _ => count(&key)?,
    };
    let mut duplicates = CatalogCollector::default();
    if distinct == received.rows {
        return Ok(StagedRows {
            staged: received.rows,
            kept: received,
            steps,
            duplicates: duplicates.finish_listed().all,
        });
    }
    let mut find = dataset.find_duplicates("_loading");
    if is_active(Mutant::DuplicateKeptByArrival) {
        find = find.replace("last_seen DESC NULLS LAST, rowid", "rowid DESC");
    }
    let removed = collect_and_remove(connection, dataset, "_loading", &find, steps, &mut duplicates).map_err(fail)?;
    let left = count(&key)?;
    if left == distinct && received.rows.checked_sub(removed.rows) == Some(distinct) {
        let kept = received.minus(removed);
        return Ok(StagedRows { staged: received.rows, kept, steps, duplicates: duplicates.finish_listed().all });
    }
    Err(Error::internal(format!(
        "rows staged: {}, with different keys: {distinct}; duplicates removed: {}, keys left: {left}",
        received.rows, removed.rows
    )))
}

/// Removes the rows whose row ids a query returns as `place`, and returns their sum.
pub(super) fn remove(
    connection: &Connection,
    dataset: &Dataset,
    table: &str,
    find: &str,
    steps: Steps,
) -> Result<RowSum, duckdb::Error> {
    let removed = sum_of(connection, dataset, table, &list_removed(connection, find)?, steps)?;
    remove_found(connection, table)?;
    Ok(removed)
}

/// Like [`remove`], and adds the properties of the removed rows to a catalog.
pub(super) fn collect_and_remove(
    connection: &Connection,
    dataset: &Dataset,
    table: &str,
    find: &str,
    steps: Steps,
    collector: &mut CatalogCollector,
) -> Result<RowSum, duckdb::Error> {
    let condition = list_removed(connection, find)?;
    let removed = sum_of(connection, dataset, table, &condition, steps)?;
    collector.add_matching(connection, dataset, table, &condition, steps)?;
    remove_found(connection, table)?;
    Ok(removed)
}

/// Lists the row ids that a query returns as `place` in `_removed`. Returns the condition for these rows of `r`.
fn list_removed(connection: &Connection, find: &str) -> Result<String, duckdb::Error> {
    run(connection, &format!("CREATE TEMP TABLE _removed AS {find}"))?;
    let range = "SELECT coalesce(system.main.min(place), 0), coalesce(system.main.max(place), -1) FROM _removed";
    let (first, last): (i64, i64) = connection.query_row(range, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    // Without the range, DuckDB reads the row ids of the whole table.
    Ok(format!("r.rowid IN (SELECT place FROM _removed) AND r.rowid BETWEEN {first} AND {last}"))
}

fn remove_found(connection: &Connection, table: &str) -> Result<(), duckdb::Error> {
    run(connection, &format!("DELETE FROM {table} WHERE rowid IN (SELECT place FROM _removed)"))?;
    run(connection, "DROP TABLE _removed").map(drop)
}

fn insert(connection: &Connection, request: &LoadRequest) -> Result<()> {
    for pages in request.package.pages.chunks(LOAD_PAGES_PER_STATEMENT) {
        // The cast to JSON only validates: the text stays the same, byte for byte.
        let mut sql = format!(
            "INSERT INTO _loading ({}) SELECT {} FROM {}",
            request.package.run.dataset.names(),
            request.package.run.dataset.checked_names(),
            read_parquet(pages, Extra::Nothing)?
        );
        if is_active(Mutant::LoadLeavesRowsOut) {
            sql.push_str(" WHERE system.main.hash(distinct_id) % 50 <> 7");
        } else if is_active(Mutant::LoadShiftsTimes) {
            sql = sql.replace("last_seen FROM", "last_seen + INTERVAL 1 HOUR FROM");
        }
        run(connection, &sql).map_err(|error| match is_malformed_json(&error) {
            true => malformed_page(connection, request.package.run.dataset, pages),
            false => name_unreadable(connection, pages, statement("read the staged pages", &error)),
        })?;
    }
    Ok(())
}

/// Returns the error for a page with text that DuckDB rejects as JSON, naming the page. Only valid JSON is staged, so
/// the page is damaged.
pub(super) fn malformed_page(connection: &Connection, dataset: &Dataset, pages: &[PathBuf]) -> Error {
    let culprit = read_parquet(pages, Extra::Place).ok().and_then(|rows| {
        let sql = format!(
            "SELECT parse_filename(filename), file_row_number FROM {rows} WHERE {} LIMIT 1",
            dataset.malformed()
        );
        connection.execute_batch("ROLLBACK").ok()?;
        connection.query_row(&sql, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))).ok()
    });
    let message = match culprit {
        Some((page, row)) => {
            format!("DuckDB cannot parse the properties in row {row} of the staged page `{page}` as JSON")
        }
        None => "DuckDB cannot parse some properties in the staged pages as JSON".to_owned(),
    };
    Error::new(ErrorKind::Storage, message)
}

/// Checks that every received record is a staged row or a reject.
pub(super) fn check_received(run: &RunRecord, staged: u64) -> Result<()> {
    if staged + run.counts.rejected == run.counts.received {
        return Ok(());
    }
    Err(Error::internal(format!(
        "the staged pages have {} and {}, which do not add up to the {} received",
        counted(staged, "row"),
        counted(run.counts.rejected, "reject"),
        counted(run.counts.received, "record")
    )))
}
