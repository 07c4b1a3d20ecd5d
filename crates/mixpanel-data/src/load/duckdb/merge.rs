//! Merges the staged rows into a table that already has rows.
//!
//! **Appending** adds the rows whose ids are not in the table. **Upserting** also replaces the table's rows with the
//! same ids, except those with a later `last_seen`, so that no row becomes older. A fetched row without a time is the
//! server's current state and replaces any row; within a fetch, however, a row with a time takes precedence over one
//! without.
//!
//! **Completing** a run whose `previous` pages are in the table compares contents, because the table may have changed
//! since. The run's rows are recognized by their hashes. Rows whose ids are not in `previous` are appended or upserted.
//! A row that differs from the one in the earlier load replaces it, unless that one was changed or removed since.

use duckdb::Connection;

use super::announced;
use super::catalogs::CatalogCollector;
use super::digest::{self, sum_hashes, sum_of};
use super::metadata::{self, CatalogChange, Counts, Loaded, Origin};
use super::pages::{self, LoadingTable};
use super::request::LoadRequest;
use super::rows::{StagedRows, check, count_rows, number, run, steps_of, sum_of_table};
use super::staged::{self, Extra, read_parquet, sum_of_pages};
use super::tuning::Steps;
use super::unreadable::name_unreadable;
use crate::dataset::Dataset;
use crate::error::Result;
use crate::limits::LOAD_PAGES_PER_STATEMENT;
use crate::load::package::LoadKind;
use crate::profile_query::IfExists;
use crate::row_sum::RowSum;
use crate::store::failure::statement;
use crate::store::label;
use crate::store::table_name::TableName;

/// Merges the staged pages into `table`.
pub(super) fn merge(connection: &Connection, request: &LoadRequest, table: TableName) -> Result<Loaded> {
    let fail = |error| statement(&format!("load into table `{}`", &request.options.table), &error);
    let count = || count_rows(connection, &table);
    let dataset = request.package.run.dataset;
    pages::create(connection, dataset, LoadingTable::Temporary)?;
    let staged = pages::read(connection, request)?;
    let shortfall = announced::check(connection, request, &staged, None)?;
    let StagedRows { staged, kept, steps, .. } = staged;
    let (earlier, kept) = match request.package.kind {
        LoadKind::First => (EarlierLoads::NONE, kept),
        LoadKind::Completing => {
            let (earlier, set_aside) = complete(connection, request, &table, steps)?;
            (earlier, kept.minus(set_aside))
        }
    };
    let known = pages::remove(connection, dataset, "_loading", &find_known(&table, request), steps).map_err(fail)?;
    let (before, added) = (count()?, kept.minus(known));
    let found = sum_of(connection, dataset, "_loading", "true", steps).map_err(fail)?;
    check(request, "what is to be added to the table", added, found)?;
    let steps = steps.and(steps_of(connection, request, &table).map_err(fail)?);
    let old = recorded(connection, &table, before).map_err(fail)?;
    let replaces = request.options.if_exists == IfExists::Upsert || request.package.kind == LoadKind::Completing;
    let find = format!("SELECT rowid AS place FROM {} WHERE {}", table.quoted(), dataset.key_is_in(None, "_loading"));
    let (mut removed_properties, mut added_properties) = (CatalogCollector::default(), CatalogCollector::default());
    let removed = match replaces {
        true => {
            let (quoted, collector) = (table.quoted(), &mut removed_properties);
            pages::collect_and_remove(connection, dataset, &quoted, &find, steps, collector).map_err(fail)?
        }
        false => RowSum::default(),
    };
    added_properties.add_matching(connection, dataset, "_loading", "true", steps).map_err(fail)?;
    add(connection, dataset, &table, steps).map_err(fail)?;
    let found =
        sum_of(connection, dataset, &table.quoted(), &dataset.key_is_in(Some("r"), "_loading"), steps).map_err(fail)?;
    check(request, &format!("what was added to table `{table}`"), added, found)?;
    let after = RowSum { rows: before - removed.rows + added.rows, hashes: 0 };
    check(request, &format!("table `{table}`"), after, RowSum { rows: count()?, hashes: 0 })?;
    let sum = match old {
        Some(old) => old.minus(removed).plus(added),
        None => sum_of_table(connection, dataset, &table, steps).map_err(fail)?,
    };
    drop_helpers(connection).map_err(fail)?;
    let rows = earlier.rows + added.rows - earlier.replaced;
    let counts = Counts { rows, duplicates: staged - rows, shortfall, altered: earlier.altered, conflicting: 0 };
    // A load that completes a run cannot tell the run's own rows from older ones.
    let is_first = request.package.kind == LoadKind::First;
    let (updated, unchanged) = (is_first.then_some(removed.rows), is_first.then_some(known.rows));
    let digest = digest::to_text(connection, sum).map_err(fail)?;
    let (added, removed) = (added_properties.finish_listed(), removed_properties.finish_listed());
    let catalog = CatalogChange::Rows { rows_before: before, added, removed };
    Ok(Loaded { table, origin: Origin::Changed, counts, updated, unchanged, digest, catalog, steps, days: None })
}

/// Returns the query for the rows in `_loading` that must not replace rows in the table.
fn find_known(table: &TableName, request: &LoadRequest) -> String {
    let (dataset, table) = (request.package.run.dataset, table.quoted());
    let not_ours = match request.package.kind {
        LoadKind::First => String::new(),
        LoadKind::Completing => format!("AND NOT ({})", dataset.key_is_in(None, "_previous")),
    };
    match request.options.if_exists {
        IfExists::Upsert => format!(
            "SELECT rowid AS place FROM _loading WHERE EXISTS (
                 SELECT 1 FROM {table} AS t WHERE {} AND t.{newest} > _loading.{newest}
             ) {not_ours}",
            dataset.same_key("t", "_loading"),
            newest = dataset.newest
        ),
        IfExists::Append | IfExists::Fail | IfExists::Replace => {
            format!("SELECT rowid AS place FROM _loading WHERE {} {not_ours}", dataset.key_is_in(None, &table))
        }
    }
}

