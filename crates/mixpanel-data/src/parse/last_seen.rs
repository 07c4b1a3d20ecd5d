//! Parses `$last_seen`.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, fmt::temporal::DateTimeParser};

static PARSER: DateTimeParser = DateTimeParser::new();

/// Parses a time in a less common form: with a fraction, a space instead of the `T`, only a date, or a UTC offset
/// (which is applied). Returns microseconds since 1970, rounded toward zero; a leap second maps to the second before
/// it.
pub(super) fn parse_lenient(text: &str) -> Option<i64> {
    parse_instant(text).or_else(|| parse_local(text))
}

/// Parses a time with a UTC offset like [`parse_lenient`].
pub(super) fn parse_instant(text: &str) -> Option<i64> {
    PARSER.parse_timestamp(text).ok().map(Timestamp::as_microsecond)
}

/// Parses a time without a UTC offset like [`parse_lenient`], as if it were UTC.
pub(super) fn parse_local(text: &str) -> Option<i64> {
    // Without this check, the civil time parser would silently drop an invalid offset.
    let after_date = text.get(10..).unwrap_or_default();
    if after_date.contains(['+', '-', 'Z', 'z', '[']) {
        return None;
    }
    as_if_utc(PARSER.parse_datetime(text).ok()?)
}

/// Returns a local time in microseconds since 1970, as if it were UTC.
pub(super) fn as_if_utc(local: DateTime) -> Option<i64> {
    TimeZone::UTC.to_timestamp(local).ok().map(Timestamp::as_microsecond)
}

/// Parses a time as Mixpanel sends it, `YYYY-MM-DDTHH:MM:SS` without a zone, as UTC (`docs/mixpanel-api.md#records`).
/// Returns microseconds since 1970, which format back to the same text. Rejects year 0, which DuckDB formats
/// differently.
pub(super) fn parse_canonical(text: &[u8]) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', i1, i2, b':', s1, s2] = text else {
        return None;
    };
    let number = |digits: &[&u8]| {
        digits.iter().try_fold(0_i64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(**byte - b'0')))
    };
    let (year, month, day) = (number(&[y1, y2, y3, y4])?, number(&[m1, m2])?, number(&[d1, d2])?);
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[i1, i2])?, number(&[s1, s2])?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month_index = usize::try_from(month).ok()?.checked_sub(1)?;
    if year == 0 || !(1..=*days_in_month.get(month_index)?).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_from_civil(year, month, day);
    Some(((days * 24 + hour) * 60 + minute) * 60_000_000 + second * 1_000_000)
}

/// Returns the days since 1970-01-01 in the proleptic Gregorian calendar. Years begin in March, so that the leap day
/// comes last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_common_timestamp_forms() {
        for (text, expected) in [
            ("1970-01-01T00:00:00", Some(0)),
            ("2026-09-20T11:42:07", Some(1_789_904_527_000_000)),
            ("2024-02-29T23:59:59", Some(1_709_251_199_000_000)),
            ("1969-12-31T23:59:59", Some(-1_000_000)),
            ("2026-09-20 11:42:07", Some(1_789_904_527_000_000)),
            ("2026-09-20T11:42:07.25", Some(1_789_904_527_250_000)),
            ("2026-09-20T13:42:07+02:00", Some(1_789_904_527_000_000)),
            ("2026-09-20T13:42:07+0200", Some(1_789_904_527_000_000)),
            ("2026-09-20T11:42:07Z", Some(1_789_904_527_000_000)),
            ("2026-09-20", Some(1_789_862_400_000_000)),
            ("2023-02-29T00:00:00", None),
            ("2026-13-01T00:00:00", None),
            ("2026-09-20T11:42:07+99:99", None),
            ("yesterday", None),
            ("", None),
            ("1790000123", None),
        ] {
            let usual = parse_canonical(text.as_bytes());
            assert_eq!(usual.or_else(|| parse_lenient(text)), expected, "{text}");
            assert_eq!(usual.is_some(), expected.is_some() && text.len() == 19 && text.contains('T'), "{text}");
        }
    }

    #[test]
    fn the_fast_path_agrees_with_the_general_parser() {
        for day in -300_000_i64..300_000 {
            let timestamp = Timestamp::from_second(day * 86_399).expect("in range");
            let text = timestamp.to_string();
            let text = text.trim_end_matches('Z');
            assert_eq!(parse_canonical(text.as_bytes()), Some(timestamp.as_microsecond()), "{text}");
        }
    }
}
