//! Decides which page of a profile fetch to request next, and how to handle pages that arrived or failed.

mod announced;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::{Failure, FailureKind};
use crate::limits::TAIL_PAGE_ATTEMPTS_MAX;
use crate::mutant::{Mutant, is_active};
use crate::stage::{Over, SessionFacts};
use crate::text::counted;

use super::super::arrival::{Arrival, Loss, Meaning};
use super::super::core::Parts;
use super::super::part::{PartRequest, Requested};
use super::super::rules::{Extent, Rules};
use super::layout::PageLayout;
use super::page::{Page, PageFacts};
use super::short_pages::ShortPages;
use announced::{RedundantPages, ResponseAfterGivingUp};

/// The paging state of a fetch: the session, and how its pages compare with what the server announced.
#[derive(Debug)]
pub(crate) struct Paging {
    pub(super) rules: Rules,
    /// The session, once page 0 has arrived.
    pub(super) session: Option<Session>,
    /// Number of records in each page that an earlier process staged.
    pub(super) prior: BTreeMap<u32, u64>,
    pub(super) short: ShortPages,
    pub(super) nothing_new: RedundantPages,
    pub(super) sign_of_life: ResponseAfterGivingUp,
    /// Total announced by a later page, if page 0 announced none or a smaller one.
    pub(super) announced_late: Option<u64>,
    /// Number of requests sent for unannounced pages; `next_unannounced` is the earliest time for the next one.
    pub(super) unannounced: u32,
    pub(super) next_unannounced: Duration,
    /// Why this run abandoned the session of an earlier process. Used until page 0 of a new session has arrived.
    pub(super) prior_over: Option<Over>,
}

/// A session on the server, and its pages.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) facts: SessionFacts,
    pub(super) layout: PageLayout,
}

