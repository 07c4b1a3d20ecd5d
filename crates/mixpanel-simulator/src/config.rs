//! The configuration of the simulated project.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::duration::parse_duration;
use crate::event_options::EventOptions;
use crate::events::NAMES;
use crate::export::ExportFault;
use crate::fault::Fault;
use crate::profiles::{OddProfile, ProfileCopy, Records};

/// The simulated project and the behavior of its server.
///
/// The default is a project of 10,000 generated profiles with Mixpanel's documented limits and no faults.
#[derive(Clone)]
pub struct SimulatorConfig {
    /// The seed for all pseudorandom data. The same seed produces the same bytes. Default 1.
    pub seed: u64,
    /// The service account's user name. Default `simulator`.
    pub username: String,
    /// The service account's secret. Default `simulator-secret`.
    pub secret: String,
    /// The project ID, which every request must contain. Default `12345`.
    pub project_id: String,
    /// The response to wrong credentials.
    pub auth_refusal: AuthRefusal,
    /// The source of the profiles.
    pub profiles: ProfileSource,
    /// The latest time in generated profiles: signups and visits are before it. Default
    /// [`REFERENCE_TIME`](Self::REFERENCE_TIME), so that profiles do not depend on the clock. Years before 1980 and after
    /// 9998 count as those years.
    pub reference_time: Timestamp,
    /// The number of generated user profiles per minute, chosen at random, whose `$last_seen` becomes
    /// `reference_time` plus the time since the start. A session keeps the profiles that it began with. At most
    /// 10,000; default 0.
    pub active_per_minute: u32,
    /// The maximum number of group profiles per `data_group_id`. Each ID has between half of this and all of it.
    /// Default 200.
    pub groups: u64,
    /// Unusual records, each of which replaces the record at the given index. Indices outside the list have no effect.
    pub odd_profiles: Vec<(u64, OddProfile)>,
    /// Records to repeat at another index.
    pub copies: Vec<ProfileCopy>,
    /// The probability from 0 to 1 that a record is a copy of an earlier one, half of them with a later `$last_seen`.
    pub copy_rate: f64,
    /// Results per page if the request has no `page_size`; at least 1. Default 1000
    /// (`docs/mixpanel-api.md#page-size`).
    pub page_size: u32,
    /// The `page_size` that responses declare, if it differs from the actual one.
    pub declared_page_size: Option<u32>,
    /// The number of records at the start of each page that repeat the end of the previous page. The number of pages
    /// stays the same, so each page after the first drops this many records from the end of the list.
    pub overlap: u32,
    /// How a requested `page_size` is handled.
    pub requested_page_size: RequestedPageSize,
    /// Which responses contain `total`, and how accurate it is.
    pub total: TotalMode,
    /// Which responses contain `session_id`.
    pub session_id: SessionIdMode,
    /// The response to a page past the end.
    pub past_end: PastEnd,
    /// The age at which a session expires; `None`, the default, means never.
    pub session_max_age: Option<Duration>,
    /// The number of requests after which a session expires, including the one that created it; `None`, the default,
    /// means never.
    pub session_max_requests: Option<u32>,
    /// The hourly limit; `None` means no limit. Default 60 per hour (`docs/mixpanel-api.md#quotas`).
    pub quota: Option<Quota>,
    /// The concurrency limit; `None` means no limit. Default 5 (`docs/mixpanel-api.md#quotas`).
    pub concurrency: Option<u32>,
    /// Whether page requests with a session count towards the hourly limit. By default they do not
    /// (`docs/mixpanel-api.md#what-counts`).
    pub session_pages: SessionPages,
    /// The format of a 429 response.
    pub rate_limit_style: RateLimitStyle,
    /// The time from request to response. Default 0.
    pub latency: Duration,
    /// The maximum jitter added to the latency, drawn uniformly from the seed and the request number. Default 0.
    pub jitter: Duration,
    /// The faults, in order of precedence.
    pub faults: Vec<Fault>,
    /// How far the server's clock, as shown in the `Date` header, is behind this machine's. Default 0.
    pub clock_behind: Duration,
    /// How far the server's clock is ahead of this machine's, likewise. Default 0.
    pub clock_ahead: Duration,
    /// Whether responses are compressed for clients that accept it. Default off.
    pub compression: Compression,
    /// The events, and how they are exported.
    pub events: EventOptions,
    /// The hourly limit of exports, which is separate from [`quota`](Self::quota); `None` means no limit. Default 60
    /// per hour, as documented.
    pub export_quota: Option<Quota>,
    /// The number of exports that may start within a second; `None` means no limit. Default 3, as documented.
    pub export_per_second: Option<u32>,
    /// The number of concurrent exports; `None` means no limit. Default 100, as documented. An export takes its slot
    /// until its body is sent, or with [`ExportFraming::ContentLength`](crate::ExportFraming::ContentLength) until just
    /// before the first byte.
    pub export_concurrency: Option<u32>,
    /// The faults of exports, in order of precedence.
    pub export_faults: Vec<ExportFault>,
    /// The names that `events/names` returns. Default those of the generated events.
    pub event_names: Vec<String>,
    /// The number of recent requests kept in the statistics. Default 1000.
    pub recent_requests: usize,
    /// Whether to keep the body of every page response with status 200 for [`Server::sent_pages`], even if a fault
    /// cuts or damages it. Default false.
    ///
    /// [`Server::sent_pages`]: crate::Server::sent_pages
    pub keep_sent: bool,
}

