//! Compares what the server announced with what it sends, to detect repeated pages, empty pages and missing profiles.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::api::{Failure, FailureKind};
use crate::counts::FetchCounts;
use crate::limits::{ATTEMPTS_MAX, NOTHING_NEW_MAX, PAGES_BEYOND_MAX, PAGES_MAX, PAGES_WARNING, UNANNOUNCED_PAUSE};
use crate::stage::{Over, SessionFacts};
use crate::text::counted;
use crate::warning::Warning;

use super::super::super::arrival::{Arrival, Meaning};
use super::super::super::core::{PartState, Parts};
use super::super::super::progress::FetchEvent;
use super::super::layout::{ImpossibleTotal, PageLayout};
use super::super::page::PageFacts;
use super::{Paging, Session};

/// Tracks whether a session still returns pages after some of its pages were given up.
#[derive(Debug, Default)]
pub(in super::super) struct ResponseAfterGivingUp {
    /// Pages requested after the first page was given up. Pages already in flight at that time prove nothing.
    requested: BTreeSet<u32>,
    /// Whether one of them arrived.
    came: bool,
}

impl ResponseAfterGivingUp {
    /// Records a request for a page. It counts only if another page has already been given up.
    pub(in super::super) fn requested(&mut self, page: u32, is_any_given_up: bool) {
        if is_any_given_up {
            self.requested.insert(page);
        }
    }

    /// Records that a page arrived.
    pub(in super::super) fn page_came(&mut self, page: u32) {
        self.came |= self.requested.contains(&page);
    }
}

/// Pages without new records: empty pages and repetitions of other pages.
#[derive(Debug, Default)]
pub(in super::super) struct RedundantPages {
    /// By fingerprint: the first page with these records, and how often other pages repeated them.
    seen: HashMap<u64, (u32, u32)>,
    /// Consecutive responses without new records.
    in_a_row: u32,
    pages: BTreeSet<u32>,
    /// Pages whose last response was empty.
    empty: BTreeSet<u32>,
}

impl RedundantPages {
    /// Returns whether to stop requesting further pages, because too many consecutive responses had no new records.
    pub(in super::super) fn is_the_end(&self) -> bool {
        self.in_a_row >= NOTHING_NEW_MAX
    }

    /// Returns the page that first had these records, if it is a different one.
    ///
    /// A project may contain the same record twice, so a page with a single record counts as a repetition only on its
    /// third appearance.
    fn repeated(&mut self, page: u32, facts: &PageFacts) -> Option<u32> {
        let (first, count) = self.seen.entry(facts.fingerprint).or_insert((page, 0));
        if *first == page {
            return None;
        }
        *count += 1;
        (facts.received > 1 || *count > 1).then_some(*first)
    }
}

impl RedundantPages {
    /// Remembers a page that an earlier process staged.
    pub(in super::super) fn remember(&mut self, page: u32, fingerprint: u64) {
        self.seen.insert(fingerprint, (page, 0));
    }

    /// Records an empty page that is accepted.
    pub(in super::super) fn add_empty(&mut self, page: u32) {
        self.empty.insert(page);
    }

    /// Records a page without new records.
    fn add(&mut self, page: u32, received: u64) {
        self.pages.insert(page);
        if received == 0 {
            self.empty.insert(page);
        } else {
            self.empty.remove(&page);
        }
    }

    /// Records a page with new records.
    pub(in super::super) fn add_new(&mut self, page: u32) {
        self.in_a_row = 0;
        self.pages.remove(&page);
        self.empty.remove(&page);
    }
}

impl Paging {
    /// Returns the announced number of profiles: the total of page 0, or a larger one from a later page.
    fn announced(&self) -> Option<u64> {
        self.layout().and_then(PageLayout::total).max(self.announced_late)
    }

    /// Handles the total on a later page, which may be the first one or contradict page 0. A slightly higher total is
    /// normal drift of a live project. A lower total is ignored: all profiles announced before must still arrive.
    pub(in super::super) fn raise_total(&mut self, page: u32, facts: &PageFacts) {
        let (Some(said), Some(session)) = (facts.total.filter(|_| page > 0), &mut self.session) else { return };
        let layout = &mut session.layout;
        if layout.total().is_none_or(|total| said > total + self.rules.drift_of(total)) {
            // A total that grows with every page must not extend the fetch endlessly.
            if self.announced_late.is_none() {
                layout.raise_total(said);
            }
            self.announced_late = self.announced_late.max(Some(said));
        }
    }

    /// Records a request for a page. After many unannounced pages, further ones are requested at intervals; returns a
    /// warning when that begins.
    pub(crate) fn sent(&mut self, page: u32, parts: &Parts, now: Duration) -> Option<Warning> {
        self.sign_of_life.requested(page, !parts.failures().is_empty());
        if !self.layout().is_some_and(|layout| layout.is_unannounced(page)) {
            return None;
        }
        self.unannounced += 1;
        if self.unannounced > PAGES_BEYOND_MAX {
            self.next_unannounced = now + UNANNOUNCED_PAUSE;
        }
        (self.unannounced == PAGES_BEYOND_MAX + 1).then_some(Warning::UnannouncedPages)
    }

