//! Statistics over a table: looks up the table, and reads the results of the queries in `events`, `event_properties` and
//! `columns`. They call DuckDB's functions by their full names, because macros of the user could have the same ones.

mod columns;
mod event_properties;
mod events;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::path::Path;

use serde_json::Value;

use super::access::Access;
use super::catalog::existing;
use super::database::Database;
use super::query::{QueryLimits, exact};
use super::schema::column_names;
use super::sql_text::literal;
use super::table_name::TableName;
use crate::error::{Error, ErrorKind, Result};
use crate::sql_value::{SqlPart, SqlValue};
use crate::statistics::DayRange;

pub(crate) use columns::{column_stats, property_keys, summarize};
pub(crate) use event_properties::{numeric_summary, property_coverage, property_distribution};
pub(crate) use events::{daily_counts, engagement_distribution, event_breakdown, top_events};

/// The columns that every statistic of events reads.
const EVENT_COLUMNS: [&str; 3] = ["event_name", "event_time", "distinct_id"];

/// A table of events, some of its days and some of its events.
struct Selection {
    table: TableName,
    days: Days,
    /// The SQL condition for the days and the events.
    condition: String,
}

/// The selected days, as text; absent if neither the caller nor the table has any.
struct Days {
    from: Option<String>,
    to: Option<String>,
}

/// Finds a table or view that has these columns.
fn table(path: &Path, name: &str, needed: &[&str]) -> Result<TableName> {
    let database = Database::open(path, Access::ReadOnly)?;
    let table = existing(database.connection(), name)?;
    let found = column_names(database.connection(), &table)?;
    let missing: Vec<&str> = needed.iter().copied().filter(|column| !found.contains(*column)).collect();
    if missing.is_empty() {
        return Ok(table);
    }
    let (columns, listed) = (if missing.len() == 1 { "column" } else { "columns" }, missing.join("`, `"));
    let what = if needed.contains(&"event_name") { "a table of events" } else { "a table with properties" };
    let error = Error::new(ErrorKind::Query, format!("`{table}` is not {what}: it has no {columns} `{listed}`"));
    Err(error.with_detail("table_name", table.as_str()).with_detail("missing_columns", missing))
}

/// Returns the rows of a query. Large integers in JSON are not rounded, because different ones would look equal.
fn rows(path: &Path, sql: &str) -> Result<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    let part = |part: SqlPart<'_>| {
        if let SqlPart::Row(values) = part {
            rows.push(values.into_iter().map(SqlValue::parsed_exactly).collect());
        }
        ControlFlow::Continue(())
    };
    exact(path, sql, &QueryLimits::default(), part)?;
    Ok(rows)
}

/// Finds a table of events and resolves the days. Without names, all events are selected.
fn select(path: &Path, name: &str, days: &DayRange, events: &[String]) -> Result<Selection> {
    if let (Some(from), Some(to)) = (days.from, days.to)
        && from > to
    {
        return Err(Error::invalid(format!("the first day, {from}, is after the last one, {to}")));
    }
    let table = table(path, name, &[&EVENT_COLUMNS[..], &["properties"]].concat())?;
    let mut condition = String::from("true");
    if let Some(from) = days.from {
        condition.push_str(&format!(" AND event_time >= DATE '{from}'"));
    }
    if let Some(to) = days.to {
        condition.push_str(&format!(" AND event_time < DATE '{to}' + INTERVAL 1 DAY"));
    }
    if !events.is_empty() {
        let names: Vec<String> = events.iter().map(|event| literal(event)).collect();
        condition.push_str(&format!(" AND event_name IN ({})", names.join(", ")));
    }
    let mut found = Days { from: days.from.map(|day| day.to_string()), to: days.to.map(|day| day.to_string()) };
    if found.from.is_none() || found.to.is_none() {
        let sql = format!(
            "SELECT system.main.min(event_time)::DATE, system.main.max(event_time)::DATE FROM {}",
            table.quoted()
        );
        let row = first(rows(path, &sql)?);
        found = Days { from: found.from.or_else(|| text(row.first())), to: found.to.or_else(|| text(row.get(1))) };
    }
    Ok(Selection { table, days: found, condition })
}

/// Returns the only row of an aggregation.
fn first(rows: Vec<Vec<Value>>) -> Vec<Value> {
    rows.into_iter().next().unwrap_or_default()
}

fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn number(value: Option<&Value>) -> u64 {
    value.and_then(Value::as_u64).unwrap_or_default()
}

/// Returns a floating-point number, also one that is given as text. JSON has no infinity and no NaN.
fn float(value: Option<&Value>) -> Option<f64> {
    let value = value?;
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).filter(|number| number.is_finite())
}

const IS_FINITE: &str = "system.main.isfinite";

const POWER: &str = "system.main.pow";

/// Returns SQL for `sum` or `avg` over an expression of type DOUBLE. Scaling by a power of two is exact and avoids an
/// overflow on the way to a result that can be represented.
fn total(aggregate: &str, value: &str) -> String {
    format!(
        "CASE WHEN {IS_FINITE}(system.main.{aggregate}({value})) THEN system.main.{aggregate}({value})
              ELSE system.main.{aggregate}({value} * {POWER}(2, -600)) * {POWER}(2, 600) END"
    )
}

/// Returns SQL for a standard deviation (`stddev_pop`, `stddev_samp`) over an expression of type DOUBLE; NULL if a value
/// is infinite or NaN. DuckDB's aggregates fail when a square overflows, so they never see a value whose square could.
fn deviation(aggregate: &str, value: &str) -> String {
    format!(
        "CASE WHEN system.main.max(system.main.abs({value})) < 1e145
              THEN system.main.{aggregate}({value}) FILTER (system.main.abs({value}) < 1e145)
              WHEN system.main.bool_and({IS_FINITE}({value}))
              THEN system.main.{aggregate}({value} * {POWER}(2, -600)) FILTER ({IS_FINITE}({value})) * {POWER}(2, 600)
              END"
    )
}

/// Returns a percentage with two decimals; 0 of nothing.
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (10_000.0 * part as f64 / whole as f64).round() / 100.0 }
}
