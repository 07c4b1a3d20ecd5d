//! What must hold, whatever happens: watched while it does.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use mixpanel_simulator::{Quota, SessionPages};

use crate::api::{Failure, FailureKind, RateLimitKind};

use super::super::coordinator::PageRequest;
use super::super::progress::FetchEvent;
use super::scenario::Scenario;

/// Watches the requests.
pub(super) struct Watch {
    quota: Option<Quota>,
    session_pages: SessionPages,
    /// By epoch of the run.
    staged: BTreeSet<(u32, u32)>,
    /// When requests were let through that the server counts, the newest last.
    counted: VecDeque<Duration>,
    refusal: Option<Refusal>,
    /// Requests that were asked for after a refusal was known.
    after_refusal: BTreeSet<(u32, u32)>,
}

/// The server has said that the quota is used up, and the client has heard it.
struct Refusal {
    /// When the server has room again.
    free_at: Duration,
    probes: u32,
}

impl Watch {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let is_scripted = scenario.config.faults.iter().any(|fault| format!("{:?}", fault.kind).contains("Hourly"));
        Self {
            // A refusal that has nothing to do with the window says nothing about keeping to it.
            quota: scenario.config.quota.filter(|_| !is_scripted),
            session_pages: scenario.config.session_pages,
            staged: BTreeSet::new(),
            counted: VecDeque::new(),
            refusal: None,
            after_refusal: BTreeSet::new(),
        }
    }

    /// A request goes out. A page that is on disk must not be asked for while its session lives, and nothing is asked for
    /// without a session beside pages of one.
    pub(super) fn asked(&mut self, ask: &PageRequest, on_disk: u32, damaged: &BTreeSet<u32>) {
        let is_on_disk = self.staged.contains(&(ask.epoch, ask.page)) && !damaged.contains(&ask.page);
        assert!(!is_on_disk, "page {} of session {} is staged and asked for again", ask.page, ask.epoch);
        let begins = ask.session.is_none();
        let has_pages = self.staged.iter().any(|(epoch, page)| *epoch == ask.epoch && !damaged.contains(page));
        assert!(!(begins && has_pages), "a session is begun beside the pages of another one");
        assert!(ask.epoch >= on_disk, "a request of an earlier session");
    }

    /// No request of a session that is lost is in flight beside one of a later session.
    pub(super) fn in_flight(&self, ask: &PageRequest, mut epochs: impl Iterator<Item = u32>) {
        assert!(epochs.all(|other| other == ask.epoch), "a request of a lost session is still in flight");
    }

    /// The caller is told. A page that is told to be here must be on disk.
    pub(super) fn told(&self, event: &FetchEvent, epoch: u32) {
        if let FetchEvent::Page(progress) = event
            && progress.success
        {
            let is_staged = self.staged.contains(&(epoch, progress.page_index));
            assert!(is_staged, "page {} is told to be here and is not on disk", progress.page_index);
        }
    }

    /// The server answered at once with this status.
    pub(super) fn answered(&mut self, ask: &PageRequest, now: Duration, status: u16, is_hourly: bool) {
        let Some(quota) = self.quota else { return };
        let is_of_window = ask.session.is_none() || self.session_pages == SessionPages::Counted;
        if !is_of_window {
            return;
        }
        if self.refusal.as_ref().is_some_and(|refusal| now >= refusal.free_at) {
            self.refusal = None;
            self.after_refusal.clear();
        }
        if self.refusal.is_some() {
            self.after_refusal.insert((ask.epoch, ask.page));
        }
        if !is_hourly && !matches!(status, 401 | 402 | 429) {
            self.counted.push_back(now);
            let in_window = self.counted.iter().filter(|moment| **moment + quota.window > now).count();
            assert!(in_window <= quota.requests as usize, "more counted requests in a window than the quota");
        }
    }

    /// The client hears of a failure. After the first hourly 429 no request but one may meet the same wall.
    pub(super) fn failed(&mut self, ask: &PageRequest, failure: &Failure, now: Duration) {
        let Some(quota) = self.quota else { return };
        if !matches!(failure.kind, FailureKind::RateLimited { kind: RateLimitKind::Hourly, .. }) {
            return;
        }
        match &mut self.refusal {
            Some(refusal) if now < refusal.free_at => {
                if self.after_refusal.remove(&(ask.epoch, ask.page)) {
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

    /// A page is on disk.
    pub(super) fn staged(&mut self, epoch: u32, page: u32) {
        self.staged.insert((epoch, page));
    }
}
