//! Determines which limit a 429 reports and how long to wait (`docs/mixpanel-api.md#responses-with-429`).

use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// The limit that a request exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RateLimitKind {
    /// The limit on the project's queries in the last hour.
    Hourly,
    /// The limit on the project's concurrent queries.
    Concurrent,
    /// Neither limit: the server sheds load.
    LoadShed,
}

/// Returns whether the text of a response with a status other than 429 reports an exceeded limit. Merely mentioning a
/// limit is not enough, because a quoted filter or a link to the documentation may do so too.
pub(super) fn reports_exceeded_limit(text: &str) -> bool {
    let text = without_quotations(&plain(text)).replace(['_', '-'], " ");
    let has = |words: &[&str]| words.iter().any(|word| has_word(&text, word));
    let says_so = [
        "rate limit exceeded",
        "ratelimit exceeded",
        "ratelimitexceeded",
        "rate limit has been exceeded",
        "rate limit reached",
        "exceeded the rate limit",
        "exceeded your rate limit",
        "toomanyrequests",
    ];
    let counts = |usage: Option<(u64, u64)>| usage.is_some_and(|(used, limit)| used >= limit);
    let is_spent = has(&EXHAUSTED_WORDS) && has(&["limit", "limits", "quota", "quotas", "allowance"]);
    // Excludes limits on login attempts.
    let is_login = has(&["attempt", "attempts", "login", "logins", "password"]);
    says_so.iter().any(|words| text.contains(words))
        || (text.contains("too many ") && has(&["requests", "queries"]))
        || counts(usage(&text, &HOUR_USAGE))
        || counts(usage(&text, &CONCURRENT_USAGE))
        || (is_spent && !is_login && (has(&HOUR_WORDS) || has(&CONCURRENT_WORDS)))
}

/// Removes text in double quotes or backticks, which is not the server's own, unless nothing else is left.
fn without_quotations(text: &str) -> String {
    let outside = |text: &str, quote: char| text.split(quote).step_by(2).collect::<Vec<_>>().join(" ");
    let rest = outside(&outside(text, '"'), '`');
    if rest.trim().is_empty() { text.to_owned() } else { rest }
}

/// Determines which limit was exceeded: the one with nothing remaining in the `RateLimit` header, where the hourly
/// limit takes precedence; otherwise one reached according to the usage in the text; otherwise one that the text
/// mentions. If none of these applies, the server sheds load.
pub(super) fn classify(headers: &HeaderMap, text: &str) -> RateLimitKind {
    let header =
        headers.get_all("ratelimit").iter().filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join(",");
    let exhausted = |name: &str| {
        header.split(',').any(|item| {
            let mut parts = item.split(';').map(str::trim);
            parts.next() == Some(name) && parts.any(|part| matches!(part, "r=0" | "a=0"))
        })
    };
    let text = plain(text);
    let (hour, moment) = (usage(&text, &HOUR_USAGE), usage(&text, &CONCURRENT_USAGE));
    let beyond = |usage: &Option<(u64, u64)>| usage.is_some_and(|(used, limit)| used > limit);
    let at_limit = |usage: &Option<(u64, u64)>| usage.is_some_and(|(used, limit)| used >= limit);
    // Words next to a usage within the limit only describe the limit.
    let speaks_of =
        |words: &[&str], usage: &Option<(u64, u64)>| usage.is_none() && words.iter().any(|word| has_word(&text, word));
    let concurrent = exhausted("\"project-concurrency\"") || beyond(&moment);
    if exhausted("\"project\"") || beyond(&hour) || (!concurrent && at_limit(&hour)) {
        return RateLimitKind::Hourly;
    }
    if concurrent || at_limit(&moment) {
        return RateLimitKind::Concurrent;
    }
    if speaks_of(&HOUR_WORDS, &hour) {
        return RateLimitKind::Hourly;
    }
    if speaks_of(&CONCURRENT_WORDS, &moment) { RateLimitKind::Concurrent } else { RateLimitKind::LoadShed }
}

