//! The `table` format, for people. On a terminal, a row of a query is one line; elsewhere, nothing is cut or wrapped.

use comfy_table::{Attribute, Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};
use console::{measure_text_width, truncate_str};
use mixpanel_data::SqlValue;
use serde_json::{Map, Value};

use crate::text::{printable, thousands};

/// Minimum width of a column that is cut.
const COLUMN_WIDTH_MIN: usize = 6;

/// What a table shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A report of ours. Headings, times and numbers are formatted for people, and cells are wrapped.
    Report,
    /// The result of a query. Headings are the column names, and values are exact.
    Query,
}

/// Where the table is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// A terminal with this many columns.
    Terminal {
        width: u16,
        color: bool,
    },
    Pipe,
}

/// Formats rows under their column names. Returns `None` if a row of a query does not fit on a line of the terminal.
pub(super) fn rows(columns: &[String], rows: &[Vec<SqlValue>], kind: Kind, target: Target) -> Option<String> {
    let heading = |column: &String| match kind {
        Kind::Report => cell_text(&column.to_uppercase().replace('_', " "), target),
        Kind::Query => cell_text(column, target),
    };
    let mut headings: Vec<String> = columns.iter().map(heading).collect();
    let shown = |row: &Vec<SqlValue>| -> Vec<String> {
        columns.iter().zip(row).map(|(column, value)| cell(column, value, kind, target)).collect()
    };
    let mut texts: Vec<Vec<String>> = rows.iter().map(shown).collect();
    if let (Kind::Query, Target::Terminal { width, .. }) = (kind, target) {
        let widest = |number: usize| {
            let cells = texts.iter().map(|row| measure_text_width(&row[number]));
            cells.fold(measure_text_width(&headings[number]), usize::max)
        };
        let limit = column_limit(&(0..columns.len()).map(widest).collect::<Vec<_>>(), width.into())?;
        for text in texts.iter_mut().flatten().chain(&mut headings) {
            if measure_text_width(text) > limit {
                *text = truncate_str(text, limit, "…").into_owned();
            }
        }
    }
    let mut table = empty(target, kind);
    table.set_header(headings);
    for (row, texts) in rows.iter().zip(texts) {
        table.add_row(row.iter().zip(texts).map(|(value, text)| styled(value, text, kind, target)));
    }
    for (number, column) in table.column_iter_mut().enumerate() {
        if kind == Kind::Report && columns[number] == "run_id" {
            // An id that is broken cannot be copied.
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
        if !rows.is_empty() && rows.iter().all(|row| row.get(number).is_some_and(is_number_or_null)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    Some(table.trim_fmt())
}

/// Formats rows with one line per field.
pub(super) fn expanded(columns: &[String], rows: &[Vec<SqlValue>], target: Target) -> String {
    let names: Vec<String> = columns.iter().map(|column| cell_text(column, target)).collect();
    let widest = names.iter().map(|name| measure_text_width(name)).max().unwrap_or(0);
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        text.push_str(&format!("─── row {} ───\n", thousands(number as u64 + 1)));
        for ((name, column), value) in names.iter().zip(columns).zip(row) {
            let padding = " ".repeat(widest - measure_text_width(name));
            let value = one_line(&cell(column, value, Kind::Query, target));
            text.push_str(&format!("{name}{padding}  {value}\n"));
        }
    }
    text.trim_end_matches('\n').to_owned()
}

/// Formats a single record, one line per field.
pub(super) fn record(record: &Map<String, Value>, target: Target) -> String {
    let mut table = empty(target, Kind::Report);
    table.set_header(["FIELD", "VALUE"]);
    for (key, value) in record {
        table.add_row([cell_text(key, target), cell(key, &value.clone().into(), Kind::Report, target)]);
    }
    table.trim_fmt()
}

fn empty(target: Target, kind: Kind) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    match (target, kind) {
        (Target::Terminal { width, .. }, Kind::Report) => {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width)
        }
        _ => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    // Only cells that ask for it are styled, and only if colors are allowed.
    if matches!(target, Target::Terminal { color: true, .. }) {
        table.enforce_styling()
    } else {
        table.force_no_tty()
    };
    table
}

/// Returns the maximum width of a column, chosen so that narrow columns are not cut and a row has at most `width`
/// characters. `None` if the columns would become too narrow.
fn column_limit(widths: &[usize], width: usize) -> Option<usize> {
    // Each column has a space on both sides and a line after it; the first also has one before it.
    let mut room = width.checked_sub(3 * widths.len() + 1)?;
    let mut sorted = widths.to_vec();
    sorted.sort_unstable();
    for (position, column) in sorted.iter().enumerate() {
        let share = room / (sorted.len() - position);
        if *column > share {
            return (share >= COLUMN_WIDTH_MIN).then_some(share);
        }
        room -= column;
    }
    Some(sorted.last().copied().unwrap_or(0))
}

fn is_number_or_null(value: &SqlValue) -> bool {
    matches!(value, SqlValue::Number(_) | SqlValue::Digits(_) | SqlValue::Null)
}

fn styled(value: &SqlValue, text: String, kind: Kind, target: Target) -> Cell {
    let is_dim =
        *value == SqlValue::Null && kind == Kind::Query && matches!(target, Target::Terminal { color: true, .. });
    if is_dim { Cell::new(text).add_attribute(Attribute::Dim) } else { Cell::new(text) }
}

fn cell(column: &str, value: &SqlValue, kind: Kind, target: Target) -> String {
    match (value, kind) {
        (SqlValue::Null, Kind::Report) => String::new(),
        (SqlValue::Null, Kind::Query) => "NULL".to_owned(),
        (SqlValue::Bool(true), Kind::Report) => "Yes".to_owned(),
        (SqlValue::Bool(false), Kind::Report) => "No".to_owned(),
        (SqlValue::Number(number), Kind::Report) if number.is_u64() => thousands(number.as_u64().unwrap_or_default()),
        (SqlValue::Text(text), Kind::Report) if column.ends_with("_at") => cell_text(&time(text), target),
        (SqlValue::Text(text), _) => cell_text(text, target),
        (other, _) => cell_text(&other.to_string(), target),
    }
}

/// Shortens a timestamp such as `2026-11-25T14:38:46.674542Z` to the second; other text is unchanged.
fn time(text: &str) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => text.to_owned(),
    }
}

fn cell_text(text: &str, target: Target) -> String {
    match target {
        Target::Terminal { .. } => printable(text).into_owned(),
        Target::Pipe => text.to_owned(),
    }
}

/// Keeps a field on its line, also outside a terminal.
fn one_line(text: &str) -> String {
    if text.contains(['\n', '\r']) { text.replace('\r', "\\r").replace('\n', "\\n") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_columns_keep_their_width() {
        let table: [(&[usize], usize, Option<usize>); 8] = [
            (&[3, 4], 80, Some(4)),
            (&[3, 500], 80, Some(80 - 7 - 3)),
            (&[500, 3, 500], 80, Some((80 - 10 - 3) / 2)),
            (&[500; 8], 80, Some((80 - 25) / 8)),
            (&[500; 9], 80, None),
            (&[1; 19], 80, Some(1)),
            (&[1; 30], 80, None),
            (&[], 80, Some(0)),
        ];
        for (widths, width, expected) in table {
            assert_eq!(column_limit(widths, width), expected, "{widths:?}");
        }
    }

    #[test]
    fn times_are_shown_to_the_second() {
        assert_eq!(time("2026-11-25T14:38:46.674542Z"), "2026-11-25 14:38:46 UTC");
        assert_eq!(time("infinity"), "infinity");
    }
}
