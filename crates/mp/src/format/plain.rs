//! `plain`: the most telling value of each row, one a line.

use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::output::Data;

const TELLING: [&str; 4] = ["name", "value", "event", "id"];

/// Writes the most telling value of a row: that of the first of the keys above, else the first one.
pub(super) fn row(data: &mut Data, columns: &[String], values: &[Value]) -> Result<(), Failure> {
    let telling = TELLING.iter().find_map(|key| columns.iter().position(|column| column == key)).unwrap_or(0);
    data.line(&values.get(telling).map(text).unwrap_or_default())
}

/// Writes a lone record: its most telling value, or all of them as `key=value`.
pub(super) fn record(data: &mut Data, record: &Map<String, Value>) -> Result<(), Failure> {
    if let Some(value) = TELLING.iter().find_map(|key| record.get(*key)) {
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
