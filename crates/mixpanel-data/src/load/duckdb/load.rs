//! Loads a finished stage into the table, in one transaction.
//!
//! Until the commit, every reader sees the old table. The staged pages are never changed.
//!
//! **Duplicates of profiles.** Of several rows with the same id, the one with the latest `last_seen` is kept (a missing one counts
//! as earliest); ties go to the lowest page, then to the first row in the page. The kept row stays in place. The table
//! therefore depends only on the contents of the pages.
//!
//! **Duplicates of events.** Of several rows with the same identity, the one ingested last is kept, and among equals the last
//! in the stage. The rows of a load are ordered by day and time.
//!
//! **Verification.** The stage contains a sum of the rows, computed when they were received. Before the commit, it is
//! compared with the sum of the rows that DuckDB returns, and the load fails if they differ.
//!
//! `pages` reads the staged pages; `merge` merges them into a table that already has rows; `by_day` does both for events;
//! `settle` checks the file after the commit.

#[cfg(test)]
mod complete_tests;
#[cfg(test)]
mod full_disk_tests;
#[cfg(test)]
mod kill_tests;
#[cfg(test)]
mod large_rows_tests;
#[cfg(test)]
pub(super) mod mutants_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod upsert_tests;
#[cfg(test)]
mod way_in_tests;

use std::path::Path;

use duckdb::Connection;
use rustix::io::Errno;

use super::announced;
use super::by_day::{self, EarlierDays, Gone, StagedSlice};
use super::digest;
use super::engines::{commit_and_start_engine, start_engine};
use super::merge;
use super::metadata::{self, CatalogChange, Counts, Loaded, Origin};
use super::pages::{self, LOADING};
use super::properties;
use super::rejects::{self, OtherRunsRejects};
use super::request::{LoadRequest, OnLockWait};
use super::rows::{StagedRows, check, count_rows, rows_now, steps_of, sum_of_table};
use super::settle;
use super::spill::Spill;
use super::staged::catalog_of_pages;
use super::target;
use super::tuning::{Steps, for_load, memory_needed};
use crate::durable::Trust;
use crate::error::{Error, ErrorKind, Result};
use crate::kill_point::kill_point;
use crate::limits::VECTOR_ROWS;
use crate::load::package::{DayChange, LoadKind, LoadReport, TableChange};
use crate::profile_query::{IfExists, MissingPages};
use crate::row_sum::RowSum;
use crate::store::Engine;
use crate::store::access::Access;
use crate::store::database::{CommitError, Database};
use crate::store::failure::statement;
use crate::store::label;
use crate::store::macros::ensure_macros;
use crate::store::schema::{Target, rename};
use crate::store::settings::{Effort, Tuning};
use crate::store::table_name::TableName;
use crate::text::counted;

/// Loads a stage. Returns the report of the run and how this load changed the table. Repeating a load does nothing and
/// returns the same report.
///
/// While another process has the database open, `on_lock_wait` is called before each retry. `engine` is one that
/// [`start_in_advance`](super::engines::start_in_advance) has started; without one, the load starts its own.
///
/// # Errors
/// Nothing is committed, unless the detail `outcome` says otherwise: `DatabaseLocked` after the wait;
/// `DatabaseUnusable`; `TableExists`, `InvalidInput`, `TableChanged` if the table has changed since
/// [`preflight`](fn@super::preflight::preflight); `Incomplete` if pages or profiles are missing from a replacement;
/// `DiskFull`; `OutOfMemory`, with a sufficient amount in the detail `memory_needed`; `Storage` if a page cannot be
/// read; `Cancelled` or any of these if it was stopped; `Internal` if the pages do not match the counts of the run, or
/// the table does not match the pages. The detail `outcome` is `unknown` if the result of the commit cannot be
/// determined, and `committed` if the rows are in the file but may not be on disk; in both cases, it is safe to repeat
/// the load.
pub(crate) fn load(
    request: &LoadRequest,
    mut engine: Option<Engine>,
    on_lock_wait: &mut OnLockWait<'_>,
) -> Result<(LoadReport, TableChange)> {
    let stage_directory = std::path::absolute(&request.package.directory)
        .map_err(|error| Error::io("find the stage", &request.package.directory, error))?;
    let _spill = Spill::create(&stage_directory)?;
    let mut effort = Effort::Usual;
    loop {
        let package = &request.package;
        let (memory, staged) = (request.options.memory, (&*package.pages, &*package.rejects));
        let tuning = for_load(package.run.dataset, request.makes_table(), memory, staged, effort);
        let engine = engine.take().map_or_else(start_engine, Ok)?;
        let error = match attempt(request, engine, &stage_directory, tuning, on_lock_wait) {
            Ok((Counts { rows, duplicates, shortfall, altered, .. }, change)) => {
                // An earlier process may have loaded the same pages, and this one may accept a larger shortfall.
                let shortfall = request.package.announced.map_or(0, |announced| announced.lacks(shortfall));
                return Ok((LoadReport { rows, duplicates, shortfall, altered }, change));
            }
            Err(error) if error.kind() == ErrorKind::OutOfMemory && error.detail("outcome").is_none() => error,
            Err(error) => return Err(error),
        };
        match tuning.effort.next() {
            Some(next) => effort = next,
            // The memory that the load may use is more than the process can get.
            None if error.os_error() == Some(Errno::NOMEM.raw_os_error()) => return Err(error),
            None => return Err(out_of_memory(request, error)),
        }
        tracing::warn!("{error}; retrying the load in smaller steps");
    }
}