/// The words after the numbers of a usage, as in `61/60 queries running in the last hour`.
const HOUR_USAGE: [&str; 3] = ["in the last hour", "in the past hour", "this hour"];
const CONCURRENT_USAGE: [&str; 2] = ["concurrently", "concurrent"];
/// Words for a limit on queries per hour.
const HOUR_WORDS: [&str; 21] = [
    "per hour",
    "per 1 hour",
    "an hour",
    "a hour",
    "one hour",
    "each hour",
    "every hour",
    "last hour",
    "past hour",
    "hourly",
    "/h",
    "/hr",
    "/hour",
    "/ hour",
    "60 minutes",
    "60 min",
    "60min",
    "3600 seconds",
    "3600 s",
    "3600s",
    "1h",
];
/// Words for an exhausted limit.
const EXHAUSTED_WORDS: [&str; 11] = [
    "exceed",
    "exceeds",
    "exceeded",
    "exceeding",
    "reached",
    "hit",
    "exhausted",
    "used up",
    "depleted",
    "over the",
    "out of",
];
/// Words for a limit on concurrent queries.
const CONCURRENT_WORDS: [&str; 7] =
    ["concurrent", "concurrently", "concurrency", "simultaneous", "at once", "in parallel", "in progress"];

/// Returns the text in lower case, without HTML tags and JSON escapes, and with whitespace collapsed.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        match c {
            '<' => inside = true,
            '>' => inside = false,
            '\\' => {}
            c if !inside => plain.extend(c.to_lowercase()),
            _ => {}
        }
        if c == '>' {
            plain.push(' ');
        }
    }
    plain.replace("&nbsp;", " ").replace("&#47;", "/").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns whether the text contains the word, not as part of a longer word.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let is_part = |c: char| c.is_alphanumeric();
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        let starts = !word.starts_with(char::is_alphanumeric) || !before.is_some_and(is_part);
        starts && !after.is_some_and(is_part)
    })
}

/// Finds `61/60 queries ... <what>` and returns the two numbers. Of several pairs, returns the one that exceeds its
/// limit most.
fn usage(text: &str, what: &[&str]) -> Option<(u64, u64)> {
    let at = |word: &str| text.match_indices(word).map(|(at, _)| at).collect::<Vec<_>>();
    let ends = what.iter().flat_map(|word| at(word));
    ends.filter_map(|end| {
        let (used, rest) = text[..end].rsplit_once('/')?;
        let used = used.trim_end();
        let used = &used[used.rfind(|c: char| !c.is_ascii_digit()).map_or(0, |index| index + 1)..];
        let (limit, words) = rest.trim_start().split_once(' ')?;
        // Only words for queries may occur in between.
        let is_near = words
            .split(' ')
            .all(|word| matches!(word, "" | "queries" | "requests" | "calls" | "running" | "run" | "made"));
        is_near.then_some((used.parse::<u64>().ok()?, limit.parse::<u64>().ok()?))
    })
    .max_by_key(|(used, limit)| used.saturating_sub(*limit))
}

/// Parses `Retry-After`: seconds, or a date, which is relative to the response's own `Date`. The longest of several
/// values applies, a time in the past becomes one second, and invalid values are ignored.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let server_now = headers.get(DATE).and_then(|value| value.to_str().ok()).and_then(parse_date);
    let read = |text: &str| -> Option<Duration> {
        let text = text.trim().trim_matches('"');
        if let Some(seconds) = seconds_of(text) {
            return Some(seconds);
        }
        let seconds = parse_date(text)? - server_now?;
        Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX))
    };
    // A date contains a comma too, so try the whole value before its parts.
    let read_all = |text: &str| read(text).or_else(|| text.split(',').filter_map(read).max());
    headers.get_all(RETRY_AFTER).iter().filter_map(|value| value.to_str().ok()).filter_map(read_all).max()
}

/// The minimum pause, so that a request is not retried at once even if the server sends 0.
const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);
/// The maximum pause; a longer one is assumed to be a mistake.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Parses seconds, optionally with a fraction or a unit: `120`, `1.5`, `120s`, `120 seconds`.
fn seconds_of(text: &str) -> Option<Duration> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim();
    let unit = text[number.len()..].trim().to_ascii_lowercase();
    if !matches!(unit.as_str(), "" | "s" | "sec" | "secs" | "second" | "seconds") {
        return None;
    }
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+');
    let seconds: f64 = number.chars().all(is_number).then(|| number.parse().ok())??;
    let whole = seconds.ceil().clamp(RETRY_AFTER_MIN.as_secs_f64(), RETRY_AFTER_MAX.as_secs_f64());
    Some(Duration::from_secs_f64(whole))
}

