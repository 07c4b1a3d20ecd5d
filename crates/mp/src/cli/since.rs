//! Parses the start time of a fetch: `last`, `7d`, `2026-11-01` or `2026-11-01T12:00:00Z`.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::duration::parse_duration;

/// From when on profiles must have been seen to be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SinceArg {
    /// A day before the last complete load of the table.
    Last,
    /// This long ago.
    Ago(Duration),
    /// This time.
    Time(Timestamp),
}

impl SinceArg {
    /// Returns the start time if it does not depend on the table; `None` for `last`. A duration longer than the calendar
    /// starts at its beginning.
    pub(crate) fn time(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Last => None,
            Self::Ago(duration) => Some(now.checked_sub(duration).unwrap_or(Timestamp::MIN)),
            Self::Time(time) => Some(time),
        }
    }
}

/// Parses a start time. Times without an offset are in UTC.
pub(super) fn parse_since(text: &str) -> Result<SinceArg, String> {
    if text == "last" {
        return Ok(SinceArg::Last);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(SinceArg::Time(time));
    }
    if let Some(time) = text.parse::<DateTime>().ok().and_then(|time| TimeZone::UTC.to_timestamp(time).ok()) {
        return Ok(SinceArg::Time(time));
    }
    match parse_duration(text) {
        Ok(duration) if !duration.is_zero() => Ok(SinceArg::Ago(duration)),
        Err(reason) if reason == "too long" => Err(reason),
        _ => {
            Err("expected `last`, a duration such as 7d, or a time such as 2026-11-01 or 2026-11-01T12:00:00Z"
                .to_owned())
        }
    }
}

/// Parses an interval of at least a second.
pub(super) fn parse_interval(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        interval if interval >= Duration::from_secs(1) => Ok(interval),
        _ => Err("expected at least 1s".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_times_are_relative_or_in_utc() {
        let at = |text: &str| SinceArg::Time(text.parse().expect(text));
        let ago = |seconds| SinceArg::Ago(Duration::from_secs(seconds));
        for (text, expected) in [
            ("last", SinceArg::Last),
            ("7d", ago(7 * 86_400)),
            ("36h", ago(36 * 3_600)),
            ("1h30m", ago(5_400)),
            ("2026-11-01", at("2026-11-01T00:00:00Z")),
            ("2026-11-01T12:00:00", at("2026-11-01T12:00:00Z")),
            ("2026-11-01 12:00", at("2026-11-01T12:00:00Z")),
            ("2026-11-01T12:00:00Z", at("2026-11-01T12:00:00Z")),
            ("2026-11-01T12:00:00+02:00", at("2026-11-01T10:00:00Z")),
        ] {
            assert_eq!(parse_since(text), Ok(expected), "{text}");
        }
        for text in ["", "Last", "yesterday", "7", "0", "0d", "-7d", "7d ago", "2026-11", "2026-13-01", "11/01/2026"] {
            assert!(parse_since(text).is_err_and(|error| error.contains("such as 7d")), "{text}");
        }
        assert_eq!(parse_since("9999999999999999d"), Err("too long".to_owned()));
    }

    #[test]
    fn a_duration_counts_back_from_now() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().expect("a time");
        let week_ago: Timestamp = "2026-11-19T12:00:00Z".parse().expect("a time");
        assert_eq!(SinceArg::Ago(Duration::from_secs(7 * 86_400)).time(now), Some(week_ago));
        assert_eq!(SinceArg::Time(week_ago).time(now), Some(week_ago));
        assert_eq!(SinceArg::Last.time(now), None);
        assert_eq!(SinceArg::Ago(Duration::MAX).time(now), Some(Timestamp::MIN));
    }

    #[test]
    fn an_interval_is_at_least_a_second() {
        assert_eq!(parse_interval("30d"), Ok(Duration::from_secs(30 * 86_400)));
        for text in ["0", "999ms", "30", "monthly"] {
            assert!(parse_interval(text).is_err(), "{text}");
        }
    }
}
