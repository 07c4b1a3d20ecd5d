//! How a fetch ended.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::{Failure, FailureKind};

use super::coordinator::Earlier;
use super::plan::Plan;

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
    /// Times that it began again because the session was lost.
    pub(crate) session_restarts: u32,
    /// Pages in the middle that stayed shorter than a page.
    pub(crate) short_pages: Vec<u32>,
}

impl Outcome {
    /// The outcome of a run that asks for nothing any more: what is not on disk will not come.
    pub(crate) fn of_staged(earlier: &Earlier) -> Self {
        let staged: Vec<u32> = earlier.staged.iter().map(|page| page.page).collect();
        let mut plan = earlier.plan();
        // A page after the last one that was not looked for may be there, whatever the server said.
        plan.iter_mut().for_each(Plan::keep_probe);
        let last = staged.last().map_or(0, |page| page + 1);
        let pages = plan.as_ref().map_or(0, Plan::pages).max(last);
        let missing = (0..pages).filter(|page| staged.binary_search(page).is_err());
        let failure = Failure::new(FailureKind::Internal, "it was done without");
        let rejected = earlier.staged.iter().map(|page| page.rejected).sum();
        Self {
            failed: missing.map(|page| (page, failure.clone())).collect(),
            staged,
            expected_rows: plan.and_then(|plan| plan.total()),
            received: earlier.staged.iter().map(|page| page.rows).sum::<u64>() + rejected,
            rejected,
            ..Self::nothing_asked()
        }
    }

    /// The outcome of a run whose pages are all here, as was found out when the last one came.
    pub(crate) fn whole(earlier: &Earlier) -> Self {
        Self { failed: BTreeMap::new(), ..Self::of_staged(earlier) }
    }

    /// The outcome of a fetch that had nothing to ask for.
    pub(crate) fn nothing_asked() -> Self {
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
            session_restarts: 0,
            short_pages: Vec::new(),
        }
    }
}
