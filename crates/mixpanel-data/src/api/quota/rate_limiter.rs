//! Gives out permits: one request each, within the window and the places of a host and project.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::error::Result;

use super::file::LedgerFile;
use super::ledger::{Ledger, Micros, RequestClass, Verdict, WindowParams, micros};
use super::setting::Quota;
use super::slots::{SLOTS, Slot, Slots};

/// Keeps the limits of one host and project. Cheap to clone; clones are one and the same.
#[derive(Debug, Clone)]
pub(crate) struct RateLimiter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    quota: Quota,
    params: WindowParams,
    place: Place,
    slots: Slots,
}

#[derive(Debug)]
enum Place {
    Memory(Mutex<Ledger>),
    Disk(LedgerFile),
}

/// What came of asking for a permit.
#[derive(Debug)]
#[must_use]
pub(crate) enum Acquired {
    /// The request may be sent; it is in the ledger already.
    Granted(Permit),
    /// The window is full, or was refused, until `at`, which is always later than the `now` of the question. Ask again
    /// then, and whenever a request of one's own was answered: a reply that is not counted makes room earlier.
    NotBefore {
        at: Timestamp,
        /// Counted requests in the window.
        used: u32,
        /// Counted requests that may be in it: the quota less the reserve.
        limit: u32,
    },
    /// Five requests are under way. One of another process frees its place without a word, so ask again in a moment.
    AllBusy,
}

/// Says why a request has to wait: the window is full by our own count, or the server has refused requests before.
pub(crate) fn why_wait(used: u32, limit: u32) -> String {
    if used < limit {
        return format!(
            "the server has refused requests because its quota is used up, though only {used} of {limit} queries are counted here"
        );
    }
    format!("{used} of the {limit} queries that the quota allows are used")
}

/// The numbers of a quota at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Counted requests in the window, those of other processes on the same folder included.
    pub(crate) used: u32,
    /// Counted requests that may be in it: the quota less the reserve.
    pub(crate) limit: u32,
    /// Requests kept for others.
    pub(crate) reserve: u32,
    /// The window.
    pub(crate) window: Duration,
    /// Whether session pages count as well: the server refused one because of the window in the last seven days.
    pub(crate) session_pages_count: bool,
    /// When the next counted request may be sent; `None` is at once.
    pub(crate) next_free_at: Option<Timestamp>,
}

impl RateLimiter {
    /// Makes a limiter. With a folder, it shares the ledger and the places with all who name the same folder, host and
    /// project, now and later; without, it knows only what it sees itself. `host` includes the port where several servers
    /// share a name, as on this machine.
    ///
    /// # Errors
    /// `InvalidInput` for a quota out of range. `Storage` or `DiskFull` when the folder or its files cannot be made or
    /// used, or another version of this program keeps the ledger. A damaged ledger is no error: it is set aside.
    pub(crate) fn open(folder: Option<&Path>, host: &str, project: &str, quota: Quota) -> Result<Self> {
        quota.check()?;
        let (place, slots) = match folder {
            None => (Place::Memory(Mutex::new(Ledger::new())), Slots::Memory(Arc::new(Mutex::new([false; SLOTS])))),
            Some(folder) => {
                let file = LedgerFile::new(folder, host, project)?;
                let slots = Slots::Files(file.slot_paths());
                let _lock = file.lock()?;
                // Better to learn now than at the first request that nothing can be written here.
                file.write(&file.read()?)?;
                (Place::Disk(file), slots)
            }
        };
        Ok(Self(Arc::new(Shared { quota, params: WindowParams::new(&quota), place, slots })))
    }

    /// Says what came of a ledger that could not be read, if this one found such a one.
    pub(crate) fn notice(&self) -> Option<String> {
        match &self.0.place {
            Place::Memory(_) => None,
            Place::Disk(file) => file.notice(),
        }
    }

    /// Asks to send one request now. What is granted is in the ledger before this returns, so that it is counted even if
    /// this process is killed the next instant.
    ///
    /// # Errors
    /// `Storage` or `DiskFull` when the ledger cannot be read or written. Then nothing may be sent.
    pub(crate) fn acquire(&self, class: RequestClass, now: Timestamp) -> Result<Acquired> {
        let Shared { params, slots, .. } = &*self.0;
        self.change(now, |ledger| {
            ledger.settle(|slot| slots.is_held(slot))?;
            if let Verdict::NotBefore(at) = ledger.verdict(class, params) {
                let used = ledger.departures(params).len();
                return Ok(Acquired::NotBefore { at: timestamp(at), used: count(used), limit: count(params.usable) });
            }
            let Some(slot) = slots.take()? else { return Ok(Acquired::AllBusy) };
            let id = ledger.add(class, slot.index(), params);
            Ok(Acquired::Granted(Permit { limiter: self.clone(), id, class, _slot: slot }))
        })
    }

