//! Compares what the server announced with what it sends: repeated and empty pages, and profiles that do not arrive.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::api::{Failure, FailureKind};
use crate::counted::counted;
use crate::limits::{ATTEMPTS_MAX, NOTHING_NEW_MAX, PAGES_BEYOND_MAX, PAGES_MAX, PAGES_WARNING, UNANNOUNCED_PAUSE};
use crate::warning::Warning;

use super::super::super::profiles::layout::{ImpossibleTotal, PageLayout};
use super::super::super::progress::FetchEvent;
use super::super::outcome::{Ending, Over};
use super::super::parts::PartState;
use super::{Coordinator, Extent, PageFacts};

/// Tracks whether a session still returns pages after some of its pages were given up.
#[derive(Debug, Default)]
pub(super) struct SignOfLife {
    /// Pages requested after the first page was given up. Those in flight at that moment prove nothing.
    requested: BTreeSet<u32>,
    /// Whether one of them arrived.
    came: bool,
}

impl SignOfLife {
    /// Records a request for a page, and whether any page had been given up before it.
    pub(super) fn requested(&mut self, page: u32, is_any_given_up: bool) {
        if is_any_given_up {
            self.requested.insert(page);
        }
    }

    /// Records that a page arrived.
    pub(super) fn page_came(&mut self, page: u32) {
        self.came |= self.requested.contains(&page);
    }
}

/// Pages that brought nothing new: empty, or the records of another page.
#[derive(Debug, Default)]
pub(super) struct NothingNew {
    /// By fingerprint: the page that first brought these records, and the number of other pages that repeated them.
    seen: HashMap<u64, (u32, u32)>,
    /// Consecutive responses without anything new.
    in_a_row: u32,
    pages: BTreeSet<u32>,
    /// The pages whose last response was empty.
    empty: BTreeSet<u32>,
}

impl NothingNew {
    /// Returns whether so many consecutive responses brought nothing new that no other page is worth a request.
    pub(super) fn is_the_end(&self) -> bool {
        self.in_a_row >= NOTHING_NEW_MAX
    }

    /// Returns the page whose records these are, if it is another one.
    ///
    /// A project may well contain a single record twice, so a page of one record counts as a repetition only the third
    /// time.
    fn repeated(&mut self, page: u32, facts: &PageFacts) -> Option<u32> {
        let (first, count) = self.seen.entry(facts.fingerprint).or_insert((page, 0));
        if *first == page {
            return None;
        }
        *count += 1;
        (facts.received > 1 || *count > 1).then_some(*first)
    }
}

impl NothingNew {
    /// Remembers a page that an earlier process staged.
    pub(super) fn remember(&mut self, page: u32, fingerprint: u64) {
        self.seen.insert(fingerprint, (page, 0));
    }

    /// Records a page that is accepted although it has no records.
    pub(super) fn came_empty(&mut self, page: u32) {
        self.empty.insert(page);
    }

    /// Records a page that brought nothing new.
    fn add(&mut self, page: u32, received: u64) {
        self.pages.insert(page);
        if received == 0 {
            self.empty.insert(page);
        } else {
            self.empty.remove(&page);
        }
    }

    /// Records a page that brought new records.
    pub(super) fn something_came(&mut self, page: u32) {
        self.in_a_row = 0;
        self.pages.remove(&page);
        self.empty.remove(&page);
    }
}

impl Coordinator {
    /// Returns the number of profiles that the server announced: on page 0, or on a later page if that announced more.
    pub(super) fn announced(&self) -> Option<u64> {
        self.plan.as_ref().and_then(PageLayout::total).max(self.announced_late)
    }

    /// Handles the total on a later page, which may be the first total or contradict page 0. A slightly higher total is
    /// the drift of a live project. A lower one is ignored: what was announced must arrive.
    pub(super) fn hear_of_total(&mut self, page: u32, facts: &PageFacts) {
        let (Some(said), Some(plan)) = (facts.total.filter(|_| page > 0), &mut self.plan) else { return };
        if plan.total().is_none_or(|total| said > total + self.rules.drift_of(total)) {
            // A total that grows with every page must not extend the fetch endlessly.
            if self.announced_late.is_none() {
                plan.hear_of_total(said);
            }
            self.announced_late = self.announced_late.max(Some(said));
        }
    }

