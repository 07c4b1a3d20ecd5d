//! Finds escapes that are not Unicode.

/// Why a text is not stored.
pub(super) const HALF_A_PAIR: &str = "a string holds half a surrogate pair, which is not Unicode";

/// Returns whether an escape such as `\ud83d` lacks the other half of its surrogate pair.
pub(super) fn has_lone_surrogate(json: &str) -> bool {
    let bytes = json.as_bytes();
    let mut at = 0;
    let mut high_ends_at = None;
    while let Some(found) = memchr::memchr(b'\\', &bytes[at..]) {
        let escape = at + found;
        if bytes.get(escape + 1) != Some(&b'u') {
            at = escape + 2;
            continue;
        }
        let unit = json.get(escape + 2..escape + 6).and_then(|hex| u16::from_str_radix(hex, 16).ok()).unwrap_or(0);
        let follows_high = high_ends_at == Some(escape);
        match unit {
            0xDC00..=0xDFFF if follows_high => high_ends_at = None,
            0xDC00..=0xDFFF => return true,
            _ if high_ends_at.is_some() => return true,
            0xD800..=0xDBFF => high_ends_at = Some(escape + 6),
            _ => {}
        }
        at = escape + 6;
    }
    high_ends_at.is_some()
}