    /// Returns the earliest time to request an unannounced page, if that is in the future.
    pub(crate) fn not_before(&self, page: u32, now: Duration) -> Option<Duration> {
        let is_unannounced = self.layout().is_some_and(|layout| layout.is_unannounced(page));
        (is_unannounced && now < self.next_unannounced).then_some(self.next_unannounced)
    }

    /// Checks that page 0 is not empty if the server announced profiles.
    pub(in super::super) fn check_not_empty(&self, facts: &PageFacts, parts: &Parts) -> Result<(), Failure> {
        let is_wrong = |total: &u64| *total > 0 && facts.received == 0 && !self.may_be_empty(*total, parts);
        let Some(total) = facts.total.filter(is_wrong) else { return Ok(()) };
        let announced = counted(total, "profile");
        let message = format!("page 0 is empty, although the server announced {announced}");
        Err(Failure::new(FailureKind::BadReply, message))
    }

    /// Begins the session of page 0. Returns events for the caller and, if the fetch cannot continue, the failure.
    ///
    /// # Errors
    /// Fails if the total implies more pages than a fetch can have.
    pub(in super::super) fn begin(&mut self, facts: &PageFacts) -> Result<(Vec<FetchEvent>, Option<Failure>), Failure> {
        let facts = SessionFacts {
            session_id: facts.session_id.clone(),
            total: facts.total,
            declared_page_size: facts.page_size,
            first_page_records: facts.received,
            server_time: None,
            clock_ahead: 0,
        };
        let mut layout = PageLayout::of(&facts).map_err(|impossible| refuse(impossible, &facts))?;
        layout.end_at(self.rules.limit);
        let mut fatal = None;
        if facts.session_id.is_none() {
            if layout.pages() > 1 || layout.more_may_follow() {
                let message = "more pages may exist, but the server returned no session id to request them with";
                fatal = Some(Failure::new(FailureKind::BadReply, message));
            }
            layout.seal();
        }
        let mut events = vec![self.planned(&layout, 0)];
        if layout.pages() > PAGES_WARNING {
            events.push(FetchEvent::Warning(Warning::ManyPages { pages: layout.pages() }));
        }
        self.session = Some(Session { facts, layout });
        Ok((events, fatal))
    }

    pub(in super::super) fn planned(&self, layout: &PageLayout, staged_pages: u32) -> FetchEvent {
        let total_pages = layout.total().map(|_| layout.pages());
        FetchEvent::Planned { total_pages, expected_rows: layout.total(), workers: self.rules.workers, staged_pages }
    }

    /// Returns the reason if a page is useless: it repeats another page, or it is empty and either optional or expected
    /// to have records.
    pub(in super::super) fn redundancy_reason(
        &mut self,
        page: u32,
        facts: &PageFacts,
        parts: &Parts,
    ) -> Option<String> {
        let layout = &self.session.as_ref()?.layout;
        if facts.received > 0 {
            let first = self.nothing_new.repeated(page, facts)?;
            return Some(format!("page {page} has the same records as page {first}"));
        }
        // The last profiles of a live project may have been deleted, so an empty last page is treated as a short one.
        let announced = layout.total().unwrap_or(0);
        let is_last = page + 1 >= layout.pages() && (page > 0 || self.may_be_empty(announced, parts));
        let is_missed = layout.expected_records(page) > 0 && !is_last && self.missing_profiles(parts) > 0;
        (layout.is_optional(page) || is_missed)
            .then(|| format!("page {page} is empty, although the server announced {}", counted(announced, "profile")))
    }

    /// Handles a page without new records. An optional page is past the end if it is empty or no profile is missing.
    /// Any other page is retried, until several consecutive responses had no new records.
    pub(in super::super) fn handle_redundant(
        &mut self,
        page: u32,
        facts: &PageFacts,
        reason: String,
        parts: &Parts,
    ) -> Arrival {
        self.nothing_new.in_a_row += 1;
        let is_covered = self.announced().is_some() && self.missing_profiles(parts) == 0;
        let may_be_absent = self.layout().is_some_and(|layout| layout.is_optional(page));
        let meaning = if may_be_absent && (facts.received == 0 || is_covered) {
            self.session.iter_mut().for_each(|session| session.layout.mark_absent(page));
            Meaning::PastEnd
        } else {
            self.nothing_new.add(page, facts.received);
            Meaning::Unusable(Failure::new(FailureKind::BadReply, reason))
        };
        let hopeless = if self.nothing_new.is_the_end() { self.nothing_new.pages.clone() } else { BTreeSet::new() };
        Arrival { hopeless, ..Arrival::of(meaning) }
    }

