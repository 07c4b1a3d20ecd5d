//! The formats `json`, indented by two spaces, and `jsonl`, one value per line.

use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::output::Data;

/// Pairs columns and values. The column names must be unique; see [`unique`].
pub(super) fn object(columns: &[String], values: Vec<Value>) -> Map<String, Value> {
    columns.iter().cloned().zip(values).collect()
}

/// Makes column names unique by appending numbers, as DuckDB does: `a`, `a_1`.
pub(super) fn unique(columns: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(columns.len());
    for column in columns {
        let mut name = column.clone();
        let mut number = 0;
        while names.contains(&name) || (number > 0 && columns.contains(&name)) {
            number += 1;
            name = format!("{column}_{number}");
        }
        names.push(name);
    }
    names
}

/// Formats a value as JSON on one line. Cannot fail for values with text keys.
fn compact(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("keys are texts")
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).expect("keys are texts")
}

/// Writes a record on one line.
pub(super) fn line(data: &mut Data, record: &Map<String, Value>) -> Result<(), Failure> {
    data.line(&compact(record))
}

/// Writes a single record as indented JSON.
pub(super) fn record(data: &mut Data, record: &Map<String, Value>) -> Result<(), Failure> {
    data.line(&pretty(record))
}

/// Writes an array element, preceded by its separator.
pub(super) fn element(data: &mut Data, position: u64, record: &Map<String, Value>) -> Result<(), Failure> {
    data.text(if position == 0 { "[\n  " } else { ",\n  " })?;
    // Line ends inside strings are escaped, so every line end here is layout.
    data.text(&pretty(record).replace('\n', "\n  "))
}

/// Ends an array with this number of elements.
pub(super) fn end(data: &mut Data, elements: u64) -> Result<(), Failure> {
    data.text(if elements == 0 { "[]\n" } else { "\n]\n" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_the_same_name_are_numbered() {
        let names = |columns: &[&str]| unique(&columns.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(names(&["a", "b"]), ["a", "b"]);
        assert_eq!(names(&["a", "a", "a_1", "a"]), ["a", "a_2", "a_1", "a_3"]);
    }
}
