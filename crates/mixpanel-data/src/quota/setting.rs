//! The quota as users write it: `60/h`, `30/10m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

use crate::error::{Error, Result};
use crate::limits;
use crate::text::{counted, printable};

/// A limit on counted requests in a rolling window. The default is Mixpanel's own limit, `60/h`, with no reserve.
///
/// Parsed from a number of requests, a slash and a window: `60/h`, `60/60s`, `240/1h`, `30/10m`, `100/1d`. A day has 24
/// hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    /// Counted requests that the server allows in the window; 1 to [`limits::QUOTA_REQUESTS_MAX`].
    pub requests: u32,
    /// Length of the window; within [`limits::QUOTA_WINDOW_RANGE`].
    pub window: Duration,
    /// Requests reserved for other clients and never used here; fewer than `requests`. Default 0.
    pub reserve: u32,
}

impl Quota {
    /// Checks that the quota is valid.
    ///
    /// # Errors
    /// `InvalidInput` if a number is out of range or the reserve leaves no requests.
    pub fn check(&self) -> Result<()> {
        let Self { requests, window, reserve } = *self;
        if requests == 0 || requests > limits::QUOTA_REQUESTS_MAX {
            let most = limits::QUOTA_REQUESTS_MAX;
            return Err(Error::invalid(format!("a quota allows 1 to {most} requests, not {requests}")));
        }
        if !limits::QUOTA_WINDOW_RANGE.contains(&window) {
            let (shortest, longest) = (limits::QUOTA_WINDOW_RANGE.start(), limits::QUOTA_WINDOW_RANGE.end());
            let [window, shortest, longest] = [window, *shortest, *longest].map(window_text);
            return Err(Error::invalid(format!(
                "the window of a quota must be from {shortest} to {longest}, not {window}"
            )));
        }
        if reserve >= requests {
            return Err(Error::invalid(format!(
                "a reserve of {reserve} leaves nothing of {}",
                counted(requests, "request")
            )));
        }
        Ok(())
    }

    /// Returns the number of counted requests that may be used here.
    pub(crate) const fn usable(&self) -> u32 {
        self.requests.saturating_sub(self.reserve)
    }
}

impl Default for Quota {
    fn default() -> Self {
        Self { requests: limits::QUERIES_PER_HOUR, window: limits::QUOTA_WINDOW, reserve: 0 }
    }
}

/// The units of a window and their lengths in milliseconds, longest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl FromStr for Quota {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unreadable = || {
            let text = printable(text);
            Error::invalid(format!(
                "cannot read the quota `{text}`: expected requests per window, such as 60/h, 30/10m or 100/1d"
            ))
        };
        let (requests, window) = text.split_once('/').ok_or_else(unreadable)?;
        let requests = whole_number(requests.trim()).and_then(|number| u32::try_from(number).ok());
        let window = window.trim();
        // `60/h` is `60/1h`.
        let one = if window.starts_with(|first: char| first.is_ascii_digit()) { "" } else { "1" };
        let span = format!("{one}{window}").parse::<Span>().ok();
        let window = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
        let window = window.and_then(|window| Duration::try_from(window).ok());
        let (requests, window) = requests.zip(window).ok_or_else(unreadable)?;
        let quota = Self { requests, window, reserve: 0 };
        quota.check()?;
        Ok(quota)
    }
}

/// Parses an unsigned number. Unlike `parse`, rejects a leading `+`.
fn whole_number(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

impl fmt::Display for Quota {
    /// Formats the quota in the form that `FromStr` parses, without the reserve.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let window = window_text(self.window);
        // `60/h` rather than `60/1h`.
        let unit = window.strip_prefix('1').filter(|unit| !unit.starts_with(|c: char| c.is_ascii_digit()));
        write!(f, "{}/{}", self.requests, unit.unwrap_or(&window))
    }
}

/// Formats a window in the longest unit that divides it.
fn window_text(window: Duration) -> String {
    let milliseconds = window.as_millis();
    let (name, unit) = UNITS
        .into_iter()
        .find(|(_, unit)| milliseconds.is_multiple_of(u128::from(*unit)))
        .expect("1 divides everything");
    let unit = u128::from(unit);
    if milliseconds == 0 { "0s".to_owned() } else { format!("{}{name}", milliseconds / unit) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_quota_is_read_and_written() {
        let cases = [
            ("60/h", 60, 3_600_000, "60/h"),
            ("240/1h", 240, 3_600_000, "240/h"),
            ("60/60s", 60, 60_000, "60/m"),
            ("30/10m", 30, 600_000, "30/10m"),
            (" 100 / 1d ", 100, 86_400_000, "100/d"),
            ("1/90m", 1, 5_400_000, "1/90m"),
            ("5/1500ms", 5, 1_500, "5/1500ms"),
            ("5/12s", 5, 12_000, "5/12s"),
            ("10000/31d", 10_000, 31 * 86_400_000, "10000/31d"),
        ];
        for (text, requests, milliseconds, written) in cases {
            let quota: Quota = text.parse().unwrap();
            let window = Duration::from_millis(milliseconds);
            assert_eq!(quota, Quota { requests, window, reserve: 0 }, "{text}");
            assert_eq!(quota.to_string(), written);
            assert_eq!(written.parse::<Quota>().unwrap(), quota, "{written}");
        }
        assert_eq!(Quota::default().to_string(), "60/h");
    }

    #[test]
    fn invalid_quotas_are_refused_with_the_reason() {
        let form = "expected requests per window, such as 60/h";
        let cases = [
            ("", form),
            ("60", form),
            ("/h", form),
            ("60/", form),
            ("h/60", form),
            ("60/1", form),
            ("60/2y", form),
            ("60/1H", form),
            ("+60/h", form),
            ("-1/h", form),
            ("6.5/h", form),
            ("60/+1h", form),
            ("60/1h/2", form),
            ("60/99999999999999999999s", form),
            ("60/9999999999999999999d", form),
            ("99999999999/h", form),
            ("0/h", "1 to 10000 requests, not 0"),
            ("10001/h", "1 to 10000 requests, not 10001"),
            ("60/0s", "from 1s to 31d, not 0s"),
            ("60/999ms", "from 1s to 31d, not 999ms"),
            ("60/32d", "from 1s to 31d, not 32d"),
        ];
        for (text, reason) in cases {
            let error = text.parse::<Quota>().expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
            assert!(error.message().contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_reserve_must_be_below_the_quota() {
        let quota = |reserve| Quota { reserve, ..Quota::default() };
        assert_eq!(quota(59).check().map_err(|error| error.to_string()), Ok(()));
        let error = quota(60).check().unwrap_err();
        assert_eq!(error.message(), "a reserve of 60 leaves nothing of 60 requests");
    }
}
