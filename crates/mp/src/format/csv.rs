//! `csv` as RFC 4180 has it, with plain line ends. Exact: what a spreadsheet would take for a formula is not changed.

use serde_json::Value;

use crate::failure::Failure;
use crate::output::Data;

/// Writes the column names.
pub(super) fn header(data: &mut Data, columns: &[String]) -> Result<(), Failure> {
    data.line(&columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(","))
}

/// Writes a row. Null is empty, and what is nested is JSON.
pub(super) fn row(data: &mut Data, values: &[Value]) -> Result<(), Failure> {
    data.line(&values.iter().map(field).collect::<Vec<_>>().join(","))
}

fn field(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => quoted(text),
        other => quoted(&other.to_string()),
    }
}

/// An empty text is quoted, to tell it from null.
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
            assert_eq!(field(&value), expected);
        }
    }
}
