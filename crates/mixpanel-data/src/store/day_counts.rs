//! The table `_day_counts`: how many events Mixpanel counted on a day when the day was last repaired.

use std::collections::BTreeMap;
use std::path::Path;

use duckdb::params;
use jiff::Timestamp;
use jiff::civil::Date;

use super::access::Access;
use super::database::Database;
use super::failure::statement;
use super::schema::{Target, find};
use super::table_name::TableName;
use crate::error::Result;

const TABLE: &str = "_day_counts";

/// What Mixpanel counted on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DayCount {
    pub(crate) events: u64,
    pub(crate) counted_at: Timestamp,
}

/// Returns the recorded counts of a table. Values that cannot be read count as missing.
///
/// # Errors
/// `DatabaseNotFound`, `DatabaseLocked`, `DatabaseUnusable`, `Storage`.
pub(crate) fn day_counts(database: &Path, table: &TableName) -> Result<BTreeMap<Date, DayCount>> {
    let database = Database::open(database, Access::ReadOnly)?;
    let connection = database.connection();
    if !matches!(find(connection, &TableName::listed(TABLE))?, Target::Table(_)) {
        return Ok(BTreeMap::new());
    }
    let read = || -> Result<Vec<(String, u64, i64)>, duckdb::Error> {
        let mut query = connection.prepare(&format!(
            "SELECT day::VARCHAR, events::UBIGINT, system.main.epoch_us(counted_at) FROM main.{TABLE}
             WHERE system.main.lower(table_name) = system.main.lower(?) AND events >= 0 AND day IS NOT NULL
             AND counted_at IS NOT NULL"
        ))?;
        query.query_map([table.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
    };
    let rows = read().map_err(|error| statement(&format!("read `{TABLE}`"), &error))?;
    let counts = rows.into_iter().filter_map(|(day, events, counted_at)| {
        let counted_at = Timestamp::from_microsecond(counted_at).ok()?;
        Some((day.parse().ok()?, DayCount { events, counted_at }))
    });
    Ok(counts.collect())
}

/// Records counts, in place of earlier ones of the same days.
///
/// # Errors
/// `DatabaseLocked`, `DatabaseUnusable`, `Storage`, `DiskFull`. Then nothing is recorded.
pub(crate) fn record_day_counts(
    database: &Path,
    table: &TableName,
    counts: &[(Date, u64)],
    counted_at: Timestamp,
) -> Result<()> {
    let what = "record the counts of days";
    let failed = |error: duckdb::Error| statement(what, &error);
    let database = Database::open(database, Access::ReadWrite)?;
    let connection = database.connection();
    connection
        .execute_batch(&format!(
            "BEGIN; CREATE TABLE IF NOT EXISTS main.{TABLE} (table_name VARCHAR NOT NULL, day DATE NOT NULL,
             events BIGINT NOT NULL, counted_at TIMESTAMP NOT NULL)"
        ))
        .map_err(failed)?;
    for (day, events) in counts {
        let (day, events) = (day.to_string(), i64::try_from(*events).unwrap_or(i64::MAX));
        let mine = "system.main.lower(table_name) = system.main.lower(?) AND day = ?::DATE";
        connection
            .execute(&format!("DELETE FROM main.{TABLE} WHERE {mine}"), params![table.as_str(), day])
            .map_err(failed)?;
        connection
            .execute(
                &format!("INSERT INTO main.{TABLE} VALUES (?, ?::DATE, ?, system.main.make_timestamp(?))"),
                params![table.as_str(), day, events, counted_at.as_microsecond()],
            )
            .map_err(failed)?;
    }
    database.commit().map_err(|error| error.into_error(what))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn counts_replace_earlier_ones_of_the_same_day_and_table() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let (events, other) = (TableName::parse("events").unwrap(), TableName::parse("other").unwrap());
        let at = |second| Timestamp::from_second(second).unwrap();
        record_day_counts(&path, &events, &[(date(2026, 1, 1), 5), (date(2026, 1, 2), 6)], at(1)).unwrap();
        record_day_counts(&path, &TableName::parse("EVENTS").unwrap(), &[(date(2026, 1, 2), 7)], at(2)).unwrap();
        record_day_counts(&path, &other, &[(date(2026, 1, 2), 9)], at(3)).unwrap();
        let expected = [
            (date(2026, 1, 1), DayCount { events: 5, counted_at: at(1) }),
            (date(2026, 1, 2), DayCount { events: 7, counted_at: at(2) }),
        ];
        assert_eq!(day_counts(&path, &events).unwrap(), BTreeMap::from(expected));
        assert_eq!(day_counts(&path, &other).unwrap().len(), 1);
    }
}
