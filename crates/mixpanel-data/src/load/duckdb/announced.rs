//! Compares what was staged with what the server announced, counting repeated profiles once.

use std::path::PathBuf;

use duckdb::Connection;

use super::load::LoadRequest;
use super::rows::{Staged, count_rows};
use super::target::LoadKind;
use crate::counted::counted;
use crate::dataset::Dataset;
use crate::drift::allowed_drift;
use crate::error::{Error, ErrorKind, Result};
use crate::overlap::Overlap;
use crate::row_sum::hashes_of_file;
use crate::store::table_name::TableName;

/// What the server announced, for a run whose pages all arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Announced {
    /// The number of profiles, if the server announced one.
    pub(crate) total: Option<u64>,
    /// The percentage of them that may be missing.
    pub(crate) allow_drift: f64,
    /// Whether a shortfall leaves the table unchanged even if the load does not replace it.
    pub(crate) is_strict: bool,
}

impl Announced {
    /// Returns whether `profiles` are enough when there should be `total`.
    fn accepts(self, profiles: u64, total: u64) -> bool {
        total.saturating_sub(profiles) <= allowed_drift(total, self.allow_drift)
    }

    /// Returns the shortfall, or 0 if it is accepted.
    pub(super) fn lacks(self, shortfall: u64) -> u64 {
        let total = self.total.unwrap_or(0);
        if self.accepts(total.saturating_sub(shortfall), total) { 0 } else { shortfall }
    }
}

/// Returns the shortfall: how many profiles are missing because others came more than once; 0 if that is accepted.
/// Rejected records count as different profiles.
///
/// The ids of a project are unique, so a repeated id stands in for a profile that did not come. It is not certain that
/// `total` never counts an id twice, so repeated ids only count if their pages overlap, or if `old`, the table to be
/// replaced, has more rows (`docs/decisions/0002`).
///
/// # Errors
/// `Incomplete`, with the detail `shortfall`, if the table is to be replaced; also if the server announced no total
/// and the table has more rows than arrived.
pub(super) fn check(
    connection: &Connection,
    request: &LoadRequest<'_>,
    staged: &Staged,
    old: Option<&TableName>,
) -> Result<u64> {
    let Some(announced) = request.announced else { return Ok(0) };
    let replaced = old.filter(|_| request.kind == LoadKind::First);
    let Some(total) = announced.total else {
        return replaced.map_or(Ok(0), |old| check_unannounced(connection, request, announced, staged, old));
    };
    let received = request.run.counts.received;
    if announced.accepts(staged.kept.rows + request.run.counts.rejected, total) {
        return Ok(0);
    }
    let mut repeated = overlap(request.run.dataset, request.pages)?;
    if announced.accepts(received.saturating_sub(repeated), total) {
        let shrinks = match replaced {
            Some(old) => staged.kept.rows < count_rows(connection, old)?,
            None => false,
        };
        if !shrinks {
            return Ok(0);
        }
        repeated = staged.staged - staged.kept.rows;
    }
    let shortfall = total - (received - repeated);
    if replaced.is_none() && !announced.is_strict {
        return Ok(shortfall);
    }
    let table = old.unwrap_or(request.table);
    Err(incomplete(table, shortfall, format!("profiles came more than once, so `{table}` was left as it was")))
}

/// Without a total, the pages may have ended too early. The only number to compare with is the rows of the old table.
fn check_unannounced(
    connection: &Connection,
    request: &LoadRequest<'_>,
    announced: Announced,
    staged: &Staged,
    old: &TableName,
) -> Result<u64> {
    let (rows, came) = (count_rows(connection, old)?, staged.kept.rows + request.run.counts.rejected);
    if announced.accepts(came, rows) || (staged.kept.rows == 0 && request.allow_empty) {
        return Ok(0);
    }
    let message = format!(
        "the server did not say how many profiles there are, and sent {came}; table `{old}` has {}, so it was left as it \
         was",
        counted(rows, "row")
    );
    Err(incomplete(old, rows - came, message))
}

fn incomplete(table: &TableName, shortfall: u64, message: String) -> Error {
    Error::new(ErrorKind::Incomplete, message)
        .with_detail("table_name", table.as_str())
        .with_detail("shortfall", shortfall)
}

/// Reads the keys of all pages. This is slow, and needed only when some profiles came more than once.
fn overlap(dataset: &Dataset, pages: &[PathBuf]) -> Result<u64> {
    let mut overlap = Overlap::default();
    for page in pages {
        let keys: Vec<Vec<u64>> = hashes_of_file(page, dataset.key)?.collect::<Result<_>>()?;
        overlap.page(keys.into_iter().flatten());
    }
    Ok(overlap.repeated())
}
