//! The values of SQL results, with all digits and the exact text of JSON columns.

use std::fmt;

use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

/// The number of decimal digits that every 64-bit float preserves.
const FLOAT_DIGITS: usize = 15;

/// A value of an SQL result. Its `Display` output is JSON on one line, except that a JSON column keeps its own line
/// ends. Nothing is rounded or parsed.
#[derive(Debug, Clone, PartialEq)]
pub enum SqlValue {
    /// SQL's NULL. The JSON value `null` is [`Json`](Self::Json).
    Null,
    /// A BOOLEAN.
    Bool(bool),
    /// An integer that fits into 64 bits, or a finite float.
    Number(Number),
    /// A larger integer, or a DECIMAL, with all its digits: `12.50`. It is a number in JSON.
    Digits(String),
    /// Text, and every type without a JSON form of its own: dates, times, intervals, blobs, UUIDs, `NaN`.
    Text(String),
    /// The stored text of a JSON column, which is valid JSON.
    Json(String),
    /// A LIST or an ARRAY, or a STRUCT whose members have no names.
    List(Vec<Self>),
    /// A STRUCT or a MAP, in its own order.
    Object(Vec<(String, Self)>),
}

/// A part of the results of a query, as [`Workspace::sql_exact`](crate::Workspace::sql_exact) passes them on.
#[derive(Debug)]
pub enum SqlPart<'a> {
    /// The column names of the next result; they need not be unique.
    Columns(&'a [String]),
    /// The next row, with one value per column.
    Row(Vec<SqlValue>),
}

impl SqlValue {
    /// Returns the value of a JSON column. Text that is not strictly JSON, such as `[NaN]`, which DuckDB accepts, stays
    /// text.
    pub(crate) fn json(text: &str) -> Self {
        match serde_json::from_str::<&RawValue>(text) {
            Ok(_) => Self::Json(text.to_owned()),
            Err(_) => Self::Text(text.to_owned()),
        }
    }

    /// Parses the value, unless it is JSON with an integer beyond 64 bits, which would be rounded. That stays text.
    pub(crate) fn parsed_exactly(self) -> Value {
        match self {
            Self::Json(text) if has_large_integer(&text) => Value::String(text),
            value => value.into(),
        }
    }

    /// Returns an integer of up to 128 bits.
    pub(crate) fn integer(number: i128) -> Self {
        let number_of_64_bits =
            i64::try_from(number).map(Number::from).or_else(|_| u64::try_from(number).map(Number::from));
        number_of_64_bits.map_or_else(|_| Self::Digits(number.to_string()), Self::Number)
    }

    /// Returns a float; one that is not finite is text.
    pub(crate) fn float(number: f64) -> Self {
        match Number::from_f64(number) {
            Some(number) => Self::Number(number),
            None if number.is_nan() => Self::Text("NaN".to_owned()),
            None if number > 0.0 => Self::Text("Infinity".to_owned()),
            None => Self::Text("-Infinity".to_owned()),
        }
    }
}

impl fmt::Display for SqlValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Digits(text) | Self::Json(text) => f.write_str(text),
            Self::Text(text) => write_string(f, text),
            Self::List(items) => {
                f.write_str("[")?;
                for (position, item) in items.iter().enumerate() {
                    let separator = if position == 0 { "" } else { "," };
                    write!(f, "{separator}{item}")?;
                }
                f.write_str("]")
            }
            Self::Object(members) => {
                f.write_str("{")?;
                for (position, (key, value)) in members.iter().enumerate() {
                    f.write_str(if position == 0 { "" } else { "," })?;
                    write_string(f, key)?;
                    write!(f, ":{value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

fn write_string(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?)
}

/// Parses the value. Numbers in a JSON column get `serde_json`'s precision; an integer beyond 64 bits and a decimal
/// beyond 15 digits become text.
impl From<SqlValue> for Value {
    fn from(value: SqlValue) -> Self {
        match value {
            SqlValue::Null => Self::Null,
            SqlValue::Bool(value) => Self::Bool(value),
            SqlValue::Number(number) => Self::Number(number),
            SqlValue::Digits(text) => parsed_digits(text),
            SqlValue::Text(text) => Self::String(text),
            SqlValue::Json(text) => serde_json::from_str(&text).unwrap_or(Self::String(text)),
            SqlValue::List(items) => items.into_iter().map(Self::from).collect(),
            SqlValue::Object(members) => {
                Self::Object(members.into_iter().map(|(key, value)| (key, value.into())).collect::<Map<_, _>>())
            }
        }
    }
}

impl From<Value> for SqlValue {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Number(number) => Self::Number(number),
            Value::String(text) => Self::Text(text),
            Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Value::Object(members) => {
                Self::Object(members.into_iter().map(|(key, value)| (key, value.into())).collect())
            }
        }
    }
}

