//! Progress events and the outcome of a run: what arrived, what did not, and why it ended.

use std::time::Duration;

use crate::api::Failure;
use crate::counts::FetchCounts;
use crate::limits::PAGES_LISTED_MAX;

use super::super::outcome::{Ending, Outcome};
use super::Coordinator;

impl Coordinator {
    pub(super) fn report(&mut self, part: u32, result: Result<u64, String>) {
        self.events.push_back(self.source.progress(part, result, self.rows));
    }

    /// Records why the fetch ends. The first reason wins, unless a later one is more severe. From most to least severe:
    /// writer failure, fatal failure, stop by the caller, halt.
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

    /// Records that the writer failed and accepts no more parts.
    pub(crate) fn writer_failed(&mut self) {
        self.end(Ending::WriterFailed);
    }

    /// Stops the fetch at the caller's request; parts in flight have until `deadline`.
    pub(crate) fn stop(&mut self, deadline: Duration) {
        self.stop_deadline = Some(deadline);
        self.end(Ending::Stopped);
    }

    /// Returns the outcome. After a halt, every part that is not staged counts as failed for the same reason.
    pub(crate) fn finish(&mut self, now: Duration) -> Outcome {
        if let Some(Ending::Halted(failure)) = self.ending.clone() {
            let unfinished = self.parts.unfinished(self.source.halted());
            // A server that announces more parts than this is wrong, so the rest are not listed.
            for (index, part) in unfinished.iter().take(PAGES_LISTED_MAX).enumerate() {
                let same = "not fetched, for the same reason";
                let message = if index == 0 { failure.message.clone() } else { same.to_owned() };
                self.give_up(*part, &Failure::new(failure.kind, message));
            }
        }
        if self.ending.is_none() {
            self.source.mark_past_end(&mut self.parts);
        }
        let mut counts = FetchCounts {
            received: self.parts.received(),
            waited_seconds: self.pacing.breaker.waited(now).as_secs_f64(),
            ..self.counts.clone()
        };
        self.source.missing(&self.parts, self.ending.is_some(), &mut counts);
        let is_failed = |part: &u32| self.parts.failures().contains_key(part);
        Outcome {
            unchecked_page: self.source.unchecked_part().filter(is_failed),
            repeated: 0,
            waited_for_database: Duration::ZERO,
            session_over: self.source.over(&self.parts, counts.shortfall),
            counts,
            has_unused_pages: self.left_parts,
            ending: self.ending.clone(),
            staged: self.parts.staged(),
            failed: self.parts.failures().clone(),
        }
    }
}
