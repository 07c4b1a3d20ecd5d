//! Writes the result of a query to a Parquet file.

use std::fs;
use std::path::Path;

use duckdb::Connection;

use super::access::Access;
use super::database::Database;
use super::failure::{query as query_error, statement};
use super::label;
use super::schema::column_names;
use super::settings::{Effort, Tuning};
use super::spill::Spill;
use super::sql_text::literal;
use super::statements;
use super::table_name::TableName;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{EXPORT_GROUP_COLUMNS, EXPORT_GROUP_ROWS, EXPORT_THREADS, VECTOR_ROWS};
use crate::memory::engine_bytes;

/// The types that a Parquet file written by DuckDB rounds or cannot hold, and what stands for them: 128-bit integers
/// would become floats, and intervals would lose their microseconds.
const REPLACED: [(&str, &str); 6] = [
    ("HUGEINT", "DECIMAL(38,0)"),
    ("UHUGEINT", "DECIMAL(38,0)"),
    ("BIGNUM", "VARCHAR"),
    ("INTERVAL", "VARCHAR"),
    ("BIT", "VARCHAR"),
    ("TIME WITH TIME ZONE", "VARCHAR"),
];

/// What to export, and where to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Export<'a> {
    pub(crate) query: &'a str,
    /// The table whose origin is recorded in the file, if the query exports one.
    pub(crate) table: Option<&'a str>,
    /// The file to write. It may exist: its contents are replaced.
    pub(crate) file: &'a Path,
    /// The memory budget of the process, in bytes.
    pub(crate) memory: u64,
}

/// Writes the result of a query to a Parquet file, in the order of the result, and returns the number of rows.
///
/// The query is first bound in a connection that can access no file at all, because the one that writes the file could
/// also read the database file itself.
///
/// # Errors
/// `Query`; `OutOfMemory`; `Storage` or `DiskFull` if the file cannot be written; otherwise the same as [`Database::open`].
pub(crate) fn parquet(path: &Path, export: Export<'_>) -> Result<u64> {
    let query = single(export.query)?;
    let (columns, origin) = {
        let database = Database::open(path, Access::ReadOnly)?;
        let connection = database.connection();
        connection.prepare(query).map_err(|error| query_error(path, query, &error))?;
        let columns = describe(connection, query).map_err(|error| query_error(path, query, &error))?;
        (columns, origin(connection, &export))
    };
    let mut spill = export.file.as_os_str().to_owned();
    spill.push(".spill");
    let spill = Spill::create(Path::new(&spill))?;
    // DuckDB resolves neither links nor relative paths when it compares a path with the permitted ones.
    let file = fs::canonicalize(export.file).map_err(|error| Error::io("find", export.file, error))?;
    let write = |effort: Effort| {
        let tuning = tuning(export.memory, columns.len(), effort);
        let access = Access::Export { file: &file, spill_directory: spill.path(), tuning };
        let database = Database::open(path, access)?;
        let write = |wide: Wide| {
            let sql = copy(query, &columns, wide, tuning.row_group_rows, (&file, &origin));
            database.connection().query_row(&sql, [], |row| row.get::<_, u64>(0))
        };
        let written = match write(Wide::Decimal) {
            // An integer has more than 38 digits.
            Err(error) if error.to_string().contains("Conversion Error") && has_wide(&columns) => write(Wide::Text),
            written => written,
        };
        written.map_err(|error| write_error(path, query, &error))
    };
    match write(Effort::Usual) {
        Err(error) if error.kind() == ErrorKind::OutOfMemory => write(Effort::Frugal),
        written => written,
    }
}

/// Returns the settings for a result with this many columns.
fn tuning(memory: u64, columns: usize, effort: Effort) -> Tuning {
    let memory_mb = engine_bytes(memory, 0, 0) / 1_000_000;
    let (threads, row_group_rows) = match effort {
        Effort::Usual => (EXPORT_THREADS, group_rows(columns)),
        Effort::Frugal | Effort::Last => (1, VECTOR_ROWS),
    };
    Tuning { memory_mb, threads, row_group_rows, dictionaries: true, effort }
}

/// Returns the number of rows in a row group, a multiple of a vector.
fn group_rows(columns: usize) -> u64 {
    let columns = (columns as u64).max(EXPORT_GROUP_COLUMNS);
    (EXPORT_GROUP_ROWS * EXPORT_GROUP_COLUMNS / columns / VECTOR_ROWS).max(1) * VECTOR_ROWS
}

