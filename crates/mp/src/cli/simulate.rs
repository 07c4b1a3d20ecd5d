//! The arguments of `mp demo` and `mp simulate`.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::civil::Date;
use mixpanel_simulator::{EventWords, ExportFault, Fault, Quota};

use super::duration::parse_duration;

/// How the demo runs.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Keep the database in this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,

    /// Fewer profiles and a faster server
    #[arg(long)]
    pub(crate) fast: bool,

    /// Show no progress
    #[arg(long)]
    pub(crate) no_progress: bool,

    /// Simulate data that ends on this day, at noon UTC, for the same output every time [default: now]
    #[arg(long, value_name = "DATE", value_parser = parse_day)]
    pub(crate) today: Option<Date>,
}

/// What the simulated Mixpanel serves, and how.
#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Run this command with the simulator, and stop with it
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,

    /// Listen on this loopback address, such as localhost:8080, [::1]:8080 or 8080; port 0 picks a free one [default:
    /// 127.0.0.1:8080, and with COMMAND a free port]
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    pub(crate) addr: Option<SocketAddr>,

    /// Serve N generated profiles
    #[arg(long, value_name = "N", default_value_t = 10_000, conflicts_with = "file")]
    pub(crate) profiles: u64,

    /// Serve the records of this JSON lines file, as `mp fetch profiles --stdout` prints them; `-` reads standard input
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,

    /// Seed for profiles, faults and delays; the same seed gives the same ones, with the same `--today`
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Generate profiles whose dates end on this day, at noon UTC [default: now]
    #[arg(long, value_name = "DATE", value_parser = parse_day, conflicts_with = "file")]
    pub(crate) today: Option<Date>,

    /// Let N generated users per minute be seen again while it runs, as `--since last` needs; with 0, time stands still for
    /// events too
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(..=10_000))]
    pub(crate) active: u32,

    /// Delay each response by this, such as 400ms or 2s
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = parse_duration)]
    pub(crate) latency: Duration,

    /// Delay each response by up to this much more, at random
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = parse_duration)]
    pub(crate) jitter: Duration,

    /// Serve N profiles per page
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=40_000))]
    pub(crate) page_size: u32,

    /// Allow N counted requests per rolling window, such as 60/h or 60/90s; `off` for no limit
    #[arg(long, value_name = "QUOTA", default_value = "60/h", value_parser = parse_quota)]
    pub(crate) quota: QuotaChoice,

    /// Allow N exports of events per rolling window; `off` for no limit
    #[arg(long, value_name = "QUOTA", default_value = "60/h", value_parser = parse_quota)]
    pub(crate) export_quota: QuotaChoice,

    /// Count pages after the first as well
    #[arg(long)]
    pub(crate) count_session_pages: bool,

    /// Inject a fault, such as "pages=3,7 status=500 times=2" (can be repeated)
    ///
    /// Pages: `pages=3,7-9`, `every=3` or `probability=0.1`; all by default. `times=2` limits it to the first requests of
    /// each page. Then one of: `status=500` with `body="..."` or `header=Retry-After:5`; `cut=100`, which closes the
    /// connection after 100 bytes; `stall=100 for=30s`; `delay=2s`; or a name: reset, html, empty, invalid-json,
    /// truncated-gzip, error-in-200, lost-session, replaced-session, not-utf8, wrong-page, hourly-limit,
    /// concurrency-limit, load-shed, body-only-limit, auth-400.
    #[arg(long, value_name = "FAULT")]
    pub(crate) fault: Vec<Fault>,

    /// Set which events there are and how they are exported, such as "per-day=20000 shuffled" (can be repeated)
    ///
    /// The events are those of the profiles, about 0.3 per profile and day; `per-day=N` sets how many there are.
    /// `timezone=Europe/Berlin` makes it an old project, with local times. `elapsed=1d` lets a day pass after `--today`.
    /// Shares, such as `duplicates=0.01`: `duplicates`, `conflicts` (duplicates with other properties),
    /// `without-insert-id`, `late` (sessions that arrive up to 5 days late); `clean` sets these to 0. Shares of rows that
    /// change when their day is fetched again (`on-refetch`): `late-rows`, `deleted-rows`, `rekeyed`. `revision=N` sends
    /// one revision of every day instead, from 0. `odd` adds unusual and invalid lines to every day. `history-days=N`
    /// refuses older days.
    ///
    /// Responses: `shuffled`, `seconds`, `no-final-newline`, `chunk-size=N`, `framing=chunked`, `content-length` or
    /// `close`, `gzip-threshold=N`, `gzip-level=N`, `gzip-members=N`, `limit-style=json` or `text`, both perhaps with
    /// `-retry-after`, and the limits `per-second=3` and `concurrency=100`, or `off`.
    #[arg(long, value_name = "WORDS")]
    pub(crate) events: Vec<EventWords>,

    /// Inject a fault into exports, such as "days=2026-01-05 times=2 cut=100" (can be repeated)
    ///
    /// Requests: `requests=0,3-7`, `first=2`, `every=3`, `probability=0.1`, `days=2026-01-05..2026-01-07` (those for at
    /// least one of these days), `longer=7` (those for more days); all by default, and all given ones must match. `times=2`
    /// limits it to the first requests of each slice, `total=2` to two in all. Then one of: `status=429` with `body="..."`
    /// or `header=Retry-After:5`; `cut=100` with `framing=close`; `stall=100 for=30s`; `delay=2s`; an end of the body
    /// after `rows=100`: terminated-early, error-line, cut-error-line, cut-line; or a name: no-gzip-trailer,
    /// truncated-gzip, reset, html, empty, auth-400, hourly-limit, rate-limit, concurrency-limit.
    #[arg(long, value_name = "FAULT")]
    pub(crate) export_fault: Vec<ExportFault>,

    /// Read faults from this file, a JSON array such as [{"pages": "3,7", "status": 500, "times": 2}]
    #[arg(long, value_name = "PATH")]
    pub(crate) faults: Option<PathBuf>,
}

