//! The `csv` format: RFC 4180, but with LF line ends. Values are exact unless formulas are defused; see [`Formulas`].

use std::borrow::Cow;

use serde_json::Value;

use crate::failure::Failure;
use crate::output::{Data, Formulas};

/// Writes the column names.
pub(super) fn header(data: &mut Data, columns: &[String], formulas: Formulas) -> Result<(), Failure> {
    data.line(&columns.iter().map(|column| text(column, formulas)).collect::<Vec<_>>().join(","))
}

/// Writes a row. Null becomes an empty field, and nested values become JSON.
pub(super) fn row(data: &mut Data, values: &[Value], formulas: Formulas) -> Result<(), Failure> {
    data.line(&values.iter().map(|value| field(value, formulas)).collect::<Vec<_>>().join(","))
}

fn field(value: &Value, formulas: Formulas) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(value) => text(value, formulas),
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
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) && !is_long_number(text) {
        return format!("'{text}").into();
    }
    text.into()
}

/// Returns whether the text is a number with more digits than a JSON number preserves; such numbers arrive as text.
fn is_long_number(text: &str) -> bool {
    const KEPT_DIGITS: usize = 15;
    let digits = text.strip_prefix('-').unwrap_or_default();
    digits.len() > KEPT_DIGITS
        && digits.starts_with(|first: char| first.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && digits.matches('.').count() <= 1
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
            (json!(null), ""),
            (json!(""), "\"\""),
            (json!(true), "true"),
            (json!(-0.5), "-0.5"),
            (json!(9_007_199_254_740_993_u64), "9007199254740993"),
            (json!("=1+1"), "=1+1"),
            (json!("a,\"b\"\n"), "\"a,\"\"b\"\"\n\""),
            (json!({"k": [1, "x"]}), "\"{\"\"k\"\":[1,\"\"x\"\"]}\""),
        ];
        for (value, expected) in table {
            assert_eq!(field(&value, Formulas::Kept), expected);
        }
    }
}
