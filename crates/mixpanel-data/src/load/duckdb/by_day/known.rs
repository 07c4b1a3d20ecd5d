//! Finds the rows of the table with the identity of a staged one, and decides which of the two stays.
//!
//! The row that was ingested later stays, and otherwise the fetched one, which is the server's current state. If both are
//! equal, the table keeps its own. With [`Dedupe::None`] the fetched rows of an identity replace those of the table.

use duckdb::Connection;

use super::super::catalogs::CatalogCollector;
use super::super::pages::collect_and_remove;
use super::super::rows::{number, run};
use super::compare::{IS_SAME, is_later, narrow};
use super::existing::{Existing, rows_with_days};
use super::keyed;
use super::source::Source;
use crate::event_query::Dedupe;
use crate::row_sum::RowSum;

/// Pairs of staged rows and rows of the table that have one identity.
const CREATE_PAIRS: &str = "CREATE TEMP TABLE _pairs AS SELECT _part, _row, place, staged, is_same, is_later FROM";

/// Removes the rows of the table that staged ones replace, and lists the staged rows that it already has in `_fates`.
/// Returns the sum of the removed rows.
pub(super) fn resolve(
    connection: &Connection,
    source: &mut Source<'_>,
    existing: &Existing,
    collector: &mut CatalogCollector,
) -> Result<RowSum, duckdb::Error> {
    let Existing { table, zone, steps, is_keyed } = existing;
    let times = source.times(zone, "t");
    // An insert id of a keyed table can be that of a row at any other time.
    let rows = if *is_keyed { "true".to_owned() } else { times };
    if number(connection, &format!("SELECT count(*) FROM (SELECT 1 FROM {table} AS t WHERE {rows} LIMIT 1)"))? == 0 {
        return keyed_only(connection, source, existing).map(|()| RowSum::default());
    }
    match is_keyed {
        true => keyed::pair(connection, source, existing)?,
        false => run(connection, &format!("{CREATE_PAIRS} ({})", pairs(source, existing, &rows))).map(drop)?,
    }
    if source.dedupe != Dedupe::None {
        keep(connection, source)?;
    }
    let find = "SELECT DISTINCT place FROM _pairs AS p WHERE NOT EXISTS (
                    SELECT 1 FROM _fates AS d WHERE d._part = p._part AND d._row = p._row AND d.fate = 'known'
                )";
    let removed = match number(connection, &format!("SELECT count(*) FROM ({find})"))? {
        0 => RowSum::default(),
        _ => collect_and_remove(connection, source.dataset, table, find, *steps, collector)?,
    };
    run(connection, "DROP TABLE _pairs")?;
    keyed_only(connection, source, existing)?;
    Ok(removed)
}

fn keyed_only(connection: &Connection, source: &mut Source<'_>, existing: &Existing) -> Result<(), duckdb::Error> {
    if existing.is_keyed { keyed::rename(connection, source, &existing.table) } else { Ok(()) }
}

/// Returns the query for the pairs.
fn pairs(source: &Source<'_>, existing: &Existing, times: &str) -> String {
    let table = &existing.table;
    let (same_time, rows) = match source.dedupe {
        Dedupe::Exact | Dedupe::None => ("t.event_time = b.event_time".to_owned(), times.to_owned()),
        // The staged rows have only few different days.
        Dedupe::Day => ("t.day = b._day".to_owned(), "true".to_owned()),
    };
    let own = match source.dedupe {
        Dedupe::Exact | Dedupe::None => format!("(SELECT rowid AS place, * FROM {table})"),
        Dedupe::Day => format!("({})", rows_with_days(source, existing)),
    };
    format!(
        "SELECT b._part, b._row, b.staged, t.place, {same} AND t.event_time = b.event_time AS is_same,
             {later} AS is_later
         FROM {staged} JOIN {own} AS t
         ON t.event_name = b.event_name AND t.distinct_id = b.distinct_id AND {same_time} AND t.insert_id = b.insert_id
         WHERE {rows}",
        same = IS_SAME,
        later = is_later("t.properties"),
        staged = narrow(source),
    )
}

/// Lists the staged rows of which the table keeps its own row.
fn keep(connection: &Connection, source: &mut Source<'_>) -> Result<(), duckdb::Error> {
    run(
        connection,
        "CREATE TEMP TABLE _kept AS
         SELECT _part, _row, any_value(staged) AS staged, NOT bool_or(is_same) AS conflicts
         FROM _pairs GROUP BY _part, _row HAVING bool_or(is_same OR is_later)",
    )?;
    if number(connection, "SELECT count(*) FROM _kept")? > 0 {
        // A row that was renamed is not stored after all.
        run(
            connection,
            "DELETE FROM _fates AS d WHERE EXISTS (
                 SELECT 1 FROM _kept AS k WHERE k._part = d._part AND k._row = d._row
             )",
        )?;
        run(connection, "INSERT INTO _fates SELECT _part, _row, 'known', NULL, staged, NULL, conflicts FROM _kept")?;
        source.has_fates = true;
    }
    run(connection, "DROP TABLE _kept").map(drop)
}
