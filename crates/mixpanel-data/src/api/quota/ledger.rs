//! The entries of the rolling window, and when there is room for one more. Pure: no I/O, and the time is what it is told.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::limits;

use super::refusal::Refusal;
use super::setting::Quota;
use super::slots::SLOTS;

/// A moment or a length of time, in microseconds; moments since 1970.
pub(super) type Micros = i64;

/// Whether a request belongs to a session, which decides whether it counts (`docs/mixpanel-api.md#what-counts`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RequestClass {
    /// Without a session: always counted.
    #[serde(rename = "o")]
    Opening,
    /// A page of a session: free, until a 429 says otherwise.
    #[serde(rename = "s")]
    Session,
}

/// A quota in the units of the ledger.
#[derive(Debug, Clone, Copy)]
pub(super) struct WindowParams {
    /// What the server allows.
    pub(super) requests: usize,
    /// What may be used here.
    pub(super) usable: usize,
    pub(super) window: Micros,
    /// What has to pass on top of the window.
    pub(super) margin: Micros,
    /// The same for a request that was never answered; never below the margin.
    pub(super) grace: Micros,
}

impl WindowParams {
    pub(super) fn new(quota: &Quota) -> Self {
        let margin = (quota.window / limits::QUOTA_MARGIN_DIVISOR).max(limits::QUOTA_MARGIN_MIN);
        let grace = (quota.window / limits::QUOTA_GRACE_DIVISOR).max(margin);
        Self {
            requests: quota.requests as usize,
            usable: quota.usable() as usize,
            window: micros(quota.window),
            margin: micros(margin),
            grace: micros(grace),
        }
    }
}

pub(super) fn micros(time: Duration) -> Micros {
    Micros::try_from(time.as_micros()).unwrap_or(Micros::MAX)
}

/// One request. Written as a list, since there are many and every one is written for every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Row", into = "Row")]
struct Entry {
    id: u64,
    /// When it was answered; until then, when it was last known to be under way.
    at: Micros,
    class: RequestClass,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    /// Its process holds this slot, or held it when it died.
    #[serde(rename = "u")]
    UnderWay(usize),
    /// Sent, and whoever waited for the answer is gone.
    #[serde(rename = "l")]
    Lost,
    #[serde(rename = "a")]
    Answered,
}

type Row = (u64, Micros, RequestClass, State);

impl From<Row> for Entry {
    fn from((id, at, class, state): Row) -> Self {
        Self { id, at, class, state }
    }
}

impl From<Entry> for Row {
    fn from(Entry { id, at, class, state }: Entry) -> Self {
        (id, at, class, state)
    }
}

impl Entry {
    /// When the server has certainly let it out of the window.
    fn leaves_at(&self, params: &WindowParams) -> Micros {
        let late = if self.state == State::Answered { params.margin } else { params.grace };
        self.at.saturating_add(params.window).saturating_add(late)
    }
}

/// All that is remembered of a host and project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ledger {
    /// The latest time it was told. It stands still while the clock is a little behind it.
    pub(super) clock: Micros,
    /// The id given last. Ids only grow, so they say which of two requests was taken first whatever the clock does.
    pub(super) last_id: u64,
    /// The last id that was given before the latest refusal.
    pub(super) fence: u64,
    /// When a session page was last refused because of the hourly limit.
    pub(super) session_pages_refused_at: Option<Micros>,
    pub(super) refusal: Option<Refusal>,
    entries: Vec<Entry>,
}

/// Whether a request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Now,
    NotBefore(Micros),
}

impl Ledger {
    pub(super) const fn new() -> Self {
        Self {
            clock: Micros::MIN,
            last_id: 0,
            fence: 0,
            session_pages_refused_at: None,
            refusal: None,
            entries: Vec::new(),
        }
    }

    /// Tells it the time of day.
    ///
    /// A clock that is a little behind was read by somebody who was overtaken, or set back by a trifle: time stands still
    /// until it has caught up. One that is far behind was set back: then everything keeps its age. Either way nothing
    /// leaves the window earlier than it would have.
    pub(super) fn advance(&mut self, now: Micros, params: &WindowParams) {
        let behind = self.clock.saturating_sub(now);
        let set_back = if behind > params.grace { behind } else { 0 };
        self.clock = now.max(self.clock.saturating_sub(set_back));
        // What lies ahead even so is damage, since no such moment is ever written. It counts as now.
        let clock = self.clock;
        for moment in self.entries.iter_mut().map(|entry| &mut entry.at).chain(&mut self.session_pages_refused_at) {
            *moment = moment.saturating_sub(set_back).min(clock);
        }
        if let Some(refusal) = &mut self.refusal {
            refusal.set_back(set_back, clock, params);
        }
    }

