//! Records the requests in the rolling window and computes when another one fits. Pure: no I/O, and the time is an
//! argument.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::limits;

use super::refusal::Refusal;
use super::window::{Micros, RequestClass, WindowParams, micros};

/// One request. Serialized as an array to save space: there are many entries, and every request rewrites all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Row", into = "Row")]
struct Entry {
    id: u64,
    /// When the request was answered or, until then, when it was last known to be in flight.
    at: Micros,
    class: RequestClass,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    /// In flight: its process holds this concurrency slot, or died holding it.
    #[serde(rename = "u")]
    InFlight(usize),
    /// Sent, but the permit was dropped or its process died before the outcome was recorded.
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
    /// Returns when the request has certainly left the server's window.
    fn leaves_at(&self, params: &WindowParams) -> Micros {
        let late = if self.state == State::Answered { params.margin } else { params.grace };
        self.at.saturating_add(params.window).saturating_add(late)
    }
}

/// The requests and refusals recorded for one pool, host and project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ledger {
    /// The latest time seen. It does not move while the system clock is slightly behind it.
    pub(super) clock: Micros,
    /// The last ID issued. IDs only grow, so they order requests regardless of clock changes.
    pub(super) last_id: u64,
    /// The last ID issued before the latest refusal.
    pub(super) fence: u64,
    /// When the hourly limit last refused a session page.
    pub(super) session_pages_refused_at: Option<Micros>,
    pub(super) refusal: Option<Refusal>,
    entries: Vec<Entry>,
    /// When the last requests were sent, earliest first, in a pool that limits how fast they may follow each other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    starts: Vec<Micros>,
}

/// Whether a request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Now,
    NotBefore(Micros, Cause),
}

