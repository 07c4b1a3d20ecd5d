//! The outcome of a fetch.

use std::collections::BTreeMap;

use crate::api::{Failure, FailureKind};
use crate::counted::counted;
use crate::counts::FetchCounts;

pub(crate) use crate::stage::Over;

use super::super::profiles::layout::PageLayout;
use super::coordinator::PriorRun;

/// Why a fetch ends before every page is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// No further request can succeed in time; the pages that arrived are good.
    Halted(Failure),
    /// The caller asked to stop.
    Stopped,
    /// Nothing in this run can be trusted or finished now.
    Fatal(Failure),
    /// The writer failed; it reports the reason itself.
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
    /// What happened to every record, and what this process spent. Without the duplicates, which the load finds.
    pub(crate) counts: FetchCounts,
    /// Received profiles that came again because pages overlap; 0 until a load has checked.
    pub(crate) repeated: u64,
    /// Why the session has nothing more to give, if known.
    pub(crate) session_over: Option<Over>,
    /// Whether pages of an earlier session are on disk that this run did not use.
    pub(crate) left_pages: bool,
}

impl Outcome {
    /// Returns whether everything that the server announced is here.
    pub(crate) fn is_whole(&self) -> bool {
        self.failed.is_empty() && self.counts.shortfall == 0
    }

    /// Describes the figures that do not add up, if any.
    pub(crate) fn shortfall_text(&self) -> Option<String> {
        let expected = self.counts.expected_rows.filter(|_| self.counts.shortfall > 0)?;
        let again = match self.repeated {
            0 => String::new(),
            repeated => format!(" ({repeated} of them more than once)"),
        };
        Some(format!(
            "the server announced {} and sent {}{again}; {} missing, more than the drift that is allowed",
            counted(expected, "profile"),
            self.counts.received,
            if self.counts.shortfall == 1 { "1 is".to_owned() } else { format!("{} are", self.counts.shortfall) },
        ))
    }

    /// Records that profiles are missing because others came more than once: only a new session may bring them.
    pub(crate) fn lacks(&mut self, shortfall: u64) {
        self.counts.shortfall = self.counts.shortfall.max(shortfall);
        self.repeated = self
            .counts
            .expected_rows
            .map_or(0, |total| (self.counts.received + self.counts.shortfall).saturating_sub(total));
        self.counts.drift = 0;
        self.session_over = Some(Over::Short);
    }

    /// Returns the outcome of a run that requests nothing more: pages that are not on disk are missing.
    pub(crate) fn of_staged(earlier: &PriorRun) -> Self {
        let staged: Vec<u32> = earlier.staged.iter().map(|page| page.page).collect();
        let mut plan = earlier.plan();
        // A tail page that was not checked may exist, whatever the server said.
        plan.iter_mut().for_each(PageLayout::assume_tail);
        let last = staged.last().map_or(0, |page| page + 1);
        let pages = plan.as_ref().map_or(0, PageLayout::pages).max(last);
        let missing = (0..pages).filter(|page| staged.binary_search(page).is_err());
        let failure = Failure::new(FailureKind::Internal, "accepted as missing");
        let rejected = earlier.staged.iter().map(|page| page.rejected).sum();
        let failed: BTreeMap<u32, Failure> = missing.map(|page| (page, failure.clone())).collect();
        let counts = FetchCounts {
            expected_rows: plan.and_then(|plan| plan.total()),
            received: earlier.received(),
            rejected,
            shortfall: if failed.is_empty() { earlier.missing_profiles() } else { 0 },
            ..FetchCounts::default()
        };
        let (session_over, repeated) = (earlier.session_over, earlier.repeated());
        Self { counts, session_over, repeated, failed, staged, ..Self::nothing_asked() }
    }

    /// Returns the outcome of a run whose pages are all on disk, as was determined when the last one arrived.
    pub(crate) fn whole(earlier: &PriorRun) -> Self {
        let outcome = Self::of_staged(earlier);
        let counts = FetchCounts { drift: earlier.missing_profiles(), shortfall: 0, ..outcome.counts };
        Self { counts, failed: BTreeMap::new(), session_over: None, ..outcome }
    }

    /// Returns the outcome of a fetch that had nothing to request.
    pub(crate) fn nothing_asked() -> Self {
        Self {
            ending: None,
            staged: Vec::new(),
            failed: BTreeMap::new(),
            counts: FetchCounts { expected_rows: Some(0), ..FetchCounts::default() },
            repeated: 0,
            session_over: None,
            left_pages: false,
        }
    }
}
