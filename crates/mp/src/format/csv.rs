//! The `csv` format: RFC 4180, but with LF line ends. Values are exact unless formulas are defused; see [`Formulas`].

use std::borrow::Cow;

use mixpanel_data::SqlValue;

use crate::failure::Failure;
use crate::output::{Data, Formulas};

/// Writes the column names.
pub(super) fn header(data: &mut Data, columns: &[String], formulas: Formulas) -> Result<(), Failure> {
    data.line(&columns.iter().map(|column| text(column, formulas)).collect::<Vec<_>>().join(","))
}

/// Writes a row. Null becomes an empty field, and nested values become JSON.
pub(super) fn row(data: &mut Data, values: &[SqlValue], formulas: Formulas) -> Result<(), Failure> {
    data.line(&values.iter().map(|value| field(value, formulas)).collect::<Vec<_>>().join(","))
}

fn field(value: &SqlValue, formulas: Formulas) -> String {
    match value {
        SqlValue::Null => String::new(),
        SqlValue::Text(value) => text(value, formulas),
        // A JSON number may be negative; other JSON is a formula only if whitespace precedes it.
        SqlValue::Json(value) if !value.starts_with('-') => text(value, formulas),
        other => quoted(&other.to_string()),
    }
}

fn text(text: &str, formulas: Formulas) -> String {
    match formulas {
        Formulas::Kept => quoted(text),
        Formulas::Escaped => quoted(&defused(text)),
    }
}

/// Prefixes text that a spreadsheet would read as a formula with `'`. The first characters are from OWASP's list.
fn defused(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        return format!("'{text}").into();
    }
    text.into()
}

/// Quotes a field if necessary. Empty text is quoted to distinguish it from null.
fn quoted(text: &str) -> String {
    if text.is_empty() || text.contains(['"', ',', '\n', '\r']) || text.starts_with(' ') || text.ends_with(' ') {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_exact() {
        let table = [
            (SqlValue::Null, ""),
            (json!("").into(), "\"\""),
            (json!(true).into(), "true"),
            (json!(-0.5).into(), "-0.5"),
            (json!(9_007_199_254_740_993_u64).into(), "9007199254740993"),
            (SqlValue::Digits("-12345678901234567890.10".to_owned()), "-12345678901234567890.10"),
            (json!("=1+1").into(), "=1+1"),
            (json!("a,\"b\"\n").into(), "\"a,\"\"b\"\"\n\""),
            (json!({"k": [1, "x"]}).into(), "\"{\"\"k\"\":[1,\"\"x\"\"]}\""),
            (SqlValue::Json("{\"k\": 1E5}".to_owned()), "\"{\"\"k\"\": 1E5}\""),
        ];
        for (value, expected) in table {
            assert_eq!(field(&value, Formulas::Kept), expected);
        }
    }

    #[test]
    fn numbers_are_not_defused() {
        for number in ["-1", "-12345678901234567890.10"] {
            assert_eq!(field(&SqlValue::Digits(number.to_owned()), Formulas::Escaped), number);
            assert_eq!(field(&SqlValue::Json(number.to_owned()), Formulas::Escaped), number);
            assert_eq!(field(&SqlValue::Text(number.to_owned()), Formulas::Escaped), format!("'{number}"));
        }
        assert_eq!(field(&SqlValue::Json("\t1".to_owned()), Formulas::Escaped), "'\t1");
    }
}