/// Returns the out-of-memory error, with an amount of memory that suffices.
fn out_of_memory(request: &LoadRequest, error: Error) -> Error {
    const MB: u64 = 1_000_000;
    let more = request.options.memory.saturating_add(100 * MB);
    let needed = memory_needed(&request.package.pages, &request.package.rejects).max(more).div_ceil(100 * MB) * 100;
    let message = format!(
        "the load into table `{}` needs more than {} MB of memory: DuckDB processes {VECTOR_ROWS} rows at a time, and \
         these are large",
        &request.options.table,
        request.options.memory / MB
    );
    Error::new(ErrorKind::OutOfMemory, message).with_detail("memory_needed", format!("{needed}MB")).with_source(error)
}

/// Attempts the load with these settings. On an error, nothing is committed, unless the detail `outcome` says
/// otherwise.
fn attempt(
    request: &LoadRequest,
    engine: Engine,
    stage_directory: &Path,
    tuning: Tuning,
    on_lock_wait: &mut OnLockWait<'_>,
) -> Result<(Counts, TableChange)> {
    request.options.seen.as_ref().map_or(Ok(()), |seen| seen.check_file(request))?;
    let access = Access::Load { stage_directory, tuning };
    let lock_wait = request.options.lock_wait;
    let database = Database::open_waiting(Some(engine), &request.database, access, lock_wait, on_lock_wait)?;
    if let Some(counts) = metadata::find_load(database.connection(), &request.package.run.load_id)? {
        let table_rows = rows_now(database.connection(), &request.options.table)?;
        let days = earlier_change(database.connection(), request)?;
        // The process that committed it may have exited before it synced the file.
        database.close_durably(Trust::Disk)?;
        settle::check_contents(request)?;
        return Ok((counts, TableChange { table_rows, days, ..TableChange::default() }));
    }
    let connection = database.connection();
    let fail = |error| statement("begin the load", &error);
    request.options.stop.begin(connection)?;
    kill_point("load-begin");
    connection.execute_batch("BEGIN").map_err(fail)?;
    // After an error, closing the database rolls back.
    let (counts, change) = fill(connection, request)?;
    kill_point("load-filled");
    request.options.stop.begin_commit()?;
    let (committed, engine) = commit_and_start_engine(database);
    match committed {
        Ok(()) => {}
        Err(CommitError::NotBegun(error)) => return Err(error),
        // Only the file shows whether the commit succeeded.
        Err(CommitError::Unknown(error)) => {
            return settle::settle(request, &error, on_lock_wait).map(|counts| (counts, change));
        }
        Err(CommitError::NotOnDisk { committed: Ok(()), error }) => {
            return Err(error.with_detail("outcome", "committed"));
        }
        Err(CommitError::NotOnDisk { committed: Err(committed), error }) => {
            let error = error.with_source(statement("commit the load", &committed));
            return Err(error.with_detail("outcome", "unknown"));
        }
    }
    // An error from here on does not undo the commit.
    settle::recount(request, engine, change.table_rows).map_err(|error| error.with_detail("outcome", "committed"))?;
    Ok((counts, change))
}

