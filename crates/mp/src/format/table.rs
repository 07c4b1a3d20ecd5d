//! The `table` format, for people. It is wrapped to the width of the terminal, and not wrapped elsewhere.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::output::Data;
use crate::text::printable;

/// Where the table is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// A terminal with this many columns.
    Terminal {
        width: u16,
    },
    Pipe,
}

/// Writes rows under their column names.
pub(super) fn rows(data: &mut Data, columns: &[String], rows: &[Vec<Value>], reader: Target) -> Result<(), Failure> {
    let mut table = empty(reader);
    table.set_header(columns.iter().map(|column| cell_text(&column.to_uppercase().replace('_', " "), reader)));
    for row in rows {
        table.add_row(row.iter().map(|value| cell(value, reader)));
    }
    for (number, column) in table.column_iter_mut().enumerate() {
        if !rows.is_empty()
            && rows.iter().all(|row| row.get(number).is_some_and(|value| value.is_number() || value.is_null()))
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    data.line(&table.trim_fmt())
}

/// Writes a single record, one line per field.
pub(super) fn record(data: &mut Data, record: &Map<String, Value>, reader: Target) -> Result<(), Failure> {
    let mut table = empty(reader);
    table.set_header(["FIELD", "VALUE"]);
    for (key, value) in record {
        table.add_row([cell_text(key, reader), cell(value, reader)]);
    }
    data.line(&table.trim_fmt())
}

fn empty(reader: Target) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    match reader {
        Target::Terminal { width } => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
        Target::Pipe => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    table
}

fn cell(value: &Value, reader: Target) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "Yes".to_owned(),
        Value::Bool(false) => "No".to_owned(),
        Value::String(text) => cell_text(text, reader),
        other => cell_text(&other.to_string(), reader),
    }
}

fn cell_text(text: &str, reader: Target) -> String {
    match reader {
        Target::Terminal { .. } => printable(text).into_owned(),
        Target::Pipe => text.to_owned(),
    }
}
