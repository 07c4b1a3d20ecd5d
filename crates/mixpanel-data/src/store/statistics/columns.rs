//! Statistics about the columns of any table, and the keys of its properties.

use std::path::Path;

use super::{deviation, first, float, number, percent, rows, table, text, total};
use crate::error::Result;
use crate::statistics::{ColumnStatsResult, ColumnSummary, ColumnValue, SummaryResult};
use crate::store::TableName;
use crate::store::access::Access;
use crate::store::database::Database;
use crate::store::schema::columns;
use crate::store::sql_text::literal;

/// The types whose values can be too large for a sum or a square.
const FLOATS: [&str; 2] = ["DOUBLE", "FLOAT"];

/// The types that have a mean, without their parameters.
const NUMBERS: [&str; 13] = [
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "UHUGEINT",
    "FLOAT",
    "DOUBLE",
    "DECIMAL",
];

/// Returns the names of all properties, sorted.
pub(crate) fn property_keys(path: &Path, name: &str, event: Option<&str>) -> Result<Vec<String>> {
    let needed = if event.is_some() { &["event_name", "properties"][..] } else { &["properties"] };
    let table = table(path, name, needed)?;
    let condition = event.map(|event| format!("WHERE event_name = {}", literal(event))).unwrap_or_default();
    let sql = format!(
        "SELECT DISTINCT system.main.unnest(system.main.json_keys(properties)) AS key FROM {} {condition} ORDER BY key",
        table.quoted()
    );
    Ok(rows(path, &sql)?.iter().filter_map(|row| text(row.first())).collect())
}

/// Describes a column, or an SQL expression over the columns.
pub(crate) fn column_stats(path: &Path, name: &str, column: &str, top_n: u32) -> Result<ColumnStatsResult> {
    let table = table(path, name, &[])?;
    let expression = expression(path, &table, column)?;
    let source = format!("(SELECT ({expression}) AS v FROM {})", table.quoted());
    // The type of a subquery is known even if it has no rows.
    let sql = format!("SELECT system.main.typeof((SELECT v FROM {source} LIMIT 1))");
    let dtype = text(first(rows(path, &sql)?).first());
    let dtype = dtype.unwrap_or_else(|| "NULL".to_owned());
    let moments = match dtype.as_str() {
        _ if FLOATS.contains(&dtype.as_str()) => {
            format!("{}, {}", total("avg", "v::DOUBLE"), deviation("stddev_samp", "v::DOUBLE"))
        }
        _ if is_numeric(&dtype) => "system.main.avg(v), system.main.stddev_samp(v)".to_owned(),
        _ => "NULL, NULL".to_owned(),
    };
    let sql = format!(
        "SELECT system.main.count(*), system.main.count(v), system.main.approx_count_distinct(v),
             system.main.min(v)::VARCHAR, system.main.max(v)::VARCHAR, {moments} FROM {source}"
    );
    let found = first(rows(path, &sql)?);
    let (total, count) = (number(found.first()), number(found.get(1)));
    // An estimate can be too large.
    let unique_count = number(found.get(2)).min(count);
    let sql = format!(
        "SELECT v, system.main.count(*) AS n FROM {source} WHERE v IS NOT NULL GROUP BY v
         ORDER BY n DESC, v::VARCHAR LIMIT {top_n}"
    );
    let top_values = rows(path, &sql)?.into_iter().map(|row| {
        let count = number(row.get(1));
        ColumnValue { value: row.into_iter().next().unwrap_or_default(), count }
    });
    Ok(ColumnStatsResult {
        table: table.as_str().to_owned(),
        column: column.to_owned(),
        dtype,
        count,
        null_count: total - count,
        null_pct: percent(total - count, total),
        unique_count,
        unique_pct: percent(unique_count, count),
        top_values: top_values.collect(),
        min: text(found.get(3)),
        max: text(found.get(4)),
        mean: float(found.get(5)),
        std: float(found.get(6)),
    })
}

/// Returns whether DuckDB's type of this name has a mean.
fn is_numeric(dtype: &str) -> bool {
    // Other types can contain the names of these: `ENUM('PRINT')`, `UNION(n INTEGER)`, `DECIMAL(9,2)[]`.
    let name = dtype.split_once('(').map_or(dtype, |(name, _)| name);
    !dtype.ends_with(']') && NUMBERS.contains(&name)
}

