//! Merges into a table with a primary key on `insert_id`, as the Python package makes it.
//!
//! Mixpanel does not promise that an insert id is unique in a project, so that key loses events. A row whose id another
//! row has gets `<id>#<8 hex digits>`, with a hash of its identity, so that it gets the same id in every load.
//!
//! The package also stored times without milliseconds. Its rows count as the same as those of the same second.

use duckdb::Connection;

use super::super::rows::{number, run};
use super::compare::{IS_SAME, is_later, narrow};
use super::existing::{Existing, rows_with_days};
use super::source::Source;
use crate::error::Result;
use crate::event_query::Dedupe;
use crate::store::failure::statement;
use crate::store::table_name::TableName;

/// Returns whether a table has a primary key or a unique index on `insert_id` alone.
///
/// # Errors
/// `Storage`.
pub(super) fn is_keyed(connection: &Connection, table: &TableName) -> Result<bool> {
    let found = connection.query_row(
        "SELECT (SELECT count(*) FROM duckdb_constraints() WHERE database_name = current_database()
                 AND schema_name = 'main' AND table_name = ?1 AND constraint_type IN ('PRIMARY KEY', 'UNIQUE')
                 AND constraint_column_names = ['insert_id'])
              + (SELECT count(*) FROM duckdb_indexes() WHERE database_name = current_database()
                 AND schema_name = 'main' AND table_name = ?1 AND is_unique AND expressions = '[insert_id]')",
        [table.as_str()],
        |row| row.get::<_, u64>(0),
    );
    found.map(|found| found > 0).map_err(|error| statement("read the constraints of the table", &error))
}

/// Returns the SQL expression for a text that differs between rows with one insert id, of the row at `time`.
fn digest(row: &str, time: &str) -> String {
    format!(
        "system.main.md5(system.main.concat_ws(system.main.chr(0), {row}.event_name, {row}.distinct_id,
             system.main.epoch_us({time})::VARCHAR, {row}.insert_id))"
    )
}

/// Returns the SQL expression for an insert id with this many digits of the digest.
fn derived(row: &str, time: &str, digits: u32) -> String {
    format!("{row}.insert_id || '#' || system.main.substr({}, 1, {digits})", digest(row, time))
}

/// Lists the pairs of staged rows and rows of the table that have one identity.
pub(super) fn pair(connection: &Connection, source: &Source<'_>, existing: &Existing) -> Result<(), duckdb::Error> {
    let second = |row: &str| format!("system.main.date_trunc('second', {row}.event_time)");
    let (own, same_time, times, time) = match source.dedupe {
        Dedupe::Exact | Dedupe::None => (
            format!("(SELECT rowid AS place, * FROM {})", existing.table),
            format!("{} = {}", second("t"), second("b")),
            format!("t.event_time IN (b.event_time, {})", second("b")),
            "b.event_time",
        ),
        // A row of another time of the day got its id with that time.
        Dedupe::Day => (
            format!("({})", rows_with_days(source, existing)),
            "t.day = b._day".to_owned(),
            "true".to_owned(),
            "t.event_time",
        ),
    };
    let sql = format!(
        "CREATE TEMP TABLE _pairs AS
         SELECT b._part, b._row, t.place, b.staged, t.event_time = b.event_time AS is_exact,
             {IS_SAME} AND is_exact AS is_same, {later} AND (is_exact OR t.event_time <> {second}) AS is_later
         FROM {staged} JOIN {own} AS t
         ON t.event_name = b.event_name AND t.distinct_id = b.distinct_id AND {same_time}
         WHERE {times} AND t.insert_id IN (b.insert_id, {short}, {long})",
        later = is_later("t.properties"),
        staged = narrow(source),
        second = second("b"),
        short = derived("b", time, SHORT),
        long = derived("b", time, LONG),
    );
    run(connection, &sql)?;
    // A row of the table that a staged row equals is not one of another staged row.
    run(connection, "DELETE FROM _pairs WHERE NOT is_exact AND place IN (SELECT place FROM _pairs WHERE is_exact)")
        .map(drop)
}

/// Digits of a derived id, and of one that another row has nevertheless.
const SHORT: u32 = 8;
const LONG: u32 = 16;

/// Gives the rows to store whose insert id another row has different ones.
pub(super) fn rename(connection: &Connection, source: &mut Source<'_>, table: &str) -> Result<(), duckdb::Error> {
    for digits in [SHORT, LONG] {
        // The received id of a row that was renamed before.
        let received = if digits == LONG { "_received" } else { "insert_id" };
        if digits == LONG && !source.has_fates {
            return Ok(());
        }
        let new_id = derived("x", "x.event_time", digits).replace("x.insert_id", &format!("x.{received}"));
        let sql = format!(
            "CREATE TEMP TABLE _clashes AS SELECT x._part, x._row, {new_id} AS new_id FROM (
                 SELECT b.*, row_number() OVER (
                     PARTITION BY b.insert_id ORDER BY b.event_time, b.event_name, b.distinct_id, b._part, b._row
                 ) AS place FROM {stored}
             ) AS x WHERE x.place > 1 OR x.insert_id IN (SELECT insert_id FROM {table})",
            stored = source.stored(),
        );
        run(connection, &sql)?;
        if number(connection, "SELECT count(*) FROM _clashes")? > 0 {
            rename_listed(connection, source)?;
        }
        run(connection, "DROP TABLE _clashes")?;
    }
    Ok(())
}

fn rename_listed(connection: &Connection, source: &mut Source<'_>) -> Result<(), duckdb::Error> {
    run(
        connection,
        &format!(
            "CREATE TEMP TABLE _renamed AS
             SELECT b._part, b._row, c.new_id, {staged} AS staged, {stored} AS stored
             FROM {rows} JOIN _clashes AS c ON c._part = b._part AND c._row = b._row",
            staged = source.staged_hash(),
            stored = source.hash_with_id("c.new_id"),
            rows = source.stored(),
        ),
    )?;
    run(
        connection,
        "DELETE FROM _fates AS d WHERE EXISTS (
             SELECT 1 FROM _renamed AS r WHERE r._part = d._part AND r._row = d._row
         )",
    )?;
    run(connection, "INSERT INTO _fates SELECT _part, _row, 'renamed', new_id, staged, stored, false FROM _renamed")?;
    source.has_fates = true;
    run(connection, "DROP TABLE _renamed").map(drop)
}