/// Parses an address to listen on. The host defaults to 127.0.0.1, which `localhost` also means; the port defaults to
/// 8080.
///
/// Other host names are rejected without a lookup, because only loopback addresses are served.
fn parse_address(text: &str) -> Result<SocketAddr, String> {
    const PORT_DEFAULT: u16 = 8080;
    let text = text.trim();
    if text.contains("://") {
        return Err("give the address without a scheme, such as localhost:8080".to_owned());
    }
    if text.is_empty() {
        return Err("it is empty; give an address such as 127.0.0.1:8080".to_owned());
    }
    let (host, port) = match text.rsplit_once(':') {
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => ("", Some(text)),
        // An IPv6 address without brackets or port.
        Some(_) if text.parse::<IpAddr>().is_ok() => (text, None),
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port = match port {
        None => PORT_DEFAULT,
        Some(port) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            port.parse().map_err(|_| format!("the port {port} is not in 0 to 65535"))?
        }
        Some(port) => return Err(format!("`{port}` is not a port: expected a number in 0 to 65535")),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if bare.is_empty() || bare.trim_end_matches('.').eq_ignore_ascii_case("localhost") {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    let address = bare.parse::<IpAddr>().map_err(|_| {
        format!("`{host}` is not an address of this machine's loopback interface: use localhost, 127.0.0.1 or [::1]")
    })?;
    Ok((address, port).into())
}

/// Parses a day such as 2026-11-26, in the years that the simulator's dates can express.
fn parse_day(text: &str) -> Result<Date, String> {
    let day = text.trim().parse::<Date>().map_err(|_| "expected a day such as 2026-11-26".to_owned())?;
    if (1980..=9998).contains(&day.year()) { Ok(day) } else { Err("the year is not in 1980 to 9998".to_owned()) }
}

/// The quota, or `None` for no limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QuotaChoice(pub(crate) Option<Quota>);

fn parse_quota(text: &str) -> Result<QuotaChoice, String> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(QuotaChoice(None));
    }
    text.parse().map(|quota| QuotaChoice(Some(quota)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_parsed() {
        for (text, expected) in
            [("2026-11-26", "2026-11-26"), (" 2028-02-29 ", "2028-02-29"), ("1980-01-01", "1980-01-01")]
        {
            assert_eq!(parse_day(text).map(|day| day.to_string()), Ok(expected.to_owned()), "{text}");
        }
        for text in ["", "today", "26.11.2026", "2026-11", "2026-02-30", "1979-12-31", "9999-01-01", "-2026-11-26"] {
            assert!(parse_day(text).is_err(), "{text}");
        }
    }

    #[test]
    fn common_address_forms_are_parsed() {
        for (text, expected) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("localhost:8080", "127.0.0.1:8080"),
            ("LocalHost.:0", "127.0.0.1:0"),
            ("localhost", "127.0.0.1:8080"),
            (":9000", "127.0.0.1:9000"),
            ("9000", "127.0.0.1:9000"),
            ("0", "127.0.0.1:0"),
            ("127.0.0.2", "127.0.0.2:8080"),
            ("[::1]:0", "[::1]:0"),
            ("[::1]", "[::1]:8080"),
            ("::1", "[::1]:8080"),
            (" localhost:1 ", "127.0.0.1:1"),
            ("0.0.0.0:0", "0.0.0.0:0"),
        ] {
            assert_eq!(parse_address(text).map(|address| address.to_string()), Ok(expected.to_owned()), "{text}");
        }
        for (text, part) in [
            ("", "empty"),
            ("localhost:65536", "65536 is not in 0 to 65535"),
            ("70000", "70000 is not in 0 to 65535"),
            ("localhost:", "not a port"),
            ("localhost:http", "`http` is not a port"),
            ("localhost:-1", "`-1` is not a port"),
            ("localhost:+1", "`+1` is not a port"),
            ("http://localhost:8080", "without a scheme"),
            ("example.com:8080", "`example.com` is not an address"),
            ("256.0.0.1:8080", "is not an address"),
            ("/tmp/socket", "is not an address"),
        ] {
            assert!(parse_address(text).expect_err(text).contains(part), "{text}: {:?}", parse_address(text));
        }
    }
}
