//! Resumes a run that an earlier process left unfinished.

use std::collections::BTreeMap;

use crate::api::{Failure, FailureKind};
use crate::counts::FetchCounts;
use crate::stage::{Over, SessionFacts, SlicePlan, StagedPage};

use super::super::arrival::{KeptPart, Resumed};
use super::super::core::Outcome;
use super::super::progress::FetchEvent;
use super::super::rules::Rules;
use super::layout::PageLayout;
use super::paging::{Paging, Session};

/// The state of a run left by an earlier process.
#[derive(Debug, Clone, Default)]
pub(crate) struct PriorRun {
    pub(crate) epoch: u32,
    pub(crate) session: Option<SessionFacts>,
    /// Pages of that session that are on disk, in order.
    pub(crate) staged: Vec<StagedPage>,
    /// Why that session is over, if known.
    pub(crate) session_over: Option<Over>,
    /// Number of profiles that a load found to be missing although every page is on disk.
    pub(crate) lacking: u64,
    /// The slices of a run of events, which has no session.
    pub(crate) slices: Option<SlicePlan>,
}

impl PriorRun {
    /// Returns the number of records in each page.
    fn lengths(&self) -> BTreeMap<u32, u64> {
        self.staged.iter().map(|staged| (staged.page, staged.rows + staged.rejected)).collect()
    }

    /// Returns the layout implied by the session and its staged pages, if the session is known.
    fn layout(&self) -> Option<PageLayout> {
        let mut layout = PageLayout::of(self.session.as_ref()?).ok()?;
        layout.merge_staged(&self.lengths());
        Some(layout)
    }

    /// Returns the number of records in the staged pages.
    pub(crate) fn received(&self) -> u64 {
        self.staged.iter().map(|page| page.rows + page.rejected).sum()
    }

    fn announced(&self) -> Option<u64> {
        self.session.as_ref().and_then(|session| session.total)
    }

    /// Returns the number of announced profiles that are not on disk.
    pub(crate) fn missing_profiles(&self) -> u64 {
        self.announced().map_or(0, |announced| announced.saturating_sub(self.received())).max(self.lacking)
    }

    /// Returns the expected number of profiles.
    pub(crate) fn expected_profiles(&self) -> u64 {
        self.announced().unwrap_or_else(|| self.received() + self.lacking)
    }

    /// Returns how many of the profiles on disk were sent more than once because pages overlap.
    pub(crate) fn repeated(&self) -> u64 {
        self.announced()
            .map_or(0, |announced| (self.received() + self.lacking).saturating_sub(announced).min(self.lacking))
    }
}

impl Paging {
    /// Resumes a run in the session of an earlier process, or abandons that session if it cannot be used.
    pub(crate) fn resume(rules: Rules, prior: &PriorRun) -> (Self, Resumed) {
        let mut paging = Self::new(rules);
        let Some(facts) = &prior.session else { return paging.resumed(prior.epoch, Vec::new(), None) };
        let next_epoch = prior.epoch + 1;
        if let Some(over) = prior.session_over {
            paging.prior_over = Some(over);
            let event = FetchEvent::Restarted { restart: 1, reason: over.reason().to_owned() };
            return paging.resumed(next_epoch, Vec::new(), Some(event));
        }
        let Ok(mut layout) = PageLayout::of(facts) else { return paging.resumed(next_epoch, Vec::new(), None) };
        if facts.session_id.is_none() {
            if layout.more_may_follow() || prior.staged.len() < layout.pages() as usize {
                // That session has no id, so no more of its pages can be requested. A new session may have one.
                return paging.resumed(next_epoch, Vec::new(), None);
            }
            layout.seal();
        }
        paging.prior = prior.lengths();
        layout.merge_staged(&paging.prior);
        layout.end_at(rules.limit);
        for staged in &prior.staged {
            let received = staged.rows + staged.rejected;
            if let Some(fingerprint) = staged.fingerprint.filter(|_| received > 0) {
                paging.nothing_new.remember(staged.page, fingerprint);
            }
        }
        let kept =
            prior.staged.iter().map(|page| KeptPart { part: page.page, rows: page.rows, rejected: page.rejected });
        let event = paging.planned(&layout, u32::try_from(prior.staged.len()).unwrap_or(u32::MAX));
        paging.session = Some(Session { facts: facts.clone(), layout });
        paging.resumed(prior.epoch, kept.collect(), Some(event))
    }

    fn resumed(self, epoch: u32, kept: Vec<KeptPart>, event: Option<FetchEvent>) -> (Self, Resumed) {
        (self, Resumed { epoch, kept, event })
    }
}

impl Outcome {
    /// Returns the outcome of a run that sends no more requests: pages that are not on disk count as missing.
    pub(crate) fn of_staged(prior: &PriorRun) -> Self {
        if let Some(plan) = &prior.slices {
            return Self::of_slices(plan, &prior.staged);
        }
        let staged: Vec<u32> = prior.staged.iter().map(|page| page.page).collect();
        let mut layout = prior.layout();
        // An unchecked tail page may exist, whatever the server announced.
        layout.iter_mut().for_each(PageLayout::assume_tail);
        let last = staged.last().map_or(0, |page| page + 1);
        let pages = layout.as_ref().map_or(0, PageLayout::pages).max(last);
        let missing = (0..pages).filter(|page| staged.binary_search(page).is_err());
        let failure = Failure::new(FailureKind::Internal, "accepted as missing");
        let rejected = prior.staged.iter().map(|page| page.rejected).sum();
        let failed: BTreeMap<u32, Failure> = missing.map(|page| (page, failure.clone())).collect();
        let unchecked_page = layout.as_ref().and_then(PageLayout::unchecked_page);
        let unchecked_page = unchecked_page.filter(|page| failed.contains_key(page));
        let counts = FetchCounts {
            expected_rows: layout.and_then(|layout| layout.total()),
            received: prior.received(),
            rejected,
            shortfall: if failed.is_empty() { prior.missing_profiles() } else { 0 },
            ..FetchCounts::default()
        };
        let (session_over, repeated) = (prior.session_over, prior.repeated());
        Self { counts, session_over, repeated, failed, unchecked_page, staged, ..Self::empty() }
    }

    /// Returns the outcome of a run whose pages are all on disk. Missing profiles count as drift.
    pub(crate) fn whole(prior: &PriorRun) -> Self {
        let outcome = Self::of_staged(prior);
        let counts = FetchCounts { drift: prior.missing_profiles(), shortfall: 0, ..outcome.counts };
        Self { counts, failed: BTreeMap::new(), unchecked_page: None, session_over: None, ..outcome }
    }
}