/// Counts of the rows from earlier loads of the run.
struct EarlierLoads {
    /// Rows that are still in the table.
    rows: u64,
    /// The rows among these that are about to be replaced.
    replaced: u64,
    /// Rows that others have changed or removed since.
    altered: u64,
}

impl EarlierLoads {
    const NONE: Self = Self { rows: 0, replaced: 0, altered: 0 };
}

/// Filters the rows in `_loading` whose ids were in an earlier load: keeps a row only if it differs from the earlier
/// one, and that one is unchanged in the table.
///
/// Also returns the sum of the rows removed.
fn complete(
    connection: &Connection,
    request: &LoadRequest,
    table: &TableName,
    steps: Steps,
) -> Result<(EarlierLoads, RowSum)> {
    let fail = |error| statement(&format!("load into table `{}`", &request.options.table), &error);
    read_previous(connection, request)?;
    let dataset = request.package.run.dataset;
    let sql = format!(
        "CREATE TEMP TABLE _unchanged AS SELECT DISTINCT {} FROM _previous AS p JOIN {} AS t ON {} WHERE {} = p.hash",
        dataset.key_names_of("p"),
        table.quoted(),
        dataset.same_key("t", "p"),
        dataset.row_hash("t")
    );
    connection.execute_batch(&sql).map_err(fail)?;
    let of_keys_in = |table| format!("SELECT count(*) FROM _loading WHERE {}", dataset.key_is_in(None, table));
    let unchanged = number(connection, &of_keys_in("_unchanged")).map_err(fail)?;
    let find = format!(
        "SELECT l.rowid AS place FROM _loading AS l JOIN _previous AS p ON {} WHERE {} = p.hash OR NOT ({})",
        dataset.same_key("l", "p"),
        dataset.row_hash("l"),
        dataset.key_is_in(Some("p"), "_unchanged")
    );
    let set_aside = pages::remove(connection, dataset, "_loading", &find, steps).map_err(fail)?;
    let replaced = number(connection, &of_keys_in("_previous")).map_err(fail)?;
    // Rows that were in the table before the run may equal the run's but do not count as such, so `put_in` caps this
    // number and `replaced` below.
    let put_in = metadata::last_counts(connection, table, &request.package.run.run_id)?;
    let rows = put_in.map_or(unchanged, |counts| counts.rows.min(unchanged));
    // The other rows of the earlier load were changed or removed since.
    let altered = put_in.map_or(0, |counts| counts.rows - rows);
    Ok((EarlierLoads { rows, replaced: replaced.min(rows), altered }, set_aside))
}

/// Reads the keys and hashes of the pages that are already in the table, deduplicated by the same rule as a load.
fn read_previous(connection: &Connection, request: &LoadRequest) -> Result<()> {
    let fail = |error| statement("read the staged pages", &error);
    let dataset = request.package.run.dataset;
    connection
        .execute_batch(&format!("CREATE TEMP TABLE _previous ({}, hash UBIGINT)", dataset.identity_definitions()))
        .map_err(fail)?;
    for pages in request.package.previous.chunks(LOAD_PAGES_PER_STATEMENT) {
        let sql = format!(
            "INSERT INTO _previous SELECT {}, {} FROM {} AS r",
            dataset.identity_names(),
            dataset.row_hash("r"),
            read_parquet(pages, Extra::Nothing)?
        );
        run(connection, &sql).map_err(|error| name_unreadable(connection, pages, fail(error)))?;
    }
    let expected = sum_of_pages(dataset, &request.package.previous)?;
    let found = sum_hashes(connection, "r.hash", "_previous AS r").map_err(fail)?;
    if expected != found {
        return Err(staged::differs(
            dataset,
            &request.package.previous,
            "what an earlier load of the run read",
            expected,
            found,
        ));
    }
    let find = dataset.find_duplicates("_previous");
    connection
        .execute_batch(&format!("DELETE FROM _previous WHERE rowid IN (SELECT place FROM ({find}))"))
        .map_err(fail)
}

/// Returns the sum that the last load recorded. Updating it, rather than computing a new sum, keeps later changes by
/// others detectable.
pub(super) fn recorded(connection: &Connection, table: &TableName, rows: u64) -> Result<Option<RowSum>, duckdb::Error> {
    match label::of_table(connection, table).and_then(|label| label.digest) {
        Some(text) => digest::read(connection, &text, rows),
        None => Ok(None),
    }
}

/// Inserts the rows of `_loading`, matching columns by name.
fn add(connection: &Connection, dataset: &Dataset, table: &TableName, steps: Steps) -> Result<(), duckdb::Error> {
    let names = dataset.names();
    steps.conditions(connection, "_loading")?.into_iter().try_for_each(|step| {
        let sql = format!("INSERT INTO {} ({names}) SELECT {names} FROM _loading WHERE {step}", table.quoted());
        run(connection, &sql).map(drop)
    })
}

fn drop_helpers(connection: &Connection) -> Result<(), duckdb::Error> {
    connection.execute_batch("DROP TABLE _loading; DROP TABLE IF EXISTS _previous; DROP TABLE IF EXISTS _unchanged")
}