    /// Records a request for a page that nothing announced. After many of them, the next ones are spaced out.
    pub(super) fn pace(&mut self, page: u32) {
        if self.plan.as_ref().is_some_and(|plan| plan.is_unannounced(page)) {
            self.unannounced += 1;
            if self.unannounced == PAGES_BEYOND_MAX + 1 {
                self.events.push_back(FetchEvent::Warning(Warning::UnannouncedPages));
            }
            if self.unannounced > PAGES_BEYOND_MAX {
                self.next_unannounced = self.decided_at + UNANNOUNCED_PAUSE;
            }
        }
    }

    /// Returns until when a page that nothing announced has to wait.
    pub(super) fn paced_until(&self, page: u32, now: Duration) -> Option<Duration> {
        let is_unannounced = self.plan.as_ref().is_some_and(|plan| plan.is_unannounced(page));
        (is_unannounced && now < self.next_unannounced).then_some(self.next_unannounced)
    }

    /// Makes the plan from page 0.
    pub(super) fn make_plan(&mut self, facts: &PageFacts) {
        let mut plan = match PageLayout::new(facts.total, facts.page_size, facts.received) {
            Ok(plan) => plan,
            Err(ImpossibleTotal(total)) => return self.refuse_total(total, facts),
        };
        self.session_id.clone_from(&facts.session_id);
        self.first_page_records = facts.received;
        if self.session_id.is_none() {
            let more_may_follow = plan.tail_page().is_some() && !plan.covers_total();
            if plan.pages() > 1 || more_may_follow {
                let message = "more pages may exist, but the server returned no session id to request them with";
                self.end(Ending::Fatal(Failure::new(FailureKind::BadReply, message)));
            }
            plan.seal();
        }
        self.tell_plan(&plan);
        if plan.pages() > PAGES_WARNING {
            self.events.push_back(FetchEvent::Warning(Warning::ManyPages { pages: plan.pages() }));
        }
        self.plan = Some(plan);
    }

    pub(super) fn tell_plan(&mut self, plan: &PageLayout) {
        let total_pages = plan.total().map(|_| plan.pages());
        let workers = self.rules.workers;
        self.events.push_back(FetchEvent::Planned { total_pages, expected_rows: plan.total(), workers });
    }

    /// Ends the fetch after page 0 because no project has that many profiles.
    fn refuse_total(&mut self, total: u64, facts: &PageFacts) {
        let size = facts.page_size.map_or_else(String::new, |size| format!(" on pages of {size}"));
        let message = format!(
            "the server announced {}{size} and sent {} on page 0; a fetch has at most {PAGES_MAX} pages",
            counted(total, "profile"),
            facts.received
        );
        self.end(Ending::Fatal(Failure::new(FailureKind::BadReply, message)));
    }

    /// Returns why a page is useless, if it is: it is empty and either optional or expected to have records, or it
    /// repeats another page.
    pub(super) fn brings_nothing_new(&mut self, page: u32, facts: &PageFacts) -> Option<String> {
        let plan = self.plan.as_ref()?;
        if facts.received > 0 {
            let first = self.nothing_new.repeated(page, facts)?;
            return Some(format!("page {page} brought the same records as page {first}"));
        }
        // The last profiles of a live project may have been deleted: an empty last page is just a short one.
        let announced = plan.total().unwrap_or(0);
        let is_last = page + 1 >= plan.pages() && (page > 0 || self.may_all_be_gone(announced));
        let is_missed = plan.expected_records(page) > 0 && !is_last && self.missing_profiles() > 0;
        (plan.is_optional(page) || is_missed)
            .then(|| format!("page {page} came empty, though the server announced {}", counted(announced, "profile")))
    }

    /// Handles a page that brought nothing new. If the page is optional, and is empty or nothing is missing, it is past
    /// the end. Otherwise it is retried, until several consecutive responses brought nothing new.
    pub(super) fn nothing_new_came(
        &mut self,
        page: u32,
        facts: &PageFacts,
        reason: String,
        now: Duration,
        fraction: f64,
    ) {
        self.nothing_new.in_a_row += 1;
        let is_covered = self.announced().is_some() && self.missing_profiles() == 0;
        let may_be_absent = self.plan.as_ref().is_some_and(|plan| plan.is_optional(page));
        if may_be_absent && (facts.received == 0 || is_covered) {
            self.reading -= 1;
            self.nothing_is_there(page);
        } else {
            self.nothing_new.add(page, facts.received);
            self.request_failed(page, Failure::new(FailureKind::BadReply, reason), now, fraction);
        }
        if self.nothing_new.is_the_end() {
            self.parts.forget_retries(&self.nothing_new.pages);
        }
    }

