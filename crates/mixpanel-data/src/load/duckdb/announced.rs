//! Compares the staged profiles with the total that the server announced, counting repeated profiles once.

use std::path::PathBuf;

use duckdb::Connection;

use super::request::LoadRequest;
use super::rows::{StagedRows, count_rows};
use crate::dataset::Dataset;
use crate::error::{Error, ErrorKind, Result};
use crate::load::package::{Announced, LoadKind};
use crate::overlap::Overlap;
use crate::row_sum::hashes_of_file;
use crate::store::table_name::TableName;
use crate::text::counted;

/// Returns the shortfall: the number of profiles that are missing because others were sent more than once; 0 if it is
/// accepted. Rejected records count as distinct profiles.
///
/// Ids are unique within a project, so a repeated id takes the place of a profile that was not sent. `total` may count
/// an id twice, so repeated ids only count if their pages overlap, or if `old`, the table that is replaced, has more
/// rows (`docs/decisions/0002`).
///
/// # Errors
/// `Incomplete`, with the detail `shortfall`, if the load replaces the table or `is_strict` is set; also if the server
/// announced no total and the table has more rows than were received.
pub(super) fn check(
    connection: &Connection,
    request: &LoadRequest,
    staged: &StagedRows,
    old: Option<&TableName>,
) -> Result<u64> {
    let Some(announced) = request.package.announced else { return Ok(0) };
    let replaced = old.filter(|_| request.package.kind == LoadKind::First);
    let Some(total) = announced.total else {
        return replaced.map_or(Ok(0), |old| check_unannounced(connection, request, announced, staged, old));
    };
    let received = request.package.run.counts.received;
    if announced.accepts(staged.kept.rows + request.package.run.counts.rejected, total) {
        return Ok(0);
    }
    let overlapping = overlap(request.package.run.dataset, &request.package.pages)?;
    if announced.accepts(received.saturating_sub(overlapping), total) {
        let shrinks = match replaced {
            Some(old) => staged.kept.rows < count_rows(connection, old)?,
            None => false,
        };
        if !shrinks {
            return Ok(0);
        }
    }
    // Once pages are known to overlap, every repeated profile counts.
    let shortfall = total.saturating_sub(staged.kept.rows + request.package.run.counts.rejected);
    if replaced.is_none() && !announced.is_strict {
        return Ok(shortfall);
    }
    let table = old.unwrap_or(&request.options.table);
    Err(incomplete(
        table,
        shortfall,
        format!("the server sent some profiles more than once, so table `{table}` was left unchanged"),
    ))
}

/// Compares the number of received records with the old table. Without a total, nothing else shows that the pages ended
/// too early.
fn check_unannounced(
    connection: &Connection,
    request: &LoadRequest,
    announced: Announced,
    staged: &StagedRows,
    old: &TableName,
) -> Result<u64> {
    let (rows, came) = (count_rows(connection, old)?, staged.kept.rows + request.package.run.counts.rejected);
    if announced.accepts(came, rows) || (staged.kept.rows == 0 && request.options.allow_empty) {
        return Ok(0);
    }
    let message = format!(
        "the server announced no total and sent {came}; table `{old}` has {}, so it was left unchanged",
        counted(rows, "row")
    );
    Err(incomplete(old, rows - came, message))
}

fn incomplete(table: &TableName, shortfall: u64, message: String) -> Error {
    Error::new(ErrorKind::Incomplete, message)
        .with_detail("table_name", table.as_str())
        .with_detail("shortfall", shortfall)
}

/// Counts the profiles repeated by overlapping pages. This is slow, because it reads the keys of all pages, and is
/// needed only when profiles were sent more than once.
fn overlap(dataset: &Dataset, pages: &[PathBuf]) -> Result<u64> {
    let mut overlap = Overlap::default();
    for page in pages {
        let keys: Vec<Vec<u64>> = hashes_of_file(page, dataset.key)?.collect::<Result<_>>()?;
        overlap.page(keys.into_iter().flatten());
    }
    Ok(overlap.repeated())
}
