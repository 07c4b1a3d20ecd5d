//! The fault model: pages, repetitions and kinds of faults.

mod fields;

use std::ops::RangeInclusive;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use crate::body_fault::Framing;
use crate::hash::{chance, mix2};
use crate::limit_kind::LimitKind;

use fields::FaultFields;
pub(crate) use fields::{number, number_ranges, parse_kind, words};

/// A fault injected into responses of the Engage API.
///
/// There are two notations with the same fields: JSON for a script, such as
/// `{"pages": "3,7-9", "status": 500, "times": 2}`, and a single line, such as `pages=3,7-9 status=500 times=2`.
/// These fields select the pages:
///
/// - `pages`: `all` (the default), or numbers and ranges such as `3,7-9`;
/// - `every`: each page whose number plus one is divisible by this, so `every=3` means pages 2, 5, 8;
/// - `probability`, with `seed` (default 0): each request with this probability, from 0 to 1.
///
/// `times` is how often the fault occurs on each page, `always` by default. The fault is exactly one of:
///
/// - `status=500`, with `body="..."` and headers (`header=Retry-After:5` on a line, `"headers": {...}` in JSON);
/// - `cut=100`: the connection closes after 100 bytes of the body; `framing=chunked` omits the `Content-Length`;
/// - `stall=100 for=30s`: a pause after 100 bytes of the body; 0 is before the first byte of the response;
/// - `delay=2s`: extra latency; other faults still apply;
/// - `fault=NAME`, or just `NAME` on a line: `reset`, `html`, `empty`, `invalid-json`, `truncated-gzip`,
///   `error-in-200`, `lost-session`, `replaced-session`, `not-utf8`, `wrong-page`, `hourly-limit`,
///   `concurrency-limit`, `load-shed`, `body-only-limit`, `auth-400`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "FaultFields")]
pub struct Fault {
    /// The affected pages.
    pub pages: PageSelector,
    /// How often the fault occurs on each of them.
    pub times: Times,
    /// The kind of fault.
    pub kind: FaultKind,
}

/// The pages that a fault affects.
#[derive(Debug, Clone, PartialEq)]
pub enum PageSelector {
    /// All pages.
    All,
    /// These pages.
    List(Vec<RangeInclusive<u64>>),
    /// Each page whose number plus one is divisible by this. 0 selects none.
    Every(u64),
    /// Each request with a probability from 0 to 1, drawn from the seed, the page and the attempt number.
    Random {
        /// The probability.
        probability: f64,
        /// The seed.
        seed: u64,
    },
}

/// How often a fault occurs on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Times {
    /// On every request.
    #[default]
    Always,
    /// On this many requests of each page.
    PerPage(u32),
}

/// The kind of a fault.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultKind {
    /// A response with this status.
    Status {
        /// The status.
        status: StatusCode,
        /// The body; `None` means a JSON error suited to the status.
        body: Option<String>,
        /// Additional headers.
        headers: HeaderMap,
    },
    /// The connection closes before the whole body is sent. At least one byte is missing.
    Cut {
        /// The number of bytes that arrive.
        after: usize,
        /// How the body is framed.
        framing: Framing,
    },
    /// The response pauses within the body, or before its first byte.
    Stall {
        /// The number of body bytes that arrive before the pause; 0 means before the first byte of the response.
        after: usize,
        /// The length of the pause.
        pause: Duration,
    },
    /// The response is delayed by this duration. Unlike any other kind, it does not prevent further faults.
    Delay(Duration),
    /// The connection closes without a response.
    Reset,
    /// A captive portal's page, with status 200.
    Html,
    /// Status 200 with an empty body.
    EmptyBody,
    /// Status 200 with only the first half of the JSON, and a matching `Content-Length`.
    InvalidJson,
    /// A gzip stream truncated in the middle, with a matching `Content-Length`.
    TruncatedGzip,
    /// Status 200 with `{"error": ...}` (`docs/mixpanel-api.md#engage-response`).
    ErrorInSuccess,
    /// The server drops the session of this request. On page 0, the response is still valid, but its session is
    /// already lost.
    LostSession,
    /// The response comes from a new session with a different ID and the results rotated.
    ReplacedSession,
    /// Two bytes inside a string are not valid UTF-8.
    NotUtf8,
    /// The response declares the next page number, but contains the results of the requested page.
    WrongPage,
    /// A 429 response of this kind.
    Limit(LimitKind),
    /// Status 400 with "Unable to authenticate request" (`docs/mixpanel-api.md#errors-by-status`).
    AuthBadRequest,
}

impl PageSelector {
    /// Returns whether request number `attempt` (from 0) for a page is selected.
    pub(super) fn chooses(&self, page: u64, attempt: u64) -> bool {
        match self {
            Self::All => true,
            Self::List(ranges) => ranges.iter().any(|range| range.contains(&page)),
            Self::Every(number) => *number > 0 && (page + 1).is_multiple_of(*number),
            Self::Random { probability, seed } => chance(mix2(mix2(*seed, page), attempt), *probability),
        }
    }
}
