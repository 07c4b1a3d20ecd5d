//! Progress events and the outcome of a run: what arrived, what did not, and why it ended.

use std::time::Duration;

use crate::api::Failure;
use crate::counts::FetchCounts;
use crate::limits::PAGES_LISTED_MAX;
use crate::mutant::{Mutant, is_planted};
use crate::types::ProfileProgress;

use super::super::super::profiles::layout::PageLayout;
use super::super::super::progress::FetchEvent;
use super::super::outcome::{Ending, Outcome};
use super::{Coordinator, Extent};

impl Coordinator {
    pub(super) fn report(&mut self, page: u32, result: Result<u64, String>) {
        let plan = self.plan.as_ref();
        self.events.push_back(FetchEvent::Page(ProfileProgress {
            page_index: page,
            total_pages: plan.filter(|plan| plan.total().is_some()).map(PageLayout::pages),
            rows: *result.as_ref().unwrap_or(&0),
            success: result.is_ok(),
            error: result.err(),
            cumulative_rows: self.rows,
        }));
    }

    /// Records why the fetch ends. The first reason wins, unless a later one is more severe. From most to least severe:
    /// the writer failed, a fatal failure, the caller asked to stop, a halt.
    pub(super) fn end(&mut self, ending: Ending) {
        let severity = |ending: &Ending| match ending {
            Ending::Halted(_) => 0,
            Ending::Stopped => 1,
            Ending::Fatal(_) => 2,
            Ending::WriterFailed => 3,
        };
        if self.ending.as_ref().is_none_or(|current| severity(current) < severity(&ending)) {
            self.ending = Some(ending);
        }
    }

    /// Records that the writer failed and accepts no more pages.
    pub(crate) fn writer_failed(&mut self) {
        self.end(Ending::WriterFailed);
    }

    /// Stops the fetch at the caller's request; pages in flight have until `deadline`.
    pub(crate) fn stop(&mut self, deadline: Duration) {
        self.stop_deadline = Some(deadline);
        self.end(Ending::Stopped);
    }

    /// Returns the outcome. After a halt, every page that is not staged counts as failed for the same reason.
    pub(crate) fn finish(&mut self, now: Duration) -> Outcome {
        if let Some(Ending::Halted(failure)) = self.ending.clone() {
            // A tail page that was not checked may exist, whatever the server said.
            self.plan.iter_mut().filter(|_| !is_planted(Mutant::HaltTakenForWhole)).for_each(PageLayout::assume_tail);
            let unfinished = self.parts.unfinished(self.plan.as_ref().map_or(1, PageLayout::pages));
            // A server that announced more pages than this is wrong, and its pages are not listed one by one.
            for (index, page) in unfinished.iter().take(PAGES_LISTED_MAX).enumerate() {
                let same = "not fetched, for the same reason";
                let message = if index == 0 { failure.message.clone() } else { same.to_owned() };
                self.give_up(*page, &Failure::new(failure.kind, message));
            }
        }
        if self.ending.is_none() {
            self.settle_the_end();
        }
        let missing = if self.failed.is_empty() && self.ending.is_none() && self.rules.extent == Extent::Whole {
            self.missing_profiles()
        } else {
            0
        };
        let announced = self.announced();
        let is_drift = missing <= announced.map_or(0, |total| self.rules.drift_of(total));
        let (drift, shortfall) = if is_drift { (missing, 0) } else { (0, missing) };
        let counts = FetchCounts {
            expected_rows: announced,
            drift,
            shortfall,
            waited_seconds: self.breaker.waited(now).as_secs_f64(),
            short_pages: self.short.accepted(),
            ..self.counts.clone()
        };
        Outcome {
            counts,
            repeated: 0,
            session_over: self.session_over(shortfall),
            left_pages: self.left_pages,
            ending: self.ending.clone(),
            staged: self.parts.staged(),
            failed: self.failed.clone(),
        }
    }
}
