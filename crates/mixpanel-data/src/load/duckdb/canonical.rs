//! One spelling for equal JSON values, to count different ones.

use std::borrow::Cow;

use crate::parse::decoded;

/// Integers of at most this many digits are exact as `f64`.
const EXACT_DIGITS: usize = 15;

/// Returns a JSON value in one spelling: without whitespace, with few escapes in strings, and `1` for `1.0` and `1e0`.
/// The members of an object keep their order. Numbers that `f64` would round stay as they are.
pub(super) fn canonical(value: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| !matches!(byte, b'\\' | b' ' | b'\t' | b'\n' | b'\r' | b'.' | b'E' | b'e' | b'-');
    if value.bytes().all(is_plain) || value.starts_with('"') && !value.contains('\\') {
        return Cow::Borrowed(value);
    }
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '"' => string_end(rest),
            '-' | '0'..='9' => rest.find(|next| !is_of_number(next)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(end);
        match first {
            '"' if token.contains('\\') => text.push_str(&escaped(&decoded(token))),
            '-' | '0'..='9' => text.push_str(&number(token)),
            ' ' | '\t' | '\n' | '\r' => {}
            _ => text.push_str(token),
        }
        rest = after;
    }
    Cow::Owned(text)
}

fn is_of_number(character: char) -> bool {
    matches!(character, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')
}

/// Returns the end of the string at the start of a text.
fn string_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn escaped(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn number(text: &str) -> Cow<'_, str> {
    let digits = text.bytes().take_while(|byte| !matches!(byte, b'e' | b'E')).filter(u8::is_ascii_digit).count();
    let is_integer = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') && text != "-0";
    match text.parse::<f64>() {
        Ok(number) if !is_integer && digits <= EXACT_DIGITS && number.is_finite() => {
            Cow::Owned(if number == 0.0 { "0".to_owned() } else { number.to_string() })
        }
        _ => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_one_spelling() {
        for (expected, spellings) in [
            (r#""é/""#, &[r#""é/""#, r#""\u00e9/""#, r#""\u00E9\/""#][..]),
            ("\"😀\"", &[r#""\ud83d\ude00""#, "\"😀\""]),
            (r#""\"\\""#, &[r#""\"\\""#, r#""\u0022\u005c""#]),
            ("1", &["1", "1.0", "1e0", "10E-1", "0.1e1"]),
            ("0", &["0", "-0", "0.0", "-0e5"]),
            ("0.1", &["0.1", "0.10", "1e-1"]),
            ("-1.5", &["-1.5", "-15e-1"]),
            ("[1,2]", &["[1,2]", "[1, 2]", " [ 1.0\n,2 ] "]),
            (r#"{"a":["é",null,true]}"#, &[r#"{"a":["é",null,true]}"#, r#"{ "a" : ["\u00e9", null,true] }"#]),
            ("9007199254740993", &["9007199254740993"]),
            ("0.10000000000000000555", &["0.10000000000000000555"]),
            ("1e400", &["1e400"]),
            (r#""1.0 e""#, &[r#""1.0 e""#]),
        ] {
            for spelling in spellings {
                assert_eq!(canonical(spelling), expected, "{spelling}");
            }
        }
        assert_ne!(canonical(r#""1""#), canonical("1"));
    }
}
