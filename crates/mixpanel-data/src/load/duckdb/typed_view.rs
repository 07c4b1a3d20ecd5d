//! The query of the typed views: one column for each recorded property.

use duckdb::Connection;

use crate::dataset::Dataset;
use crate::error::Result;
use crate::limits::{TYPED_COLUMNS_GROUP, TYPED_COLUMNS_MAX};
use crate::store::own_objects::pointer;
use crate::store::schema::columns;
use crate::store::table_name::TableName;

/// A column of a typed view.
#[derive(Debug, Clone, Copy)]
pub(super) struct TypedColumn<'a> {
    /// The name of the property.
    pub(super) property: &'a str,
    /// The name of the column.
    pub(super) name: &'a str,
    pub(super) kind: &'a str,
    /// Whether the table has the property now.
    pub(super) is_current: bool,
}

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
    typed: &[TypedColumn<'_>],
    grouping: Grouping,
) -> Result<String> {
    // In a table that another program made, the column may be VARCHAR, whose text need not be JSON.
    let is_json = columns(connection, table)?.iter().any(|column| column.name == "properties" && column.kind == "JSON");
    let source =
        if is_json { "properties" } else { "CASE WHEN system.main.json_valid(properties) THEN properties END" };
    let fixed: Vec<&str> = dataset.columns.iter().filter(|column| !column.is_json).map(|column| column.name).collect();
    let shown = shown(typed);
    let size = match grouping {
        Grouping::Narrow => TYPED_COLUMNS_GROUP,
        Grouping::Whole => TYPED_COLUMNS_MAX,
    };
    let (mut outer, mut inner): (Vec<String>, Vec<String>) =
        fixed.iter().map(|name| ((*name).to_owned(), (*name).to_owned())).unzip();
    for (number, group) in shown.chunks(size).enumerate() {
        let pointers: Vec<String> = group.iter().map(|column| pointer(column.property)).collect();
        let pointers = pointers.join(", ");
        inner.push(format!(
            "system.main.json_extract_string({source}, system.main.list_value({pointers})) AS g{number}"
        ));
        for (place, column) in (1..).zip(group) {
            let text = format!("system.main.array_extract(g{number}, {place})");
            let value = match column.kind {
                "VARCHAR" => text,
                kind => format!("TRY_CAST({text} AS {kind})"),
            };
            outer.push(format!("{value} AS {}", TableName::listed(column.name).quoted()));
        }
    }
    Ok(format!("SELECT {} FROM (SELECT {} FROM main.{})", outer.join(", "), inner.join(", "), table.quoted()))
}

/// Returns the columns of the view, in order. If there are too many, properties that the table no longer has are left out.
fn shown<'a>(typed: &[TypedColumn<'a>]) -> Vec<TypedColumn<'a>> {
    let former = typed.len().saturating_sub(TYPED_COLUMNS_MAX);
    let mut left_out = 0;
    let is_shown = |column: &&TypedColumn<'a>| {
        let leaves = !column.is_current && left_out < former;
        left_out += usize::from(leaves);
        !leaves
    };
    typed.iter().filter(is_shown).take(TYPED_COLUMNS_MAX).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn former_properties_make_room() {
        let column = |is_current| TypedColumn { property: "p", name: "p", kind: "VARCHAR", is_current };
        let typed: Vec<_> = (0..TYPED_COLUMNS_MAX + 3).map(|place| column(place % 2 == 1)).collect();
        let current = typed.iter().filter(|column| column.is_current).count();
        let shown = shown(&typed);
        assert_eq!(shown.len(), TYPED_COLUMNS_MAX);
        assert_eq!(shown.iter().filter(|column| column.is_current).count(), current);
        assert_eq!(super::shown(&typed[..9]).len(), 9);
    }
}