    /// Says how much is used.
    ///
    /// # Errors
    /// `Storage` or `DiskFull` when the ledger cannot be read or written.
    pub(crate) fn usage(&self, now: Timestamp) -> Result<Usage> {
        let Shared { quota, params, slots, .. } = &*self.0;
        self.change(now, |ledger| {
            ledger.settle(|slot| slots.is_held(slot))?;
            let next_free_at = match ledger.verdict(RequestClass::Opening, params) {
                Verdict::Now => None,
                Verdict::NotBefore(at) => Some(timestamp(at)),
            };
            Ok(Usage {
                used: count(ledger.departures(params).len()),
                limit: quota.usable(),
                reserve: quota.reserve,
                window: quota.window,
                session_pages_count: ledger.session_pages_count(),
                next_free_at,
            })
        })
    }

    /// Changes the ledger while nobody else does. On disk, what fails halfway has changed nothing.
    fn change<R>(&self, now: Timestamp, change: impl FnOnce(&mut Ledger) -> Result<R>) -> Result<R> {
        let Shared { params, place, .. } = &*self.0;
        let now = now.as_microsecond();
        match place {
            Place::Memory(ledger) => {
                let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
                ledger.advance(now, params);
                change(&mut ledger)
            }
            Place::Disk(file) => {
                let _lock = file.lock()?;
                let before = file.read()?;
                let mut ledger = before.clone();
                ledger.advance(now, params);
                let outcome = change(&mut ledger)?;
                if ledger.has_news(&before) {
                    file.write(&ledger)?;
                }
                Ok(outcome)
            }
        }
    }
}

/// The right to send one request. Say what came of it; dropping it means that nobody knows, and the request counts as
/// one that was sent and never answered.
///
/// All of this fails with `Storage` or `DiskFull` when the ledger cannot be written; the place is free all the same, and
/// the request counts as one that was never answered.
#[derive(Debug)]
pub(crate) struct Permit {
    limiter: RateLimiter,
    id: u64,
    class: RequestClass,
    /// Freed after the ledger was told.
    _slot: Slot,
}

impl Permit {
    /// The server let the request through, whatever its reply says: it is counted, and an earlier refusal is over.
    pub(crate) fn succeeded(self, now: Timestamp) -> Result<()> {
        self.tell(now, |ledger, params| ledger.succeeded(self.id, self.class, params))
    }

    /// The request failed, and nobody knows whether the server saw it: it is counted. The server's own time for it lies
    /// between sending and now, so now is safe.
    pub(crate) fn answered(self, now: Timestamp) -> Result<()> {
        self.tell(now, |ledger, params| ledger.answered(self.id, self.class, params))
    }

    /// The server does not count the request: it answered with 401, 402, or a 429 that is not about the window
    /// (`docs/mixpanel-api.md#what-counts`).
    pub(crate) fn refunded(self, now: Timestamp) -> Result<()> {
        self.tell(now, |ledger, _| ledger.refunded(self.id))
    }

    /// The reply is a 429 about the window: not counted either. Returns when the next request of this class may be sent;
    /// until then `acquire` says the same to everybody. That is not before `now`.
    pub(crate) fn refused_hourly(self, now: Timestamp, retry_after: Option<Duration>) -> Result<Timestamp> {
        self.tell(now, |ledger, params| timestamp(ledger.refused(self.id, self.class, retry_after.map(micros), params)))
    }

    fn tell<R>(&self, now: Timestamp, change: impl FnOnce(&mut Ledger, &WindowParams) -> R) -> Result<R> {
        self.limiter.change(now, |ledger| Ok(change(ledger, &self.limiter.0.params)))
    }
}

fn timestamp(moment: Micros) -> Timestamp {
    Timestamp::from_microsecond(moment).unwrap_or(Timestamp::MAX)
}

fn count(requests: usize) -> u32 {
    u32::try_from(requests).unwrap_or(u32::MAX)
}
