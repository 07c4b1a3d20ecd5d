//! Sessions: cached result lists that are served page by page (`docs/mixpanel-api.md#sessions-and-paging`).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::config::SimulatorConfig;
use crate::hash::mix2;
use crate::select::Selection;

/// A cached query. Its result list never changes, so paging to the end returns exactly that list.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) selection: Arc<Selection>,
    /// The page size of the request that created the session. That it stays fixed is an assumption.
    pub(crate) page_size: u32,
    /// The number of positions by which the list is rotated; 0 unless the session was silently replaced.
    pub(crate) shift: u64,
    made: Duration,
    requests: u32,
}

/// The maximum number of sessions. One that selects a million profiles takes 8 MB; one without filters takes almost
/// nothing.
const SESSIONS_MAX: usize = 1_000;

#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_id: HashMap<String, Session>,
    /// The IDs of all sessions that may be in `by_id`, oldest first.
    oldest: VecDeque<String>,
    made: u64,
}

impl Sessions {
    /// Creates a session.
    pub(crate) fn make(
        &mut self,
        config: &SimulatorConfig,
        selection: Arc<Selection>,
        page_size: u32,
        now: Duration,
    ) -> Session {
        if self.oldest.len() >= SESSIONS_MAX
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.by_id.remove(&oldest);
        }
        let id = self.next_id(config.seed);
        let session = Session { id, selection, page_size, shift: 0, made: now, requests: 1 };
        self.oldest.push_back(session.id.clone());
        self.by_id.insert(session.id.clone(), session.clone());
        session
    }

    /// Creates another session for the same query, with the list rotated.
    pub(crate) fn replace(&mut self, config: &SimulatorConfig, old: &Session, now: Duration) -> Session {
        let mut session = self.make(config, Arc::clone(&old.selection), old.page_size, now);
        session.shift = old.shift + 1 + u64::from(old.page_size) / 3;
        self.by_id.insert(session.id.clone(), session.clone());
        session
    }

    /// Returns the session if it is still alive and belongs to this query, and counts the request.
    pub(crate) fn get(
        &mut self,
        config: &SimulatorConfig,
        id: &str,
        filter_key: &str,
        now: Duration,
    ) -> Option<Session> {
        let session = self.by_id.get_mut(id)?;
        if !is_alive(session, config, now) {
            self.by_id.remove(id);
            return None;
        }
        if session.selection.filter_key != filter_key {
            return None;
        }
        session.requests += 1;
        Some(session.clone())
    }

    pub(crate) fn forget(&mut self, id: &str) {
        self.by_id.remove(id);
    }

    /// Returns a new unique ID: ten digits, a hyphen and six capital letters, as in Mixpanel's samples.
    fn next_id(&mut self, seed: u64) -> String {
        let number = self.made;
        self.made += 1;
        let random = mix2(seed, number);
        let digits = 1_790_000_000 + mix2(seed, u64::MAX) % 100_000 + number;
        let letters = (0..6).map(|place| char::from(b'A' + (mix2(random, place) % 26) as u8));
        format!("{digits}-{}", letters.collect::<String>())
    }
}

fn is_alive(session: &Session, config: &SimulatorConfig, now: Duration) -> bool {
    let young = config.session_max_age.is_none_or(|age| now.saturating_sub(session.made) < age);
    young && config.session_max_requests.is_none_or(|most| session.requests < most)
}

impl Session {
    /// Returns the positions of a page's results in the list. The first `overlap` of them are also on the previous
    /// page.
    pub(crate) fn places(&self, page: u64, overlap: u32) -> impl Iterator<Item = u64> + use<> {
        let (len, shift) = (self.selection.len(), self.shift);
        let start = page.saturating_mul(u64::from(self.page_size)).min(len);
        let end = start.saturating_add(u64::from(self.page_size)).min(len);
        let back = page.saturating_mul(u64::from(overlap)).min(start);
        (start..end).map(move |place| (place - back + shift) % len)
    }
}
