//! Reads what a 429 says about itself (API facts 2.2).

use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// Which limit was hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RateLimitKind {
    /// The project's queries of the last hour.
    Hourly,
    /// The project's queries at this moment.
    Concurrent,
    /// None: the server sheds load.
    LoadShed,
}

/// Tells the limits apart: by the `RateLimit` header, where the item with nothing remaining is the one that was hit and
/// the hourly one wins if both are; else by the usage that the text states; else it is load shedding.
pub(super) fn classify(headers: &HeaderMap, text: &str) -> RateLimitKind {
    let header =
        headers.get_all("ratelimit").iter().filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join(",");
    let exhausted = |name: &str| {
        header.split(',').any(|item| {
            let mut parts = item.split(';').map(str::trim);
            parts.next() == Some(name) && parts.any(|part| matches!(part, "r=0" | "a=0"))
        })
    };
    if exhausted("\"project\"") || usage_exceeded(text, "queries running in the last hour") {
        return RateLimitKind::Hourly;
    }
    if exhausted("\"project-concurrency\"") || usage_exceeded(text, "queries running concurrently") {
        return RateLimitKind::Concurrent;
    }
    RateLimitKind::LoadShed
}

/// Looks for `61/60 <what>` with the first number above the second.
fn usage_exceeded(text: &str, what: &str) -> bool {
    text.match_indices(what).any(|(at, _)| {
        let before = text[..at].trim_end();
        let start = before.rfind(|c: char| !c.is_ascii_digit() && c != '/').map_or(0, |index| index + 1);
        let numbers = before.get(start..).and_then(|usage| usage.split_once('/'));
        numbers.is_some_and(|(used, limit)| {
            matches!((used.parse::<u64>(), limit.parse::<u64>()), (Ok(used), Ok(limit)) if used > limit)
        })
    })
}

/// Reads `Retry-After`: seconds, or a date that is compared with the reply's own `Date`. Of several, the longest counts;
/// what lies in the past is a second; what cannot be read is as if it were not there.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let server_now = headers.get(DATE).and_then(|value| value.to_str().ok()).and_then(parse_date);
    let read = |text: &str| -> Option<Duration> {
        let text = text.trim();
        if let Ok(seconds) = text.parse::<i64>() {
            return Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(1).max(1)));
        }
        let seconds = (parse_date(text)? - server_now?).num_seconds_rounded_up();
        Some(Duration::from_secs(seconds))
    };
    headers.get_all(RETRY_AFTER).iter().filter_map(|value| value.to_str().ok()).filter_map(read).max()
}

fn parse_date(text: &str) -> Option<Seconds> {
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok().map(|timestamp: Timestamp| Seconds(timestamp.as_second()))
}

#[derive(Clone, Copy)]
struct Seconds(i64);

impl std::ops::Sub for Seconds {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Seconds {
    fn num_seconds_rounded_up(self) -> u64 {
        u64::try_from(self.0).unwrap_or(1).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn tells_the_limits_apart() {
        let hourly = r#""project";r=0;t=3600, "project-concurrency";r=3"#;
        let concurrent = r#""project";r=12, "project-concurrency";r=0;t=10"#;
        let both = r#""project";r=0;t=3600, "project-concurrency";r=0;t=10"#;
        for (header, text, expected) in [
            (hourly, "", RateLimitKind::Hourly),
            (concurrent, "", RateLimitKind::Concurrent),
            (both, "", RateLimitKind::Hourly),
            ("", "rate limit (61/60 queries running in the last hour).", RateLimitKind::Hourly),
            ("", "limit (6/5 queries running concurrently).", RateLimitKind::Concurrent),
            ("", "1/5 queries running concurrently and 61/60 queries running in the last hour.", RateLimitKind::Hourly),
            (
                "",
                "6/5 queries running concurrently and 7/60 queries running in the last hour.",
                RateLimitKind::Concurrent,
            ),
            ("", "Query rate limit exceeded for project_id: 7", RateLimitKind::LoadShed),
            (r#""project";r=10"#, "", RateLimitKind::LoadShed),
        ] {
            let headers = if header.is_empty() { HeaderMap::new() } else { headers(&[("ratelimit", header)]) };
            assert_eq!(classify(&headers, text), expected, "{header} {text}");
        }
    }

    #[test]
    fn reads_retry_after() {
        let date = ("date", "Mon, 23 Nov 2026 10:00:00 GMT");
        for (values, expected) in [
            (vec![("retry-after", "7")], Some(7)),
            (vec![("retry-after", "-3")], Some(1)),
            (vec![("retry-after", "0")], Some(1)),
            (vec![("retry-after", "soon")], None),
            (vec![], None),
            (vec![date, ("retry-after", "Mon, 23 Nov 2026 10:01:30 GMT")], Some(90)),
            (vec![date, ("retry-after", "Mon, 23 Nov 2026 09:00:00 GMT")], Some(1)),
            (vec![("retry-after", "Mon, 23 Nov 2026 10:01:30 GMT")], None),
        ] {
            assert_eq!(retry_after(&headers(&values)), expected.map(Duration::from_secs), "{values:?}");
        }
        let mut two = headers(&[("retry-after", "5")]);
        two.append(RETRY_AFTER, "9".parse().unwrap());
        assert_eq!(retry_after(&two), Some(Duration::from_secs(9)));
    }
}
