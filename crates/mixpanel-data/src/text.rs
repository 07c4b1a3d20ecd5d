//! Formats text and numbers for messages.

use std::borrow::Cow;

/// Returns whether a character moves the cursor, is invisible, or reorders the text around it.
#[must_use]
pub fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{61c}'
        )
}

/// Escapes characters that could affect a terminal, as `\u{1b}` and `\n`. The messages of this crate's errors quote foreign
/// text in this form.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_unprintable(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Returns the first `chars_max` characters of a text in printable form, with an ellipsis if there are more.
pub(crate) fn excerpt(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", printable(&text[..end])),
        None => printable(text).into_owned(),
    }
}

/// Formats a number with its noun, in the plural if necessary: `1 page`, `2 pages`.
pub(crate) fn counted(number: impl Into<u128>, noun: &str) -> String {
    match number.into() {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_is_singular() {
        let texts = [0_u64, 1, 2, 21].map(|number| counted(number, "page"));
        assert_eq!(texts, ["0 pages", "1 page", "2 pages", "21 pages"]);
    }

    #[test]
    fn characters_that_affect_a_terminal_are_escaped_and_no_others() {
        assert_eq!(printable("a\u{1b}[31m\u{9b}\u{202e}\n\tü"), r"a\u{1b}[31m\u{9b}\u{202e}\n\tü");
        assert_eq!(printable(r#"it's "quoted" \ 👩"#), r#"it's "quoted" \ 👩"#);
    }

    #[test]
    fn an_excerpt_counts_characters_before_they_are_escaped() {
        assert_eq!(excerpt("äöü", 3), "äöü");
        assert_eq!(excerpt("äöü\n", 3), "äöü…");
        assert_eq!(excerpt("\u{1b}ab", 2), r"\u{1b}a…");
        assert_eq!(excerpt("", 2), "");
    }
}
