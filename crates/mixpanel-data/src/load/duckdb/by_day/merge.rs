//! Merges staged slices into a table that already has rows.
//!
//! A run that completes a partial load adds only the slices that the table does not have yet, unless it replaces days:
//! then all of its slices are loaded again in place of those rows.

use duckdb::Connection;

use super::super::catalogs::Catalogs;
use super::super::digest;
use super::super::merge::recorded;
use super::super::metadata::{self, CatalogChange, Counts, Loaded, Origin};
use super::super::pages::check_received;
use super::super::request::LoadRequest;
use super::super::rows::{check, count_rows, steps_of, sum_of_table};
use super::existing::Existing;
use super::insert::{Gone, insert};
use super::keyed::is_keyed;
use super::replaced;
use super::slices::{StagedSlice, change_of_slices, covered_days};
use crate::error::{Error, Result};
use crate::load::package::{DayChange, LoadKind};
use crate::load::run_record::EventLoad;
use crate::row_sum::RowSum;
use crate::store::failure::statement;
use crate::store::label;
use crate::store::table_name::TableName;

/// Merges the staged slices into `table`.
///
/// # Errors
/// `Storage` if a slice cannot be read; `ConstraintViolated`; `Internal` if the table does not match the slices.
pub(in crate::load::duckdb) fn merge(
    connection: &Connection,
    request: &LoadRequest,
    table: TableName,
) -> Result<Loaded> {
    let fail = |error| statement(&format!("load into table `{}`", &request.options.table), &error);
    let run = &request.package.run;
    let load = run.events().ok_or_else(|| Error::internal("a load by days needs a query for events"))?;
    let slices = StagedSlice::look(&request.package.pages)?;
    let staged: u64 = slices.iter().map(|slice| slice.rows).sum();
    check_received(run, staged)?;
    let earlier = Earlier::of(connection, request, &table, load, &slices)?;
    let slices_now = earlier.without(&slices, request);
    let existing = Existing {
        table: table.quoted(),
        is_keyed: is_keyed(connection, &table)?,
        zone: load.query.timezone.clone(),
        steps: steps_of(connection, request, &table).map_err(fail)?,
    };
    let before = count_rows(connection, &table)?;
    let old = recorded(connection, &table, before).map_err(fail)?;
    let mut gone = Gone::default();
    let covered = covered_days(&slices, load);
    let replaced =
        replaced::remove(connection, run.dataset, &existing, load, &covered, &mut gone.removed).map_err(fail)?;
    let inserted = insert(connection, request, &slices_now, (&existing.table, Some(&existing)), &mut gone)?;
    let removed = replaced.plus(inserted.updated);
    let rows = before - removed.rows + inserted.added.rows;
    let found = RowSum { rows: count_rows(connection, &table)?, hashes: 0 };
    check(request, &format!("table `{table}`"), RowSum { rows, hashes: 0 }, found)?;
    let sum = match old {
        Some(old) => old.minus(removed).plus(inserted.added),
        None => sum_of_table(connection, run.dataset, &table, existing.steps).map_err(fail)?,
    };
    let rows = earlier.counts.rows + inserted.added.rows;
    let conflicting = earlier.counts.conflicting + inserted.conflicting;
    let counts = Counts { rows, duplicates: staged - rows, shortfall: 0, altered: earlier.counts.altered, conflicting };
    let days =
        DayChange { conflicting_duplicates: conflicting, replaced_rows: replaced.rows, ..change_of_slices(&slices) };
    let is_first = request.package.kind == LoadKind::First;
    Ok(Loaded {
        digest: digest::to_text(connection, sum).map_err(fail)?,
        origin: Origin::Changed,
        counts,
        updated: is_first.then_some(inserted.updated.rows),
        unchanged: is_first.then_some(inserted.unchanged),
        catalog: catalog_change(&slices_now, before, gone)?,
        steps: existing.steps,
        days: Some(days),
        table,
    })
}

fn catalog_change(slices: &[StagedSlice], rows_before: u64, gone: Gone) -> Result<CatalogChange> {
    let (staged, removed) = (gone.staged.finish(), gone.removed.finish());
    let added = StagedSlice::catalogs(slices)?.and_then(|catalogs| catalogs.minus(&staged?));
    Ok(match added.zip(removed) {
        Some((added, removed)) => CatalogChange::Rows { rows_before, added, removed },
        None => CatalogChange::Unknown,
    })
}

/// What earlier loads of the run put into the table.
struct Earlier {
    /// Whether the table keeps those rows.
    is_kept: bool,
    counts: Counts,
}

impl Earlier {
    const NOTHING: Self =
        Self { is_kept: false, counts: Counts { rows: 0, duplicates: 0, shortfall: 0, altered: 0, conflicting: 0 } };

    fn of(
        connection: &Connection,
        request: &LoadRequest,
        table: &TableName,
        load: &EventLoad,
        slices: &[StagedSlice],
    ) -> Result<Self> {
        if request.package.kind == LoadKind::First || load.replaced_days.is_some() {
            return Ok(Self::NOTHING);
        }
        let Some(counts) = metadata::last_counts(connection, table, &request.package.run.run_id)? else {
            return Ok(Self::NOTHING);
        };
        let is_previous = |slice: &&StagedSlice| request.package.previous.contains(&slice.path);
        let rows: u64 = slices.iter().filter(is_previous).map(|slice| slice.rows).sum();
        if counts.rows + counts.duplicates != rows {
            return Ok(Self::NOTHING);
        }
        // Rows that others have removed since are not those of the run any more.
        let label = label::of_table(connection, table);
        let recorded = label.filter(|label| label.run_id.as_ref() == Some(&request.package.run.run_id));
        let recorded = recorded.and_then(|label| label.row_count).unwrap_or(0);
        let altered = recorded.saturating_sub(count_rows(connection, table)?).min(counts.rows);
        Ok(Self { is_kept: true, counts: Counts { rows: counts.rows - altered, altered, ..counts } })
    }

    /// Returns the slices that the table does not have yet.
    fn without(&self, slices: &[StagedSlice], request: &LoadRequest) -> Vec<StagedSlice> {
        let is_new = |slice: &&StagedSlice| !self.is_kept || !request.package.previous.contains(&slice.path);
        slices.iter().filter(is_new).cloned().collect()
    }
}

/// Returns the catalogs of the rows that a new table gets.
///
/// # Errors
/// `Storage`, with the slice that cannot be read.
pub(in crate::load::duckdb) fn catalogs_of(slices: &[StagedSlice], gone: Gone) -> Result<Option<Catalogs>> {
    let left_out = gone.staged.finish();
    Ok(StagedSlice::catalogs(slices)?.and_then(|catalogs| catalogs.minus(&left_out?)))
}
