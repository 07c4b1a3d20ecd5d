//! Checks invariants during the run.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use mixpanel_simulator::{Quota, SessionPages};

use crate::api::{Failure, FailureKind, RateLimitKind};

use super::super::part::PartRequest;
use super::super::progress::FetchEvent;
use super::scenario::Scenario;

/// Checks requests and events against the invariants.
pub(super) struct Watch {
    quota: Option<Quota>,
    session_pages: SessionPages,
    /// Staged pages, by session epoch and page.
    staged: BTreeSet<(u32, u32)>,
    /// When the server accepted requests that count towards the quota, newest last.
    counted: VecDeque<Duration>,
    refusal: Option<Refusal>,
    /// Requests sent after the refusal was received.
    after_refusal: BTreeSet<(u32, u32)>,
}

/// A refusal for an exhausted quota that the client has received.
struct Refusal {
    /// When the quota has room again.
    free_at: Duration,
    probes: u32,
}

impl Watch {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let is_scripted = scenario.config.faults.iter().any(|fault| format!("{:?}", fault.kind).contains("Hourly"));
        Self {
            // A scripted refusal is independent of the window, so it says nothing about whether the client respects the
            // quota.
            quota: scenario.config.quota.filter(|_| !is_scripted),
            session_pages: scenario.config.session_pages,
            staged: BTreeSet::new(),
            counted: VecDeque::new(),
            refusal: None,
            after_refusal: BTreeSet::new(),
        }
    }

    /// Checks a request before it is sent. A page on disk must not be requested again in the same session, and no
    /// session may be opened while the current one has pages on disk.
    pub(super) fn asked(&mut self, request: &PartRequest, on_disk: u32, damaged: &BTreeSet<u32>) {
        let is_on_disk = self.staged.contains(&(request.epoch, request.part)) && !damaged.contains(&request.part);
        assert!(!is_on_disk, "page {} of session {} is staged and asked for again", request.part, request.epoch);
        let begins = request.session().is_none();
        let has_pages = self.staged.iter().any(|(epoch, page)| *epoch == request.epoch && !damaged.contains(page));
        assert!(!(begins && has_pages), "a session is begun beside the pages of another one");
        assert!(request.epoch >= on_disk, "a request of an earlier session");
    }

    /// Checks that no request of a lost session is still in flight when one of a later session is sent.
    pub(super) fn in_flight(&self, request: &PartRequest, mut epochs: impl Iterator<Item = u32>) {
        assert!(epochs.all(|other| other == request.epoch), "a request of a lost session is still in flight");
    }

    /// Checks an event for the caller. A page that is reported as staged must be on disk.
    pub(super) fn told(&self, event: &FetchEvent, epoch: u32) {
        if let FetchEvent::Page(progress) = event
            && progress.success
        {
            let is_staged = self.staged.contains(&(epoch, progress.page_index));
            assert!(is_staged, "page {} is told to be here and is not on disk", progress.page_index);
        }
    }

    /// Records the status of the server's response, which is determined when the request is sent.
    pub(super) fn answered(&mut self, request: &PartRequest, now: Duration, status: u16, is_hourly: bool) {
        let Some(quota) = self.quota else { return };
        let is_of_window = request.session().is_none() || self.session_pages == SessionPages::Counted;
        if !is_of_window {
            return;
        }
        if self.refusal.as_ref().is_some_and(|refusal| now >= refusal.free_at) {
            self.refusal = None;
            self.after_refusal.clear();
        }
        if self.refusal.is_some() {
            self.after_refusal.insert((request.epoch, request.part));
        }
        if !is_hourly && !matches!(status, 401 | 402 | 429) {
            self.counted.push_back(now);
            let in_window = self.counted.iter().filter(|moment| **moment + quota.window > now).count();
            assert!(in_window <= quota.requests as usize, "more counted requests in a window than the quota");
        }
    }

    /// Records a failure that the client receives. After the first hourly 429, at most one more request may be refused
    /// for the same reason.
    pub(super) fn failed(&mut self, request: &PartRequest, failure: &Failure, now: Duration) {
        let Some(quota) = self.quota else { return };
        if !matches!(failure.kind, FailureKind::RateLimited { kind: RateLimitKind::Hourly, .. }) {
            return;
        }
        match &mut self.refusal {
            Some(refusal) if now < refusal.free_at => {
                if self.after_refusal.remove(&(request.epoch, request.part)) {
                    refusal.probes += 1;
                    assert!(refusal.probes <= 1, "more than one request after the quota was known to be used up");
                }
            }
            _ => {
                let oldest = self.counted.len().checked_sub(quota.requests as usize).map(|index| self.counted[index]);
                self.refusal = oldest.map(|oldest| Refusal { free_at: oldest + quota.window, probes: 0 });
                self.after_refusal.clear();
            }
        }
    }

    /// Records that a page is on disk.
    pub(super) fn staged(&mut self, epoch: u32, page: u32) {
        self.staged.insert((epoch, page));
    }
}
