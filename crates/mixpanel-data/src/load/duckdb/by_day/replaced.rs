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
    let days: Vec<Date> = covered.iter().copied().filter(|day| (from..=to).contains(day)).collect();
    let events: Vec<String> = load.query.events.iter().map(|name| literal(name)).collect();
    let of_events =
        if events.is_empty() { String::new() } else { format!(" AND r.event_name IN ({})", events.join(", ")) };
    let mut removed = RowSum::default();
    for range in ranges(&days) {
        let rows = is_between(&existing.zone, "r", range);
        let find = format!("SELECT r.rowid AS place FROM {} AS r WHERE {rows}{of_events}", existing.table);
        let sum = collect_and_remove(connection, dataset, &existing.table, &find, existing.steps, collector)?;
        removed = removed.plus(sum);
    }
    Ok(removed)
}

/// Returns the first and last days of uninterrupted ranges of ascending days.
fn ranges(days: &[Date]) -> Vec<(Date, Date)> {
    let mut ranges: Vec<(Date, Date)> = Vec::new();
    for day in days {
        match ranges.last_mut() {
            Some((_, last)) if last.tomorrow().is_ok_and(|next| next == *day) => *last = *day,
            _ => ranges.push((*day, *day)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn days_are_removed_in_ranges() {
        let day = |day| date(2024, 2, day);
        assert_eq!(ranges(&[]), []);
        assert_eq!(ranges(&[day(1)]), [(day(1), day(1))]);
        let days = [day(1), day(2), day(28), day(29), date(2024, 3, 1), date(2024, 3, 3)];
        let march = date(2024, 3, 3);
        assert_eq!(ranges(&days), [(day(1), day(2)), (day(28), date(2024, 3, 1)), (march, march)]);
    }
}
