//! The `plain` format: without headings or quotes. Rows of a query have all their columns, separated by tabs; a report
//! has its most important value.

use mixpanel_data::SqlValue;
use serde_json::{Map, Value};

use super::table::Kind;
use crate::failure::Failure;
use crate::output::Data;

const MAIN_COLUMNS: [&str; 4] = ["name", "value", "event", "id"];

/// Writes a row. In a report, the most important value is that of the first [`MAIN_COLUMNS`] column it has, or the
/// first value.
pub(super) fn row(data: &mut Data, columns: &[String], values: &[SqlValue], kind: Kind) -> Result<(), Failure> {
    match kind {
        Kind::Query => data.line(&values.iter().map(text).collect::<Vec<_>>().join("\t")),
        Kind::Report => {
            let main = MAIN_COLUMNS.iter().find_map(|key| columns.iter().position(|column| column == key)).unwrap_or(0);
            data.line(&values.get(main).map(text).unwrap_or_default())
        }
    }
}

/// Writes a single record: its most important value, or all values as `key=value`.
pub(super) fn record(data: &mut Data, record: &Map<String, Value>) -> Result<(), Failure> {
    let text = |value: &Value| text(&value.clone().into());
    if let Some(value) = MAIN_COLUMNS.iter().find_map(|key| record.get(*key)) {
        return data.line(&text(value));
    }
    for (key, value) in record {
        data.line(&format!("{key}={}", text(value)))?;
    }
    Ok(())
}

/// Returns a value without quotes; null is empty.
pub(super) fn text(value: &SqlValue) -> String {
    match value {
        SqlValue::Null => String::new(),
        SqlValue::Text(text) => text.clone(),
        other => other.to_string(),
    }
}
