//! Hints for queries that use a property as if it were a column of the profiles: `SELECT plan FROM profiles`, and
//! `$email` without quotes, which SQL reads as a query parameter.

use mixpanel_data::Workspace;

/// The ending of the view of a table that has its properties as columns.
const VIEW_ENDING: &str = "_typed";

/// What DuckDB says about an unknown column; its name in quotes follows.
const UNKNOWN_COLUMN: [&str; 2] = ["Referenced column \"", "does not have a column named \""];

/// What the library says about a query parameter.
const PARAMETER: &str = "query parameters";

/// Returns a hint for a failed query, if a property explains the failure. `has_prop` is whether the database has the
/// macro `prop`.
pub(crate) fn hint(workspace: &Workspace, query: &str, error: &str, has_prop: bool) -> Option<String> {
    if error.starts_with(PARAMETER) || error.contains(&format!(": {PARAMETER}")) {
        let name = parameter(query)?;
        let column = format!("\"{name}\"");
        let example = match view(workspace, query, name) {
            Some(view) => format!("SELECT {column} FROM {view}"),
            None => column,
        };
        return Some(format!("put a name that begins with `$` in double quotes: `{example}`"));
    }
    let name = unknown_column(error)?;
    let view = view(workspace, query, name)?;
    let path = name.replace('\'', "''");
    let access = match (has_prop, name.starts_with(['$', '/'])) {
        (true, _) => format!("prop(properties, '{path}')"),
        (false, true) => format!("(properties->>'/{}')", path.replace('~', "~0").replace('/', "~1")),
        (false, false) => format!("(properties->>'{path}')"),
    };
    let column = if is_plain(name) { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) };
    Some(format!("`{name}` is a property: write `SELECT {column} FROM {view}`, or `{access}`"))
}

/// Returns the name of the column that DuckDB did not find.
fn unknown_column(error: &str) -> Option<&str> {
    let rest = UNKNOWN_COLUMN.iter().find_map(|sign| Some(error.split_once(sign)?.1))?;
    rest.split('"').next().filter(|name| !name.is_empty())
}

/// Returns the first `$name` of a query outside quotes and comments.
fn parameter(query: &str) -> Option<&str> {
    let mut at = 0;
    while let Some(byte) = query.as_bytes().get(at) {
        let rest = &query[at..];
        at += match byte {
            b'\'' | b'"' => {
                let quote = char::from(*byte);
                rest[1..].find(quote).map_or(rest.len(), |end| end + 2)
            }
            b'-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            b'$' => {
                let end = rest[1..].find(|c: char| !c.is_alphanumeric() && c != '_').map_or(rest.len(), |end| end + 1);
                if rest[end..].starts_with('$') {
                    // A string such as `$$text$$` or `$tag$text$tag$`.
                    let tag = &rest[..=end];
                    at += rest[tag.len()..].find(tag).map_or(rest.len(), |text| text + 2 * tag.len());
                    continue;
                }
                // `$1` is meant as a parameter.
                if rest[1..].starts_with(|c: char| c.is_alphabetic() || c == '_') {
                    return Some(&rest[..end]);
                }
                end
            }
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
    }
    None
}

/// Returns the typed view that has this column, of a table that the query names.
fn view(workspace: &Workspace, query: &str, column: &str) -> Option<String> {
    let column = column.replace('\'', "''");
    let look = format!(
        "select table_name from duckdb_columns() where database_name = current_database() and schema_name = 'main'
         and lower(column_name) = lower('{column}') and ends_with(table_name, '{VIEW_ENDING}') order by table_name"
    );
    let query = query.to_lowercase();
    let views = workspace.sql(&look).ok()?.rows;
    let mut views = views.iter().filter_map(|row| row.first()?.as_str());
    let view = views.find(|view| {
        let table = view.trim_end_matches(VIEW_ENDING).to_lowercase();
        query.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == table || word == view.to_lowercase())
    })?;
    Some(if is_plain(view) { view.to_owned() } else { format!("\"{view}\"") })
}

/// Returns whether SQL needs no quotes around a name. Reserved words are not known here.
fn is_plain(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_queries_and_errors() {
        for (query, expected) in [
            ("select $email from t", Some("$email")),
            ("select '$a', \"$b\", /* $c */ $d -- $e", Some("$d")),
            ("select ü, $_x2+1", Some("$_x2")),
            ("select $1, $$x$$", None),
            ("select ? from t", None),
            ("select '$a", None),
        ] {
            assert_eq!(parameter(query), expected, "{query}");
        }
        for (error, expected) in [
            ("binder error: Referenced column \"plan\" not found in FROM clause!", Some("plan")),
            ("binder error: Table \"p\" does not have a column named \"plan\"", Some("plan")),
            ("catalog error: Table with name x does not exist!", None),
        ] {
            assert_eq!(unknown_column(error), expected);
        }
    }
}