/// Returns the error for a file that could not be written: that of the disk or the memory, or else that of the query.
fn write_error(path: &Path, query: &str, error: &duckdb::Error) -> Error {
    let is_io = error.to_string().contains("IO Error");
    match statement("write the file", error) {
        failure if matches!(failure.kind(), ErrorKind::DiskFull | ErrorKind::OutOfMemory) => failure,
        failure if is_io && failure.kind() == ErrorKind::Storage => failure,
        _ => query_error(path, query, error),
    }
}

/// How 128-bit integers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wide {
    Decimal,
    Text,
}

/// A column of the result.
#[derive(Debug, PartialEq, Eq)]
struct Column {
    name: String,
    kind: String,
}

/// Returns the statement of a query that has only one.
fn single(query: &str) -> Result<&str> {
    match statements::split(query).as_slice() {
        [] => Err(Error::new(ErrorKind::Query, "the query is empty").with_detail("query", query)),
        [range] => Ok(&query[range.clone()]),
        several => {
            let message = format!("the query has {} statements; an export takes the result of one", several.len());
            Err(Error::new(ErrorKind::Query, message).with_detail("query", query))
        }
    }
}

/// Returns the columns of the result. DuckDB numbers columns of the same name in a subquery: `a`, `a_1`.
fn describe(connection: &Connection, query: &str) -> Result<Vec<Column>, duckdb::Error> {
    let mut statement =
        connection.prepare(&format!("SELECT column_name, column_type FROM (DESCRIBE FROM (\n{query}\n))"))?;
    let columns = statement.query_map([], |row| Ok(Column { name: row.get(0)?, kind: row.get(1)? }))?;
    columns.collect()
}

/// Returns the statement that writes the file, with every option that DuckDB would otherwise choose itself.
fn copy(
    query: &str,
    columns: &[Column],
    wide: Wide,
    group_rows: u64,
    (file, origin): (&Path, &[(&str, String)]),
) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let values: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(position, column)| format!("{} AS {}", value(position, &column.kind, wide), quoted(&column.name)))
        .collect();
    let aliases: Vec<String> = (0..columns.len()).map(|position| format!("c{position}")).collect();
    let metadata: Vec<String> =
        origin.iter().map(|(key, text)| format!("{}: {}", quoted(key), literal(text))).collect();
    format!(
        "COPY (SELECT {} FROM (\n{query}\n) AS result({})) TO {} (FORMAT parquet, COMPRESSION zstd, \
         ROW_GROUP_SIZE {group_rows}, PER_THREAD_OUTPUT false, USE_TMP_FILE false, KV_METADATA {{{}}})",
        values.join(", "),
        aliases.join(", "),
        literal(&file.to_string_lossy()),
        metadata.join(", "),
    )
}

/// Returns the expression for a column, cast if its type would be rounded.
fn value(position: usize, kind: &str, wide: Wide) -> String {
    if has_word(kind, "UNION") {
        return format!("to_json(c{position})");
    }
    let replaced = replaced(kind, wide);
    if replaced == kind { format!("c{position}") } else { format!("c{position}::{replaced}") }
}

/// Returns the type with the types in [`REPLACED`] replaced, also within lists, structs and maps.
fn replaced(kind: &str, wide: Wide) -> String {
    REPLACED.iter().fold(kind.to_owned(), |kind, (from, to)| {
        let to = if wide == Wide::Text { "VARCHAR" } else { to };
        outside_quotes(&kind, |part| replace_word(part, from, to))
    })
}

fn has_wide(columns: &[Column]) -> bool {
    columns.iter().any(|column| has_word(&column.kind, "HUGEINT") || has_word(&column.kind, "UHUGEINT"))
}

fn has_word(kind: &str, word: &str) -> bool {
    let mut found = false;
    outside_quotes(kind, |part| {
        found |= replace_word(part, word, "") != part;
        part.to_owned()
    });
    found
}

/// Applies `change` to the parts of a type that are not quoted names or enum values.
fn outside_quotes(kind: &str, mut change: impl FnMut(&str) -> String) -> String {
    let (mut text, mut rest) = (String::new(), kind);
    while let Some(open) = rest.find(['"', '\'']) {
        text.push_str(&change(&rest[..open]));
        let quote = &rest[open..=open];
        let end = rest[open + 1..].find(quote).map_or(rest.len(), |end| open + 1 + end + 1);
        text.push_str(&rest[open..end]);
        rest = &rest[end..];
    }
    text.push_str(&change(rest));
    text
}

