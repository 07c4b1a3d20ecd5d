//! The properties of a table on a terminal: one line each, whatever its width.

use console::{measure_text_width, truncate_str};
use mixpanel_data::PropertyInfo;
use serde_json::{Map, Value};

use crate::text::{printable, thousands};

/// The columns in the order in which they are shown. A narrow terminal lacks the last ones.
const COLUMNS: [&str; 5] = ["name", "type", "fill", "distinct", "values"];

/// The longest value in a table, in characters.
const VALUE_CHARS: usize = 24;

/// The position of the column with the values.
const VALUES: usize = 4;

/// The smallest width to which a name or the values are cut.
const CUT_WIDTH_MIN: usize = 10;

/// The share of the width for names and values that names may use, in percent.
const NAME_PERCENT: usize = 40;

/// The width of a terminal from which the bar has this many cells.
const BARS: [(usize, usize); 3] = [(110, 10), (60, 5), (0, 0)];

/// Returns the columns and the rows of a table that fits a terminal of this width.
pub(super) fn fitted(properties: &[PropertyInfo], width: usize) -> (Vec<&'static str>, Vec<Value>) {
    let cells = BARS.iter().find(|(from, _)| width >= *from).map_or(0, |(_, cells)| *cells);
    let texts: Vec<[String; 5]> = properties.iter().map(|property| row(property, cells)).collect();
    let natural: Vec<usize> = (0..COLUMNS.len())
        .map(|column| {
            let widths = texts.iter().map(|row| measure_text_width(&row[column]));
            widths.fold(COLUMNS[column].len(), usize::max)
        })
        .collect();
    let shown = (2..=COLUMNS.len()).rev().find_map(|shown| widths(&natural[..shown], width));
    let widths = shown.unwrap_or_else(|| vec![width.saturating_sub(4).max(1)]);
    let columns = COLUMNS[..widths.len()].to_vec();
    let fitted = |row: [String; 5]| {
        let cells = columns.iter().zip(row).zip(&widths);
        let cells = cells.map(|((column, text), width)| {
            ((*column).to_owned(), Value::from(truncate_str(&text, *width, "…").into_owned()))
        });
        Value::Object(cells.collect::<Map<_, _>>())
    };
    let rows = texts.into_iter().map(fitted).collect();
    (columns, rows)
}

/// Returns the widths of columns with these natural widths, or `None` if they do not fit. Only names and values are cut.
fn widths(natural: &[usize], width: usize) -> Option<Vec<usize>> {
    // Each column has a space on both sides and a line after it; the first also has one before it.
    let room = width.checked_sub(3 * natural.len() + 1)?;
    let is_cut = |column: usize| column == 0 || column == VALUES;
    let whole: usize = (0..natural.len()).filter(|column| !is_cut(*column)).map(|column| natural[column]).sum();
    let room = room.checked_sub(whole)?;
    let least = |column: usize| natural[column].min(CUT_WIDTH_MIN);
    let mut widths = natural.to_vec();
    if natural.len() <= VALUES {
        widths[0] = natural[0].min(room);
        return (room >= least(0)).then_some(widths);
    }
    if room < least(0) + least(VALUES) {
        return None;
    }
    let for_values = natural[VALUES].min(room - (room * NAME_PERCENT / 100).max(least(0)));
    widths[0] = natural[0].min(room - for_values);
    widths[VALUES] = natural[VALUES].min(room - widths[0]);
    Some(widths)
}

fn row(property: &PropertyInfo, bar_cells: usize) -> [String; 5] {
    [
        printable(&property.name).into_owned(),
        property.column_type.clone(),
        fill(property.fill_percent, bar_cells),
        distinct(property),
        printable(&values(property)).into_owned(),
    ]
}

/// Returns the range of the values, then the most frequent ones, or an example.
fn values(property: &PropertyInfo) -> String {
    let top = top_values(property);
    match (&property.min, &property.max) {
        (Some(min), Some(max)) if property.top.is_empty() => format!("{min} to {max}"),
        (Some(min), Some(max)) => format!("{min} to {max}; {top}"),
        _ => top,
    }
}

/// Returns the number of different values.
pub(super) fn distinct(property: &PropertyInfo) -> String {
    // An exact number has no sign.
    let sign = if property.distinct > 1_000 { "~" } else { "" };
    format!("{sign}{}", thousands(property.distinct))
}

/// Returns a percentage with a bar of this many cells.
fn fill(percent: f64, bar_cells: usize) -> String {
    let text = format!("{:>6}", format!("{percent:.1}%"));
    if bar_cells == 0 { text } else { format!("{text} {}", bar(percent, bar_cells)) }
}

/// Returns the most frequent values, or an example.
pub(super) fn top_values(property: &PropertyInfo) -> String {
    if property.top.is_empty() {
        return property.example.as_deref().map(|value| format!("e.g. {}", shown(value))).unwrap_or_default();
    }
    let top = property.top.iter().map(|top| format!("{} ({})", shown(&top.value), thousands(top.count)));
    top.collect::<Vec<_>>().join(", ")
}

/// Returns a value without the quotes of JSON, shortened.
fn shown(json: &str) -> String {
    let value = serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned());
    match value.char_indices().nth(VALUE_CHARS) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value,
    }
}

fn bar(percent: f64, cells: usize) -> String {
    (0..cells).map(|cell| if (cell as f64 + 0.5) * 100.0 / (cells as f64) < percent { '█' } else { '░' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_share_the_width() {
        let natural = [30, 9, 12, 8, 60];
        for (width, shown, expected) in [
            (200, 5, Some(vec![30, 9, 12, 8, 60])),
            (80, 5, Some(vec![14, 9, 12, 8, 21])),
            (60, 5, None),
            (60, 4, Some(vec![18, 9, 12, 8])),
            (40, 3, None),
            (40, 2, Some(vec![24, 9])),
            (20, 2, None),
        ] {
            assert_eq!(widths(&natural[..shown], width), expected, "{shown} columns in {width}");
        }
        assert_eq!(widths(&[5, 9, 12, 8, 60], 80), Some(vec![5, 9, 12, 8, 30]), "a short name leaves room for values");
        assert_eq!(widths(&[30, 9, 12, 8, 12], 80), Some(vec![23, 9, 12, 8, 12]), "short values leave room for names");
    }
}