/// Returns the quoted name of the column, or else the expression as it is.
fn expression(path: &Path, table: &TableName, column: &str) -> Result<String> {
    let database = Database::open(path, Access::ReadOnly)?;
    let columns = columns(database.connection(), table)?;
    let own = columns.into_iter().find(|own| own.name.eq_ignore_ascii_case(column));
    // The line end ends a comment.
    Ok(own.map_or_else(|| format!("{column}\n"), |own| TableName::listed(own.name).quoted()))
}

/// Returns DuckDB's summary of every column.
pub(crate) fn summarize(path: &Path, name: &str) -> Result<SummaryResult> {
    let table = table(path, name, &[])?;
    let quoted = table.quoted();
    let row_count = number(first(rows(path, &format!("SELECT system.main.count(*) FROM {quoted}"))?).first());
    let floats = float_columns(path, &table)?;
    // One value that is too large for a standard deviation fails the whole SUMMARIZE.
    let replaced: Vec<String> = floats.iter().map(|(name, kind)| format!("NULL::{kind} AS {name}")).collect();
    let replaced = if replaced.is_empty() { String::new() } else { format!("REPLACE ({})", replaced.join(", ")) };
    let sql = format!(
        "SELECT column_name, column_type, min, max, approx_unique, avg, std, q25, q50, q75, count,
                coalesce(null_percentage, 0)::DOUBLE
         FROM (SUMMARIZE SELECT * {replaced} FROM {quoted})"
    );
    let described = |row: Vec<serde_json::Value>| ColumnSummary {
        column_name: text(row.first()).unwrap_or_default(),
        column_type: text(row.get(1)).unwrap_or_default(),
        min: text(row.get(2)),
        max: text(row.get(3)),
        approx_unique: number(row.get(4)),
        avg: float(row.get(5)),
        std: float(row.get(6)),
        q25: text(row.get(7)),
        q50: text(row.get(8)),
        q75: text(row.get(9)),
        count: number(row.get(10)),
        null_percentage: float(row.get(11)).unwrap_or_default(),
    };
    let mut columns: Vec<_> = rows(path, &sql)?.into_iter().map(described).collect();
    if !floats.is_empty() {
        let names = floats.iter().map(|(name, _)| float_summary(name)).collect::<Vec<_>>().join(", ");
        let found = first(rows(path, &format!("SELECT {names} FROM {quoted}"))?);
        let summaries = columns.iter_mut().filter(|column| FLOATS.contains(&column.column_type.as_str()));
        for (column, row) in summaries.zip(found.chunks(FLOAT_SUMMARY_FIELDS)) {
            column.min = text(row.first());
            column.max = text(row.get(1));
            column.approx_unique = number(row.get(2));
            column.avg = float(row.get(3));
            column.std = float(row.get(4));
            [column.q25, column.q50, column.q75] = [5, 6, 7].map(|field| text(row.get(field)));
            column.null_percentage = percent(number(row.get(8)), row_count);
        }
    }
    Ok(SummaryResult { table: table.as_str().to_owned(), row_count, columns })
}

/// Returns the quoted names and the types of the columns that hold floating-point numbers.
fn float_columns(path: &Path, table: &TableName) -> Result<Vec<(String, String)>> {
    let database = Database::open(path, Access::ReadOnly)?;
    let columns = columns(database.connection(), table)?;
    let floats = columns.into_iter().filter(|column| FLOATS.contains(&column.kind.as_str()));
    Ok(floats.map(|column| (TableName::listed(column.name).quoted(), column.kind)).collect())
}

/// Number of fields of [`float_summary`].
const FLOAT_SUMMARY_FIELDS: usize = 9;

/// Returns SQL for what SUMMARIZE says about a column of floating-point numbers, for values of any size.
fn float_summary(column: &str) -> String {
    let double = format!("{column}::DOUBLE");
    format!(
        "system.main.min({column})::VARCHAR, system.main.max({column})::VARCHAR,
         system.main.approx_count_distinct({column}), {}, {},
         system.main.approx_quantile({column}, 0.25)::VARCHAR, system.main.approx_quantile({column}, 0.5)::VARCHAR,
         system.main.approx_quantile({column}, 0.75)::VARCHAR, system.main.count(*) - system.main.count({column})",
        total("avg", &double),
        deviation("stddev_samp", &double),
    )
}