    /// Stops following a server that keeps sending new profiles: the next page counts as missing.
    pub(super) fn stop_if_it_never_ends(&mut self) {
        let Some(plan) = self.plan.as_mut().filter(|plan| plan.never_ends()) else { return };
        let (total, next) = (plan.total().unwrap_or(0), plan.pages());
        plan.assume_tail();
        plan.seal();
        let message = format!(
            "the server announced {} and still sends more after {}",
            counted(total, "profile"),
            counted(next, "full page")
        );
        self.give_up(next, &Failure::new(FailureKind::BadReply, message));
    }

    /// Records that an optional page does not exist.
    pub(super) fn nothing_is_there(&mut self, page: u32) {
        self.parts.set(page, PartState::PastEnd);
        self.plan.iter_mut().filter(|plan| plan.tail_page() == Some(page)).for_each(PageLayout::drop_tail);
    }

    /// Plans one more page if all planned pages are here but hold fewer profiles than announced. Returns whether it
    /// did.
    pub(super) fn looks_beyond(&mut self) -> bool {
        let beyond = self.parts.next_pending();
        let is_short = self.missing_profiles() > 0 && self.failed.is_empty();
        if !is_short
            || self.rules.extent == Extent::FirstPage
            || self.nothing_new.is_the_end()
            || self.parts.has_past_end()
            || self.parts.next_due().is_some()
            || self.plan.as_ref().is_none_or(|plan| beyond < plan.pages() || plan.tail_page().is_some())
        {
            return false;
        }
        self.plan.iter_mut().for_each(|plan| plan.look_beyond(beyond));
        self.plan.as_ref().and_then(PageLayout::tail_page) == Some(beyond)
    }

    /// Treats planned pages at the end that came empty as past the end: then profiles are missing, not pages. A page
    /// that repeats another one does exist, and stays failed.
    pub(super) fn settle_the_end(&mut self) {
        let pages = self.plan.as_ref().filter(|plan| plan.total().is_some()).map_or(0, PageLayout::pages);
        for page in (1..pages).rev() {
            let came_empty = self.nothing_new.empty.contains(&page)
                && self.failed.get(&page).is_some_and(|failure| failure.kind == FailureKind::BadReply);
            match self.parts.state(page) {
                PartState::PastEnd => {}
                PartState::Staged if self.nothing_new.empty.contains(&page) => {}
                PartState::Failed if came_empty => {
                    self.failed.remove(&page);
                    self.parts.set(page, PartState::PastEnd);
                }
                _ => return,
            }
        }
    }

    /// Returns whether page 0 may be empty although the server announced `total` profiles: the allowed drift covers all
    /// of them, and page 0 was empty on every attempt.
    pub(super) fn may_all_be_gone(&self, total: u64) -> bool {
        total <= self.rules.drift_of(total) && self.parts.failed_attempts(0).by_fault + 1 >= ATTEMPTS_MAX
    }

    /// Returns the number of announced profiles that have not arrived.
    pub(super) fn missing_profiles(&self) -> u64 {
        self.announced().map_or(0, |announced| announced.saturating_sub(self.counts.received))
    }

    /// Returns why the session has nothing more to give, if so: then only a new session can help.
    pub(super) fn session_over(&self, shortfall: u64) -> Option<Over> {
        if self.plan.is_none() {
            return self.earlier_over;
        }
        if shortfall > 0 {
            return Some(Over::Short);
        }
        let mut kinds = self.failed.values().map(|failure| failure.kind);
        let kind = kinds.next().filter(|kind| kinds.all(|other| other == *kind))?;
        let came = self.parts.staged().len() > self.earlier.len();
        let none_came_since = !self.sign_of_life.came && self.failed.len() > 1;
        let is_over = match kind {
            // The server may just have a bad hour; only a later process that gets nothing either can be sure.
            FailureKind::Server { status: 502..=504, .. } | FailureKind::Timeout | FailureKind::Connection => !came,
            FailureKind::Server { .. } | FailureKind::BadReply | FailureKind::Rejected(_) | FailureKind::NotFound => {
                !came || none_came_since
            }
            _ => false,
        };
        (is_over && self.session_id.is_some()).then_some(Over::Refused)
    }
}
