//! What a replacement of a table does to what people have added to it: comments go along, the rest is told before.

use std::collections::BTreeSet;

use duckdb::Connection;

use super::database::literal;
use super::failure::statement;
use super::table_name::{TableName, excerpt};
use crate::error::Result;

/// The columns that a load makes.
const OURS: [&str; 3] = ["distinct_id", "properties", "last_seen"];

/// Returns the statements that give a new table the comments of the one that it replaces, and of its indexes.
pub(super) fn comments(connection: &Connection, table: &TableName) -> Result<Vec<String>, duckdb::Error> {
    let mut query = connection.prepare(
        "SELECT 'TABLE', NULL, comment FROM duckdb_tables()
         WHERE database_name = current_database() AND schema_name = 'main' AND table_name = ?1 AND comment IS NOT NULL
         UNION ALL SELECT 'COLUMN', column_name, comment FROM duckdb_columns()
         WHERE database_name = current_database() AND schema_name = 'main' AND table_name = ?1 AND comment IS NOT NULL
         UNION ALL SELECT 'INDEX', index_name, comment FROM duckdb_indexes()
         WHERE database_name = current_database() AND schema_name = 'main' AND table_name = ?1 AND comment IS NOT NULL",
    )?;
    let found = query.query_map([table.as_str()], |row| {
        let (kind, name, comment): (String, Option<String>, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok((kind, name.map(TableName::listed), literal(&comment)))
    })?;
    let mut statements = Vec::new();
    for row in found {
        match row? {
            (kind, None, comment) => statements.push(format!("COMMENT ON {kind} {} IS {comment}", table.quoted())),
            (kind, Some(name), comment) if kind == "INDEX" => {
                statements.push(format!("COMMENT ON INDEX {} IS {comment}", name.quoted()));
            }
            (_, Some(column), comment) if OURS.iter().any(|ours| column.as_str().eq_ignore_ascii_case(ours)) => {
                let column = format!("{}.{}", table.quoted(), column.quoted());
                statements.push(format!("COMMENT ON COLUMN {column} IS {comment}"));
            }
            _ => {}
        }
    }
    Ok(statements)
}

/// Returns the views that can be read now.
pub(super) fn readable_views(connection: &Connection) -> Result<Vec<TableName>> {
    let fail = |error| statement("list the views", &error);
    let mut query = connection
        .prepare(
            "SELECT view_name FROM duckdb_views() WHERE database_name = current_database() AND schema_name = 'main'
             AND NOT internal ORDER BY view_name",
        )
        .map_err(fail)?;
    let names = query.query_map([], |row| row.get::<_, String>(0).map(TableName::listed)).map_err(fail)?;
    let names: Vec<TableName> = names.collect::<Result<_, _>>().map_err(fail)?;
    Ok(names.into_iter().filter(|view| is_readable(connection, view)).collect())
}

/// Whether the engine can plan to read a view; nothing is read.
pub(super) fn is_readable(connection: &Connection, view: &TableName) -> bool {
    let plan = format!("EXPLAIN SELECT * FROM {}", view.quoted());
    connection.prepare(&plan).and_then(|mut plan| plan.query([]).map(drop)).is_ok()
}

/// Says what goes with a table when it is replaced: columns that a load does not make, and constraints.
pub(super) fn losses(connection: &Connection, table: &TableName) -> Result<Vec<String>> {
    let fail = |error| statement("read the columns of the table", &error);
    let texts = |sql: &str| -> Result<Vec<String>, duckdb::Error> {
        connection.prepare(sql)?.query_map([table.as_str()], |row| row.get(0))?.collect()
    };
    let columns = texts(
        "SELECT column_name FROM duckdb_columns() WHERE database_name = current_database() AND schema_name = 'main'
         AND table_name = ? ORDER BY column_index",
    )
    .map_err(fail)?;
    let extra: Vec<String> = columns
        .iter()
        .filter(|column| !OURS.iter().any(|ours| column.eq_ignore_ascii_case(ours)))
        .map(|column| format!("the column `{}`", excerpt(column)))
        .collect();
    let constraints: BTreeSet<String> = texts(
        "SELECT constraint_text FROM duckdb_constraints() WHERE database_name = current_database()
         AND schema_name = 'main' AND table_name = ? ORDER BY 1",
    )
    .map_err(fail)?
    .into_iter()
    .collect();
    let constraints = constraints.iter().map(|text| format!("the constraint `{}`", excerpt(text)));
    Ok(extra.into_iter().chain(constraints).collect())
}
