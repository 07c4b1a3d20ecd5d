//! The `plain` format: the most important value of each row, one per line.

use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::output::Data;

const MAIN_COLUMNS: [&str; 4] = ["name", "value", "event", "id"];

/// Writes the most important value of a row: that of the first [`MAIN_COLUMNS`] column it has, or the first value.
pub(super) fn row(data: &mut Data, columns: &[String], values: &[Value]) -> Result<(), Failure> {
    let telling = MAIN_COLUMNS.iter().find_map(|key| columns.iter().position(|column| column == key)).unwrap_or(0);
    data.line(&values.get(telling).map(text).unwrap_or_default())
}

/// Writes a single record: its most important value, or all values as `key=value`.
pub(super) fn record(data: &mut Data, record: &Map<String, Value>) -> Result<(), Failure> {
    if let Some(value) = MAIN_COLUMNS.iter().find_map(|key| record.get(*key)) {
        return data.line(&text(value));
    }
    for (key, value) in record {
        data.line(&format!("{key}={}", text(value)))?;
    }
    Ok(())
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
