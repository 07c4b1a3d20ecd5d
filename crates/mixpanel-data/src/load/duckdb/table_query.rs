//! Queries for all rows of a table or view.

use std::path::Path;

use duckdb::Connection;

use super::properties::{read, typed};
use super::typed_view::{Grouping, view_query};
use crate::dataset::Dataset;
use crate::error::Result;
use crate::store::access::Access;
use crate::store::catalog::existing;
use crate::store::database::Database;
use crate::store::label;
use crate::store::own_objects::{Owner, TYPED_ENDING, owner_of_view, typed_view};
use crate::store::schema::{Target, find};
use crate::store::table_name::TableName;

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
    view_query(connection, &table, dataset, &typed(&properties), Grouping::Whole).map(Some)
}
