//! The query of the typed views: one column for each recorded property.

use std::path::Path;

use duckdb::Connection;

use super::properties::{Recorded, read};
use crate::dataset::Dataset;
use crate::error::Result;
use crate::limits::{TYPED_COLUMNS_GROUP, TYPED_COLUMNS_MAX};
use crate::store::access::Access;
use crate::store::catalog::existing;
use crate::store::database::Database;
use crate::store::label;
use crate::store::own_objects::{Owner, TYPED_ENDING, owner_of_view, pointer, typed_view};
use crate::store::schema::{Target, columns, find};
use crate::store::table_name::TableName;

/// How many properties one expression extracts from a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grouping {
    /// A few, so that a query that selects some columns does not pay for the others.
    Narrow,
    /// All, which takes the least memory if all columns are selected.
    Whole,
}

/// Returns the query of the typed view. A value that does not fit its type is NULL.
///
/// Each expression that extracts properties keeps the parsed JSON of 2,048 rows in memory, so it extracts several.
/// Functions are qualified, because macros of the database may have the same names.
pub(super) fn view_query(
    connection: &Connection,
    table: &TableName,
    dataset: &Dataset,
    properties: &[Recorded],
    grouping: Grouping,
) -> Result<String> {
    // In a table that another program made, the column may be VARCHAR, whose text need not be JSON.
    let is_json = columns(connection, table)?.iter().any(|column| column.name == "properties" && column.kind == "JSON");
    let source =
        if is_json { "properties" } else { "CASE WHEN system.main.json_valid(properties) THEN properties END" };
    let fixed: Vec<&str> = dataset.columns.iter().filter(|column| !column.is_json).map(|column| column.name).collect();
    let shown = shown(properties);
    let size = match grouping {
        Grouping::Narrow => TYPED_COLUMNS_GROUP,
        Grouping::Whole => TYPED_COLUMNS_MAX,
    };
    let (mut outer, mut inner): (Vec<String>, Vec<String>) =
        fixed.iter().map(|name| ((*name).to_owned(), (*name).to_owned())).unzip();
    for (number, group) in shown.chunks(size).enumerate() {
        let pointers: Vec<String> = group.iter().map(|(recorded, _)| pointer(&recorded.property.name)).collect();
        let pointers = pointers.join(", ");
        inner.push(format!(
            "system.main.json_extract_string({source}, system.main.list_value({pointers})) AS g{number}"
        ));
        for (place, (recorded, column)) in (1..).zip(group) {
            let text = format!("system.main.array_extract(g{number}, {place})");
            let value = match recorded.column_type.as_str() {
                "VARCHAR" => text,
                kind => format!("TRY_CAST({text} AS {kind})"),
            };
            outer.push(format!("{value} AS {}", TableName::listed(*column).quoted()));
        }
    }
    Ok(format!("SELECT {} FROM (SELECT {} FROM main.{})", outer.join(", "), inner.join(", "), table.quoted()))
}

/// Returns the properties in the typed view with their columns, in order. If there are too many, those that the table
/// no longer has are left out.
fn shown(properties: &[Recorded]) -> Vec<(&Recorded, &str)> {
    let mut shown: Vec<(usize, &Recorded, &str)> = properties
        .iter()
        .enumerate()
        .filter_map(|(place, recorded)| Some((place, recorded, recorded.column.as_deref()?)))
        .collect();
    shown.sort_by_key(|(place, recorded, _)| (recorded.property.profiles() == 0, *place));
    shown.truncate(TYPED_COLUMNS_MAX);
    shown.sort_by_key(|(place, ..)| *place);
    shown.into_iter().map(|(_, recorded, column)| (recorded, column)).collect()
}

/// Returns a query for all rows and columns of a table or view. For a typed view that loads maintain, it takes less
/// memory than the view itself.
///
/// # Errors
/// `TableNotFound`; the errors of opening a database for reading.
pub(crate) fn table_query(database: &Path, name: &str) -> Result<String> {
    let database = Database::open(database, Access::ReadOnly)?;
    let connection = database.connection();
    let name = existing(connection, name)?;
    match whole_view_query(connection, name.as_str())? {
        Some(query) => Ok(query),
        None => Ok(format!("SELECT * FROM main.{}", name.quoted())),
    }
}

/// Returns a query for the rows of a typed view that loads maintain; `None` if this is no such view.
fn whole_view_query(connection: &Connection, view: &str) -> Result<Option<String>> {
    let table = view.len().checked_sub(TYPED_ENDING.len()).and_then(|end| view.get(..end));
    let Some(Target::Table(table)) = table.map(|name| find(connection, &TableName::listed(name))).transpose()? else {
        return Ok(None);
    };
    if !typed_view(&table).as_str().eq_ignore_ascii_case(view) || owner_of_view(connection, &table)? != Owner::Mp {
        return Ok(None);
    }
    let kind = label::of_table(connection, &table).map(|label| label.kind);
    let Some(dataset) = kind.and_then(|kind| Dataset::of_kind(&kind)) else { return Ok(None) };
    let properties = read(connection, &table)?;
    view_query(connection, &table, dataset, &properties, Grouping::Whole).map(Some)
}
