//! What was staged, against what the server announced, once profiles that came more than once are counted once.

use std::path::PathBuf;

use duckdb::Connection;

use super::{LoadRequest, Staged, number};
use crate::error::{Error, ErrorKind, Result};
use crate::overlap::Overlap;
use crate::row_sum::rows_of;
use crate::store::failure::statement;
use crate::store::table_name::TableName;
use crate::store::target::LoadKind;

/// What the server announced, for a run of which every page came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Announced {
    /// Profiles.
    pub(crate) total: u64,
    /// The fewest different ones that are accepted; records that cannot be rows count as different.
    pub(crate) at_least: u64,
    /// Whether a table is left as it was when fewer came, also if it is not replaced.
    pub(crate) is_strict: bool,
}

impl Announced {
    /// Returns a shortfall, or 0 if it is accepted.
    pub(super) fn lacks(self, shortfall: u64) -> u64 {
        if self.total.saturating_sub(shortfall) >= self.at_least { 0 } else { shortfall }
    }
}

/// Returns how many profiles others came more than once for; 0 if that is accepted.
///
/// The ids of a project are different ones, so repeated ones stand for others that did not come. It is not known that
/// `total` never counts an id twice, so they must be those of pages that overlap, or `old`, the table to be replaced, must
/// have more rows (`docs/decisions/0002`).
///
/// # Errors
/// `Incomplete`, with the details `shortfall` and `repeated`, if the table is to be replaced.
pub(super) fn check(
    connection: &Connection,
    request: &LoadRequest<'_>,
    staged: &Staged,
    old: Option<&TableName>,
) -> Result<u64> {
    let Some(announced) = request.announced else { return Ok(0) };
    let different = staged.kept.rows + request.run.rejected;
    if different >= announced.at_least {
        return Ok(0);
    }
    let mut repeated = overlap(request.pages)?;
    if request.run.received.saturating_sub(repeated) >= announced.at_least {
        let Some(old) = old else { return Ok(0) };
        let sql = format!("SELECT count(*) FROM {}", old.quoted());
        let rows = number(connection, &sql).map_err(|error| statement(&format!("count table `{old}`"), &error))?;
        if staged.kept.rows >= rows {
            return Ok(0);
        }
        repeated = staged.staged - staged.kept.rows;
    }
    let shortfall = announced.total - (request.run.received - repeated);
    let replaces = old.is_some() && request.kind == LoadKind::First;
    if !replaces && !announced.is_strict {
        return Ok(shortfall);
    }
    let table = old.unwrap_or(request.table);
    Err(Error::new(ErrorKind::Incomplete, format!("profiles came more than once, so `{table}` was left as it was"))
        .with_detail("table_name", table.as_str())
        .with_detail("shortfall", shortfall)
        .with_detail("repeated", repeated))
}

/// Reads the ids of all pages. It is done only when some came more than once.
fn overlap(pages: &[PathBuf]) -> Result<u64> {
    let mut overlap = Overlap::default();
    for page in pages {
        let batches: Vec<_> = rows_of(page)?.collect::<Result<_>>()?;
        overlap.page(batches.iter().flat_map(|rows| rows.iter().map(|row| row.distinct_id)));
    }
    Ok(overlap.repeated())
}
