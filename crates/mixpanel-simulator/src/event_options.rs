//! The configuration of the simulated project's events.

use std::str::FromStr;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::events::OddEvent;

/// Which events exist, and how the export endpoint sends them.
///
/// The events are those of the profiles, from the signup of each user on. Their days and times are wall-clock time of the
/// project. By default, small shares are duplicates, late, or without `$insert_id`; [`clean`](Self::clean) has none of
/// these. A share is a number from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct EventOptions {
    /// About how many events a weekday near the reference time has. `None`, the default, means about 0.3 per generated
    /// profile. 0 means that no events exist. Signups exist in any case otherwise.
    pub per_day: Option<u64>,
    /// The project's time zone. UTC, the default, is a project created since 2023. With any other zone, `time` is
    /// local time written as if it were UTC, and days are local days. The hour that is skipped when daylight saving
    /// begins has events too, as after a change of the project's time zone; the hour that occurs twice has them once.
    pub timezone: TimeZone,
    /// Whether time passes for the events. Default [`EventClock::Frozen`].
    pub clock: EventClock,
    /// How much time has passed since the reference time when the simulator starts, so that two simulators can serve
    /// the same project on two days. Default 0.
    pub elapsed: Duration,
    /// The share of users of a day whose first session is sent twice, byte for byte. Default 0.003.
    pub duplicates: f64,
    /// The share of users of a day whose first session is sent twice, the second time received later and with another
    /// property. Default 0.001.
    pub conflicts: f64,
    /// The share of sessions without `$insert_id`. Default 0.002.
    pub without_insert_id: f64,
    /// The share of sessions that arrive up to 5 days late. They do not exist before that, see
    /// [`clock`](Self::clock). Default 0.01.
    pub late: f64,
    /// The share of rows that appear in a later revision of their day. Default 0.
    pub late_rows: f64,
    /// The share of rows that disappear in a later revision of their day. Default 0.
    pub deleted_rows: f64,
    /// The share of sessions whose `distinct_id` changes in a later revision of their day, from a device ID to the
    /// user's. Default 0.
    pub rekeyed: f64,
    /// Which revision of a day is sent. Default [`Revision::Fixed`] with 0, the first one.
    pub revision: Revision,
    /// Unusual lines, each of which every day contains once. Default none.
    pub odd: Vec<OddEvent>,
    /// The number of days before today that may be exported; earlier ones get a 403. `None`, the default, means any.
    pub history_days: Option<u32>,
    /// The order of the rows. Default [`RowOrder::Fixed`].
    pub order: RowOrder,
    /// The unit of `time`. Default [`TimeUnit::AsRequested`].
    pub time_unit: TimeUnit,
    /// The size in bytes above which a body is compressed, if the client accepts gzip. Default 1,400, as documented.
    pub gzip_threshold: usize,
    /// The compression level, from 1 to 9 (more counts as 9), or 0 for gzip without compression, which takes no time.
    /// Default 1.
    pub gzip_level: u32,
    /// The number of gzip members that a compressed body consists of; 0 counts as 1, and the last ones may be empty.
    /// Default 1.
    pub gzip_members: u32,
    /// The framing of the body. Default [`ExportFraming::Chunked`].
    pub framing: ExportFraming,
    /// The size of a chunk in bytes; 0 counts as 1. Default 64 KiB.
    pub chunk_size: usize,
    /// Whether the last line ends with a newline. Default [`FinalNewline::Present`].
    pub final_newline: FinalNewline,
    /// The format of a 429 response of the export endpoint. Default [`ExportLimitStyle::Json`].
    pub limit_style: ExportLimitStyle,
}

/// Whether time passes for the events while the simulator runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EventClock {
    /// It is always the reference time plus [`EventOptions::elapsed`], so the same request gets the same events.
    #[default]
    Frozen,
    /// The time since the start is added: events occur and arrive while the simulator runs.
    Running,
}

/// Which revision of a day is sent. Rows appear, disappear and change their `distinct_id` in revisions 1 to 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revision {
    /// This one, until [`Server::revise`](crate::Server::revise) adds 1.
    Fixed(u32),
    /// A day's revision is the number of complete responses that contained it, whatever events they were limited to.
    OnRefetch,
}

/// The order of the rows of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RowOrder {
    /// By day, then by user: the same for each request, but not by time.
    #[default]
    Fixed,
    /// Another order for each request: of the days, of the users within a day, and of nearby rows.
    Shuffled,
}

/// The unit of `time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeUnit {
    /// Milliseconds if the request has `time_in_ms=true`, and seconds otherwise.
    #[default]
    AsRequested,
    /// Seconds, whatever the request says.
    AlwaysSeconds,
}

/// How the end of an export's body is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExportFraming {
    /// Chunked.
    #[default]
    Chunked,
    /// With `Content-Length`. The whole body is held in memory.
    ContentLength,
    /// The connection closes, as with HTTP/1.0. A cut looks like the end.
    CloseDelimited,
}

impl FromStr for ExportFraming {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "chunked" => Ok(Self::Chunked),
            "content-length" => Ok(Self::ContentLength),
            "close" => Ok(Self::CloseDelimited),
            _ => Err(format!("framing: expected chunked, content-length or close, got {text:?}")),
        }
    }
}

/// Whether the last line ends with a newline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FinalNewline {
    /// It does.
    #[default]
    Present,
    /// It does not.
    Missing,
}

/// The format of a 429 response of the export endpoint, of which no source describes today's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExportLimitStyle {
    /// `{"error": ...}`.
    #[default]
    Json,
    /// `{"error": ...}` and `Retry-After`.
    JsonWithRetryAfter,
    /// `rate limit reached`, as plain text.
    Text,
    /// `rate limit reached` and `Retry-After`.
    TextWithRetryAfter,
}

impl Default for EventOptions {
    fn default() -> Self {
        Self {
            per_day: None,
            timezone: TimeZone::UTC,
            clock: EventClock::default(),
            elapsed: Duration::ZERO,
            duplicates: 0.003,
            conflicts: 0.001,
            without_insert_id: 0.002,
            late: 0.01,
            late_rows: 0.0,
            deleted_rows: 0.0,
            rekeyed: 0.0,
            revision: Revision::Fixed(0),
            odd: Vec::new(),
            history_days: None,
            order: RowOrder::default(),
            time_unit: TimeUnit::default(),
            gzip_threshold: 1_400,
            gzip_level: 1,
            gzip_members: 1,
            framing: ExportFraming::default(),
            chunk_size: 64 << 10,
            final_newline: FinalNewline::default(),
            limit_style: ExportLimitStyle::default(),
        }
    }
}

impl EventOptions {
    /// Returns options for data without duplicates, late sessions and rows without `$insert_id`.
    pub fn clean() -> Self {
        Self { duplicates: 0.0, conflicts: 0.0, without_insert_id: 0.0, late: 0.0, ..Self::default() }
    }
}
