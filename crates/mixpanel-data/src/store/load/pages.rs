//! Reads the staged pages into `_loading`, one row of each id.

use std::fmt::Write as _;
use std::path::PathBuf;

use duckdb::Connection;

use super::{LoadRequest, Staged, number};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::LOAD_PAGES_PER_STATEMENT;
use crate::store::database::literal;
use crate::store::digest::{Tally, digest_of, row_hash};
use crate::store::failure::{is_malformed_json, statement};
use crate::store::run_record::RunRecord;

/// Finds the rows that another one of the same id is better than. Row numbers of a table that is being filled ascend in
/// the order of insertion.
pub(super) const FIND_DUPLICATES: &str = "
    SELECT rowid AS place FROM (
        SELECT rowid, row_number() OVER (PARTITION BY distinct_id ORDER BY last_seen DESC NULLS LAST, rowid) AS place
        FROM {table}
        WHERE distinct_id IN (SELECT distinct_id FROM {table} GROUP BY distinct_id HAVING count(*) > 1)
    ) WHERE place > 1";

/// What becomes of the table that the pages are read into.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum Loading {
    /// It gets the name of the table.
    Permanent,
    /// Its rows are copied. Outside the database, so that the file does not grow by twice their size.
    Temporary,
}

/// Makes the empty table that the pages are read into. It has no primary key: making one takes longer than all the
/// rest.
pub(in crate::store) fn create(connection: &Connection, loading: Loading) -> Result<()> {
    let kind = match loading {
        Loading::Permanent => "TABLE",
        Loading::Temporary => "TEMP TABLE",
    };
    connection
        .execute_batch(&format!("CREATE {kind} _loading (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)"))
        .map_err(|error| statement("make a table", &error))
}

/// Reads all pages, in order, and removes duplicates.
pub(super) fn read(connection: &Connection, tally: &Tally, request: &LoadRequest<'_>) -> Result<Staged> {
    let fail = |error| statement(&format!("load into table `{}`", request.table), &error);
    tally.take();
    let staged = insert(connection, request)?;
    check_received(&request.run, staged)?;
    let digest = tally.take();
    let count = |what| number(connection, &format!("SELECT count(DISTINCT {what}) FROM _loading")).map_err(fail);
    // As many hashes as rows mean as many ids, and take a fraction of the memory.
    let distinct = match count("hash(distinct_id)")? {
        hashes if hashes == staged => staged,
        _ => count("distinct_id")?,
    };
    if distinct == staged {
        return Ok(Staged { staged, distinct, digest });
    }
    let find = FIND_DUPLICATES.replace("{table}", "_loading");
    let remove = || {
        connection.execute_batch(&format!("CREATE TEMP TABLE _duplicates AS {find}"))?;
        let removed = digest_of(connection, "_loading AS r WHERE r.rowid IN (SELECT place FROM _duplicates)")?;
        connection.execute_batch(
            "DELETE FROM _loading WHERE rowid IN (SELECT place FROM _duplicates); DROP TABLE _duplicates",
        )?;
        Ok(digest.minus(removed))
    };
    Ok(Staged { staged, distinct, digest: remove().map_err(fail)? })
}

fn insert(connection: &Connection, request: &LoadRequest<'_>) -> Result<u64> {
    let mut staged = 0;
    for pages in request.pages.chunks(LOAD_PAGES_PER_STATEMENT) {
        let files = file_list(pages)?;
        // To JSON is a check, not a change: the text stays byte for byte. `tally` is always true.
        let sql = format!(
            "INSERT INTO _loading (distinct_id, properties, last_seen)
             SELECT distinct_id, properties::JSON, last_seen FROM read_parquet({files}) AS r WHERE tally({})",
            row_hash("r")
        );
        let rows = connection.execute(&sql, []).map_err(|error| match is_malformed_json(&error) {
            true => malformed_page(connection, &files),
            false => blame(connection, pages, statement("read the staged pages", &error)),
        })?;
        staged += rows as u64;
    }
    Ok(staged)
}

/// Returns the files as an SQL list of literals.
pub(in crate::store) fn file_list(pages: &[PathBuf]) -> Result<String> {
    let mut list = String::from("[");
    for page in pages {
        let absolute = std::path::absolute(page).map_err(|error| Error::io("find", page, error))?;
        let Some(text) = absolute.to_str() else {
            return Err(Error::invalid(format!("the path `{}` is not UTF-8", page.display())).with_path(page));
        };
        write!(list, "{},", literal(text)).expect("a string can be written to");
    }
    list.push(']');
    Ok(list)
}

/// Names the file that is to blame for a failure to read many: DuckDB does not always say which one is damaged. The
/// transaction is over then.
pub(in crate::store) fn blame(connection: &Connection, files: &[PathBuf], error: Error) -> Error {
    if error.kind() == ErrorKind::DiskFull || connection.execute_batch("ROLLBACK").is_err() {
        return error;
    }
    let unreadable = |file: &&PathBuf| {
        file_list(std::slice::from_ref(*file)).is_ok_and(|list| {
            // A hash needs every byte.
            let sql = format!("SELECT count(*) FROM (SELECT hash(r) AS h FROM read_parquet({list}) AS r) WHERE h = 0");
            number(connection, &sql).is_err()
        })
    };
    match files.iter().find(unreadable) {
        Some(file) => Error::new(ErrorKind::Storage, format!("the staged file `{}` cannot be read", file.display()))
            .with_path(file)
            .with_source(error),
        None => error,
    }
}

/// Names the page whose texts DuckDB does not take for JSON. Nothing else is staged, so the page is damaged.
fn malformed_page(connection: &Connection, files: &str) -> Error {
    let sql = format!(
        "SELECT parse_filename(filename), file_row_number
         FROM read_parquet({files}, filename = true, file_row_number = true) WHERE NOT json_valid(properties) LIMIT 1"
    );
    let culprit = connection
        .execute_batch("ROLLBACK")
        .and_then(|()| connection.query_row(&sql, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))));
    let message = match culprit {
        Ok((page, row)) => format!("the properties in row {row} of the staged page `{page}` are not JSON for DuckDB"),
        Err(_) => "some properties in the staged pages are not JSON for DuckDB".to_owned(),
    };
    Error::new(ErrorKind::Storage, message)
}

/// Every received record must be a staged row or a reject.
fn check_received(run: &RunRecord, staged: u64) -> Result<()> {
    if staged + run.rejected == run.received {
        return Ok(());
    }
    Err(Error::internal(format!(
        "the staged pages have {staged} rows, which with {} rejects are not the {} records received",
        run.rejected, run.received
    )))
}
