//! Removes the rows of days that are replaced.

use std::collections::BTreeSet;

use duckdb::Connection;
use jiff::civil::Date;

use super::super::catalogs::CatalogCollector;
use super::super::pages::collect_and_remove;
use super::existing::Existing;
use super::source::is_between;
use crate::dataset::Dataset;
use crate::load::run_record::EventLoad;
use crate::row_sum::RowSum;
use crate::slice::joined;
use crate::store::sql_text::literal;

/// Removes the rows of the covered days that the run replaces, and returns their sum. Rows of events that were not
/// requested stay.
pub(super) fn remove(
    connection: &Connection,
    dataset: &'static Dataset,
    existing: &Existing,
    load: &EventLoad,
    covered: &BTreeSet<Date>,
    collector: &mut CatalogCollector,
) -> Result<RowSum, duckdb::Error> {
    let Some((from, to)) = load.replaced_days.filter(|_| load.query.limit.is_none()) else {
        return Ok(RowSum::default());
    };
    let days = covered.iter().filter(|day| (from..=to).contains(day)).map(|day| (*day, *day));
    let events: Vec<String> = load.query.events.iter().map(|name| literal(name)).collect();
    let of_events =
        if events.is_empty() { String::new() } else { format!(" AND r.event_name IN ({})", events.join(", ")) };
    let mut removed = RowSum::default();
    for range in joined(days) {
        let rows = is_between(&existing.zone, "r", range);
        let find = format!("SELECT r.rowid AS place FROM {} AS r WHERE {rows}{of_events}", existing.table);
        let sum = collect_and_remove(connection, dataset, &existing.table, &find, existing.steps, collector)?;
        removed = removed.plus(sum);
    }
    Ok(removed)
}