/// The source of the profiles of the simulated project.
#[derive(Debug, Clone)]
pub enum ProfileSource {
    /// This many profiles, generated from the seed.
    Generated(u64),
    /// The records of a JSONL file.
    Records(Arc<Records>),
}

/// The response to wrong credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthRefusal {
    /// Status 401.
    #[default]
    Unauthorized,
    /// Status 400 with "Unable to authenticate request" (`docs/mixpanel-api.md#errors-by-status`).
    BadRequest,
}

/// How a requested `page_size` is handled (`docs/mixpanel-api.md#page-size`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestedPageSize {
    /// It is honored up to this size. The default, with 40,000.
    UpTo(u32),
    /// It is ignored.
    Ignored,
}

/// Which responses contain `total`, and whether it is correct (`docs/mixpanel-api.md#totals`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TotalMode {
    /// Only page 0 contains it.
    #[default]
    FirstPage,
    /// Every page contains it.
    EveryPage,
    /// No page contains it.
    Missing,
    /// Every page contains a wrong total: the true one plus this, at least 0.
    OffBy(i64),
    /// Every page contains a total that implies one more page.
    OnePageMore,
    /// Page 0 contains a wrong total: the true one plus this, at least 0. The other pages contain the true total.
    FirstPageOffBy(i64),
    /// Every page contains the true total plus this times the page number, at least 0.
    DriftPerPage(i64),
}

/// Which responses contain a `session_id` (`docs/mixpanel-api.md#sessions-and-paging`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionIdMode {
    /// Every page contains it.
    #[default]
    EveryPage,
    /// It is null on the last page.
    NullOnLastPage,
}

/// The response to a page past the end, which no source describes (`docs/mixpanel-api.md#sessions-and-paging`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PastEnd {
    /// Status 200 with no results.
    #[default]
    Empty,
    /// Status 400.
    BadRequest,
    /// The results of the last page, under the requested page number.
    RepeatLast,
    /// The results of page 0, under the requested page number.
    RepeatFirst,
}

/// Whether page requests with a session count towards the hourly limit (`docs/mixpanel-api.md#what-counts`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionPages {
    /// They do not count.
    #[default]
    Free,
    /// They count.
    Counted,
}

/// The format of a 429 response (`docs/mixpanel-api.md#responses-with-429`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RateLimitStyle {
    /// With `RateLimit`, `RateLimit-Policy` and `Retry-After` headers.
    #[default]
    Current,
    /// As in 2021: no headers; the body contains both numbers.
    BodyOnly,
}

/// Whether responses are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Never.
    #[default]
    Off,
    /// With gzip, if the client's `Accept-Encoding` contains it.
    Gzip,
}

/// The maximum number of requests in a rolling window.
///
/// Written as `60/h`, `60/90s` or `100/1d`; a window without a number is one unit long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// The number of counted requests in the window.
    pub requests: u32,
    /// The length of the window.
    pub window: Duration,
}

impl Default for Quota {
    fn default() -> Self {
        Self { requests: 60, window: Duration::from_secs(3_600) }
    }
}

