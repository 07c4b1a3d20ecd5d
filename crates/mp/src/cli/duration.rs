//! Parses durations: `400ms`, `30s`, `1h30m`, `2d`; 0 needs no unit.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// Parses a duration; a day has 24 hours.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let span = text.parse::<Span>().ok();
    let duration = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    duration.and_then(|duration| Duration::try_from(duration).ok()).ok_or_else(|| {
        let unit = text.trim_start_matches(|character: char| character.is_ascii_digit());
        if unit.len() < text.len() && ["ms", "s", "m", "h", "d"].contains(&unit.trim_start()) {
            return "too long".to_owned();
        }
        "expected a number and a unit (ms, s, m, h or d), such as 400ms, 30s or 1h30m".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed_with_their_unit() {
        let table = [
            ("400ms", 400),
            ("0s", 0),
            ("0", 0),
            ("30s", 30_000),
            ("10m", 600_000),
            ("24h", 86_400_000),
            ("2d", 172_800_000),
            ("1h30m", 5_400_000),
            ("1.5h", 5_400_000),
            ("1 h", 3_600_000),
            ("2 days", 172_800_000),
        ];
        for (text, milliseconds) in table {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "00", "30", "s", "-1s", "1s ago", "h1", "1x", "1mo", "1y", "9e99s"] {
            assert!(parse_duration(text).is_err_and(|error| error.contains("such as 400ms")), "{text}");
        }
        for text in [&format!("{}s", "9".repeat(40)), "9999999999999999d", "99999999999h"] {
            assert_eq!(parse_duration(text), Err("too long".to_owned()), "{text}");
        }
    }
}
