//! `mp inspect properties`: the properties of the profiles in a table.

use mixpanel_data::{PropertyInfo, Workspace};
use serde_json::{Value, json};

use crate::cli::Format;
use crate::context::Context;
use crate::failure::Failure;
use crate::text::thousands;

/// The fields of the JSON and CSV output, in the order of the library's type.
const FIELDS: [&str; 12] = [
    "name",
    "type",
    "column",
    "fill_percent",
    "profiles",
    "nulls",
    "kinds",
    "distinct",
    "min",
    "max",
    "top",
    "example",
];

/// The width of a bar, in cells.
const BAR_CELLS: usize = 10;

/// The longest value in a table, in characters.
const VALUE_CHARS: usize = 24;

/// Prints the properties of a table, or of the only one.
pub(super) fn run(context: &Context, table: Option<String>) -> Result<(), Failure> {
    let workspace = context.database()?;
    let table = table.map_or_else(|| only_table(&workspace), Ok)?;
    let properties = workspace
        .properties(&table)
        .map_err(|error| Failure::library(format!("could not read the properties of `{table}`"), &error))?;
    if context.format() == Format::Table {
        let columns = ["name", "type", "fill", "distinct", "min", "max", "values"];
        let bars = context.output.stdout_is_terminal();
        return context.print_all(&columns, properties.iter().map(|property| row(property, bars)).collect());
    }
    let records = properties.iter().map(|property| serde_json::to_value(property).expect("it is plain data"));
    context.print_all(&FIELDS, records.collect())
}

fn only_table(workspace: &Workspace) -> Result<String, Failure> {
    let tables = workspace.tables().map_err(|error| Failure::library("could not list the tables", &error))?;
    match tables.as_slice() {
        [table] => Ok(table.name.clone()),
        [] => Err(Failure::not_found("the database has no tables").hint("run `mp fetch profiles` first")),
        several => {
            let names: Vec<String> = several.iter().map(|table| format!("`{}`", table.name)).collect();
            Err(Failure::usage("the database has several tables")
                .hint(format!("name one of them as an argument: {}", names.join(", "))))
        }
    }
}

/// Returns a row of the table for people.
fn row(property: &PropertyInfo, bars: bool) -> Value {
    let fill = format!("{:.1}%", property.fill_percent);
    let fill = if bars { format!("{fill:>6} {}", bar(property.fill_percent)) } else { fill };
    // An exact number of different values has no sign.
    let sign = if property.distinct > 1_000 { "~" } else { "" };
    json!({
        "name": property.name,
        "type": property.column_type,
        "fill": fill,
        "distinct": format!("{sign}{}", thousands(property.distinct)),
        "min": property.min,
        "max": property.max,
        "values": values(property),
    })
}

/// Returns the most frequent values, or an example.
fn values(property: &PropertyInfo) -> String {
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

/// Returns a bar for a percentage.
fn bar(percent: f64) -> String {
    let cells =
        (0..BAR_CELLS).map(|cell| if (cell as f64 + 0.5) * 100.0 / (BAR_CELLS as f64) < percent { '█' } else { '░' });
    cells.collect()
}
