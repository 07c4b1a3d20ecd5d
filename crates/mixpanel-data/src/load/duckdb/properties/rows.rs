//! Inserts rows into `_properties`.

use duckdb::types::Value;
use duckdb::{Connection, params_from_iter};

use super::super::metadata::timestamp;
use crate::error::Result;
use crate::load::run_record::RunRecord;
use crate::store::failure::statement;
use crate::store::table_name::TableName;

/// The number of rows in one statement. A statement for each row takes ten times as long, because each is planned anew.
const ROWS_PER_STATEMENT: usize = 100;

/// A row of `_properties`, apart from what all rows of a load have in common.
#[derive(Debug, Default)]
pub(super) struct Row<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) column: Option<&'a str>,
    pub(super) column_type: Option<&'a str>,
    pub(super) profiles: u64,
    pub(super) nulls: u64,
    pub(super) types: Option<String>,
    pub(super) bounds: Option<(String, String)>,
    /// In microseconds since 1970.
    pub(super) first_seen: Option<i64>,
    pub(super) event: Option<&'a str>,
}

/// Inserts rows that describe the properties of a table.
pub(super) fn insert<'a>(
    connection: &Connection,
    table: &TableName,
    run: &RunRecord,
    rows: impl Iterator<Item = Row<'a>>,
) -> Result<()> {
    let fail = |error| statement("record the properties in `_properties`", &error);
    let rows: Vec<Row<'_>> = rows.collect();
    for rows in rows.chunks(ROWS_PER_STATEMENT) {
        let places = vec!["(?, ?, ?, ?, ?, ?, ?, ?, ?, system.main.make_timestamp(?), ?, ?, ?)"; rows.len()].join(", ");
        let sql = format!(
            "INSERT INTO _properties (table_name, name, column_name, column_type, profiles, nulls, types, min_value,
                 max_value, first_seen, updated_at, run_id, event_name)
             VALUES {places}"
        );
        let values = rows.iter().flat_map(|row| row.values(table, run));
        connection.execute(&sql, params_from_iter(values)).map_err(fail)?;
    }
    Ok(())
}

impl Row<'_> {
    fn values(&self, table: &TableName, run: &RunRecord) -> [Value; 13] {
        let text = |text: Option<&str>| text.map_or(Value::Null, |text| Value::Text(text.to_owned()));
        let (least, greatest) =
            self.bounds.as_ref().map(|(least, greatest)| (least.as_str(), greatest.as_str())).unzip();
        [
            text(Some(table.as_str())),
            text(self.name),
            text(self.column),
            text(self.column_type),
            Value::UBigInt(self.profiles),
            Value::UBigInt(self.nulls),
            text(self.types.as_deref()),
            text(least),
            text(greatest),
            self.first_seen.map_or(Value::Null, Value::BigInt),
            timestamp(run.finished_at),
            text(Some(&run.run_id)),
            text(self.event),
        ]
    }
}
