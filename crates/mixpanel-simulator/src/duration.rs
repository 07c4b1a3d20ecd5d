//! Parses durations written with units, such as `30s`.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// Parses `250ms`, `30s`, `1h30m` or `2d`; a day has 24 hours.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let span = text.trim().parse::<Span>().ok();
    let duration = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    duration.and_then(|duration| Duration::try_from(duration).ok()).ok_or_else(|| {
        format!("cannot read the duration {text:?}: expected a number and a unit (ms, s, m, h or d), such as 30s")
    })
}