/// Returns whether JSON contains an integer beyond 64 bits, which `serde_json` would round.
fn has_large_integer(json: &str) -> bool {
    let mut in_string = false;
    // Escaped characters cannot end a string.
    let json = json.replace("\\\\", "").replace("\\\"", "");
    let mut numbers = json.split(|character: char| {
        in_string ^= character == '"';
        in_string || !matches!(character, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')
    });
    numbers.any(|number| {
        let is_integer = number.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit());
        is_integer && number.len() >= 19 && number.parse::<i64>().is_err() && number.parse::<u64>().is_err()
    })
}

fn parsed_digits(text: String) -> Value {
    if let Ok(number) = text.parse::<i64>() {
        return number.into();
    }
    if let Ok(number) = text.parse::<u64>() {
        return number.into();
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let is_exact = text.contains('.') && digits.trim_start_matches('0').len() <= FLOAT_DIGITS;
    let float = text.parse().ok().filter(|_| is_exact).and_then(Number::from_f64);
    float.map_or(Value::String(text), Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_exact_and_valid() {
        let texts = [
            r#"{"big":12345678901234567890123,"dec":0.10000000000000000555,"one":1.0,"e":1E5,"dup":1,"dup":2}"#,
            "1e400",
            "null",
            "\"\\u00fc\"",
            " [ 1 ,\n 2 ] ",
        ];
        for text in texts {
            assert_eq!(SqlValue::json(text), SqlValue::Json(text.to_owned()));
            let nested = SqlValue::Object(vec![("a\"b".to_owned(), SqlValue::List(vec![SqlValue::json(text)]))]);
            assert_eq!(nested.to_string(), format!(r#"{{"a\"b":[{text}]}}"#));
        }
        for text in ["", "{", "[NaN]", "[1,]", "nul", "\"\n\"", "1 2"] {
            assert_eq!(SqlValue::json(text), SqlValue::Text(text.to_owned()), "{text}");
            assert!(serde_json::from_str::<Value>(&SqlValue::json(text).to_string()).is_ok(), "{text}");
        }
    }

    #[test]
    fn numbers_are_rounded_only_when_they_are_parsed() {
        let table = [
            (SqlValue::integer(-1), "-1", json!(-1)),
            (SqlValue::integer(i128::from(u64::MAX)), "18446744073709551615", json!(u64::MAX)),
            (SqlValue::integer(i128::MAX), "170141183460469231731687303715884105727", json!(i128::MAX.to_string())),
            (SqlValue::Digits("-1.50".to_owned()), "-1.50", json!(-1.5)),
            (SqlValue::Digits("0.00".to_owned()), "0.00", json!(0.0)),
            (SqlValue::Digits("1234567890123456.7".to_owned()), "1234567890123456.7", json!("1234567890123456.7")),
            (SqlValue::float(0.1), "0.1", json!(0.1)),
            (SqlValue::float(f64::NAN), "\"NaN\"", json!("NaN")),
            (SqlValue::float(f64::NEG_INFINITY), "\"-Infinity\"", json!("-Infinity")),
            (SqlValue::json("1e400"), "1e400", json!("1e400")),
        ];
        for (value, text, parsed) in table {
            assert_eq!((value.to_string().as_str(), Value::from(value)), (text, parsed));
        }
    }

    #[test]
    fn json_with_a_large_integer_is_not_rounded() {
        let large = "123456789012345678901234567890";
        for text in [
            format!("{{\"a\":[{large}]}}"),
            format!("[\"x\\\"\",-{large} ]"),
            format!("[\"\\\\\",{large}]"),
            format!(" {large}"),
            "18446744073709551616".to_owned(),
            "-9223372036854775809".to_owned(),
        ] {
            assert_eq!(SqlValue::json(&text).parsed_exactly(), json!(text), "{text}");
        }
        for text in [
            format!("{{\"{large}\":1}}"),
            format!("[\"{large}\",\"\\\"{large}\"]"),
            format!("[{large}.5,{large}e1,0.{large}]"),
            "[18446744073709551615,-9223372036854775808,2.50]".to_owned(),
        ] {
            let parsed: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(SqlValue::json(&text).parsed_exactly(), parsed, "{text}");
        }
    }
}
