//! Going on where an earlier process stopped.

use std::collections::BTreeMap;

use crate::mutant::{Mutant, is_planted};
use crate::stage::{Over, SessionFacts, StagedPage};

use super::super::pages::PageState;
use super::super::plan::Plan;
use super::super::progress::FetchEvent;
use super::{Coordinator, Rules};

/// What an earlier process left.
#[derive(Debug, Clone, Default)]
pub(crate) struct Earlier {
    pub(crate) epoch: u32,
    pub(crate) session: Option<SessionFacts>,
    /// Pages of that session that are on disk, in order.
    pub(crate) staged: Vec<StagedPage>,
    /// Why that session has no more to give, if that is known.
    pub(crate) session_over: Option<Over>,
    /// Profiles that a load has found missing although every page is on disk.
    pub(crate) lacking: u64,
}

impl Earlier {
    /// Records by page.
    pub(crate) fn lengths(&self) -> BTreeMap<u32, u64> {
        self.staged.iter().map(|staged| (staged.page, staged.rows + staged.rejected)).collect()
    }

    /// The plan that follows from the session and its pages, if the session is known.
    pub(crate) fn plan(&self) -> Option<Plan> {
        let facts = self.session.as_ref()?;
        let mut plan = Plan::new(facts.total, facts.declared_page_size, facts.first_page_records).ok()?;
        plan.merge_staged(&self.lengths());
        Some(plan)
    }

    /// Records of the staged pages.
    pub(crate) fn received(&self) -> u64 {
        self.staged.iter().map(|page| page.rows + page.rejected).sum()
    }

    fn announced(&self) -> Option<u64> {
        self.session.as_ref().and_then(|session| session.total)
    }

    /// Profiles that the server announced and that are not on disk.
    pub(crate) fn missing_profiles(&self) -> u64 {
        self.announced().map_or(0, |announced| announced.saturating_sub(self.received())).max(self.lacking)
    }

    /// Profiles that there should be.
    pub(crate) fn expected_profiles(&self) -> u64 {
        self.announced().unwrap_or_else(|| self.received() + self.lacking)
    }

    /// Profiles among those on disk that came again because pages overlap.
    pub(crate) fn repeated(&self) -> u64 {
        self.announced()
            .map_or(0, |announced| (self.received() + self.lacking).saturating_sub(announced).min(self.lacking))
    }
}

impl Coordinator {
    /// Goes on with a run: pages that are on disk are not asked for again, and the others belong to the same session.
    pub(crate) fn resume(rules: Rules, earlier: &Earlier) -> Self {
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
        let Ok(mut plan) = Plan::new(facts.total, facts.declared_page_size, facts.first_page_records) else {
            coordinator.epoch += 1;
            return coordinator;
        };
        coordinator.session_id.clone_from(&facts.session_id);
        coordinator.first_page_records = facts.first_page_records;
        if facts.session_id.is_none() {
            let more_may_follow = plan.tail_page().is_some() && !plan.covers_total();
            if more_may_follow || earlier.staged.len() < plan.pages() as usize {
                // Nothing more can be had of that session, for the server did not name it. Perhaps it names another.
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
                coordinator.pages.set(staged.page, PageState::Staged);
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

    /// What page 0 said, for the manifest.
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