/// Replaces whole words. A name that follows a comma or a parenthesis and precedes a type is a word, too, but DuckDB
/// quotes names that are types.
fn replace_word(text: &str, word: &str, to: &str) -> String {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    let (mut replaced, mut rest) = (String::new(), text);
    while let Some(start) = rest.find(word) {
        let end = start + word.len();
        let is_whole = !rest[..start].ends_with(is_part) && !rest[end..].starts_with(is_part);
        replaced.push_str(&rest[..start]);
        replaced.push_str(if is_whole { to } else { word });
        rest = &rest[end..];
    }
    replaced + rest
}

/// Returns where the rows come from, for the metadata of the file. Values that are not recorded are left out.
fn origin(connection: &Connection, export: &Export<'_>) -> Vec<(&'static str, String)> {
    let mut origin = vec![("mixpanel_data.version", env!("CARGO_PKG_VERSION").to_owned())];
    let Some(table) = export.table else {
        origin.push(("mixpanel_data.query", export.query.to_owned()));
        return origin;
    };
    origin.push(("mixpanel_data.table", table.to_owned()));
    let Some(label) = label::of_table(connection, &TableName::listed(table)) else { return origin };
    origin.push(("mixpanel_data.type", label.kind));
    origin.extend(label.fetched_at.map(|at| ("mixpanel_data.fetched_at", at.to_string())));
    origin.push(("mixpanel_data.partial", label.partial.to_string()));
    let Some(run_id) = label.run_id else { return origin };
    let has_rules = column_names(connection, &TableName::listed("_fetches"))
        .is_ok_and(|columns| columns.contains("property_rules"));
    let sql = format!(
        "SELECT project_id, region, filters::VARCHAR, {}::VARCHAR FROM _fetches WHERE run_id = ?
         ORDER BY finished_at DESC LIMIT 1",
        if has_rules { "property_rules" } else { "NULL" }
    );
    let recorded = connection.query_row(&sql, [&run_id], |row| {
        Ok([row.get::<_, Option<String>>(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
    });
    origin.push(("mixpanel_data.run_id", run_id));
    let keys =
        ["mixpanel_data.project_id", "mixpanel_data.region", "mixpanel_data.filters", "mixpanel_data.property_rules"];
    let values = recorded.unwrap_or_default();
    origin.extend(keys.into_iter().zip(values).filter_map(|(key, text)| Some((key, text?))));
    origin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_results_have_smaller_row_groups() {
        for (columns, rows) in [(0, 40_960), (32, 40_960), (33, 38_912), (64, 20_480), (640, 2_048), (5_000, 2_048)] {
            assert_eq!(group_rows(columns), rows, "{columns}");
        }
    }

    #[test]
    fn types_that_parquet_rounds_are_replaced_wherever_they_occur() {
        for (kind, expected) in [
            ("BIGINT", "BIGINT"),
            ("HUGEINT", "DECIMAL(38,0)"),
            ("UHUGEINT[]", "DECIMAL(38,0)[]"),
            ("STRUCT(a HUGEINT, \"HUGEINT\" INTERVAL)", "STRUCT(a DECIMAL(38,0), \"HUGEINT\" VARCHAR)"),
            ("MAP(VARCHAR, BIT)", "MAP(VARCHAR, VARCHAR)"),
            ("ENUM('HUGEINT', 'it''s BIT')", "ENUM('HUGEINT', 'it''s BIT')"),
            ("TIME WITH TIME ZONE", "VARCHAR"),
            ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITH TIME ZONE"),
            ("DECIMAL(38,3)", "DECIMAL(38,3)"),
        ] {
            assert_eq!(replaced(kind, Wide::Decimal), expected, "{kind}");
        }
        assert_eq!(replaced("STRUCT(a HUGEINT)", Wide::Text), "STRUCT(a VARCHAR)");
        assert_eq!(value(3, "UNION(a INTEGER)", Wide::Decimal), "to_json(c3)");
        assert_eq!(value(3, "STRUCT(\"UNION\" INTEGER)", Wide::Decimal), "c3");
    }
}
