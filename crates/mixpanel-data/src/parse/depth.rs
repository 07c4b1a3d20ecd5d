//! Checks the nesting depth of JSON text.

/// Returns whether arrays and objects are nested more than `most` levels deep. The text must be valid JSON.
pub(super) fn is_deeper_than(json: &str, most: usize) -> bool {
    // Fast path: hardly any profile has more than `most` opening brackets, nested or not.
    if memchr::memchr2_iter(b'{', b'[', json.as_bytes()).nth(most).is_none() {
        return false;
    }
    let mut depth = 0;
    let mut in_text = false;
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_text = !in_text,
            // The escaped byte cannot end the string.
            b'\\' => drop(bytes.next()),
            b'{' | b'[' if !in_text => {
                depth += 1;
                if depth > most {
                    return true;
                }
            }
            b'}' | b']' if !in_text => depth -= 1,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nested_brackets_count() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let wide = format!("[{}[]]", "{\"a\":[]},".repeat(500));
        let texts = format!(r#"["{}", "\"[\\", "{}"]"#, "[{".repeat(500), r#"\\\"["#.repeat(500));
        for (json, depth) in
            [("1", 0), ("\"[\"", 0), ("{}", 1), (&nested(7), 7), (&nested(100), 100), (&wide, 3), (&texts, 1)]
        {
            assert!(!is_deeper_than(json, depth), "{json}");
            assert!(depth == 0 || is_deeper_than(json, depth - 1), "{json}");
        }
    }
}