    /// Finds out which requests are still under way. Those are counted as if they were sent now, since the server may
    /// count them at any moment until they are answered.
    pub(super) fn settle(&mut self, mut is_held: impl FnMut(usize) -> Result<bool>) -> Result<()> {
        for entry in &mut self.entries {
            if let State::UnderWay(slot) = entry.state {
                if is_held(slot)? {
                    entry.at = self.clock;
                } else {
                    entry.state = State::Lost;
                }
            }
        }
        Ok(())
    }

    /// Says whether session pages count as well.
    pub(super) fn session_pages_count(&self) -> bool {
        let remembered = micros(limits::SESSION_PAGES_COUNT_FOR);
        self.session_pages_refused_at.is_some_and(|at| at.saturating_add(remembered) > self.clock)
    }

    pub(super) fn counts(&self, class: RequestClass) -> bool {
        class == RequestClass::Opening || self.session_pages_count()
    }

    /// When the counted requests that are in the window leave it, earliest first.
    pub(super) fn departures(&self, params: &WindowParams) -> Vec<Micros> {
        let counted = self.entries.iter().filter(|entry| self.counts(entry.class));
        let mut departures: Vec<_> =
            counted.map(|entry| entry.leaves_at(params)).filter(|moment| *moment > self.clock).collect();
        departures.sort_unstable();
        departures
    }

    /// Says whether a request may be sent now.
    pub(super) fn verdict(&self, class: RequestClass, params: &WindowParams) -> Verdict {
        if !self.counts(class) {
            return Verdict::Now;
        }
        let departures = self.departures(params);
        let room_at = departures.len().checked_sub(params.usable).and_then(|surplus| departures.get(surplus)).copied();
        room_at.max(self.held_until(class, params)).map_or(Verdict::Now, Verdict::NotBefore)
    }

    /// Enters a request that is about to be sent, and returns its id.
    pub(super) fn add(&mut self, class: RequestClass, slot: usize, params: &WindowParams) -> u64 {
        for entry in &mut self.entries {
            if entry.state == State::UnderWay(slot) {
                entry.state = State::Lost;
            }
        }
        // Beginning with the time makes ids unlike those of an earlier ledger that was lost.
        let id = self.last_id.saturating_add(1).max(u64::try_from(self.clock).unwrap_or(0));
        self.last_id = id;
        self.entries.push(Entry { id, at: self.clock, class, state: State::UnderWay(slot) });
        self.note_probe(class, id);
        self.forget_surplus(class, params);
        id
    }

    /// Notes that a request was answered, or failed, just now: the server counted it before.
    pub(super) fn answered(&mut self, id: u64, class: RequestClass, params: &WindowParams) {
        let answered = Entry { id, at: self.clock, class, state: State::Answered };
        match self.entries.iter_mut().find(|entry| entry.id == id) {
            Some(entry) => *entry = answered,
            None => self.entries.push(answered),
        }
        self.probe_ended(id);
        self.forget_surplus(class, params);
    }

    /// Forgets a request that the server did not count.
    pub(super) fn refunded(&mut self, id: u64) {
        self.entries.retain(|entry| entry.id != id);
        self.probe_ended(id);
    }

    /// When a request that was not answered is not expected to be any more; `None` if it was answered.
    pub(super) fn unanswered_until(&self, id: u64, params: &WindowParams) -> Option<Micros> {
        let entry = self.entries.iter().find(|entry| entry.id == id)?;
        (entry.state != State::Answered).then(|| entry.at.saturating_add(params.grace))
    }

    /// Keeps the latest entries of a class: as many as can fill the window, and a refund for each slot.
    fn forget_surplus(&mut self, class: RequestClass, params: &WindowParams) {
        while self.entries.iter().filter(|entry| entry.class == class).count() > params.requests + SLOTS {
            let of_class = self.entries.iter().enumerate().filter(|(_, entry)| entry.class == class);
            let earliest =
                of_class.min_by_key(|(_, entry)| (entry.leaves_at(params), entry.id)).map(|(index, _)| index);
            self.entries.remove(earliest.expect("the class has entries"));
        }
    }

    /// Says whether it has to be written: more has changed than the time.
    pub(super) fn has_news(&self, before: &Self) -> bool {
        let Self { clock: _, last_id, fence, session_pages_refused_at, refusal, entries } = self;
        let same = (last_id, fence, session_pages_refused_at)
            == (&before.last_id, &before.fence, &before.session_pages_refused_at);
        !same || refusal != &before.refusal || entries != &before.entries
    }
}
