//! The SQL that compares a staged row with one of the table.

use super::source::Source;

/// Whether two rows have equal properties.
pub(super) const IS_SAME: &str = "system.main.hash(t.properties::VARCHAR) = b.content";

/// Returns the staged rows without their properties, as the relation `b`.
pub(super) fn narrow(source: &Source<'_>) -> String {
    format!(
        "(SELECT b._part, b._row, b.event_name, b.event_time, b.distinct_id, b.insert_id, b._ingested, b._day,
              system.main.hash(b.properties) AS content, {} AS staged
          FROM {}) AS b",
        source.staged_hash(),
        source.stored()
    )
}

/// Returns the SQL condition that is true if a row of the table was ingested later than the staged one.
pub(super) fn is_later(properties: &str) -> String {
    let number = |name: &str| format!("TRY_CAST(system.main.json_extract_string({properties}, '/{name}') AS BIGINT)");
    format!(
        "CASE WHEN system.main.json_valid({properties}::VARCHAR)
              THEN coalesce(coalesce({}, {}) > b._ingested, false) ELSE false END",
        number("$mp_api_timestamp_ms"),
        number("mp_processing_time_ms")
    )
}
