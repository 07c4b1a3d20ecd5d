//! `mp inspect properties`: the properties of the profiles in a table.

use mixpanel_data::{PropertyInfo, Workspace};
use serde_json::{Value, json};

use super::properties_table::{distinct, fitted, top_values};
use crate::cli::Format;
use crate::context::Context;
use crate::failure::Failure;

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

/// Prints the properties of a table, or of the only one.
pub(super) fn run(context: &Context, table: Option<String>) -> Result<(), Failure> {
    let workspace = context.database()?;
    let table = table.map_or_else(|| only_table(&workspace), Ok)?;
    let properties = workspace
        .properties(&table)
        .map_err(|error| Failure::library(format!("could not read the properties of `{table}`"), &error))?;
    if context.format() == Format::Table {
        if context.output.stdout_is_terminal() {
            let (columns, rows) = fitted(&properties, context.output.width().into());
            return context.print_all(&columns, rows);
        }
        let columns = ["name", "type", "fill", "distinct", "min", "max", "values"];
        return context.print_all(&columns, properties.iter().map(row).collect());
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

/// Returns a row of the table outside a terminal.
fn row(property: &PropertyInfo) -> Value {
    json!({
        "name": property.name,
        "type": property.column_type,
        "fill": format!("{:.1}%", property.fill_percent),
        "distinct": distinct(property),
        "min": property.min,
        "max": property.max,
        "values": top_values(property),
    })
}
