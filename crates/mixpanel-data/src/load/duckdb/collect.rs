//! Reads the properties of rows into a catalog.

use arrow::array::{Array as _, AsArray as _};
use duckdb::Connection;

use super::tuning::Steps;
use crate::parse::Collector;

/// Adds the properties of the rows that match a condition to a catalog, reading at most one step of rows at a time. The
/// condition refers to the table as `r`.
pub(super) fn collect(
    connection: &Connection,
    table: &str,
    condition: &str,
    steps: Steps,
    collector: &mut Collector,
) -> Result<(), duckdb::Error> {
    steps.conditions(connection, table)?.into_iter().try_for_each(|step| {
        let rows = format!("{table} AS r WHERE ({condition}) AND {step}");
        each_properties(connection, &rows, |properties| collector.profile(properties))
    })
}

/// Calls `each` with the properties of every row; without properties, or if they are not JSON, with an empty object.
pub(super) fn each_properties(
    connection: &Connection,
    rows: &str,
    mut each: impl FnMut(&str),
) -> Result<(), duckdb::Error> {
    // In a table that another program made, the column may be VARCHAR.
    let sql = format!(
        "SELECT CASE WHEN system.main.typeof(r.properties) = 'JSON' OR system.main.json_valid(r.properties::VARCHAR)
                THEN r.properties::VARCHAR END FROM {rows}"
    );
    let mut statement = connection.prepare(&sql)?;
    // The crate's own row iterator panics on an error.
    statement.stream_arrow([]).map(drop)?;
    while let Some(batch) = statement.step()? {
        let Some(texts) = batch.column(0).as_string_opt::<i32>() else {
            return Err(duckdb::Error::InvalidColumnIndex(0));
        };
        for index in 0..texts.len() {
            each(if texts.is_valid(index) { texts.value(index) } else { "{}" });
        }
    }
    Ok(())
}
