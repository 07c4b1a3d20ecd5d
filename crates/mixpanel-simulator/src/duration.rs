//! Parses durations as users write them.

use std::time::Duration;

/// Parses `250ms`, `30s`, `5m` or `2h`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let milliseconds = match &text[digits..] {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let number: Option<u64> = text[..digits].parse().ok();
    milliseconds.and_then(|unit| number?.checked_mul(unit)).map(Duration::from_millis).ok_or_else(|| {
        format!("cannot read the duration {text:?}: expected a whole number and ms, s, m or h, such as 30s")
    })
}