    /// Stops requesting pages from a server that keeps sending new profiles. The next page counts as missing.
    pub(in super::super) fn stop_if_it_never_ends(&mut self) -> Option<(u32, Failure)> {
        let layout = self.session.as_mut().map(|session| &mut session.layout).filter(|layout| layout.is_endless())?;
        let (total, next) = (layout.total().unwrap_or(0), layout.pages());
        layout.assume_tail();
        layout.seal();
        let message = format!(
            "the server announced {} but is still sending more after {}",
            counted(total, "profile"),
            counted(next, "full page")
        );
        Some((next, Failure::new(FailureKind::BadReply, message)))
    }

    /// Plans one more page, `beyond`, if all planned pages have arrived with fewer profiles than announced. Returns
    /// whether it did so.
    pub(in super::super) fn plans_tail_page(&mut self, beyond: u32, parts: &Parts) -> bool {
        let is_short = self.missing_profiles(parts) > 0 && parts.failures().is_empty();
        if !is_short || parts.has_past_end() || parts.next_due().is_some() {
            return false;
        }
        let Some(Session { layout, .. }) = &mut self.session else { return false };
        if beyond < layout.pages() || layout.tail_page().is_some() {
            return false;
        }
        layout.plan_tail_page(beyond);
        layout.tail_page() == Some(beyond)
    }

    /// Marks empty planned pages at the end as past the end, so that profiles count as missing instead of pages. A page
    /// that repeats another one does exist and stays failed.
    pub(crate) fn mark_past_end(&self, parts: &mut Parts) {
        let is_empty = |page: u32| self.nothing_new.empty.contains(&page);
        for page in (1..self.total_pages().unwrap_or(0)).rev() {
            let is_bad_reply = |failure: &Failure| failure.kind == FailureKind::BadReply;
            match parts.state(page) {
                PartState::PastEnd => {}
                PartState::Staged if is_empty(page) => {}
                PartState::Failed if is_empty(page) && parts.failures().get(&page).is_some_and(is_bad_reply) => {
                    parts.set_past_end(page);
                }
                _ => return,
            }
        }
    }

    /// Returns whether page 0 may be empty although the server announced `total` profiles: the allowed drift covers all
    /// of them, and page 0 was empty on every attempt.
    fn may_be_empty(&self, total: u64, parts: &Parts) -> bool {
        total <= self.rules.drift_of(total) && parts.failed_attempts(0).by_fault + 1 >= ATTEMPTS_MAX
    }

    /// Returns the number of announced profiles that have not arrived.
    fn missing_profiles(&self, parts: &Parts) -> u64 {
        self.announced().map_or(0, |announced| announced.saturating_sub(parts.received()))
    }

    /// Adds the announced total, the missing profiles and the short pages to `counts`. Profiles count as missing only
    /// if no page is missing.
    pub(crate) fn missing(&self, parts: &Parts, ended_early: bool, counts: &mut FetchCounts) {
        let is_all = parts.failures().is_empty() && !ended_early && self.rules.requests_all();
        let missing = if is_all { self.missing_profiles(parts) } else { 0 };
        let announced = self.announced();
        let is_drift = missing <= announced.map_or(0, |total| self.rules.drift_of(total));
        (counts.drift, counts.shortfall) = if is_drift { (missing, 0) } else { (0, missing) };
        counts.expected_rows = announced;
        // Whether an empty page past the end was requested twice depends on when the other responses arrived.
        let end = parts.staged().into_iter().rev().find(|page| !self.nothing_new.empty.contains(page));
        counts.short_pages = self.short.accepted();
        counts.short_pages.retain(|page| end.is_some_and(|end| *page <= end));
    }

    /// Returns why the session is over, if it is. Only a new session can then return what is missing.
    pub(crate) fn over(&self, parts: &Parts, shortfall: u64) -> Option<Over> {
        let Some(session) = &self.session else { return self.prior_over };
        if shortfall > 0 {
            return Some(Over::Short);
        }
        let failures = parts.failures();
        let mut kinds = failures.values().map(|failure| failure.kind);
        let kind = kinds.next().filter(|kind| kinds.all(|other| other == *kind))?;
        let came = parts.staged().len() > self.prior.len();
        let none_came_since = !self.sign_of_life.came && failures.len() > 1;
        let is_over = match kind {
            // These may be a temporary outage, so they end the session only if the process received no page from it.
            FailureKind::Server { status: 502..=504, .. } | FailureKind::Timeout | FailureKind::Connection => !came,
            FailureKind::Server { .. } | FailureKind::BadReply | FailureKind::Rejected(_) | FailureKind::NotFound => {
                !came || none_came_since
            }
            _ => false,
        };
        (is_over && session.facts.session_id.is_some()).then_some(Over::Refused)
    }
}

/// Returns the failure for a page 0 with an impossible total.
fn refuse(ImpossibleTotal(total): ImpossibleTotal, facts: &SessionFacts) -> Failure {
    let size = facts.declared_page_size.map_or_else(String::new, |size| format!(" on pages of {size}"));
    let message = format!(
        "the server announced {}{size} and sent {} on page 0; a fetch is limited to {PAGES_MAX} pages",
        counted(total, "profile"),
        facts.first_page_records
    );
    Failure::new(FailureKind::BadReply, message)
}
