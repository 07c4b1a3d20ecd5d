//! The macros and the views that loads maintain in a database for its users. Their comments tell them apart from objects
//! of the same name that users made, which are never replaced.

use std::collections::HashMap;

use duckdb::Connection;

use super::failure::statement;
use super::schema::{Target, find};
use super::sql_text::literal;
use super::table_name::TableName;
use crate::error::Result;

/// The name of the macro that returns a property as text: `prop(properties, '$email')`.
pub(crate) const PROP: &str = "prop";

/// Ends the comment of every object that loads maintain. Replacing the object without a comment makes it the user's.
const MARK: &str = "maintained by mp";

/// The path is a JSON pointer, the only form in which DuckDB accepts every name: a quoted JSON path cannot contain an
/// empty name, and reads `*` as a wildcard.
const PROP_BODY: &str = "system.main.json_extract_string(properties, '/' || system.main.replace(system.main.replace(name, '~', '~0'), '/', '~1'))";

const PROP_COMMENT: &str = "A property as text, NULL if it is missing or null: prop(properties, '$email')";

/// Who made an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// There is no such object.
    Absent,
    /// An earlier load.
    Mp,
    /// The user or another program.
    User,
}

/// A macro that loads maintain.
#[derive(Debug)]
pub(crate) struct OwnMacro {
    /// Its name, in lower case.
    pub(crate) name: &'static str,
    /// What it returns.
    pub(crate) kind: MacroKind,
    /// Its parameters, as SQL.
    pub(crate) parameters: &'static str,
    /// The expression or the query.
    pub(crate) body: String,
    /// Its description, which is shown in `duckdb_functions()`.
    pub(crate) comment: &'static str,
}

/// What a macro returns. DuckDB keeps the two kinds apart, so they do not conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum MacroKind {
    /// A value.
    Scalar,
    /// A table.
    Table,
}

impl MacroKind {
    /// Returns DuckDB's name for it in `duckdb_functions()`.
    fn function_type(self) -> &'static str {
        match self {
            Self::Scalar => "macro",
            Self::Table => "table_macro",
        }
    }
}

impl OwnMacro {
    fn create(&self, connection: &Connection, verb: &str) -> Result<(), duckdb::Error> {
        let Self { name, kind, parameters, body, comment } = self;
        let table = if *kind == MacroKind::Table { "TABLE" } else { "" };
        let comment = literal(&format!("{comment}; {MARK}"));
        connection.execute_batch(&format!(
            "{verb} MACRO main.{name}({parameters}) AS {table} {body};
             COMMENT ON MACRO {table} main.{name} IS {comment}"
        ))
    }
}

/// Returns who made the macro with this name and kind.
#[cfg(test)]
pub(crate) fn owner_of_macro(connection: &Connection, name: &str, kind: MacroKind) -> Result<Owner> {
    let owners = owners_of_macros(connection, &[name])?;
    Ok(owners.get(&(name.to_owned(), kind)).copied().unwrap_or(Owner::Absent))
}