/// Why a request must wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// As many requests as the quota allows are in the window, by our own count.
    Full,
    /// The server refused an earlier request with a 429 about the window.
    Refused,
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
            starts: Vec::new(),
        }
    }

    /// Updates the current time.
    ///
    /// A time slightly behind the last one comes from a process that was overtaken or from a small clock adjustment:
    /// the ledger's clock stops until the system clock catches up. A time far behind means that the clock was set
    /// back: all times are shifted with it, so that every entry keeps its age. In both cases no entry leaves the window
    /// too early.
    pub(super) fn advance(&mut self, now: Micros, params: &WindowParams) {
        let behind = self.clock.saturating_sub(now);
        let set_back = if behind > params.grace { behind } else { 0 };
        self.clock = now.max(self.clock.saturating_sub(set_back));
        // No future times are ever written, so any that remain are damaged. They are clamped to the current time.
        let clock = self.clock;
        let moments = self.entries.iter_mut().map(|entry| &mut entry.at).chain(&mut self.starts);
        for moment in moments.chain(&mut self.session_pages_refused_at) {
            *moment = moment.saturating_sub(set_back).min(clock);
        }
        if let Some(refusal) = &mut self.refusal {
            refusal.set_back(set_back, clock, params);
        }
    }

    /// Determines which requests are still in flight. They count as sent now, because the server may count them at any
    /// time before it answers.
    pub(super) fn refresh_in_flight(&mut self, mut is_held: impl FnMut(usize) -> Result<bool>) -> Result<()> {
        for entry in &mut self.entries {
            if let State::InFlight(slot) = entry.state {
                if is_held(slot)? {
                    entry.at = self.clock;
                } else {
                    entry.state = State::Lost;
                }
            }
        }
        Ok(())
    }

    /// Returns whether session pages count against the quota.
    pub(super) fn session_pages_count(&self) -> bool {
        let remembered = micros(limits::SESSION_PAGES_COUNT_FOR);
        self.session_pages_refused_at.is_some_and(|at| at.saturating_add(remembered) > self.clock)
    }

    fn counts(&self, class: RequestClass) -> bool {
        class == RequestClass::Opening || self.session_pages_count()
    }

    /// Returns when the counted requests in the window leave it, earliest first.
    pub(super) fn departures(&self, params: &WindowParams) -> Vec<Micros> {
        let counted = self.entries.iter().filter(|entry| self.counts(entry.class));
        let mut departures: Vec<_> =
            counted.map(|entry| entry.leaves_at(params)).filter(|moment| *moment > self.clock).collect();
        departures.sort_unstable();
        departures
    }

    /// Returns whether a request may be sent now.
    pub(super) fn admission(&self, class: RequestClass, params: &WindowParams) -> Admission {
        if !self.counts(class) {
            return Admission::Now;
        }
        let departures = self.departures(params);
        let room_at = departures.len().checked_sub(params.usable).and_then(|surplus| departures.get(surplus)).copied();
        match (room_at, self.blocked_until(class, params)) {
            (None, None) => Admission::Now,
            (Some(room_at), blocked_until) if Some(room_at) >= blocked_until => {
                Admission::NotBefore(room_at, Cause::Full)
            }
            (room_at, blocked_until) => {
                Admission::NotBefore(blocked_until.or(room_at).unwrap_or(self.clock), Cause::Refused)
            }
        }
    }

    /// Returns when the next request may be sent without following the last ones too fast; `None` means now.
    pub(super) fn next_start(&self, params: &WindowParams) -> Option<Micros> {
        let (requests, within) = params.starts?;
        let oldest = self.starts.len().checked_sub(requests).and_then(|index| self.starts.get(index))?;
        Some(oldest.saturating_add(within)).filter(|moment| *moment > self.clock)
    }

    /// Adds a request that is about to be sent and returns its ID.
    pub(super) fn add(&mut self, class: RequestClass, slot: usize, params: &WindowParams) -> u64 {
        for entry in &mut self.entries {
            if entry.state == State::InFlight(slot) {
                entry.state = State::Lost;
            }
        }
        // IDs start at the current time, so that they differ from those in an earlier, lost ledger.
        let id = self.last_id.saturating_add(1).max(u64::try_from(self.clock).unwrap_or(0));
        self.last_id = id;
        self.entries.push(Entry { id, at: self.clock, class, state: State::InFlight(slot) });
        if let Some((requests, _)) = params.starts {
            self.starts.push(self.clock);
            let surplus = self.starts.len().saturating_sub(requests);
            self.starts.drain(..surplus);
        }
        let counts = self.counts(class);
        if let Some(refusal) = self.refusal.as_mut().filter(|_| counts) {
            refusal.note_probe(id);
        }
        self.trim(class, params);
        id
    }

    /// Records that a request was answered or failed just now. The server cannot have counted it later than this.
    pub(super) fn answered(&mut self, id: u64, class: RequestClass, params: &WindowParams) {
        let answered = Entry { id, at: self.clock, class, state: State::Answered };
        match self.entries.iter_mut().find(|entry| entry.id == id) {
            Some(entry) => *entry = answered,
            None => self.entries.push(answered),
        }
        self.probe_ended(id);
        self.trim(class, params);
    }

    /// Removes a request that the server did not count.
    pub(super) fn refunded(&mut self, id: u64) {
        self.entries.retain(|entry| entry.id != id);
        self.probe_ended(id);
    }

    fn probe_ended(&mut self, id: u64) {
        if let Some(refusal) = &mut self.refusal {
            refusal.probe_ended(id);
        }
    }

    /// Returns the deadline for the response to a request; `None` if it was answered or is not in the ledger.
    fn unanswered_until(&self, id: u64, params: &WindowParams) -> Option<Micros> {
        let entry = self.entries.iter().find(|entry| entry.id == id)?;
        (entry.state != State::Answered).then(|| entry.at.saturating_add(params.grace))
    }

    /// Records that the server accepted a request. If the request was added after the latest refusal, that refusal is
    /// over.
    pub(super) fn succeeded(&mut self, id: u64, class: RequestClass, params: &WindowParams) {
        self.answered(id, class, params);
        if id > self.fence && self.counts(class) {
            self.refusal = None;
        }
    }

    /// Records that the server refused a request because of the window, and returns when the next one may be sent.
    pub(super) fn refused(
        &mut self,
        id: u64,
        class: RequestClass,
        retry_after: Option<Micros>,
        params: &WindowParams,
    ) -> Micros {
        self.refunded(id);
        let is_news = !self.counts(class);
        if class == RequestClass::Session {
            self.session_pages_refused_at = Some(self.clock);
        }
        // Requests that were in flight together are refused together. Only the first refusal is new information.
        if id > self.fence || is_news {
            let clock = self.clock;
            let is_known = !is_news && self.refusal.as_mut().is_some_and(|refusal| refusal.is_confirmed(clock, params));
            if !is_known {
                self.refusal = Some(Refusal::new(clock, self.first_probe_at(retry_after, params), params));
            }
            self.fence = self.last_id;
        }
        self.blocked_until(class, params).unwrap_or(self.clock)
    }

    /// Returns when a refusal ends if our own requests explain it, and otherwise when to send the first probe.
    fn first_probe_at(&self, retry_after: Option<Micros>, params: &WindowParams) -> Micros {
        let departures = self.departures(params);
        let ours = departures.len().checked_sub(params.requests).and_then(|surplus| departures.get(surplus));
        if let Some(room_at) = ours {
            return *room_at;
        }
        let patience = params.window / Micros::from(limits::QUOTA_PROBE_DIVISOR);
        let least = params.window / Micros::from(limits::QUOTA_GRACE_DIVISOR);
        self.clock.saturating_add(retry_after.unwrap_or(patience).clamp(least, patience))
    }

    /// Returns when a refusal stops blocking this class; `None` if nothing blocks it now.
    fn blocked_until(&self, class: RequestClass, params: &WindowParams) -> Option<Micros> {
        let refusal = self.refusal.as_ref().filter(|_| self.counts(class))?;
        let moment = refusal.blocked_until(|probe| self.unanswered_until(probe, params));
        Some(moment).filter(|moment| *moment > self.clock)
    }

    /// Drops all but the latest entries of a class. Keeps enough to fill the window even after a refund for each slot.
    fn trim(&mut self, class: RequestClass, params: &WindowParams) {
        while self.entries.iter().filter(|entry| entry.class == class).count() > params.requests + params.slots {
            let of_class = self.entries.iter().enumerate().filter(|(_, entry)| entry.class == class);
            let earliest =
                of_class.min_by_key(|(_, entry)| (entry.leaves_at(params), entry.id)).map(|(index, _)| index);
            self.entries.remove(earliest.expect("the class has entries"));
        }
    }

    /// Returns whether the ledger must be written, that is, whether more than its clock has changed.
    pub(super) fn has_changed(&self, before: &Self) -> bool {
        let Self { clock: _, last_id, fence, session_pages_refused_at, refusal, entries, starts } = self;
        let same = (last_id, fence, session_pages_refused_at)
            == (&before.last_id, &before.fence, &before.session_pages_refused_at);
        !same || refusal != &before.refusal || entries != &before.entries || starts != &before.starts
    }
}
