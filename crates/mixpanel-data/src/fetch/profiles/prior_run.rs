//! Resumes a run that an earlier process left unfinished.

use std::collections::BTreeMap;

use crate::mutant::{Mutant, is_planted};
use crate::stage::{Over, SessionFacts, StagedPage};

use super::super::super::profiles::layout::PageLayout;
use super::super::super::progress::FetchEvent;
use super::super::parts::PartState;
use super::{Coordinator, Rules};

/// What an earlier process left.
#[derive(Debug, Clone, Default)]
pub(crate) struct PriorRun {
    pub(crate) epoch: u32,
    pub(crate) session: Option<SessionFacts>,
    /// Pages of that session that are on disk, in order.
    pub(crate) staged: Vec<StagedPage>,
    /// Why that session has nothing more to give, if known.
    pub(crate) session_over: Option<Over>,
    /// Profiles that a load found missing although every page is on disk.
    pub(crate) lacking: u64,
}

impl PriorRun {
    /// Returns the number of records by page.
    pub(crate) fn lengths(&self) -> BTreeMap<u32, u64> {
        self.staged.iter().map(|staged| (staged.page, staged.rows + staged.rejected)).collect()
    }

    /// Returns the plan that follows from the session and its pages, if the session is known.
    pub(crate) fn plan(&self) -> Option<PageLayout> {
        let facts = self.session.as_ref()?;
        let mut plan = PageLayout::new(facts.total, facts.declared_page_size, facts.first_page_records).ok()?;
        plan.merge_staged(&self.lengths());
        Some(plan)
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

    /// Returns the number of profiles that there should be.
    pub(crate) fn expected_profiles(&self) -> u64 {
        self.announced().unwrap_or_else(|| self.received() + self.lacking)
    }

    /// Returns how many of the profiles on disk came more than once because pages overlap.
    pub(crate) fn repeated(&self) -> u64 {
        self.announced()
            .map_or(0, |announced| (self.received() + self.lacking).saturating_sub(announced).min(self.lacking))
    }
}

impl Coordinator {
    /// Resumes a run: pages on disk are not requested again, and the others are requested in the same session.
    pub(crate) fn resume(rules: Rules, earlier: &PriorRun) -> Self {
        let mut coordinator = Self::new(rules);
        coordinator.epoch = earlier.epoch;
        coordinator.left_pages = !earlier.staged.is_empty();
        let Some(facts) = &earlier.session else { return coordinator };
        if let Some(over) = earlier.session_over {
            coordinator.epoch += 1;
            coordinator.earlier_over = Some(over);
            coordinator.tell(FetchEvent::Restarted { restart: 1, reason: over.reason().to_owned() });
            return coordinator;
        }
        let Ok(mut plan) = PageLayout::new(facts.total, facts.declared_page_size, facts.first_page_records) else {
            coordinator.epoch += 1;
            return coordinator;
        };
        coordinator.session_id.clone_from(&facts.session_id);
        coordinator.first_page_records = facts.first_page_records;
        if facts.session_id.is_none() {
            let more_may_follow = plan.tail_page().is_some() && !plan.covers_total();
            if more_may_follow || earlier.staged.len() < plan.pages() as usize {
                // The server gave that session no id, so no more of its pages can be requested. A new session may have
                // one.
                coordinator.epoch += 1;
                return coordinator;
            }
            plan.seal();
        }
        coordinator.earlier = earlier.lengths();
        plan.merge_staged(&coordinator.earlier);
        for staged in &earlier.staged {
            let received = staged.rows + staged.rejected;
            if staged.page > 0 || !is_planted(Mutant::StagedPageRequested) {
                coordinator.parts.set(staged.page, PartState::Staged);
            }
            coordinator.counts.received += received;
            coordinator.counts.rejected += staged.rejected;
            coordinator.rows += staged.rows;
            if let Some(fingerprint) = staged.fingerprint.filter(|_| received > 0) {
                coordinator.nothing_new.remember(staged.page, fingerprint);
            }
        }
        coordinator.left_pages = false;
        coordinator.tell_plan(&plan);
        coordinator.plan = Some(plan);
        coordinator
    }

    /// Returns what page 0 said, for the manifest.
    pub(crate) fn session(&self) -> Option<SessionFacts> {
        let plan = self.plan.as_ref()?;
        Some(SessionFacts {
            session_id: self.session_id.clone(),
            total: plan.total(),
            declared_page_size: plan.declared_page_size(),
            first_page_records: self.first_page_records,
            server_time: None,
        })
    }
}
