//! Reads the time of an event.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::TimeZone;

use crate::parse::last_seen::parse_lenient;

static PARSER: DateTimeParser = DateTimeParser::new();

/// The time of an event as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received {
    /// A number, which is local time in old projects.
    Number(i64),
    /// Local time as text, in microseconds since 1970 as if it were UTC.
    Local(i64),
    /// A text with an offset from UTC, in microseconds since 1970.
    Instant(i64),
}

/// The times that can be stored, in milliseconds since 1970: the years 1 to 9999. Few programs print any other year.
pub(super) const RANGE_MS: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

/// Numbers of seconds that are not taken for milliseconds: the years 1973 to 5138. As milliseconds, they would be in the
/// first three years after 1970, which no export asks for.
const SECONDS: std::ops::Range<u64> = 100_000_000..100_000_000_000;

/// Reads a time, given as JSON. `None` if it is not a time: a number must be an integer, and a text a date with a time.
pub(super) fn parse(value: &str) -> Option<Received> {
    match value.as_bytes().first()? {
        b'-' | b'0'..=b'9' => number(value).map(Received::Number),
        b'"' => {
            let text: String = serde_json::from_str(value).ok()?;
            let text = text.trim();
            if let Some(number) = number(text) {
                return Some(Received::Number(number));
            }
            if let Ok(instant) = PARSER.parse_timestamp(text) {
                return Some(Received::Instant(instant.as_microsecond()));
            }
            parse_lenient(text).map(Received::Local)
        }
        _ => None,
    }
}

/// Reads an integer, possibly with a decimal point or an exponent.
pub(super) fn number(text: &str) -> Option<i64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    if let Ok(integer) = text.parse::<i64>() {
        return Some(integer);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E')) {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "it is a small integer")]
    (number.fract() == 0.0 && number.abs() < EXACT_MAX).then_some(number as i64)
}

/// Returns whether a number that should be in milliseconds is in seconds. `is_expected` tells whether a time in
/// milliseconds is near the requested days.
pub(super) fn is_in_seconds(number: i64, is_expected: impl Fn(i64) -> bool) -> bool {
    SECONDS.contains(&number.unsigned_abs()) && !is_expected(number)
}

/// Returns the local time of an instant, in microseconds since 1970 as if it were UTC.
pub(super) fn as_if_utc(local: DateTime) -> Option<i64> {
    TimeZone::UTC.to_timestamp(local).ok().map(Timestamp::as_microsecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_form() {
        use Received::{Instant, Local, Number};
        for (value, expected) in [
            ("1767225600123", Some(Number(1_767_225_600_123))),
            ("-86400", Some(Number(-86_400))),
            ("0", Some(Number(0))),
            ("1767225600123.0", Some(Number(1_767_225_600_123))),
            ("1.767225600123e12", Some(Number(1_767_225_600_123))),
            ("1767225600123.5", None),
            ("1e300", None),
            ("9223372036854775808", None),
            (r#""1767225600123""#, Some(Number(1_767_225_600_123))),
            (r#""2026-01-01T00:00:00""#, Some(Local(1_767_225_600_000_000))),
            (r#""2026-01-01 00:00:00.25""#, Some(Local(1_767_225_600_250_000))),
            (r#""2026-01-01""#, Some(Local(1_767_225_600_000_000))),
            (r#""2026-01-01T02:00:00+02:00""#, Some(Instant(1_767_225_600_000_000))),
            (r#""2026-01-01T00:00:00Z""#, Some(Instant(1_767_225_600_000_000))),
            (r#""yesterday""#, None),
            (r#""inf""#, None),
            (r#""""#, None),
            ("null", None),
            ("true", None),
            ("[1767225600123]", None),
            ("", None),
        ] {
            assert_eq!(parse(value), expected, "{value}");
        }
    }

    #[test]
    fn seconds_are_recognized_by_the_days_that_were_asked_for() {
        let near = |day: i64| move |ms: i64| (day - 2..=day + 2).contains(&ms.div_euclid(86_400_000));
        for (number, day, expected) in [
            (1_767_225_600_123, 20_454, false),
            (1_767_225_600, 20_454, true),
            (99_999_999_999, 20_454, true),
            (100_000_000_000, 20_454, false),
            (-86_400, 20_454, false),
            // 18 June 1971, if that was asked for.
            (46_051_200_000, 533, false),
            (46_051_200_000, 20_454, true),
        ] {
            assert_eq!(is_in_seconds(number, near(day)), expected, "{number}");
        }
    }
}
