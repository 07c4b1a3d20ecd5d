//! Hints for the two mistakes that DuckDB's JSON operators invite: a name that begins with `$` is read as a JSON path,
//! and `->>` binds weaker than comparisons, `AND`, `||` and `::`.

use mixpanel_data::{Error, ErrorKind, Workspace};

use crate::failure::Failure;
use crate::sql_property_hint;

/// Whether the database has the macro `prop(properties, name)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PropMacro {
    Present,
    Absent,
}

/// What DuckDB says if a name is not a valid path.
const PATH_ERROR: &str = "JSON path error near";

/// What DuckDB says if an operator was applied to the name instead of to the value.
const OPERAND_ERRORS: [&str; 7] = [
    "Failed to cast value to numerical",
    "Malformed JSON at byte",
    "Could not convert string",
    "Cannot compare values of type VARCHAR and type",
    "Cannot mix values of type VARCHAR and",
    "Could not choose a best candidate function",
    "No function matches the given name and argument types",
];

/// What DuckDB says if the value is compared with a number.
const NUMBER_ERRORS: [&str; 4] = ["INTEGER", "DECIMAL", "DOUBLE", "BIGINT"];

/// Adds the corrected expression to the failure of a query that misuses a JSON operator.
pub(crate) fn with_hint(failure: Failure, workspace: &Workspace, query: &str, error: &Error) -> Failure {
    if error.kind() != ErrorKind::Query {
        return failure;
    }
    let look = "select count(*) from duckdb_functions() where database_name = current_database()
                and schema_name = 'main' and function_type = 'macro' and function_name = 'prop'
                and parameters = ['properties', 'name']";
    let prop = match workspace.sql_scalar(look) {
        Ok(found) if found.as_u64() > Some(0) => PropMacro::Present,
        _ => PropMacro::Absent,
    };
    let of_property = || sql_property_hint::hint(workspace, query, error.message(), prop == PropMacro::Present);
    match hint(query, error.message(), prop).or_else(of_property) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Returns a hint for a failed query, with the corrected expression, if the failure is one of the two mistakes.
fn hint(query: &str, error: &str, prop: PropMacro) -> Option<String> {
    let accesses = accesses(query);
    if error.contains(PATH_ERROR) {
        let access = accesses.iter().find(|access| access.is_misread_path())?;
        let corrected = access.corrected(prop);
        return Some(format!("DuckDB reads {} as a JSON path: write `{corrected}`", quoted(&access.name)));
    }
    if !OPERAND_ERRORS.iter().any(|sign| error.contains(sign)) {
        return None;
    }
    let with_number = NUMBER_ERRORS.iter().any(|kind| error.contains(kind)) && error.contains("VARCHAR");
    let Some(access) = accesses.iter().find(|access| access.operator.is_some() && !access.is_enclosed) else {
        let is_text = error.contains("of type VARCHAR") && query.to_lowercase().contains("prop(");
        return is_text.then(|| "`prop` returns text: cast it, as in `prop(properties, 'age')::DOUBLE`".to_owned());
    };
    let cast = match &access.cast {
        Some(cast) => format!("::{cast}"),
        None if with_number => "::DOUBLE".to_owned(),
        None => String::new(),
    };
    let operator = access.operator.unwrap_or("->>");
    let corrected = access.corrected(prop);
    Some(format!("`{operator}` binds weaker than `=`, `AND`, `||` and `::`: write `{corrected}{cast}`"))
}

/// Returns whether a query reads a member with the empty name. Usually, the shell has replaced the name: `$email` in
/// double quotes is a variable of the shell.
pub(crate) fn reads_empty_name(query: &str) -> bool {
    let reads_json = |access: &Access| access.operator.is_some() || query.to_lowercase().contains("prop(");
    accesses(query).iter().any(|access| access.name.is_empty() && reads_json(access))
}

/// A place in a query that reads a member of a JSON value.
#[derive(Debug, PartialEq, Eq)]
struct Access {
    /// What is read, such as `p.properties`.
    operand: String,
    /// `->` or `->>`; `None` for the argument of a function.
    operator: Option<&'static str>,
    /// The name or path.
    name: String,
    /// Whether only the parentheses around it are adjacent.
    is_enclosed: bool,
    /// The type that follows `::`.
    cast: Option<String>,
}

impl Access {
    /// Returns whether DuckDB reads the name as a path although it is none.
    fn is_misread_path(&self) -> bool {
        let mut rest = self.name.chars();
        rest.next() == Some('$') && !matches!(rest.next(), None | Some('.' | '['))
    }

    fn is_path(&self) -> bool {
        self.name.starts_with('/') || (self.name.starts_with('$') && !self.is_misread_path())
    }

    /// Returns the expression that reads the value.
    fn corrected(&self, prop: PropMacro) -> String {
        let (operand, name) = (&self.operand, &self.name);
        let operator = self.operator.unwrap_or("->>");
        if self.is_path() || operator == "->" && !self.is_misread_path() {
            return format!("({operand}{operator}{})", quoted(name));
        }
        match prop {
            PropMacro::Present if operator == "->>" => format!("prop({operand}, {})", quoted(name)),
            _ if self.is_misread_path() => {
                let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
                format!("({operand}{operator}{})", quoted(&pointer))
            }
            _ => format!("({operand}{operator}{})", quoted(name)),
        }
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Finds every name or path in a query that a JSON operator or a function may use.
fn accesses(query: &str) -> Vec<Access> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(byte) = query.as_bytes().get(at) {
        let rest = &query[at..];
        let end = match byte {
            b'\'' => {
                let end = at + literal_end(rest);
                found.extend(access(query, at, end));
                end
            }
            b'"' => at + 1 + rest[1..].find('"').map_or(rest.len() - 1, |end| end + 1),
            b'-' if rest.starts_with("--") => at + rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => at + rest.find("*/").map_or(rest.len(), |end| end + 2),
            _ => at + rest.chars().next().map_or(1, char::len_utf8),
        };
        at = end;
    }
    found
}

/// Returns the length of the literal at the start of `text`.
fn literal_end(text: &str) -> usize {
    let mut at = 1;
    while let Some(found) = text[at..].find('\'') {
        at += found + 1;
        if !text[at..].starts_with('\'') {
            return at;
        }
        at += 1;
    }
    text.len()
}

/// Describes the literal between two positions, if something reads it as a name or path.
fn access(query: &str, start: usize, end: usize) -> Option<Access> {
    let inner = query.get(start + 1..end - 1)?;
    let (name, before, after) = (inner.replace("''", "'"), query[..start].trim_end(), query[end..].trim_start());
    let arrow = ["->>", "->"].into_iter().find_map(|arrow| Some((arrow, before.strip_suffix(arrow)?.trim_end())));
    let Some((operator, before)) = arrow else {
        // The second argument of a function such as `json_extract`.
        let before = before.strip_suffix(',')?.trim_end();
        let operand = operand(before);
        let is_first = before[..before.len() - operand.len()].trim_end().ends_with('(');
        return (is_first && !operand.is_empty()).then(|| Access {
            operand: operand.to_owned(),
            operator: None,
            name,
            is_enclosed: true,
            cast: None,
        });
    };
    let operand = operand(before);
    if operand.is_empty() {
        return None;
    }
    let is_enclosed = before[..before.len() - operand.len()].trim_end().ends_with('(') && after.starts_with(')');
    let cast = after.strip_prefix("::").map(|kind| {
        let kind = kind.trim_start();
        kind[..kind.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(kind.len())].to_owned()
    });
    let cast = cast.filter(|kind| !kind.is_empty());
    Some(Access { operand: operand.to_owned(), operator: Some(operator), name, is_enclosed, cast })
}

/// Returns the column name, possibly qualified or quoted, that ends `text`.
fn operand(text: &str) -> &str {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '"');
    let start =
        text.rfind(|c: char| !is_part(c)).map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "binder error: JSON path error near 'email'";
    const CAST: &str = "conversion error: Failed to cast value to numerical: {\"plan\":1}";
    const COMPARE: &str =
        "binder error: Cannot compare values of type VARCHAR and type INTEGER_LITERAL - an explicit cast is required";
    const CONVERT: &str = "conversion error: Could not convert string 'age' to INT32";

    #[test]
    fn the_hint_shows_the_corrected_expression() {
        for (query, error, with_macro, without) in [
            ("select properties->>'$email' from t", PATH, "prop(properties, '$email')", "(properties->>'/$email')"),
            (
                "select p.properties ->> '$a/b~c' from t p",
                PATH,
                "prop(p.properties, '$a/b~c')",
                "(p.properties->>'/$a~1b~0c')",
            ),
            (
                "select \"properties\"->'$email' from t",
                PATH,
                "(\"properties\"->'/$email')",
                "(\"properties\"->'/$email')",
            ),
            ("select properties->>'$it''s' from t", PATH, "prop(properties, '$it''s')", "(properties->>'/$it''s')"),
            (
                "select properties->>'$.a', properties->>'$b' from t",
                PATH,
                "prop(properties, '$b')",
                "(properties->>'/$b')",
            ),
            (
                "select json_extract_string(properties, '$b') from t",
                PATH,
                "prop(properties, '$b')",
                "(properties->>'/$b')",
            ),
            ("select '$no' -- x->>'$no'\n, x->>'$yes'", PATH, "prop(x, '$yes')", "(x->>'/$yes')"),
            ("select /* x->>'$no' */ \"a'b\", x->>'$yes'", PATH, "prop(x, '$yes')", "(x->>'/$yes')"),
            ("from t where properties->>'plan' = 'x' and a", CAST, "prop(properties, 'plan')", "(properties->>'plan')"),
            (
                "from t where (properties->>'a') = 'x' and properties->>'b'='y'",
                CAST,
                "prop(properties, 'b')",
                "(properties->>'b')",
            ),
            ("from t where properties->>'$.a' = 'x' and a", CAST, "(properties->>'$.a')", "(properties->>'$.a')"),
            (
                "from t where properties->>'age' > 3",
                COMPARE,
                "prop(properties, 'age')::DOUBLE",
                "(properties->>'age')::DOUBLE",
            ),
            (
                "select properties->>'age'::int from t",
                CONVERT,
                "prop(properties, 'age')::int",
                "(properties->>'age')::int",
            ),
            ("select properties->'o' = 'x' and a", CAST, "(properties->'o')", "(properties->'o')"),
        ] {
            for (prop, expected) in [(PropMacro::Present, with_macro), (PropMacro::Absent, without)] {
                let hint = hint(query, error, prop).unwrap_or_else(|| panic!("no hint: {query}"));
                assert!(hint.ends_with(&format!("write `{expected}`")), "{query}: {hint}");
            }
        }
    }

    #[test]
    fn other_failures_have_no_hint() {
        for (query, error) in [
            ("select properties->>'$.a..b' from t", PATH),
            ("select 1", PATH),
            ("select '$email'", PATH),
            ("select '5x'::int", CONVERT),
            ("from t where (properties->>'age') > 3", "parser error: syntax error at or near \"from\""),
            ("from t where (properties->>'plan')::int > 3", CONVERT),
            ("from t where a > 3", COMPARE),
            ("select properties->>'$email' from", "parser error: syntax error at end of input"),
            ("select x->>'", PATH),
            ("select '", PATH),
            ("select \"", PATH),
            ("/*", CAST),
        ] {
            assert_eq!(hint(query, error, PropMacro::Present), None, "{query}");
        }
    }

    #[test]
    fn names_that_the_shell_removed_are_noticed() {
        for (query, expected) in [
            ("select properties->>'' from t", true),
            ("select prop(p.properties, '') from t", true),
            ("select prop(properties, 'a') from t where a = ''", false),
            ("select coalesce(a, ''), properties->>'b' from t", false),
            ("select '', a", false),
        ] {
            assert_eq!(reads_empty_name(query), expected, "{query}");
        }
    }

    #[test]
    fn text_compared_with_a_number_needs_a_cast() {
        let hint = hint("from t where prop(properties, 'age') > 3", COMPARE, PropMacro::Present);
        assert!(hint.is_some_and(|hint| hint.contains("::DOUBLE")));
    }
}
