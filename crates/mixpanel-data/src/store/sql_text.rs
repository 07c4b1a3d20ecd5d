//! Quotes text for SQL: as literals, and as paths where DuckDB expects a glob pattern.

use std::fmt::Write as _;

/// Returns text as an SQL literal.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Returns a glob pattern that matches only this path, because DuckDB treats every path as a pattern.
///
/// A backslash separates names in a pattern, even in a character class, so it is replaced with `?`; the names of staged
/// files are unique enough for that. DuckDB never treats the first name below the root as a pattern.
pub(crate) fn as_pattern(path: &str) -> String {
    if !path.contains(['*', '?', '[']) {
        return path.to_owned();
    }
    let mut pattern = String::with_capacity(path.len() + 8);
    let mut depth = 0;
    for character in path.chars() {
        depth += u32::from(character == '/');
        match character {
            '*' | '?' | '[' if depth > 1 => write!(pattern, "[{character}]").expect("a string can be written to"),
            '\\' if depth > 1 => pattern.push('?'),
            _ => pattern.push(character),
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_path_matches_only_itself() {
        for (path, pattern) in [
            ("/a/b.parquet", "/a/b.parquet"),
            ("/a/x=1/'{~}%#\\.parquet", "/a/x=1/'{~}%#\\.parquet"),
            ("/a/b*/c?/[d]\\e", "/a/b[*]/c[?]/[[]d]?e"),
            ("/a*/b*", "/a*/b[*]"),
        ] {
            assert_eq!(as_pattern(path), pattern);
        }
    }
}
