//! The table that staged rows are merged into.

use super::super::tuning::Steps;
use super::source::{Source, is_between};
use crate::project_time_zone::ProjectTimeZone;

/// The table that staged rows are merged into.
pub(super) struct Existing {
    /// Its name, quoted.
    pub(super) table: String,
    /// Whether it has a primary key or a unique index on `insert_id`, as the Python package makes it.
    pub(super) is_keyed: bool,
    pub(super) zone: ProjectTimeZone,
    /// The number of rows to read at once.
    pub(super) steps: Steps,
}

/// Returns the rows of the table on the days of the batch, with their days in the project's time zone.
pub(super) fn rows_with_days(source: &Source<'_>, existing: &Existing) -> String {
    let rows = |day: &str, days| {
        format!(
            "SELECT rowid AS place, {day} AS day, event_name, event_time, distinct_id, insert_id, properties
             FROM {} AS r WHERE {}",
            existing.table,
            is_between(&existing.zone, "r", days)
        )
    };
    if existing.zone.is_utc() {
        return rows("event_time::DATE", source.days);
    }
    let mut day = source.days.0;
    let mut days = Vec::new();
    while day <= source.days.1 {
        days.push(rows(&format!("DATE '{day}'"), (day, day)));
        let Ok(next) = day.tomorrow() else { break };
        day = next;
    }
    days.join(" UNION ALL ")
}