impl FromStr for Quota {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (requests, window) = text.split_once('/')?;
            let window = if window.starts_with(|first: char| first.is_ascii_digit()) {
                window.to_owned()
            } else {
                format!("1{window}")
            };
            let quota = Self { requests: requests.trim().parse().ok()?, window: parse_duration(&window).ok()? };
            (!quota.window.is_zero()).then_some(quota)
        };
        parse().ok_or_else(|| {
            format!("cannot read the quota {text:?}: expected requests per window, such as 60/h or 60/90s")
        })
    }
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            username: "simulator".to_owned(),
            secret: "simulator-secret".to_owned(),
            project_id: "12345".to_owned(),
            auth_refusal: AuthRefusal::default(),
            profiles: ProfileSource::Generated(10_000),
            reference_time: Self::REFERENCE_TIME,
            active_per_minute: 0,
            groups: 200,
            odd_profiles: Vec::new(),
            copies: Vec::new(),
            copy_rate: 0.0,
            page_size: 1_000,
            declared_page_size: None,
            overlap: 0,
            requested_page_size: RequestedPageSize::UpTo(40_000),
            total: TotalMode::default(),
            session_id: SessionIdMode::default(),
            past_end: PastEnd::default(),
            session_max_age: None,
            session_max_requests: None,
            quota: Some(Quota::default()),
            concurrency: Some(5),
            session_pages: SessionPages::default(),
            rate_limit_style: RateLimitStyle::default(),
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            faults: Vec::new(),
            clock_behind: Duration::ZERO,
            clock_ahead: Duration::ZERO,
            compression: Compression::default(),
            events: EventOptions::default(),
            export_quota: Some(Quota::default()),
            export_per_second: Some(3),
            export_concurrency: Some(100),
            export_faults: Vec::new(),
            event_names: NAMES.map(str::to_owned).to_vec(),
            recent_requests: 1_000,
            keep_sent: false,
        }
    }
}

impl SimulatorConfig {
    /// 2026-09-20T12:00:00Z, the default of [`reference_time`](Self::reference_time).
    pub const REFERENCE_TIME: Timestamp = Timestamp::constant(1_789_905_600, 0);

    /// Returns the default configuration without limits on the number of requests.
    pub fn unlimited() -> Self {
        Self {
            quota: None,
            concurrency: None,
            export_quota: None,
            export_per_second: None,
            export_concurrency: None,
            ..Self::default()
        }
    }

    /// Replaces the profiles with `count` generated ones.
    #[must_use]
    pub fn with_profiles(mut self, count: u64) -> Self {
        self.profiles = ProfileSource::Generated(count);
        self
    }

    /// Replaces the options of the events.
    #[must_use]
    pub fn with_events(mut self, events: EventOptions) -> Self {
        self.events = events;
        self
    }

    /// Adds a fault of exports after the existing ones.
    #[must_use]
    pub fn with_export_fault(mut self, fault: ExportFault) -> Self {
        self.export_faults.push(fault);
        self
    }

    /// Adds a fault after the existing ones.
    #[must_use]
    pub fn with_fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }
}

impl fmt::Debug for SimulatorConfig {
    /// Omits the secret. The default one protects nothing, but logs get copied.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SimulatorConfig")
            .field("seed", &self.seed)
            .field("project_id", &self.project_id)
            .field("profiles", &self.profiles)
            .field("page_size", &self.page_size)
            .field("quota", &self.quota)
            .field("concurrency", &self.concurrency)
            .field("faults", &self.faults)
            .field("events", &self.events)
            .field("export_faults", &self.export_faults)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_quota_forms_are_parsed() {
        let table = [
            ("60/h", (60, 3_600)),
            ("60/60s", (60, 60)),
            ("5/m", (5, 60)),
            ("1/90s", (1, 90)),
            ("7/2h", (7, 7_200)),
            ("9/d", (9, 86_400)),
        ];
        for (text, (requests, seconds)) in table {
            assert_eq!(text.parse(), Ok(Quota { requests, window: Duration::from_secs(seconds) }), "{text}");
        }
        for text in ["", "60", "/h", "60/", "60/y", "60/0s", "-1/h", "60/99999999999999999999s"] {
            assert!(text.parse::<Quota>().expect_err(text).contains("60/h or 60/90s"));
        }
    }

    #[test]
    fn the_secret_is_not_formatted() {
        assert!(!format!("{:?}", SimulatorConfig::default()).contains("simulator-secret"));
    }
}
