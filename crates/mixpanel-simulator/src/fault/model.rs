//! The kinds of faults.

mod fields;

use std::ops::RangeInclusive;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use crate::hash::{chance, mix2};
use crate::limit_kind::LimitKind;
use crate::message::Framing;

use fields::FaultFields;

/// One thing that goes wrong, on some pages of the Engage API, once or more often.
///
/// There are two notations with the same fields. As JSON, for a script:
/// `{"pages": "3,7-9", "status": 500, "times": 2}`; on one line: `pages=3,7-9 status=500 times=2`. The pages are
/// chosen by:
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
/// - `delay=2s`: this page takes longer, and other faults still apply;
/// - `fault=NAME`, on a line just `NAME`: `reset`, `html`, `empty`, `invalid-json`, `truncated-gzip`, `error-in-200`,
///   `lost-session`, `replaced-session`, `not-utf8`, `wrong-page`, `hourly-limit`, `concurrency-limit`, `load-shed`,
///   `body-only-limit`, `auth-400`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "FaultFields")]
pub struct Fault {
    /// The pages on which it occurs.
    pub pages: PageSelector,
    /// How often it occurs on each of them.
    pub times: Times,
    /// What goes wrong.
    pub kind: FaultKind,
}

/// Selects pages.
#[derive(Debug, Clone, PartialEq)]
pub enum PageSelector {
    /// All pages.
    All,
    /// These pages.
    List(Vec<RangeInclusive<u64>>),
    /// Each page whose number plus one is divisible by this. 0 selects none.
    Every(u64),
    /// Each request with a probability from 0 to 1, drawn from the seed, the page and the number of requests for it.
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

/// What goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultKind {
    /// Another status.
    Status {
        /// The status.
        status: StatusCode,
        /// The body; `None` means a JSON error that fits the status.
        body: Option<String>,
        /// Additional headers.
        headers: HeaderMap,
    },
    /// The connection closes after a number of bytes of the body. At least one byte is missing.
    Cut {
        /// The number of bytes that arrive.
        after: usize,
        /// How the body is framed.
        framing: Framing,
    },
    /// The response pauses after a number of bytes of the body; 0 is before the first byte of the response.
    Stall {
        /// The number of bytes that arrive before the pause.
        after: usize,
        /// The length of the pause.
        pause: Duration,
    },
    /// The response is delayed by this. The only kind after which other faults still apply.
    Delay(Duration),
    /// The connection closes without a response.
    Reset,
    /// A captive portal's page, with status 200.
    Html,
    /// Status 200 with an empty body.
    EmptyBody,
    /// Status 200 with the first half of the JSON, and a matching `Content-Length`.
    InvalidJson,
    /// A gzip stream that ends in the middle, with a matching `Content-Length`.
    TruncatedGzip,
    /// Status 200 with `{"error": ...}` (`docs/mixpanel-api.md#engage-response`).
    ErrorInSuccess,
    /// The session of this request is forgotten. On page 0, the response is still good, and its session is forgotten.
    LostSession,
    /// The response comes from a new session with another ID and a shifted order.
    ReplacedSession,
    /// Two bytes inside a string are not valid UTF-8.
    NotUtf8,
    /// The response has the number of the next page, but the results of the requested one.
    WrongPage,
    /// A 429 of this kind.
    Limit(LimitKind),
    /// Status 400 with "Unable to authenticate request" (`docs/mixpanel-api.md#errors-by-status`).
    AuthBadRequest,
}

impl PageSelector {
    /// Returns whether a page is selected at its request number `attempt`, counted from 0.
    pub(super) fn chooses(&self, page: u64, attempt: u64) -> bool {
        match self {
            Self::All => true,
            Self::List(ranges) => ranges.iter().any(|range| range.contains(&page)),
            Self::Every(number) => *number > 0 && (page + 1).is_multiple_of(*number),
            Self::Random { probability, seed } => chance(mix2(mix2(*seed, page), attempt), *probability),
        }
    }
}
