//! Looks up earlier loads in a database.

use std::ops::ControlFlow;
use std::path::Path;

use duckdb::Connection;

use super::metadata;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::PREFLIGHT_LOCK_WAIT;
use crate::property_rules::PropertyRules;
use crate::store::access::Access;
use crate::store::database::Database;
use crate::store::failure::statement;
use crate::store::label;
use crate::store::schema::{Target, column_names, find};
use crate::store::table_name::TableName;

/// Returns whether a load is in the database. A process killed right after its commit has recorded it nowhere else.
///
/// # Errors
/// The errors of opening a database for reading, except that a missing database is not an error: it contains no loads.
pub(crate) fn is_loaded(database: &Path, load_id: &str) -> Result<bool> {
    let go_on = &mut |_: &_| ControlFlow::Continue(());
    match Database::open_waiting(None, database, Access::ReadOnly, PREFLIGHT_LOCK_WAIT, go_on) {
        Ok(database) => Ok(metadata::find_load(database.connection(), load_id)?.is_some()),
        Err(error) if error.kind() == ErrorKind::DatabaseNotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns the rules for properties with which a table was last loaded: none if they are not recorded. `None` if there is
/// no such table.
///
/// # Errors
/// `Storage` if the recorded rules cannot be read, and the errors of opening a database for reading, except that a
/// missing database is not an error: it contains no tables.
pub(crate) fn rules_of_table(database: &Path, table: &TableName) -> Result<Option<PropertyRules>> {
    let database = match Database::open(database, Access::ReadOnly) {
        Err(error) if error.kind() == ErrorKind::DatabaseNotFound => return Ok(None),
        opened => opened?,
    };
    let connection = database.connection();
    let Target::Table(table) = find(connection, table)? else { return Ok(None) };
    let recorded = match label::of_table(connection, &table).and_then(|label| label.run_id) {
        Some(run_id) => recorded_rules(connection, &table, &run_id)?,
        None => None,
    };
    let unreadable = |error: serde_json::Error| {
        let message = format!("the record of the properties that were dropped or hashed in table `{table}` is damaged");
        Error::new(ErrorKind::Storage, message).with_source(error)
    };
    recorded
        .map_or(Ok(Some(PropertyRules::default())), |text| serde_json::from_str(&text).map(Some).map_err(unreadable))
}

/// Returns the rules that `_fetches` records for the run's last load into the table. Versions that had no such rules
/// recorded none.
fn recorded_rules(connection: &Connection, table: &TableName, run_id: &str) -> Result<Option<String>> {
    let fetches = TableName::listed("_fetches");
    if !matches!(find(connection, &fetches)?, Target::Table(_))
        || !column_names(connection, &fetches)?.contains("property_rules")
    {
        return Ok(None);
    }
    let fail = |error| statement("read the table `_fetches`", &error);
    let sql = "SELECT property_rules::VARCHAR FROM main._fetches
               WHERE run_id = ? AND system.main.lower(table_name) = system.main.lower(?) ORDER BY rowid DESC LIMIT 1";
    let mut query = connection.prepare(sql).map_err(fail)?;
    let mut found = query.query_map([run_id, table.as_str()], |row| row.get::<_, Option<String>>(0)).map_err(fail)?;
    Ok(found.next().transpose().map_err(fail)?.flatten())
}

/// Returns whether a query must put the name in double quotes because it is an SQL keyword.
///
/// # Errors
/// `Storage` if DuckDB cannot be used.
pub(super) fn is_keyword(connection: &Connection, table: &TableName) -> Result<bool> {
    let fail = |error| statement("look up the keywords of SQL", &error);
    let sql = "SELECT count(*) > 0 FROM system.main.duckdb_keywords()
               WHERE keyword_category IN ('reserved', 'type_function') AND keyword_name = system.main.lower(?)";
    connection.query_row(sql, [table.as_str()], |row| row.get(0)).map_err(fail)
}

/// Returns whether the database has a table or view of this name.
///
/// # Errors
/// The errors of opening a database for reading, except that a missing database is not an error: it contains no tables.
pub(crate) fn exists(database: &Path, table: &TableName) -> Result<bool> {
    match Database::open(database, Access::ReadOnly) {
        Ok(database) => Ok(!matches!(find(database.connection(), table)?, Target::Absent)),
        Err(error) if error.kind() == ErrorKind::DatabaseNotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns the run that last created a table, if there is one and the table exists.
///
/// # Errors
/// The errors of opening a database for reading, except that a missing database is not an error: it contains no tables.
pub(crate) fn maker(database: &Path, table: &TableName) -> Result<Option<String>> {
    let go_on = &mut |_: &_| ControlFlow::Continue(());
    let database = match Database::open_waiting(None, database, Access::ReadOnly, PREFLIGHT_LOCK_WAIT, go_on) {
        Err(error) if error.kind() == ErrorKind::DatabaseNotFound => return Ok(None),
        opened => opened?,
    };
    let connection = database.connection();
    let is_there = |name: &TableName| find(connection, name).map(|found| matches!(found, Target::Table(_)));
    if is_there(table)? && is_there(&TableName::listed("_fetches"))? {
        metadata::maker(connection, table)
    } else {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyword_is_a_name_that_only_works_in_quotes() {
        let connection = Connection::open_in_memory().unwrap();
        for name in ["select", "Table", "left", "profiles", "key", "user", "natural", "view", "order_2", "index"] {
            let table = TableName::parse(name).unwrap();
            connection.execute_batch(&format!("CREATE TABLE {} (a INTEGER)", table.quoted())).unwrap();
            let works = connection.prepare(&format!("SELECT count(*) FROM {name}")).is_ok();
            assert_eq!(is_keyword(&connection, &table).unwrap(), !works, "{name}");
        }
    }
}
