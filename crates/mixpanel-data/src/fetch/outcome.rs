//! How a fetch ended.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::Failure;

/// Why a fetch ends before every page is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// No further request can succeed in time; what has come is good.
    Halted(Failure),
    /// The caller asked to stop.
    Stopped,
    /// Nothing of this run can be trusted or finished now.
    Fatal(Failure),
    /// The writer failed; it says why itself.
    WriterFailed,
}

/// How a fetch ended.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) ending: Option<Ending>,
    /// Staged pages, in order.
    pub(crate) staged: Vec<u32>,
    /// Pages that failed for good, and why.
    pub(crate) failed: BTreeMap<u32, Failure>,
    /// Profiles that the server said there are.
    pub(crate) expected_rows: Option<u64>,
    /// Records in staged pages, rejects included.
    pub(crate) received: u64,
    /// Records among them that cannot be rows.
    pub(crate) rejected: u64,
    /// Requests sent.
    pub(crate) requests: u64,
    /// Requests among them that repeated a failed one.
    pub(crate) retries: u64,
    /// Time in which the server wanted a pause.
    pub(crate) waited: Duration,
}

impl Outcome {
    /// The outcome of a fetch that had nothing to ask for.
    pub(super) fn nothing_asked() -> Self {
        Self {
            ending: None,
            staged: Vec::new(),
            failed: BTreeMap::new(),
            expected_rows: Some(0),
            received: 0,
            rejected: 0,
            requests: 0,
            retries: 0,
            waited: Duration::ZERO,
        }
    }
}
