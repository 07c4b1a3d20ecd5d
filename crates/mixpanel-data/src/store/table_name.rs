//! Table names. A name gets into SQL only through this type.

use std::fmt;

use crate::error::{Error, Result};
use crate::limits::TABLE_NAME_CHARS_MAX;
use crate::text::excerpt;

/// A table name that can be quoted for SQL.
///
/// DuckDB ignores ASCII case in names, so `Profiles` and `profiles` are the same table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableName(String);

impl TableName {
    /// Validates a name given by the user: letters, digits and `_`, not starting with `_`.
    ///
    /// # Errors
    /// `InvalidInput`, with the rule and the escaped name.
    pub(crate) fn parse(name: &str) -> Result<Self> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || name.starts_with('_') || name.len() > TABLE_NAME_CHARS_MAX || !name.chars().all(allowed) {
            return Err(Error::invalid(format!(
                "`{}` is not a valid table name: use 1 to {TABLE_NAME_CHARS_MAX} of the letters A to Z, digits and `_`, not \
                 starting with `_`",
                name_excerpt(name)
            )));
        }
        Ok(Self(name.to_owned()))
    }

    /// Accepts any name that the database lists.
    pub(crate) fn listed(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Returns the name as given.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name as an SQL identifier.
    pub(crate) fn quoted(&self) -> String {
        format!("\"{}\"", self.0.replace('"', "\"\""))
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&name_excerpt(&self.0))
    }
}

/// Returns the name for a message. Escapes control and bidirectional characters, and truncates long names.
pub(crate) fn name_excerpt(name: &str) -> String {
    const SHOWN_CHARS: usize = 80;
    excerpt(name, SHOWN_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn accepts_letters_digits_and_underscores() {
        for name in ["profiles", "Profiles_2024", "7days", "a_", &"x".repeat(TABLE_NAME_CHARS_MAX)] {
            assert_eq!(TableName::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn refuses_everything_else() {
        let long = "x".repeat(TABLE_NAME_CHARS_MAX + 1);
        let names = [
            "",
            "_fetches",
            "_",
            "a b",
            "a.b",
            "x\"; DROP TABLE t; --",
            "a\0b",
            "a\nb",
            "é",
            "\u{202e}x",
            "-rf",
            &long,
        ];
        for name in names {
            assert_eq!(TableName::parse(name).unwrap_err().kind(), ErrorKind::InvalidInput, "{name:?}");
        }
    }

    #[test]
    fn shows_the_name_escaped_and_cut() {
        let message = TableName::parse("a\u{1b}[2J\u{202e}b").unwrap_err().to_string();
        assert!(message.contains(r"a\u{1b}[2J\u{202e}b"), "{message}");
        assert!(TableName::parse(&"y z".repeat(9_999)).unwrap_err().to_string().len() < 300);
    }

    #[test]
    fn a_listed_name_is_quoted() {
        assert_eq!(TableName::listed("a\"b").quoted(), "\"a\"\"b\"");
    }
}