impl Paging {
    /// Creates the paging state of a fetch without a session.
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            session: None,
            prior: BTreeMap::new(),
            short: ShortPages::default(),
            nothing_new: RedundantPages::default(),
            sign_of_life: ResponseAfterGivingUp::default(),
            announced_late: None,
            unannounced: 0,
            next_unannounced: Duration::ZERO,
            prior_over: None,
        }
    }

    pub(super) fn layout(&self) -> Option<&PageLayout> {
        self.session.as_ref().map(|session| &session.layout)
    }

    /// Returns the next page that has not been requested: the planned pages first, then the tail page.
    pub(crate) fn next(&mut self, parts: &Parts, is_idle: bool) -> Option<u32> {
        let page = parts.next_pending();
        if (self.rules.extent == Extent::FirstPage && page > 0) || self.nothing_new.is_the_end() {
            return None;
        }
        if page > 0 && self.layout().is_some_and(|layout| self.rules.records_of(page, layout.page_size()) == 0) {
            return None;
        }
        let is_planned = page < self.layout().map_or(1, PageLayout::pages);
        let is_tail = self.layout().and_then(PageLayout::tail_page) == Some(page);
        (is_planned || is_tail || (is_idle && self.plans_tail_page(page, parts))).then_some(page)
    }

    /// Returns the request for a page. Without a session, the request opens one, so no other request may be in flight.
    pub(crate) fn request(&self, epoch: u32, page: u32) -> PartRequest {
        let session = self.session.as_ref().and_then(|session| session.facts.session_id.clone());
        PartRequest { epoch, part: page, what: Requested::Page { session } }
    }

    /// Cuts a page at the end of a sample, as if the server had no more profiles.
    pub(crate) fn cut(&self, index: u32, page: &mut Page) {
        let Some(limit) = self.rules.limit else { return };
        let page_size = self.layout().map_or(0, PageLayout::page_size);
        page.cut(self.rules.records_of(index, page_size), limit);
    }

    /// Decides how to handle a page that arrived.
    pub(crate) fn accept(&mut self, page: u32, facts: &PageFacts, parts: &Parts) -> Arrival {
        if let Err(failure) = self.check_reply(page, facts) {
            return Arrival::of(Meaning::Unusable(failure));
        }
        if self.session.is_some() {
            return self.meaning(page, facts, parts);
        }
        if let Err(failure) = self.check_not_empty(facts, parts) {
            return Arrival::of(Meaning::Unusable(failure));
        }
        match self.begin(facts) {
            Ok((events, fatal)) => Arrival { events, fatal, ..self.meaning(page, facts, parts) },
            Err(failure) => Arrival { fatal: Some(failure.clone()), ..Arrival::of(Meaning::Unusable(failure)) },
        }
    }

    /// Checks that a response belongs to the session of page 0 and is the requested page.
    fn check_reply(&self, page: u32, facts: &PageFacts) -> Result<(), Failure> {
        if facts.page.is_some_and(|echoed| echoed != u64::from(page)) {
            let message = format!("the response to the request for page {page} is a different page");
            return Err(Failure::new(FailureKind::BadReply, message));
        }
        let Some(Session { facts: known, layout }) = &self.session else { return Ok(()) };
        let is_other = facts.session_id.is_some() && facts.session_id != known.session_id;
        if is_other && !is_active(Mutant::SessionNotChecked) {
            let message = format!("the response to page {page} belongs to a different session than page 0");
            return Err(Failure::new(FailureKind::SessionLost, message));
        }
        if let Some(size) = facts.page_size.filter(|size| !layout.is_page_size(*size)) {
            let declared = layout.declared_page_size().unwrap_or_default();
            let message = format!("page {page} reports a page size of {size}, but page 0 reported {declared}");
            return Err(Failure::new(FailureKind::SessionLost, message));
        }
        Ok(())
    }

    fn meaning(&mut self, page: u32, facts: &PageFacts, parts: &Parts) -> Arrival {
        self.raise_total(page, facts);
        if let Some(reason) = self.redundancy_reason(page, facts, parts) {
            return self.handle_redundant(page, facts, reason, parts);
        }
        if facts.received > 0 {
            self.nothing_new.add_new(page);
            self.sign_of_life.page_came(page);
        } else {
            self.nothing_new.add_empty(page);
        }
        Arrival::of(match self.too_short(page, facts.received, parts) {
            Some(reason) => Meaning::TooShort { reason },
            None => Meaning::Store { lacks: self.add(page, facts.received, parts) },
        })
    }

    /// Returns why a page should be requested again, if it has fewer records than expected.
    fn too_short(&mut self, page: u32, received: u64, parts: &Parts) -> Option<String> {
        let expected = self.layout()?.expected_records(page);
        let attempts = parts.failed_attempts(page).by_length;
        let is_too_short = received < expected && self.short.should_retry(page, received, attempts);
        is_too_short.then(|| format!("page {page} has {received} of {}", counted(expected, "profile")))
    }

    /// Adds a page that will be stored. If the server seems to send pages endlessly, returns the next page, which
    /// counts as missing.
    fn add(&mut self, page: u32, received: u64, parts: &Parts) -> Option<(u32, Failure)> {
        let limit = self.rules.limit;
        let Session { layout, .. } = self.session.as_mut()?;
        layout.page_arrived(page, received);
        layout.merge_staged(&self.prior);
        layout.end_at(limit);
        // A short last page makes the tail page unnecessary, unless that has already been requested.
        if page + 1 == layout.pages()
            && received < layout.page_size()
            && layout.tail_page() == Some(parts.next_pending())
        {
            layout.drop_tail();
        }
        self.stop_if_it_never_ends()
    }

    /// Returns the maximum number of attempts for a page, if it is lower than the default: the tail page gets fewer if
    /// the announced total implies that it does not exist.
    pub(crate) fn attempts_max(&self, page: u32) -> Option<u32> {
        let layout = self.layout()?;
        (layout.tail_page() == Some(page) && layout.covers_total()).then_some(TAIL_PAGE_ATTEMPTS_MAX)
    }

    /// Decides what the permanent failure of a page means for the fetch.
    pub(crate) fn failed(&mut self, page: u32, failure: &Failure) -> Loss {
        let Some(Session { layout, .. }) = &mut self.session else { return Loss::Everything };
        let is_tail = layout.tail_page() == Some(page);
        // A refusal may mean that there is no such page. Other failures may mean the same only for the tail page, and
        // only if the planned pages hold exactly the announced profiles.
        let is_refused = matches!(failure.kind, FailureKind::Rejected(400) | FailureKind::NotFound);
        if layout.is_optional(page) && (is_refused || (is_tail && layout.covers_total())) {
            layout.mark_absent(page);
            return Loss::PastEnd;
        }
        if is_tail {
            layout.assume_tail();
        }
        Loss::Part
    }

    /// Returns whether page 0 has arrived.
    pub(crate) fn has_begun(&self) -> bool {
        self.session.is_some()
    }

    /// Discards the session and its pages: in another session, the same profiles may be on different pages.
    pub(crate) fn lost(&mut self) {
        *self = Self {
            unannounced: self.unannounced,
            next_unannounced: self.next_unannounced,
            prior_over: self.prior_over,
            ..Self::new(self.rules)
        };
    }

    /// Returns the facts of page 0 for the manifest.
    pub(crate) fn session(&self, server_time: Option<Timestamp>) -> Option<SessionFacts> {
        let session = self.session.as_ref()?;
        Some(SessionFacts { server_time, ..session.facts.clone() })
    }

    /// Returns the number of pages, if the server announced a total.
    pub(crate) fn total_pages(&self) -> Option<u32> {
        self.layout().filter(|layout| layout.total().is_some()).map(PageLayout::pages)
    }

    /// Returns the page that counts as missing, although it is unknown whether it exists.
    pub(crate) fn unchecked_page(&self) -> Option<u32> {
        self.layout().and_then(PageLayout::unchecked_page)
    }

    /// Ends paging. Returns the number of pages that may exist, including an unchecked tail page.
    pub(crate) fn halted(&mut self) -> u32 {
        let Some(Session { layout, .. }) = &mut self.session else { return 1 };
        if !is_active(Mutant::HaltTreatedAsComplete) {
            layout.assume_tail();
        }
        layout.pages()
    }
}
