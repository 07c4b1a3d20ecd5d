//! Formats text and numbers for messages.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

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

/// Formats bytes as lower-case hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string can be written to");
        text
    })
}

/// Quotes the name of a property, which may be empty: `` `plan` ``, `` `""` ``.
pub(crate) fn named(name: &str) -> String {
    if name.is_empty() { "`\"\"`".to_owned() } else { format!("`{}`", printable(name)) }
}

/// Formats an elapsed time, rounded down: `0.4s`, `12s`, `3m 05s`, `2h 10m`, `3d 04h`.
#[must_use]
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", time.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..172_800 => format!("{}h {:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// Formats an estimate or the rest of a wait, rounded up: `58s`, `41m`, `3h 10m`, `3d 04h`.
#[must_use]
pub fn about(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds.div_ceil(60)),
        _ => duration(Duration::from_secs(seconds)),
    }
}

/// Formats a limit: like [`about`], but fractions of a second are not rounded up.
pub(crate) fn limit(time: Duration) -> String {
    if time.subsec_nanos() == 0 || time >= Duration::from_secs(10) { about(time) } else { duration(time) }
}

/// Returns the first `chars_max` characters of a text in printable form, with an ellipsis if there are more.
pub(crate) fn excerpt(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", printable(&text[..end])),
        None => printable(text).into_owned(),
    }
}

/// Formats a number with commas between thousands.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
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
    fn durations_have_one_form() {
        let seconds = Duration::from_secs_f64;
        let times = [(0.42, "0.4s"), (59.9, "59s"), (185.0, "3m 05s"), (7_810.0, "2h 10m"), (273_600.0, "3d 04h")];
        for (time, text) in times {
            assert_eq!(duration(seconds(time)), text);
        }
        let times = [(0.0, "0s"), (0.2, "1s"), (57.1, "58s"), (600.0, "10m"), (2_459.9, "41m"), (7_810.0, "2h 10m")];
        for (time, text) in times {
            assert_eq!(about(seconds(time)), text);
        }
        let times = [(0.4, "0.4s"), (1.0, "1s"), (10.5, "11s"), (90.0, "90s"), (86_400.0, "24h 00m")];
        for (time, text) in times {
            assert_eq!(limit(seconds(time)), text);
        }
    }

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
