//! What `_fetches` and `_metadata` record only about events.

use duckdb::{Connection, params};

use super::{Loaded, Origin};
use crate::error::Result;
use crate::load::run_record::RunRecord;
use crate::store::failure::statement;

/// Completes the record of a load of events.
pub(super) fn record(connection: &Connection, loaded: &Loaded, run: &RunRecord) -> Result<()> {
    let Some((load, days)) = run.events().zip(loaded.days.as_ref()) else { return Ok(()) };
    let (replaced_from, replaced_to) = load.replaced_days.map(|(from, to)| (from.to_string(), to.to_string())).unzip();
    let (from, to) = (load.query.from.to_string(), load.query.to.to_string());
    let fail = |error| statement("record the days of the run", &error);
    connection
        .execute(
            "UPDATE _fetches SET from_date = ?::DATE, to_date = ?::DATE, time_zone = ?, conflicting_duplicates = ?,
                 without_insert_id = ?, without_distinct_id = ?, outside = ?, repeated_hour = ?, skipped_hour = ?,
                 received_bytes = ?, replaced_from = ?::DATE, replaced_to = ?::DATE, replaced_rows = ?
             WHERE load_id = ?",
            params![
                from,
                to,
                load.query.timezone.name(),
                days.conflicting_duplicates,
                days.without_insert_id,
                days.without_distinct_id,
                days.outside,
                days.repeated_hour,
                days.skipped_hour,
                days.bytes,
                replaced_from,
                replaced_to,
                days.replaced_rows,
                run.load_id
            ],
        )
        .map_err(fail)?;
    // Adding to a table widens its range.
    let dates = match loaded.origin {
        Origin::Made => "from_date = ?2::DATE, to_date = ?3::DATE",
        Origin::Changed => {
            "from_date = system.main.least(coalesce(from_date, ?2::DATE), ?2::DATE),
             to_date = system.main.greatest(coalesce(to_date, ?3::DATE), ?3::DATE)"
        }
    };
    let sql = format!("UPDATE _metadata SET {dates} WHERE system.main.lower(table_name) = system.main.lower(?1)");
    connection.execute(&sql, params![loaded.table.as_str(), from, to]).map(drop).map_err(fail)
}
