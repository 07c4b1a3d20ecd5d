//! Reads staged slices into a table, one batch of days after another.

use std::path::PathBuf;

use duckdb::Connection;

use super::super::catalogs::CatalogCollector;
use super::super::digest::sum_of;
use super::super::pages::malformed_page;
use super::super::request::LoadRequest;
use super::super::rows::{check, number, run};
use super::super::staged::sum_of_pages;
use super::super::tuning::Steps;
use super::super::unreadable::name_unreadable;
use super::batches::Batch;
use super::duplicates;
use super::existing::Existing;
use super::known;
use super::slices::StagedSlice;
use super::source::Source;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::event_query::Dedupe;
use crate::row_sum::RowSum;
use crate::store::failure::{is_malformed_json, statement};

/// What was read into a table.
#[derive(Debug, Default)]
pub(in crate::load::duckdb) struct Inserted {
    /// The sum of the rows in the staged slices.
    pub(in crate::load::duckdb) staged: RowSum,
    /// The sum of the rows that were added to the table.
    pub(in crate::load::duckdb) added: RowSum,
    /// The sum of the rows of the table that staged ones replaced.
    pub(in crate::load::duckdb) updated: RowSum,
    /// Staged rows that the table already has.
    pub(in crate::load::duckdb) unchanged: u64,
    /// Duplicates whose properties differ from those of the row that was kept.
    pub(in crate::load::duckdb) conflicting: u64,
}

/// The properties of rows that a load leaves out or removes.
#[derive(Debug, Default)]
pub(in crate::load::duckdb) struct Gone {
    /// Of staged rows that were left out.
    pub(in crate::load::duckdb) staged: CatalogCollector,
    /// Of rows that were in the table.
    pub(in crate::load::duckdb) removed: CatalogCollector,
}

/// Reads slices into a new table.
///
/// # Errors
/// `Storage` if a slice cannot be read.
pub(in crate::load::duckdb) fn fill(
    connection: &Connection,
    request: &LoadRequest,
    slices: &[StagedSlice],
    table: &str,
    gone: &mut Gone,
) -> Result<Inserted> {
    insert(connection, request, slices, (table, None), gone)
}

/// Reads slices into `table`. If it had rows, checks that those added are the ones received.
///
/// # Errors
/// `Storage` if a slice cannot be read; `Internal` if the rows in the table are not those of the slices.
pub(super) fn insert(
    connection: &Connection,
    request: &LoadRequest,
    slices: &[StagedSlice],
    (table, existing): (&str, Option<&Existing>),
    gone: &mut Gone,
) -> Result<Inserted> {
    let dataset = request.package.run.dataset;
    let fail = |error| statement(&format!("load into table `{}`", &request.options.table), &error);
    let paths: Vec<PathBuf> = slices.iter().map(|slice| slice.path.clone()).collect();
    let staged = sum_of_pages(dataset, &paths)?;
    let mut inserted = Inserted { staged, added: staged, ..Inserted::default() };
    let last: i64 = connection
        .query_row(&format!("SELECT coalesce(max(rowid), -1) FROM {table}"), [], |row| row.get(0))
        .map_err(fail)?;
    let dedupe = match request.package.run.events().map_or(Dedupe::Exact, |load| load.query.dedupe) {
        // The key allows no second row.
        Dedupe::None if existing.is_some_and(|existing| existing.is_keyed) => Dedupe::Exact,
        dedupe => dedupe,
    };
    for batch in Batch::all(slices) {
        let mut source = Source::new(dataset, slices, &batch, dedupe)?;
        let done = insert_batch(connection, &mut source, table, existing, gone, &mut inserted);
        done.map_err(|error| describe(connection, dataset, &source, &error))?;
    }
    // The caller reads all rows of a new table.
    if existing.is_some() {
        let steps = Steps::of_staged(&paths);
        let found = sum_of(connection, dataset, table, &format!("r.rowid > {last}"), steps).map_err(fail)?;
        check(request, &format!("what was added to table `{}`", &request.options.table), inserted.added, found)?;
    }
    Ok(inserted)
}

fn insert_batch(
    connection: &Connection,
    source: &mut Source<'_>,
    table: &str,
    existing: Option<&Existing>,
    gone: &mut Gone,
    inserted: &mut Inserted,
) -> Result<(), duckdb::Error> {
    duplicates::find(connection, source)?;
    if let Some(existing) = existing {
        let updated = known::resolve(connection, source, existing, &mut gone.removed)?;
        inserted.updated = inserted.updated.plus(updated);
    }
    if source.has_fates {
        inserted.note_fates(connection)?;
        collect_left_out(connection, source, &mut gone.staged)?;
    }
    let names = source.dataset.names();
    let sql = format!(
        "INSERT INTO {table} ({names}) SELECT {} FROM {} ORDER BY _day, event_time, _part, _row",
        source.dataset.checked_names(),
        source.stored()
    );
    run(connection, &sql)?;
    run(connection, "DROP TABLE _fates").map(drop)
}

impl Inserted {
    /// Accounts for the rows that are not stored as they were staged.
    fn note_fates(&mut self, connection: &Connection) -> Result<(), duckdb::Error> {
        let sum = |hash: &str, condition: &str| -> Result<RowSum, duckdb::Error> {
            super::super::digest::sum_hashes(connection, hash, &format!("_fates WHERE {condition}"))
        };
        let (gone, stored) = (sum("staged", "true")?, sum("stored", "fate = 'renamed'")?);
        self.added = self.added.minus(gone).plus(stored);
        self.unchanged += number(connection, "SELECT count(*) FROM _fates WHERE fate = 'known'")?;
        self.conflicting += number(connection, "SELECT count(*) FROM _fates WHERE conflicts")?;
        Ok(())
    }
}

/// Collects the properties of the staged rows that are not stored.
fn collect_left_out(
    connection: &Connection,
    source: &Source<'_>,
    collector: &mut CatalogCollector,
) -> Result<(), duckdb::Error> {
    let rows = format!(
        "{} JOIN _fates AS d ON d._part = b._part AND d._row = b._row WHERE d.fate <> 'renamed'",
        source.staged()
    );
    collector.add_rows(connection, "b", source.dataset, &rows)
}

/// Returns the error for a batch that could not be loaded, with the slice that is to blame, if one is.
fn describe(connection: &Connection, dataset: &Dataset, source: &Source<'_>, error: &duckdb::Error) -> Error {
    let paths: Vec<PathBuf> = source.slices.iter().map(|slice| slice.path.clone()).collect();
    match is_malformed_json(error) {
        true => malformed_page(connection, dataset, &paths),
        false => name_unreadable(connection, &paths, statement("read the staged slices", error)),
    }
}
