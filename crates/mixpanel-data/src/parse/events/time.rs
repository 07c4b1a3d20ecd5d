//! Reads the time of an event.

use crate::parse::last_seen::{parse_instant, parse_local};

/// The time of an event as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received {
    /// A whole number, which is local time in old projects.
    Number(i64),
    /// A number with a fraction, in thousandths.
    Fraction(i64),
    /// Local time as text, in microseconds since 1970 as if it were UTC.
    Local(i64),
    /// A text with an offset from UTC, in microseconds since 1970.
    Instant(i64),
}

/// The times that can be stored, in milliseconds since 1970: the years 1 to 9999. Few programs print any other year.
pub(super) const RANGE_MS: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

/// Numbers of seconds that are not taken for milliseconds: the years 1973 to 5138. As milliseconds, they are
/// less than four years from 1970, which exports do not request.
const SECONDS: std::ops::Range<u64> = 100_000_000..100_000_000_000;

/// Reads a time, given as JSON. `None` if it is not a time: a number may have up to three decimal places, and a text is
/// such a number or a date, possibly with a time of day.
pub(super) fn parse(value: &str) -> Option<Received> {
    match value.as_bytes().first()? {
        b'-' | b'0'..=b'9' => received_number(value),
        b'"' => {
            let text: String = serde_json::from_str(value).ok()?;
            let text = text.trim();
            if let Some(number) = received_number(text) {
                return Some(number);
            }
            parse_instant(text).map(Received::Instant).or_else(|| parse_local(text).map(Received::Local))
        }
        _ => None,
    }
}

fn received_number(text: &str) -> Option<Received> {
    if let Ok(integer) = text.parse() {
        return Some(Received::Number(integer));
    }
    let thousandths = thousandths(text)?;
    Some(match thousandths % 1_000 {
        0 => Received::Number(thousandths / 1_000),
        _ => Received::Fraction(thousandths),
    })
}

/// Reads a whole number, possibly with a decimal point or an exponent.
pub(super) fn number(text: &str) -> Option<i64> {
    match received_number(text)? {
        Received::Number(number) => Some(number),
        _ => None,
    }
}

/// Reads a decimal number in thousandths. `None` if it is not a whole number of them. Does not use floats, which would
/// round it.
fn thousandths(text: &str) -> Option<i64> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (is_negative, unsigned) = match mantissa.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, decimals) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    if unsigned.bytes().any(|byte| !byte.is_ascii_digit() && byte != b'.') {
        return None;
    }
    let digits = [whole, decimals].concat();
    if digits.is_empty() || decimals.contains('.') {
        return None;
    }
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    let zeros = i32::try_from(digits.len() - significant.len()).ok()?;
    let power = exponent.checked_add(3 + zeros)?.checked_sub(i32::try_from(decimals.len()).ok()?)?;
    let magnitude = significant.parse::<i64>().ok()?.checked_mul(10_i64.checked_pow(u32::try_from(power).ok()?)?)?;
    Some(if is_negative { -magnitude } else { magnitude })
}

/// Returns whether a number that should be in milliseconds is in seconds. `is_expected` tells whether a time in
/// milliseconds is near the requested days.
pub(super) fn is_in_seconds(number: i64, is_expected: impl Fn(i64) -> bool) -> bool {
    SECONDS.contains(&number.unsigned_abs()) && !is_expected(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_form() {
        use Received::{Fraction, Instant, Local, Number};
        for (value, expected) in [
            ("1767225600123", Some(Number(1_767_225_600_123))),
            ("-86400", Some(Number(-86_400))),
            ("0", Some(Number(0))),
            ("1767225600123.0", Some(Number(1_767_225_600_123))),
            ("1.767225600123e12", Some(Number(1_767_225_600_123))),
            ("1609459200.0", Some(Number(1_609_459_200))),
            ("1.6094592e9", Some(Number(1_609_459_200))),
            ("1.6094592E+9", Some(Number(1_609_459_200))),
            ("16094592000e-1", Some(Number(1_609_459_200))),
            ("1609459200.00000000000000000000000", Some(Number(1_609_459_200))),
            ("-0.0", Some(Number(0))),
            ("1609459200.5", Some(Fraction(1_609_459_200_500))),
            ("1609459200.123", Some(Fraction(1_609_459_200_123))),
            ("1609459200.1230", Some(Fraction(1_609_459_200_123))),
            ("1609459200123e-3", Some(Fraction(1_609_459_200_123))),
            ("-1609459200.001", Some(Fraction(-1_609_459_200_001))),
            (r#""1609459200.25""#, Some(Fraction(1_609_459_200_250))),
            ("1767225600123.5", Some(Fraction(1_767_225_600_123_500))),
            ("1609459200.1234", None),
            ("1609459200.5000000000000000001", None),
            // As floats, these are whole.
            ("1767225600123.00001", None),
            ("1e-400", None),
            ("1e300", None),
            ("1e2147483647", None),
            ("1e99999999999", None),
            (r#"".""#, None),
            (r#""1e""#, None),
            (r#""1.2.3""#, None),
            (r#""--1.5""#, None),
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
