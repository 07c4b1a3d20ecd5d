//! The faults of the export endpoint.

use std::ops::RangeInclusive;

use jiff::civil::Date;

use crate::event_options::ExportFraming;
use crate::fault::{FaultKind, Times};
use crate::hash::{chance, mix2};

/// A fault injected into responses of the export endpoint.
///
/// The notation is a line such as `days=2026-01-05 times=2 terminated-early`. These fields select the requests, and all
/// of them must match:
///
/// - `requests`: the numbers of the export requests that no limit and no authentication check rejected, from 0, such as
///   `0,3-7`;
/// - `first`: this many requests, so `first=2` is `requests=0-1`;
/// - `every`: each request whose number plus one is divisible by this;
/// - `probability`, with `seed` (default 0): each request with this probability, from 0 to 1;
/// - `days`: requests for at least one of these days, such as `2026-01-05` or `2026-01-05..2026-01-07`;
/// - `longer`: requests for more than this many days.
///
/// `times` is how often the fault occurs for each slice, that is for requests with the same dates, events, filter and
/// limit; `total` is how often it occurs in all. Both are `always` by default. The fault is exactly one of:
///
/// - `status=429`, with `body="..."` and `header=Retry-After:5`;
/// - `cut=100`: the connection closes after 100 bytes of the body; `framing` is `chunked`, `content-length` or `close`;
/// - `stall=100 for=30s`: a pause after 100 bytes of the body; 0 is before the first byte of the response;
/// - `delay=2s`: extra latency; other faults still apply;
/// - `terminated-early`: the body ends with `export terminated early`, or with `text="..."`; `error-line`: it ends with
///   `{"error": ...}`; `cut-error-line`, `cut-line`: it ends in the middle of such a line, or of a row. `rows=100`, the
///   default, is how many rows come before that at most. The transport does not show that the body is incomplete;
/// - `no-gzip-trailer`, `truncated-gzip`: the last 8 or 40 bytes of a gzip stream are missing, and the transport does
///   not show it;
/// - a name: `reset`, `html`, `empty`, `auth-400`, `hourly-limit`, `rate-limit`, `concurrency-limit`.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportFault {
    /// The affected requests; all selectors must match.
    pub slices: Vec<SliceSelector>,
    /// How often the fault occurs for each slice.
    pub times: Times,
    /// How often the fault occurs in all; `None` means always.
    pub total: Option<u32>,
    /// The kind of fault.
    pub kind: ExportFaultKind,
}

/// The export requests that a fault affects.
#[derive(Debug, Clone, PartialEq)]
pub enum SliceSelector {
    /// The requests with these numbers, counted from 0.
    Requests(Vec<RangeInclusive<u64>>),
    /// Each request whose number plus one is divisible by this. 0 selects none.
    Every(u64),
    /// Each request with a probability from 0 to 1, drawn from the seed and the number of the request.
    Random {
        /// The probability.
        probability: f64,
        /// The seed.
        seed: u64,
    },
    /// The requests for at least one of these days.
    Days(RangeInclusive<Date>),
    /// The requests for more than this many days.
    LongerThan(u64),
}

/// The kind of a fault of the export endpoint.
#[derive(Debug, Clone, PartialEq)]
pub enum ExportFaultKind {
    /// A fault that pages have too: a status, a stall, a delay, a reset, a wrong body or a limit.
    Common(FaultKind),
    /// The connection closes before the whole body is sent. At least one byte is missing.
    Cut {
        /// The number of bytes that arrive.
        after: usize,
        /// How the body is framed; `None` means as configured.
        framing: Option<ExportFraming>,
    },
    /// The gzip stream lacks this many bytes at its end; the body is compressed whatever its size.
    GzipEnd {
        /// The number of missing bytes.
        missing: usize,
    },
    /// The body ends with a text instead of its last rows.
    Ending {
        /// The maximum number of rows before the text.
        rows: u64,
        /// The text.
        text: String,
    },
}

impl SliceSelector {
    /// Returns whether request number `number`, for `days`, is selected.
    pub(super) fn chooses(&self, number: u64, days: Option<(Date, Date)>) -> bool {
        match (self, days) {
            (Self::Requests(ranges), _) => ranges.iter().any(|range| range.contains(&number)),
            (Self::Every(every), _) => *every > 0 && (number + 1).is_multiple_of(*every),
            (Self::Random { probability, seed }, _) => chance(mix2(*seed, number), *probability),
            (Self::Days(days), Some((from, to))) => from <= *days.end() && to >= *days.start(),
            (Self::LongerThan(most), Some((from, to))) => {
                u64::try_from(from.until(to).map_or(0, |span| span.get_days())).unwrap_or(0) + 1 > *most
            }
            (Self::Days(_) | Self::LongerThan(_), None) => false,
        }
    }
}
