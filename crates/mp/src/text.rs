//! Formats text and numbers for display.

use std::borrow::Cow;

use console::measure_text_width;

pub(crate) use mixpanel_data::text::{about, duration, is_unprintable, printable, thousands};

/// Makes every line printable and indents all but the first, so that external text cannot pass for our own output.
pub(crate) fn indented(text: &str, spaces: usize) -> String {
    let separator = format!("\n{:spaces$}", "");
    text.trim_end()
        .lines()
        .map(|line| printable(&line.replace('\t', "    ")).into_owned())
        .collect::<Vec<_>>()
        .join(&separator)
}

/// Breaks each line between words, so that none has more than `width` columns. Continued lines are indented. A longer
/// word stays whole.
pub(crate) fn wrapped(text: &str, width: usize, indent: usize) -> String {
    text.split('\n').map(|line| wrapped_line(line, width, indent)).collect::<Vec<_>>().join("\n")
}

fn wrapped_line(line: &str, width: usize, indent: usize) -> String {
    let mut shown = String::with_capacity(line.len());
    let (mut column, mut has_word) = (0, false);
    for (position, word) in line.split(' ').enumerate() {
        let word_width = measure_text_width(word);
        if position > 0 && has_word && column + 1 + word_width > width {
            shown.truncate(shown.trim_end().len());
            shown.push_str(&format!("\n{:indent$}", ""));
            (column, has_word) = (indent, false);
        } else if position > 0 {
            shown.push(' ');
            column += 1;
        }
        shown.push_str(word);
        column += word_width;
        has_word |= !word.is_empty();
    }
    shown
}

/// Formats a number and a noun, in the plural if needed.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let plural = match number {
        1 => "",
        _ if noun.ends_with("ch") => "es",
        _ => "s",
    };
    format!("{} {noun}{plural}", thousands(number))
}

/// Formats a range of days: `2026-11-20 to 2026-11-26`, or a single day.
pub(crate) fn day_range(from: &str, to: &str) -> String {
    if from == to { from.to_owned() } else { format!("{from} to {to}") }
}

/// Formats a size: `512 B`, `1.2 MB`, `34 GB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] =
        [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    let Some((unit, scale)) = UNITS.into_iter().find(|(_, scale)| bytes >= *scale) else { return format!("{bytes} B") };
    let tenths = u128::from(bytes) * 10 / u128::from(scale);
    if tenths < 100 { format!("{}.{} {unit}", tenths / 10, tenths % 10) } else { format!("{} {unit}", tenths / 10) }
}

/// Quotes a word for a POSIX shell, if necessary.
pub(crate) fn shell_quoted(word: &str) -> Cow<'_, str> {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./=:,@%+".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        return Cow::Borrowed(word);
    }
    if word.contains('\'') && !word.contains(['"', '$', '`', '\\', '!']) {
        return Cow::Owned(format!("\"{word}\""));
    }
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
}

/// Formats page numbers as a list with ranges: `3, 7-9`.
pub(crate) fn page_list(pages: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for page in pages {
        match ranges.last_mut() {
            Some((_, last)) if *page == *last + 1 => *last = *page,
            _ => ranges.push((*page, *page)),
        }
    }
    let shown =
        ranges.iter().map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") });
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(
            ["0", "999", "1,000", "1,234,567"],
            [0, 999, 1_000, 1_234_567].map(thousands).each_ref().map(String::as_str)
        );
        assert_eq!(counted(1, "page"), "1 page");
        assert_eq!(counted(0, "page"), "0 pages");
        assert_eq!([1, 2].map(|number| counted(number, "batch")), ["1 batch", "2 batches"]);
        assert_eq!(day_range("2026-11-20", "2026-11-20"), "2026-11-20");
        assert_eq!(day_range("2026-11-20", "2026-11-26"), "2026-11-20 to 2026-11-26");
        let sizes = [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (1_290_000, "1.2 MB"), (34_900_000_000, "34 GB")];
        for (bytes, text) in sizes {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(page_list(&[3, 7, 8, 9, 11]), "3, 7-9, 11");
    }

    #[test]
    fn quoted_words_survive_a_shell() {
        assert_eq!(shell_quoted("/data/a.db"), "/data/a.db");
        assert_eq!(shell_quoted("it's"), "\"it's\"");
        assert_eq!(shell_quoted("it's $5"), r"'it'\''s $5'");
        assert_eq!(shell_quoted("a b"), "'a b'");
        assert_eq!(shell_quoted(""), "''");
    }

    #[test]
    fn long_lines_are_broken_between_words() {
        let table = [
            ("a bc def", 8, 2, "a bc def"),
            ("a bc def", 7, 2, "a bc\n  def"),
            ("a bc def", 4, 2, "a bc\n  def"),
            ("a bc def", 1, 0, "a\nbc\ndef"),
            ("  a  bc", 7, 4, "  a  bc"),
            ("  a  bc", 6, 4, "  a\n    bc"),
            ("one two\nthree four", 6, 1, "one\n two\nthree\n four"),
            ("日本 日本", 8, 0, "日本\n日本"),
            ("", 5, 2, ""),
        ];
        for (text, width, indent, expected) in table {
            assert_eq!(wrapped(text, width, indent), expected, "{text:?} in {width}");
        }
    }

    #[test]
    fn terminals_are_not_disturbed() {
        assert_eq!(printable("a\u{1b}[31m\u{9b}\u{202e}ü"), r"a\u{1b}[31m\u{9b}\u{202e}ü");
        assert_eq!(indented("one\ntwo\r\n", 2), "one\n  two");
    }
}