/// Returns who made the macros of these names. Takes some 20 ms, because DuckDB lists all of its functions.
pub(crate) fn owners_of_macros(connection: &Connection, names: &[&str]) -> Result<HashMap<(String, MacroKind), Owner>> {
    let sql = "SELECT system.main.lower(function_name), function_type, comment FROM duckdb_functions()
               WHERE database_name = current_database() AND schema_name = 'main'
                 AND function_type IN ('macro', 'table_macro')";
    let found = || -> Result<Vec<(String, String, Option<String>)>, duckdb::Error> {
        connection.prepare(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
    };
    let found = found().map_err(|error| statement("list the macros", &error))?;
    let named = found.into_iter().filter(|(name, ..)| names.contains(&name.as_str()));
    let kind =
        |kind: &str| if kind == MacroKind::Scalar.function_type() { MacroKind::Scalar } else { MacroKind::Table };
    Ok(named.map(|(name, type_, comment)| ((name, kind(&type_)), owner(comment.as_deref()))).collect())
}

/// Creates these macros, or brings those of an earlier version up to date. A user's own macros stay.
///
/// # Errors
/// `Storage`, `DiskFull`.
pub(crate) fn ensure_own_macros(connection: &Connection, macros: &[OwnMacro]) -> Result<()> {
    // In a new database, this avoids listing all functions.
    let existing: Vec<&OwnMacro> = macros.iter().filter(|own| own.create(connection, "CREATE").is_err()).collect();
    if existing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = existing.iter().map(|own| own.name).collect();
    let owners = owners_of_macros(connection, &names)?;
    for own in existing {
        if owners.get(&(own.name.to_owned(), own.kind)) != Some(&Owner::User) {
            own.create(connection, "CREATE OR REPLACE")
                .map_err(|error| statement(&format!("create the macro `{}`", own.name), &error))?;
        }
    }
    Ok(())
}

/// Returns the macro `prop`.
pub(crate) fn prop() -> OwnMacro {
    let (kind, parameters) = (MacroKind::Scalar, "properties, name");
    OwnMacro { name: PROP, kind, parameters, body: PROP_BODY.to_owned(), comment: PROP_COMMENT }
}

/// Returns the JSON pointer to a property, as an SQL literal.
pub(crate) fn pointer(name: &str) -> String {
    literal(&format!("/{}", name.replace('~', "~0").replace('/', "~1")))
}

/// Ends the name of a view with typed columns.
pub(crate) const TYPED_ENDING: &str = "_typed";

/// Returns the name of the view with the typed columns of a table.
pub(crate) fn typed_view(table: &TableName) -> TableName {
    TableName::listed(format!("{}{TYPED_ENDING}", table.as_str()))
}

/// Returns who made the typed view of a table, or the table or view that has its name.
pub(crate) fn owner_of_view(connection: &Connection, table: &TableName) -> Result<Owner> {
    let view = match find(connection, &typed_view(table))? {
        Target::Absent => return Ok(Owner::Absent),
        Target::Table(_) => return Ok(Owner::User),
        Target::View(view) => view,
    };
    let sql = "SELECT comment FROM duckdb_views() WHERE database_name = current_database() AND schema_name = 'main'
               AND view_name = ?";
    let comment: Option<String> = connection
        .query_row(sql, [view.as_str()], |row| row.get(0))
        .map_err(|error| statement(&format!("look for the view `{view}`"), &error))?;
    Ok(owner(comment.as_deref()))
}

/// Returns the SQL condition for the views that loads do not maintain.
pub(crate) fn is_users_view() -> String {
    format!("NOT coalesce(system.main.ends_with(comment, {}), false)", literal(MARK))
}

/// Creates or replaces the typed view of a table. The caller has checked that it is not the user's.
pub(crate) fn create_view(connection: &Connection, table: &TableName, query: &str) -> Result<()> {
    let view = typed_view(table);
    let comment = literal(&format!("The properties of {} as typed columns; {MARK}", table.quoted()));
    let quoted = view.quoted();
    let sql = format!("CREATE OR REPLACE VIEW main.{quoted} AS {query}; COMMENT ON VIEW main.{quoted} IS {comment}");
    connection.execute_batch(&sql).map_err(|error| statement(&format!("create the view `{view}`"), &error))
}

/// Drops the typed view of a table, unless it is the user's.
pub(crate) fn drop_view(connection: &Connection, table: &TableName) -> Result<()> {
    if owner_of_view(connection, table)? != Owner::Mp {
        return Ok(());
    }
    let view = typed_view(table);
    connection
        .execute_batch(&format!("DROP VIEW main.{}", view.quoted()))
        .map_err(|error| statement(&format!("drop the view `{view}`"), &error))
}

fn owner(comment: Option<&str>) -> Owner {
    if comment.is_some_and(|comment| comment.ends_with(MARK)) { Owner::Mp } else { Owner::User }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that JSON paths, pointers, SQL or JSON escape, or that a path reads differently.
    const NAMES: [&str; 36] = [
        "$email", "plan", "a.b", "a b", "a\"b", "a'b", "a[0]", "[0]", "a\\b", "", "😀", "*", "#", "a*", "$", "$.x",
        "/", "//", "~", "a/b", "a~b", "~0", "~1", "a~1b", "0", "-1", "-", "a\nb", "\t", "$[0]", "a\\\"b", "\\", "\\\\",
        "\"", "$.\"x\"", "e\u{301}",
    ];

    fn connection() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        ensure_own_macros(&connection, &[prop()]).unwrap();
        connection
    }

    #[test]
    fn the_macro_finds_every_name_and_only_that() {
        let connection = connection();
        let all: serde_json::Map<_, _> = (0..).zip(NAMES).map(|(n, name)| (name.to_owned(), n.into())).collect();
        let all = serde_json::Value::from(all).to_string();
        for (number, name) in (0..).zip(NAMES) {
            let value = |sql: &str, json: &str| -> Option<String> {
                connection.query_row(sql, [json, name], |row| row.get(0)).unwrap()
            };
            let by_macro = "SELECT prop(?1::JSON, ?2)";
            assert_eq!(value(by_macro, &all), Some(i32::to_string(&number)), "{name:?}");
            let by_pointer = format!("SELECT json_extract_string(?1::JSON, {}) WHERE ?2 IS NOT NULL", pointer(name));
            assert_eq!(value(&by_pointer, &all), Some(i32::to_string(&number)), "{name:?}");
            assert_eq!(value(by_macro, r#"{"other":{"plan":1}}"#), None, "{name:?}");
        }
    }

    #[test]
    fn the_macro_returns_text() {
        let connection = connection();
        for (json, expected) in [
            (r#"{"a":"x"}"#, Some("x")),
            (r#"{"a":""}"#, Some("")),
            (r#"{"a":null}"#, None),
            (r#"{"a":true}"#, Some("true")),
            (r#"{"a":9007199254740993}"#, Some("9007199254740993")),
            (r#"{"a":{"b":[1]}}"#, Some(r#"{"b":[1]}"#)),
            ("{}", None),
            ("[1]", None),
            ("null", None),
        ] {
            let found: Option<String> =
                connection.query_row("SELECT prop(?::JSON, 'a')", [json], |row| row.get(0)).unwrap();
            assert_eq!(found.as_deref(), expected, "{json}");
        }
        let null: Option<String> = connection.query_row("SELECT prop(NULL, 'a')", [], |row| row.get(0)).unwrap();
        assert_eq!(null, None);
    }

    #[test]
    fn a_macro_of_the_user_stays() {
        let connection = connection();
        assert_eq!(owner_of_macro(&connection, PROP, MacroKind::Scalar).unwrap(), Owner::Mp);
        ensure_own_macros(&connection, &[prop()]).unwrap();
        connection.execute_batch("CREATE OR REPLACE MACRO PROP(a) AS a + 1").unwrap();
        assert_eq!(owner_of_macro(&connection, PROP, MacroKind::Scalar).unwrap(), Owner::User);
        ensure_own_macros(&connection, &[prop()]).unwrap();
        assert_eq!(connection.query_row("SELECT prop(1)", [], |row| row.get::<_, i32>(0)).unwrap(), 2);
        connection.execute_batch("DROP MACRO prop").unwrap();
        assert_eq!(owner_of_macro(&connection, PROP, MacroKind::Scalar).unwrap(), Owner::Absent);
        // A table macro is called in another place, so it does not conflict.
        connection.execute_batch("CREATE MACRO prop(a) AS TABLE SELECT a").unwrap();
        assert_eq!(owner_of_macro(&connection, PROP, MacroKind::Scalar).unwrap(), Owner::Absent);
    }

    #[test]
    fn a_view_of_the_user_stays() {
        let connection = connection();
        let table = TableName::listed("a\"b");
        connection.execute_batch("CREATE TABLE \"a\"\"b\" AS SELECT 1 AS x").unwrap();
        assert_eq!(owner_of_view(&connection, &table).unwrap(), Owner::Absent);
        create_view(&connection, &table, "SELECT x FROM \"a\"\"b\"").unwrap();
        create_view(&connection, &table, "SELECT x AS y FROM \"a\"\"b\"").unwrap();
        assert_eq!(owner_of_view(&connection, &table).unwrap(), Owner::Mp);
        drop_view(&connection, &table).unwrap();
        for sql in ["CREATE VIEW \"A\"\"b_TYPED\" AS SELECT 2 AS x", "CREATE TABLE \"a\"\"b_typed\" AS SELECT 2 AS x"] {
            connection.execute_batch(sql).unwrap();
            assert_eq!(owner_of_view(&connection, &table).unwrap(), Owner::User, "{sql}");
            drop_view(&connection, &table).unwrap();
            let kept: i32 = connection.query_row("SELECT x FROM \"a\"\"b_typed\"", [], |row| row.get(0)).unwrap();
            assert_eq!(kept, 2);
            let kind = sql.split(' ').nth(1).unwrap();
            connection.execute_batch(&format!("DROP {kind} \"a\"\"b_typed\"")).unwrap();
        }
    }
}
