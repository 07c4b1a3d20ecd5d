//! Splits a query into its statements. Follows DuckDB's lexer: strings, quoted names, dollar quotes, nested comments.

use std::ops::Range;

/// The first words of statements whose result is only a confirmation or a count.
const WITHOUT_ROWS: [&str; 31] = [
    "ABORT",
    "ALTER",
    "ANALYZE",
    "ATTACH",
    "BEGIN",
    "CHECKPOINT",
    "COMMENT",
    "COMMIT",
    "COPY",
    "CREATE",
    "DEALLOCATE",
    "DELETE",
    "DETACH",
    "DROP",
    "END",
    "EXPORT",
    "FORCE",
    "IMPORT",
    "INSERT",
    "INSTALL",
    "LOAD",
    "MERGE",
    "PREPARE",
    "RESET",
    "ROLLBACK",
    "SET",
    "START",
    "TRUNCATE",
    "UPDATE",
    "USE",
    "VACUUM",
];

/// The first words of statements that change tables.
const CHANGES: [&str; 7] = ["ALTER", "DELETE", "DROP", "INSERT", "MERGE", "TRUNCATE", "UPDATE"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// Whitespace or a comment.
    Blank,
    /// A semicolon.
    End,
    Other,
}

/// Returns the ranges of the statements, without their semicolons. Empty statements are left out.
pub(super) fn split(sql: &str) -> Vec<Range<usize>> {
    let bytes = sql.as_bytes();
    let mut statements = Vec::new();
    let (mut start, mut at, mut is_empty) = (0, 0, true);
    while at < bytes.len() {
        let (token, end) = token(bytes, at);
        match token {
            Token::Blank => {}
            Token::Other => is_empty = false,
            Token::End => {
                if !is_empty {
                    statements.push(start..at);
                }
                (start, is_empty) = (end, true);
            }
        }
        at = end;
    }
    if !is_empty {
        statements.push(start..bytes.len());
    }
    statements
}

/// Returns whether a statement returns rows, judged by its first word.
pub(super) fn returns_rows(statement: &str) -> bool {
    first_word(statement).is_some_and(|word| !WITHOUT_ROWS.contains(&word.as_str()))
}

/// Returns whether a statement changes tables, judged by its first word.
pub(super) fn changes(statement: &str) -> bool {
    first_word(statement).is_some_and(|word| CHANGES.contains(&word.as_str()))
}

/// Returns the first word of a statement in upper case.
fn first_word(statement: &str) -> Option<String> {
    let bytes = statement.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let (token, end) = token(bytes, at);
        if token == Token::Other {
            return Some(String::from_utf8_lossy(&bytes[at..end]).to_ascii_uppercase());
        }
        at = end;
    }
    None
}

/// Returns the kind and the end of the token that starts at `at`.
fn token(bytes: &[u8], at: usize) -> (Token, usize) {
    let next = bytes.get(at + 1).copied();
    match bytes[at] {
        b';' => (Token::End, at + 1),
        b' ' | b'\t'..=b'\r' => (Token::Blank, at + 1),
        b'-' if next == Some(b'-') => (Token::Blank, find(bytes, at, |byte| matches!(byte, b'\n' | b'\r'))),
        b'/' if next == Some(b'*') => (Token::Blank, comment_end(bytes, at)),
        quote @ (b'\'' | b'"') => (Token::Other, quoted_end(bytes, at, quote, Backslash::Plain)),
        b'$' => (Token::Other, dollar_quoted_end(bytes, at)),
        byte if is_word(byte) => {
            let end = find(bytes, at, |byte| !is_word(byte) && byte != b'$');
            let is_escape = bytes[at..end].eq_ignore_ascii_case(b"e") && bytes.get(end) == Some(&b'\'');
            (Token::Other, if is_escape { quoted_end(bytes, end, b'\'', Backslash::Escapes) } else { end })
        }
        _ => (Token::Other, at + 1),
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// Returns the position of the first byte from `from` on that matches, or the end of the text.
fn find(bytes: &[u8], from: usize, is_found: impl Fn(u8) -> bool) -> usize {
    bytes[from..].iter().position(|byte| is_found(*byte)).map_or(bytes.len(), |offset| from + offset)
}

/// What a backslash means in a string.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Backslash {
    Plain,
    /// As in `E'it\'s'`.
    Escapes,
}

fn quoted_end(bytes: &[u8], open: usize, quote: u8, backslash: Backslash) -> usize {
    let mut at = open + 1;
    while at < bytes.len() {
        at += match bytes[at] {
            b'\\' if backslash == Backslash::Escapes => 2,
            byte if byte == quote && bytes.get(at + 1) == Some(&quote) => 2,
            byte if byte == quote => return at + 1,
            _ => 1,
        };
    }
    bytes.len()
}

fn comment_end(bytes: &[u8], open: usize) -> usize {
    let (mut at, mut depth) = (open, 0_usize);
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => (at, depth) = (at + 2, depth + 1),
            Some(b"*/") => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

/// Returns the end of `$tag$text$tag$`; of the `$` alone if no such quote starts here, as in `$1`.
fn dollar_quoted_end(bytes: &[u8], open: usize) -> usize {
    let tag_end = find(bytes, open + 1, |byte| !is_word(byte));
    let starts_with_digit = bytes.get(open + 1).is_some_and(u8::is_ascii_digit);
    if bytes.get(tag_end) != Some(&b'$') || starts_with_digit {
        return open + 1;
    }
    let tag = &bytes[open..=tag_end];
    let text = tag_end + 1;
    let close = bytes[text..].windows(tag.len()).position(|window| window == tag);
    close.map_or(bytes.len(), |offset| text + offset + tag.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<&str> {
        split(sql).into_iter().map(|range| sql[range].trim()).collect()
    }

    #[test]
    fn semicolons_in_strings_names_and_comments_do_not_end_a_statement() {
        for whole in [
            "select ';'",
            "select ''';'''",
            "select E'\\';'",
            "select e'\\\\' || ';'",
            "select 1 as \"a;\"\"b\"",
            "select $$;$$",
            "select $tag$ ; $$ ; $tag$",
            "select a$b$ || ';'",
            "select 1 -- ; x\n + 1",
            "select 1 /* ; /* ; */ ; */ + 1",
            "select '\\' || ';'",
            "select 'ü;', \"ö;\"",
            "select /* never closed ;",
            "select 'never closed ;",
            "select $$never closed ;",
            "select 1 /",
            "select $1",
        ] {
            assert_eq!(texts(whole), [whole]);
            assert_eq!(texts(&format!(" ;; {whole}\n")), [whole]);
            let is_closed = !whole.contains("never");
            if is_closed {
                assert_eq!(texts(&format!("{whole}\n;select 2; ")), [whole, "select 2"]);
            }
        }
        for nothing in ["", " ;\n; ", "-- a", "/* ; */;", ";--;"] {
            assert!(texts(nothing).is_empty(), "{nothing:?}");
        }
    }

    #[test]
    fn statements_that_return_no_rows_are_recognized() {
        for sql in ["begin", "/* a */ Create temp table t (a int)", "-- x\nset a = 1", "COMMIT", "use x"] {
            assert!(!returns_rows(sql), "{sql}");
        }
        for sql in ["select 1", "(select 1)", "from t", "with a as (select 1) from a", "show tables", "values (1)"] {
            assert!(returns_rows(sql), "{sql}");
        }
    }
}