/// Runs everything between `BEGIN` and `COMMIT`.
fn fill(connection: &Connection, request: &LoadRequest) -> Result<(Counts, TableChange)> {
    let views =
        request.options.seen.as_ref().map(|seen| seen.check(connection, request)).transpose()?.unwrap_or_default();
    metadata::ensure(connection)?;
    ensure_macros(connection)?;
    let is_by_day = request.package.run.dataset.is_by_day();
    let mut loaded = match choose_action(connection, request)? {
        TableAction::Make => make(connection, request, None)?,
        TableAction::Replace(old) => make(connection, request, Some(old))?,
        TableAction::Merge(table) if is_by_day => by_day::merge(connection, request, table)?,
        TableAction::Merge(table) => merge::merge(connection, request, table)?,
    };
    request.options.seen.as_ref().map_or(Ok(()), |seen| seen.check_views(connection, &views, request))?;
    let earlier = if loaded.origin == Origin::Made { OtherRunsRejects::Remove } else { OtherRunsRejects::Keep };
    let mut run = request.package.run.clone();
    run.counts.shortfall += loaded.counts.shortfall;
    rejects::record(connection, &loaded.table, &run, &request.package.rejects, earlier)?;
    // Before `_metadata`, whose number of rows still is that of the last load.
    properties::record(connection, &loaded, &run)?;
    let table_rows = metadata::record(connection, &loaded, request.options.if_exists, &run)?;
    if let Some(days) = &mut loaded.days {
        let slices = StagedSlice::look(&request.package.pages)?;
        let earlier = if loaded.origin == Origin::Made { EarlierDays::Remove } else { EarlierDays::Keep };
        days.open_days = by_day::record(connection, &loaded.table, &run, &slices, earlier)?;
    }
    let change = TableChange { table_rows, updated: loaded.updated, unchanged: loaded.unchanged, days: loaded.days };
    Ok((loaded.counts, change))
}

/// What the load does to the table. Names are as the database spells them.
enum TableAction {
    /// Create it; it does not exist.
    Make,
    /// Replace it.
    Replace(TableName),
    /// Keep its rows, where possible, and add to them.
    Merge(TableName),
}

fn choose_action(connection: &Connection, request: &LoadRequest) -> Result<TableAction> {
    let kind = request.package.kind;
    let found = match target::check(
        connection,
        request.package.run.dataset,
        &request.options.table,
        request.options.if_exists,
        kind,
    )? {
        Target::Absent | Target::View(_) => return Ok(TableAction::Make),
        Target::Table(found) => found,
    };
    let replaces = request.options.if_exists == IfExists::Replace;
    match kind {
        LoadKind::First
            if replaces && request.package.run.is_partial() && request.options.missing == MissingPages::Fetch =>
        {
            Err(table_appeared(&found))
        }
        LoadKind::First if replaces => {
            check_not_emptied(connection, request, &found)?;
            Ok(TableAction::Replace(found))
        }
        LoadKind::First => Ok(TableAction::Merge(found)),
        LoadKind::Completing => complete(connection, request, found),
    }
}

/// Plans to replace a table that is unchanged since an earlier load of the run created it, and to merge into any other.
fn complete(connection: &Connection, request: &LoadRequest, table: TableName) -> Result<TableAction> {
    let run_id = &request.package.run.run_id;
    let maker = metadata::maker(connection, &table)?;
    let made_here = maker.as_ref() == Some(run_id);
    let label = label::of_table(connection, &table);
    let last_load = label.as_ref().and_then(|label| label.run_id.as_ref());
    if made_here && last_load == Some(run_id) && target::is_bare(connection, request.package.run.dataset, &table)? {
        let recorded = label.as_ref().and_then(|label| label.digest.as_deref());
        if recorded.is_some() && recorded == Some(digest_text(connection, request, &table)?.as_str()) {
            return Ok(TableAction::Replace(table));
        }
    }
    let into_any = matches!(request.options.if_exists, IfExists::Append | IfExists::Upsert);
    match maker {
        Some(maker) if !made_here && !into_any => Err(target::recreated_by_another_run(&table, &maker)),
        _ => Ok(TableAction::Merge(table)),
    }
}

fn digest_text(connection: &Connection, request: &LoadRequest, table: &TableName) -> Result<String> {
    steps_of(connection, request, table)
        .and_then(|steps| sum_of_table(connection, request.package.run.dataset, table, steps))
        .and_then(|sum| digest::to_text(connection, sum))
        .map_err(|error| statement(&format!("read table `{table}`"), &error))
}

