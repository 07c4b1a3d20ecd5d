//! Checks whether a table is unchanged since its last load.

#[cfg(test)]
mod tests;

use std::path::Path;

use duckdb::Connection;

use super::by_day;
use super::digest::{self, sum_of};
use super::tuning::Steps;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::event_query::{Dedupe, EventQuery};
use crate::limits::IDENTITIES_AT_ONCE;
use crate::store::access::Access;
use crate::store::catalog::existing;
use crate::store::database::Database;
use crate::store::failure::statement;
use crate::store::label::{self, Label};
use crate::store::schema::column_names;
use crate::store::table_name::{TableName, name_excerpt};
use crate::text::counted;
use crate::types::VerifyReport;

/// Compares the row count and the digest of a table with those recorded by its last load. Reads every byte.
///
/// # Errors
/// `TableNotFound`; `InvalidInput` for a table that no load recorded, that holds another kind of data, or that lacks a
/// column; `DatabaseNotFound`, `DatabaseLocked`, `DatabaseUnusable`, `Storage`.
pub(crate) fn verify(path: &Path, table: &str) -> Result<VerifyReport> {
    let database = Database::open(path, Access::ReadOnly)?;
    let connection = database.connection();
    let table = existing(connection, table)?;
    let refuse = |reason: String| {
        Err(Error::invalid(format!("table `{table}` cannot be verified: {reason}"))
            .with_detail("table_name", table.as_str()))
    };
    let Some(label) = label::of_table(connection, &table) else {
        return refuse("`_metadata` has no record of a load into it".to_owned());
    };
    let Some(dataset) = Dataset::of_kind(&label.kind) else {
        return refuse(format!("it holds {}, which this version does not support", name_excerpt(&label.kind)));
    };
    let columns = column_names(connection, &table)?;
    if let Some(missing) = dataset.columns.iter().find(|column| !columns.contains(column.name)) {
        return refuse(format!("it has no column `{}`", missing.name));
    }
    let may_repeat = keeps_duplicates(connection, dataset, &table)?;
    let found = TableContents::read(connection, dataset, path, &table, may_repeat)
        .map_err(|error| statement(&format!("read table `{table}`"), &error))?;
    let problems = problems(&found, &label, dataset);
    Ok(VerifyReport {
        table: table.as_str().to_owned(),
        rows: found.rows,
        expected_rows: label.row_count,
        distinct_ids: found.distinct_ids,
        is_events: dataset.is_by_day(),
        digest: found.digest,
        expected_digest: label.digest,
        run_id: label.run_id,
        fetched_at: label.fetched_at.map(|at| at.to_string()),
        partial: label.partial,
        problems,
    })
}

/// The contents of the table.
struct TableContents {
    rows: u64,
    ids: u64,
    distinct_ids: u64,
    digest: String,
    /// Whether the recorded digest can be compared with this one.
    comparable: bool,
    /// Whether rows with the same identity were kept on purpose.
    may_repeat: bool,
}

impl TableContents {
    fn read(
        connection: &Connection,
        dataset: &Dataset,
        database: &Path,
        table: &TableName,
        may_repeat: bool,
    ) -> Result<Self, duckdb::Error> {
        let quoted = table.quoted();
        let (rows, ids, distinct_ids) = match dataset.is_by_day() {
            true => count_identities(connection, dataset, &quoted)?,
            false => {
                let key = dataset.key(None);
                let counts = format!("SELECT count(*), count({key}), count(DISTINCT {key}) FROM {quoted}");
                connection.query_row(&counts, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            }
        };
        let sum = sum_of(connection, dataset, &quoted, "true", Steps::of_table(database, rows))?;
        let digest = digest::to_text(connection, sum)?;
        let recorded = label::of_table(connection, table).and_then(|label| label.digest);
        let comparable = match recorded {
            Some(text) => digest::read(connection, &text, rows)?.is_some(),
            None => false,
        };
        Ok(Self { rows, ids, distinct_ids, digest, comparable, may_repeat })
    }
}

/// Returns whether a load into the table, since it was created, kept all rows with one identity (`--dedupe none`).
fn keeps_duplicates(connection: &Connection, dataset: &Dataset, table: &TableName) -> Result<bool> {
    let is_kept = |query: &EventQuery| query.dedupe == Dedupe::None;
    Ok(dataset.is_by_day() && by_day::recorded_queries(connection, table)?.iter().any(is_kept))
}

/// Counts the rows and their different identities, as hashes, and only some of them at a time: a table of events can have
/// more of them than fit into memory.
fn count_identities(connection: &Connection, dataset: &Dataset, table: &str) -> Result<(u64, u64, u64), duckdb::Error> {
    let rows: u64 = connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
    let hash = format!("system.main.hash({})", dataset.key_names());
    let parts = rows.div_ceil(IDENTITIES_AT_ONCE).max(1);
    let mut distinct = 0;
    for part in 0..parts {
        let sql = format!("SELECT count(DISTINCT {hash}) FROM {table} WHERE {hash} % {parts} = {part}");
        distinct += connection.query_row(&sql, [], |row| row.get::<_, u64>(0))?;
    }
    let is_missing: Vec<String> = dataset.key.iter().map(|name| format!("{name} IS NULL")).collect();
    let sql = format!("SELECT count(*) FROM {table} WHERE {}", is_missing.join(" OR "));
    let missing: u64 = connection.query_row(&sql, [], |row| row.get(0))?;
    Ok((rows, rows - missing, distinct))
}

fn problems(found: &TableContents, label: &Label, dataset: &Dataset) -> Vec<String> {
    let is_events = dataset.is_by_day();
    let mut problems = Vec::new();
    match label.row_count {
        Some(expected) if expected != found.rows => {
            problems.push(format!("it has {}, and had {expected} after the last load", counted(found.rows, "row")));
        }
        Some(_) => {}
        None => problems.push("no row count is recorded, so the rows cannot be compared".to_owned()),
    }
    if found.ids < found.rows {
        problems.push(rows(found.rows - found.ids, if is_events { "no name, time or id" } else { "no id" }));
    }
    if found.distinct_ids < found.ids && !found.may_repeat {
        problems
            .push(rows(found.ids - found.distinct_ids, if is_events { "a duplicate event" } else { "a duplicate id" }));
    }
    match &label.digest {
        None => problems.push("no digest is recorded, so the contents cannot be compared".to_owned()),
        Some(_) if !found.comparable => {
            problems.push("the digest was recorded by another version, so the contents cannot be compared".to_owned());
        }
        Some(expected) if *expected != found.digest => {
            problems.push("the contents were changed by something other than a load: the digests differ".to_owned());
        }
        Some(_) => {}
    }
    problems
}

fn rows(count: u64, what: &str) -> String {
    let have = if count == 1 { "row has" } else { "rows have" };
    format!("{count} {have} {what}")
}