/// Parses a date in one of the three HTTP formats (RFC 9110, 5.6.7) or in the mail format (RFC 2822). Returns seconds
/// since 1970.
pub(super) fn parse_date(text: &str) -> Option<i64> {
    if let Ok(date) = httpdate::parse_http_date(text.trim()) {
        return Timestamp::try_from(date).ok().map(Timestamp::as_second);
    }
    rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok().map(Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn limits_are_distinguished() {
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
            ("", "Query rate limit exceeded: 60 queries per hour", RateLimitKind::Hourly),
            ("", "Query rate limit exceeded: 60 queries/hour", RateLimitKind::Hourly),
            ("", "Limit of 60/h reached", RateLimitKind::Hourly),
            ("", "Limit of 60 / hour reached", RateLimitKind::Hourly),
            ("", "HOURLY QUOTA EXCEEDED", RateLimitKind::Hourly),
            ("", "you may send 60 queries an hour", RateLimitKind::Hourly),
            ("", "60 queries in the last hour", RateLimitKind::Hourly),
            ("", "60/60 queries in the last hour", RateLimitKind::Hourly),
            ("", "60 requests per 60 minutes", RateLimitKind::Hourly),
            ("", "<html><title>429</title><p>60 queries <b>per</b>&nbsp;hour</html>", RateLimitKind::Hourly),
            ("", r#"{"message":"60\/60 queries running in the last hour"}"#, RateLimitKind::Hourly),
            ("", "5 concurrent queries allowed", RateLimitKind::Concurrent),
            (
                "",
                "5/5 queries running concurrently and 7/60 queries running in the last hour.",
                RateLimitKind::Concurrent,
            ),
            ("", "5/5 queries running concurrently and 61/60 queries running in the last hour.", RateLimitKind::Hourly),
            ("", "too many queries at once", RateLimitKind::Concurrent),
            ("", "too many export requests in progress for this project", RateLimitKind::Concurrent),
            ("", "the server is overloaded; hours of operation", RateLimitKind::LoadShed),
            ("", "see https://x.example/help/h1/hourglass", RateLimitKind::LoadShed),
            (r#""project";r=10"#, "", RateLimitKind::LoadShed),
        ] {
            let headers = if header.is_empty() { HeaderMap::new() } else { headers(&[("ratelimit", header)]) };
            assert_eq!(classify(&headers, text), expected, "{header} {text}");
        }
    }

    #[test]
    fn recognizes_rate_limit_messages() {
        for (text, expected) in [
            ("Query rate limit exceeded for project_id: 7", true),
            ("You have exceeded the rate limit", true),
            ("<h1>Too many\n requests</h1>", true),
            ("\"Query rate limit exceeded\"", true),
            ("rate_limit_exceeded", true),
            ("RATE-LIMIT exceeded", true),
            ("hourly quota used up", true),
            ("Quota exceeded: 60 queries per hour", true),
            ("you have hit the limit of 60 queries an hour", true),
            ("61/60 queries running in the last hour", true),
            ("6/5 queries running concurrently", true),
            ("limit of 5 concurrent queries reached", true),
            ("7/60 queries running in the last hour", false),
            ("60 queries an hour are allowed", false),
            ("your plan's limit of 1000 exports a month is exceeded", false),
            ("login attempts exceeded the limit per hour", false),
            ("no such property: rate", false),
            ("no such property \"rate limit exceeded\"", false),
            ("cannot parse properties[\"too many requests\"] == `hourly quota used up`", false),
            ("see https://docs.example/reference/rate-limits", false),
            ("invalid credentials", false),
        ] {
            assert_eq!(reports_exceeded_limit(text), expected, "{text}");
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
            (vec![("retry-after", "")], None),
            (vec![("retry-after", "  7  ")], Some(7)),
            (vec![("retry-after", "+7")], Some(7)),
            (vec![("retry-after", "6.2")], Some(7)),
            (vec![("retry-after", "\"7\"")], Some(7)),
            (vec![("retry-after", "7s")], Some(7)),
            (vec![("retry-after", "7 seconds")], Some(7)),
            (vec![("retry-after", "7, 9")], Some(9)),
            (vec![("retry-after", "NaN")], None),
            (vec![("retry-after", "99999999999999999999999")], Some(30 * 24 * 3600)),
            (vec![("retry-after", "-9223372036854775808")], Some(1)),
            (vec![date, ("retry-after", "Monday, 23-Nov-26 10:01:30 GMT")], Some(90)),
            (vec![date, ("retry-after", "Mon Nov 23 10:01:30 2026")], Some(90)),
            (vec![date, ("retry-after", " Mon, 23 Nov 2026 10:01:30 GMT ")], Some(90)),
            (vec![date, ("retry-after", "Mon, 23 Nov 2026 11:01:30 +0100")], Some(90)),
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