/// Checks that an empty result, which is usually a mistake, replaces no rows unless the caller allows it.
fn check_not_emptied(connection: &Connection, request: &LoadRequest, table: &TableName) -> Result<()> {
    if request.options.allow_empty || request.package.run.counts.received > request.package.run.counts.rejected {
        return Ok(());
    }
    let rows = count_rows(connection, table)?;
    if rows == 0 {
        return Ok(());
    }
    let brought = match request.package.run.counts.rejected {
        0 => "the fetch returned none".to_owned(),
        rejected => format!("the fetch returned only rejects ({})", counted(rejected, "record")),
    };
    let message = format!("table `{table}` has {} and {brought}, so it was left unchanged", counted(rows, "row"));
    Err(Error::new(ErrorKind::Incomplete, message)
        .with_detail("table_name", table.as_str())
        .with_detail("emptied_rows", rows))
}

fn table_appeared(table: &TableName) -> Error {
    let message =
        format!("pages are missing, and table `{table}` was created after the fetch began, so it was left unchanged");
    Error::new(ErrorKind::Incomplete, message).with_detail("table_name", table.as_str())
}

/// Creates the table from the staged pages, replacing `old` if given.
fn make(connection: &Connection, request: &LoadRequest, old: Option<TableName>) -> Result<Loaded> {
    let fail = |error| statement(&format!("load into table `{}`", &request.options.table), &error);
    pages::create(connection, request.package.run.dataset, pages::LoadingTable::Permanent)?;
    let Read { kept, steps, catalog, counts, days } = match request.package.run.dataset.is_by_day() {
        true => read_days(connection, request)?,
        false => read_pages(connection, request, old.as_ref())?,
    };
    let loading = TableName::listed(LOADING);
    let table = match old {
        Some(old) => {
            target::replace(connection, request.package.run.dataset, &old, &loading)?;
            old
        }
        None => {
            // Entries of a dropped table must not be mistaken for those of this one.
            label::forget(connection, &request.options.table)?;
            rename(connection, &loading, &request.options.table).map_err(fail)?;
            request.options.table.clone()
        }
    };
    let found = sum_of_table(connection, request.package.run.dataset, &table, steps).map_err(fail)?;
    check(request, &format!("table `{table}`"), kept, found)?;
    let digest = digest::to_text(connection, kept).map_err(fail)?;
    let (updated, unchanged) = (Some(0), Some(0));
    Ok(Loaded { table, origin: Origin::Made, counts, updated, unchanged, digest, catalog, steps, days })
}

/// What was read into the new table.
struct Read {
    kept: RowSum,
    steps: Steps,
    catalog: CatalogChange,
    counts: Counts,
    days: Option<DayChange>,
}

fn read_pages(connection: &Connection, request: &LoadRequest, old: Option<&TableName>) -> Result<Read> {
    let staged = pages::read(connection, request)?;
    let shortfall = announced::check(connection, request, &staged, old)?;
    let StagedRows { staged, kept, steps, duplicates } = staged;
    let catalog = catalog_of_pages(&request.package.pages)?.and_then(|catalog| catalog.minus(&duplicates));
    let catalog = catalog.map_or(CatalogChange::Unknown, |catalog| CatalogChange::Whole(catalog.into()));
    let counts = Counts { rows: kept.rows, duplicates: staged - kept.rows, shortfall, altered: 0, conflicting: 0 };
    Ok(Read { kept, steps, catalog, counts, days: None })
}

fn read_days(connection: &Connection, request: &LoadRequest) -> Result<Read> {
    let slices = StagedSlice::look(&request.package.pages)?;
    let mut gone = Gone::default();
    let inserted = by_day::fill(connection, request, &slices, LOADING, &mut gone)?;
    pages::check_received(&request.package.run, inserted.staged.rows)?;
    let (rows, conflicting) = (inserted.added.rows, inserted.conflicting);
    let duplicates = inserted.staged.rows - rows;
    let catalog = by_day::catalogs_of(&slices, gone)?.map_or(CatalogChange::Unknown, CatalogChange::Whole);
    let days = DayChange { conflicting_duplicates: conflicting, ..by_day::change_of_slices(&slices) };
    Ok(Read {
        kept: inserted.added,
        steps: Steps::of_staged(&request.package.pages),
        catalog,
        counts: Counts { rows, duplicates, shortfall: 0, altered: 0, conflicting },
        days: Some(days),
    })
}

/// Returns what the process that committed this load reported about its days.
fn earlier_change(connection: &Connection, request: &LoadRequest) -> Result<Option<DayChange>> {
    if !request.package.run.dataset.is_by_day() {
        return Ok(None);
    }
    let slices = StagedSlice::look(&request.package.pages)?;
    by_day::change_of(connection, &request.options.table, &request.package.run, &slices)
}
