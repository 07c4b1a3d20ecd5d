//! Walks the members of a JSON object without decoding them.
//!
//! The text was validated when it was extracted from the response, so it is not validated again here. Invalid JSON
//! gives meaningless results, but never a panic or an infinite loop.

use std::cmp::Ordering;

/// A position in the text of an object: before a key or before a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Creates a cursor just after the opening brace at `bracket`.
    pub(super) fn enter(text: &'a str, bracket: usize) -> Self {
        Self { text, at: bracket + 1 }
    }

    /// Returns the position, in bytes from the start of the text.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Returns the next key, including its quotes, and moves to its value. After the last member, moves past the
    /// object.
    pub(super) fn next_key(&mut self) -> Option<&'a str> {
        self.seek_key().then(|| self.key())
    }

    /// Moves to the next key and returns `true`. After the last member, moves past the object.
    pub(super) fn seek_key(&mut self) -> bool {
        let bytes = self.text.as_bytes();
        self.skip(|byte| is_blank(byte) || byte == b',');
        let is_at_key = bytes.get(self.at) == Some(&b'"');
        if !is_at_key {
            self.at = (self.at + 1).min(bytes.len());
        }
        is_at_key
    }

    /// Returns the key at this position, including its quotes, and moves to its value.
    pub(super) fn key(&mut self) -> &'a str {
        let start = self.at;
        self.at = text_end(self.text.as_bytes(), start);
        let key = self.text.get(start..self.at).unwrap_or_default();
        self.skip(|byte| is_blank(byte) || byte == b':');
        key
    }

    /// Moves to the value if the key at this position, including its quotes, is `key`. Quicker than [`key`](Self::key),
    /// which searches for the end.
    pub(super) fn skip_key(&mut self, key: &str) -> bool {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let is_key = rest.starts_with(key.as_bytes());
        if is_key {
            self.at += key.len();
            self.skip(|byte| is_blank(byte) || byte == b':');
        }
        is_key
    }

    /// Returns whether the value is an object.
    pub(super) fn is_at_object(&self) -> bool {
        self.text.as_bytes().get(self.at) == Some(&b'{')
    }

    /// Returns the value and moves past it.
    pub(super) fn value(&mut self) -> &'a str {
        let start = self.at;
        self.at = value_end(self.text.as_bytes(), start);
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Moves past the value.
    pub(super) fn skip_value(&mut self) {
        self.at = value_end(self.text.as_bytes(), self.at);
    }

    /// Returns the value that ends at `end` and moves past it.
    pub(super) fn value_until(&mut self, end: usize) -> &'a str {
        let start = std::mem::replace(&mut self.at, end);
        self.text.get(start..end).unwrap_or_default()
    }

    fn skip(&mut self, is_skipped: impl Fn(u8) -> bool) {
        while self.text.as_bytes().get(self.at).is_some_and(|byte| is_skipped(*byte)) {
            self.at += 1;
        }
    }
}

/// Returns whether a raw key has this name. A key with escapes, such as `"\u0024last_seen"`, is decoded first.
pub(super) fn is_key(raw: &str, key: &str) -> bool {
    match raw.len().cmp(&(key.len() + 2)) {
        Ordering::Less => false,
        Ordering::Equal => &raw[1..raw.len() - 1] == key,
        Ordering::Greater => raw.contains('\\') && serde_json::from_str::<String>(raw).is_ok_and(|text| text == key),
    }
}

/// Returns whether JSON allows this byte between tokens.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t' | b'\r')
}

/// Returns the position after a value.
pub(super) fn value_end(bytes: &[u8], start: usize) -> usize {
    match bytes.get(start) {
        Some(b'"') => text_end(bytes, start),
        Some(b'{' | b'[') => nested_end(bytes, start),
        _ => {
            let ends = |byte: &u8| is_blank(*byte) || matches!(byte, b',' | b'}' | b']');
            let rest = bytes.get(start..).unwrap_or_default();
            start + rest.iter().position(ends).unwrap_or(rest.len())
        }
    }
}

/// Returns the position after the closing quote of a string.
pub(super) fn text_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        if bytes[at + found] == b'"' {
            return at + found + 1;
        }
        // The escaped byte cannot end the string.
        at += found + 2;
    }
    bytes.len()
}

/// Returns the position after the bracket that closes an array or object.
fn nested_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => at = text_end(bytes, at - 1),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            _ => {}
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn members(text: &str) -> Vec<(&str, &str)> {
        let mut cursor = Cursor::enter(text, 0);
        let mut found = Vec::new();
        while let Some(key) = cursor.next_key() {
            found.push((key, cursor.value()));
        }
        found
    }

    #[test]
    fn keys_and_values_are_returned_verbatim() {
        let text = r#"{ "a\"" : [1,{"x":"]}"}] ,"b":-1.5e3,"c" :{"d":{}}, "e":"\\","f":null}tail"#;
        let expected = [
            (r#""a\"""#, r#"[1,{"x":"]}"}]"#),
            (r#""b""#, "-1.5e3"),
            (r#""c""#, r#"{"d":{}}"#),
            (r#""e""#, r#""\\""#),
            (r#""f""#, "null"),
        ];
        assert_eq!(members(text), expected);
        for empty in ["{}", "{ \n}", "{", ""] {
            assert_eq!(members(empty), []);
        }
    }

    #[test]
    fn ends_after_the_object() {
        let text = r#"{"o":{"k":{"z":"}"}} ,"p":1}"#;
        let mut outer = Cursor::enter(text, 0);
        outer.next_key();
        assert!(outer.is_at_object());
        let mut inner = Cursor::enter(text, outer.position());
        while inner.next_key().is_some() {
            inner.value();
        }
        assert_eq!(outer.value_until(inner.position()), r#"{"k":{"z":"}"}}"#);
        assert_eq!((outer.next_key(), outer.value()), (Some("\"p\""), "1"));
    }

    proptest! {
        #[test]
        fn invalid_json_terminates(text in r#"[\{\}\[\]",:\\a é]{0,40}"#) {
            members(&text);
        }
    }
}
